/* Accounts that several people share, who are one person to a guard; and who gets in whatever happens.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/guard_check/guard_check.h"

#define PEOPLE "accounts"
#define KEYS_FILE ".ssh/authorized_keys"
#define KEYS_SIZE_LIMIT ((off_t)1024 * 1024)
#define ACCOUNTS_LIMIT 10000
#define NAME_SIZE 257 /* no account has a longer one: LOGIN_NAME_MAX */

/* What is kept in an array that grows gcc's analyzer takes for lost. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct account_entry {
	uid_t uid;
	char *name;
	int keys;
};

struct accounts {
	struct account_entry *entries;
	size_t count;
};

static const char mend_shared[] =
	"give each person an account of their own, or write share = session, which asks each "
	"session for the lock";

/* ---- Looking --------------------------------------------------------------------------------------------- */

static int count_lines(FILE *file)
{
	char *line = NULL;
	size_t room = 0;
	int keys = 0;

	while (getline(&line, &room, file) >= 0) {
		char first = line[strspn(line, " \t\r\n")];
		keys += first != '\0' && first != '#' ? 1 : 0;
	}
	free(line);
	return keys;
}

/* It is the user's own file, so it may be anything. */
static int count_keys(const char *home)
{
	char path[PATH_MAX];
	struct stat status;
	FILE *file = NULL;
	int fd, keys = 0;

	snprintf(path, sizeof(path), "%s/" KEYS_FILE, home);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= KEYS_SIZE_LIMIT)
		file = fdopen(fd, "re");
	if (!file) {
		close(fd);
		return 0;
	}
	keys = count_lines(file);
	fclose(file);
	return keys;
}

static bool logs_in(const struct passwd *entry)
{
	static const char *const none[] = { "nologin", "false", "sync", "halt", "shutdown" };
	const char *slash = strrchr(entry->pw_shell, '/');

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (slash && strcmp(slash + 1, none[i]) == 0)
			return false;
	return true;
}

static bool keep_account(struct accounts *accounts, const struct passwd *entry)
{
	struct account_entry *grown = realloc(accounts->entries, (accounts->count + 1) * sizeof(grown[0]));

	if (!grown)
		return false;
	accounts->entries = grown;
	grown[accounts->count] = (struct account_entry){ .uid = entry->pw_uid,
							 .name = strdup(entry->pw_name),
							 .keys = count_keys(entry->pw_dir) };
	if (!grown[accounts->count].name)
		return false;
	accounts->count++;
	return true;
}

static bool list_accounts(struct accounts *accounts)
{
	const struct passwd *entry;
	bool done = true;

	setpwent();
	while (done && accounts->count < ACCOUNTS_LIMIT && (entry = getpwent()) != NULL)
		if (entry->pw_uid != 0 && logs_in(entry))
			done = keep_account(accounts, entry);
	endpwent();
	return done;
}

/* ---- Telling --------------------------------------------------------------------------------------------- */

static int by_uid(const void *left, const void *right)
{
	uid_t a = ((const struct account_entry *)left)->uid, b = ((const struct account_entry *)right)->uid;

	return a < b ? -1 : a > b ? 1 : 0;
}

static void tell_twins(struct findings *findings, const struct accounts *accounts)
{
	for (size_t i = 1; i < accounts->count; i++) {
		const struct account_entry *one = &accounts->entries[i - 1], *other = &accounts->entries[i];
		if (one->uid == other->uid)
			findings_add(findings, PEOPLE, AWSFLOCK_CHECK_WARNING, mend_shared,
				     "%s and %s have the same number, %u: they are one person to the guard",
				     one->name, other->name, (unsigned)one->uid);
	}
}

static void tell_keys(struct findings *findings, const struct accounts *accounts)
{
	struct buf list = BUF_INIT;

	for (size_t i = 0; i < accounts->count; i++)
		if (accounts->entries[i].keys > 1)
			buf_printf(&list, "%s%s (%d)", list.size > 0 ? ", " : "", accounts->entries[i].name,
				   accounts->entries[i].keys);
	if (list.size > 0)
		findings_add(
			findings, PEOPLE, AWSFLOCK_CHECK_WARNING, mend_shared,
			"these let several keys in: %s: where the keys are of several people, these are one person "
			"to the guard, and share the lock",
			buf_text(&list));
	buf_free(&list);
}

static void check_shared(struct findings *findings)
{
	struct accounts accounts = { NULL, 0 };
	size_t warnings = findings->warnings;

	if (!list_accounts(&accounts)) {
		findings_add(findings, PEOPLE, AWSFLOCK_CHECK_WARNING, "",
			     "out of memory: accounts were not looked at");
	} else if (accounts.count > 0) {
		qsort(accounts.entries, accounts.count, sizeof(accounts.entries[0]), by_uid);
		tell_twins(findings, &accounts);
		tell_keys(findings, &accounts);
	}
	if (findings->warnings == warnings)
		findings_add(findings, PEOPLE, AWSFLOCK_CHECK_OK, "",
			     "no two have one number, and none has several keys in " KEYS_FILE);
	for (size_t i = 0; i < accounts.count; i++)
		free(accounts.entries[i].name);
	free(accounts.entries);
}

/* ---- The way in for a bad day ---------------------------------------------------------------------------- */

static void check_rescue(struct findings *findings, const char *in_file, const char *in_line)
{
	const char *group = in_line[0] != '\0' ? in_line : in_file;

	if (group[0] == '\0')
		findings_add(
			findings, "rescue", AWSFLOCK_CHECK_WARNING,
			"add break_glass_group=GROUP to the PAM lines, for an account whose key is kept apart",
			"there is no break-glass group: a mistake, or a table out of reach, keeps everybody out");
	else if (!getgrnam(group))
		findings_add(findings, "rescue", AWSFLOCK_CHECK_WARNING, "groupadd it, and put an account into it",
			     "the break-glass group '%s' does not exist: a mistake, or a table out of reach, keeps "
			     "everybody out",
			     group);
	else if (in_line[0] == '\0')
		findings_add(findings, "rescue", AWSFLOCK_CHECK_WARNING,
			     "name it in the PAM lines too: break_glass_group=GROUP",
			     "members of '%s' enter without the lock, but not where the configuration is broken",
			     group);
	else
		findings_add(findings, "rescue", AWSFLOCK_CHECK_OK, "", "members of '%s' enter without the lock",
			     group);
}

/* ---- Whom the guard is not for --------------------------------------------------------------------------- */

static bool user_exists(const char *name)
{
	return getpwnam(name) != NULL;
}

static bool group_exists(const char *name)
{
	return getgrnam(name) != NULL;
}

static void check_names(struct findings *findings, const char *key, const char *list, const char *what,
			bool (*exists)(const char *name))
{
	const char *word;
	size_t size;

	while (guard_list_next(&list, &word, &size)) {
		char name[NAME_SIZE];

		if (size >= sizeof(name))
			continue;
		memcpy(name, word, size);
		name[size] = '\0';
		if (!exists(name))
			findings_add(findings, "exempt", AWSFLOCK_CHECK_WARNING,
				     "correct the name, or take it out; \"quotation marks\" hold one with blanks "
				     "together",
				     "%s: there is no %s '%s', so nobody is exempt by it", key, what, name);
	}
}

/* ---- All ------------------------------------------------------------------------------------------------- */

void guard_check_people(struct findings *findings, const struct guard *guard, const struct guard_lines *lines)
{
	if (guard->is_for_person)
		check_shared(findings);
	else
		findings_add(findings, PEOPLE, AWSFLOCK_CHECK_OK, "",
			     "share = session: who shares an account shares no lock");
	check_names(findings, "exempt_users", guard->exempt_users, "user", user_exists);
	check_names(findings, "exempt_groups", guard->exempt_groups, "group", group_exists);
	check_rescue(findings, guard->break_glass_group, lines->break_glass_group);
}
