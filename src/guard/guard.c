/* See guard.h.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard.h"

#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/ini.h"
#include "base/text_check.h"
#include "guard/trusted_file.h"

#define STOPS_PER_LEASE 3
#define MS_PER_SECOND 1000
#define SEPARATORS ", \t"

/* What is written through an offset gcc's analyzer takes for lost. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* ---- Keys ------------------------------------------------------------------------------------------------ */

enum kind {
	KIND_TEXT,
	KIND_LIST,    /* text that guard_list_next() takes apart */
	KIND_SECONDS, /* at least one */
	KIND_MS,      /* zero too */
	KIND_WORD     /* one of two or three; the first is the default */
};

static const struct key {
	const char *name;
	enum kind kind;
	size_t offset; /* into struct guard; not of a word's */
	const char *words[3];
} keys[] = {
	{ "lock", KIND_TEXT, offsetof(struct guard, lock), { NULL } },
	{ "lease", KIND_SECONDS, offsetof(struct guard, lease_s), { NULL } },
	{ "wait", KIND_MS, offsetof(struct guard, wait_ms), { NULL } },
	{ "grace", KIND_MS, offsetof(struct guard, grace_ms), { NULL } },
	{ "end", KIND_MS, offsetof(struct guard, end_ms), { NULL } },
	{ "fail", KIND_WORD, 0, { "secure", "safe" } },
	{ "on_lost", KIND_WORD, 0, { "terminate", "warn" } },
	{ "share", KIND_WORD, 0, { "person", "session" } },
	{ "leftovers", KIND_WORD, 0, { "hold", "end", "release" } },
	{ "ends", KIND_WORD, 0, { "session", "user" } },
	{ "leftovers_end", KIND_LIST, offsetof(struct guard, leftovers_end), { NULL } },
	{ "require_cgroup", KIND_WORD, 0, { "no", "yes" } },
	{ "user", KIND_TEXT, offsetof(struct guard, user), { NULL } },
	{ "exempt_users", KIND_LIST, offsetof(struct guard, exempt_users), { NULL } },
	{ "exempt_groups", KIND_LIST, offsetof(struct guard, exempt_groups), { NULL } },
	{ "break_glass_group", KIND_TEXT, offsetof(struct guard, break_glass_group), { NULL } },
	{ "purpose", KIND_TEXT, offsetof(struct guard, purpose), { NULL } },
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static bool is_text(const struct key *key)
{
	return key->kind == KIND_TEXT || key->kind == KIND_LIST;
}

static void *member_of_key(struct guard *guard, const struct key *key)
{
	return (char *)guard + key->offset;
}

static awsflock_code set_text(struct guard *guard, const struct key *key, const char *value, awsflock_error *error)
{
	char **text = member_of_key(guard, key), *copy;
	awsflock_code code = text_check_free(key->name, value, error);

	if (code != AWSFLOCK_OK)
		return code;
	copy = strdup(value);
	if (!copy)
		return error_out_of_memory(error);
	free(*text);
	*text = copy;
	return AWSFLOCK_OK;
}

static awsflock_code set_list(struct guard *guard, const struct key *key, const char *value, awsflock_error *error)
{
	size_t quotation_marks = 0;

	for (const char *c = value; *c; c++)
		quotation_marks += *c == '"' ? 1 : 0;
	if (quotation_marks % 2 != 0)
		return error_set(error, AWSFLOCK_INVALID, "%s: a quotation mark has no partner", key->name);
	return set_text(guard, key, value, error);
}

static void keep_word(struct guard *guard, const struct key *key, int word)
{
	if (strcmp(key->name, "fail") == 0)
		guard->fail_safe = word == 1;
	else if (strcmp(key->name, "on_lost") == 0)
		guard->only_warns = word == 1;
	else if (strcmp(key->name, "share") == 0)
		guard->is_for_person = word == 0;
	else if (strcmp(key->name, "ends") == 0)
		guard->ends_person = word == 1;
	else if (strcmp(key->name, "require_cgroup") == 0)
		guard->require_cgroup = word == 1;
	else
		guard->leftovers = (enum leftovers)word;
}

static awsflock_code set_word(struct guard *guard, const struct key *key, const char *value, awsflock_error *error)
{
	for (int word = 0; word < 3 && key->words[word]; word++)
		if (strcmp(key->words[word], value) == 0) {
			keep_word(guard, key, word);
			return AWSFLOCK_OK;
		}
	return error_set(error, AWSFLOCK_INVALID, "%s cannot be '%.80s': write %s%s%s%s%s", key->name, value,
			 key->words[0], key->words[2] ? ", " : " or ", key->words[1], key->words[2] ? " or " : "",
			 key->words[2] ? key->words[2] : "");
}

/* An empty value is as good as none. */
static awsflock_code set_key(struct guard *guard, const struct key *key, const char *value, awsflock_error *error)
{
	awsflock_error reason;
	awsflock_code code;

	if (!*value)
		return AWSFLOCK_OK;
	switch (key->kind) {
	case KIND_TEXT:
		return set_text(guard, key, value, error);
	case KIND_LIST:
		return set_list(guard, key, value, error);
	case KIND_WORD:
		return set_word(guard, key, value, error);
	case KIND_SECONDS:
		code = duration_parse(value, member_of_key(guard, key), &reason);
		break;
	default:
		code = duration_parse_ms(value, member_of_key(guard, key), &reason);
	}
	return code == AWSFLOCK_OK ? code : error_set(error, code, "%s: %s", key->name, reason.message);
}

/* ---- The section ----------------------------------------------------------------------------------------- */

static awsflock_code apply_entry(struct guard *guard, const char *path, const struct ini_entry *entry,
				 awsflock_error *error)
{
	const struct key *key;
	awsflock_error reason;
	awsflock_code code;

	if (entry->fault)
		return error_set(error, AWSFLOCK_CONFIG, "%s", entry->fault);
	if (!entry->key)
		return AWSFLOCK_OK;
	key = find_key(entry->key);
	if (!key)
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s:%d: unknown key '%.80s' in [guard %.80s]: see awsflock.conf(5)", path,
				 entry->line, entry->key, guard->name);
	code = set_key(guard, key, entry->value, &reason);
	if (code == AWSFLOCK_OK || code == AWSFLOCK_MEMORY)
		return code == AWSFLOCK_OK ? code : error_out_of_memory(error);
	return error_set(error, AWSFLOCK_CONFIG, "%s:%d: %s", path, entry->line, reason.message);
}

static awsflock_code apply_section(struct guard *guard, const char *path, const struct ini *ini,
				   awsflock_error *error)
{
	struct buf section = BUF_INIT;
	awsflock_code code = AWSFLOCK_OK;

	buf_printf(&section, INI_GUARD_PREFIX "%s", guard->name);
	if (section.failed)
		code = error_out_of_memory(error);
	else if (!ini_has_section(ini, buf_text(&section)))
		code = error_set(error, AWSFLOCK_CONFIG,
				 "%s has no section [%.100s]: write one, or mend the guard= that names it", path,
				 buf_text(&section));
	for (size_t i = 0; code == AWSFLOCK_OK && i < ini->count; i++)
		if (strcmp(ini->entries[i].section, buf_text(&section)) == 0)
			code = apply_entry(guard, path, &ini->entries[i], error);
	buf_free(&section);
	return code;
}

/* ---- What the keys mean together ------------------------------------------------------------------------- */

static void expand_one(struct buf *out, char letter, const struct guard_request *request, const char *host)
{
	switch (letter) {
	case 'h':
		buf_puts(out, host);
		break;
	case 's':
		buf_puts(out, request->service);
		break;
	case 'u':
		buf_puts(out, request->person);
		break;
	default:
		buf_puts(out, "%");
	}
}

/* Replaces the pattern in guard->lock by the name that it makes. */
static awsflock_code expand_lock(struct guard *guard, const struct guard_request *request, awsflock_error *error)
{
	struct buf out = BUF_INIT;
	struct utsname host;
	awsflock_error reason;
	awsflock_code code = AWSFLOCK_OK;

	if (!*guard->lock)
		return error_set(error, AWSFLOCK_CONFIG,
				 "[guard %.80s] names no lock: add a line such as lock = %.80s", guard->name,
				 guard->name);
	if (uname(&host) != 0)
		return error_set(error, AWSFLOCK_INTERNAL, "this host's name cannot be found out");
	for (const char *c = guard->lock; *c && code == AWSFLOCK_OK; c++) {
		if (*c != '%')
			buf_append(&out, c, 1);
		else if (!c[1] || !strchr("hsu%", c[1]))
			code = error_set(error, AWSFLOCK_CONFIG,
					 "[guard %.80s]: lock = %.200s: there are %%h, %%s, %%u and %%%%",
					 guard->name, guard->lock);
		else
			expand_one(&out, *++c, request, host.nodename);
	}
	if (code == AWSFLOCK_OK && out.failed)
		code = error_out_of_memory(error);
	if (code == AWSFLOCK_OK && text_check_lock_name(buf_text(&out), &reason) != AWSFLOCK_OK)
		code = error_set(error, AWSFLOCK_CONFIG, "[guard %.80s]: lock: %s", guard->name, reason.message);
	if (code == AWSFLOCK_OK) {
		free(guard->lock);
		guard->lock = buf_steal(&out);
	}
	buf_free(&out);
	return code;
}

int64_t guard_stop_ms(const struct guard *guard)
{
	return guard->grace_ms + guard->end_ms;
}

static awsflock_code check_times(const struct guard *guard, awsflock_error *error)
{
	int64_t least_ms = STOPS_PER_LEASE * guard_stop_ms(guard);

	if (guard->end_ms < MS_PER_SECOND)
		return error_set(error, AWSFLOCK_CONFIG,
				 "[guard %.80s]: end is shorter than a second: that ends no session in order",
				 guard->name);
	if (guard->lease_s * MS_PER_SECOND < least_ms)
		return error_set(error, AWSFLOCK_CONFIG,
				 "[guard %.80s]: lease must be at least three times grace and end together: %lld s",
				 guard->name, (long long)((least_ms + MS_PER_SECOND - 1) / MS_PER_SECOND));
	return AWSFLOCK_OK;
}

/* What a close lets go of nobody could end later. */
static awsflock_code check_ends(const struct guard *guard, awsflock_error *error)
{
	if (!guard->ends_person || guard->leftovers != LEFTOVERS_RELEASE)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "[guard %.80s]: leftovers = release lets run on what ends = user ends: write hold or end",
			 guard->name);
}

static awsflock_code check_leftovers(const struct guard *guard, awsflock_error *error)
{
	if (!*guard->leftovers_end || guard->leftovers == LEFTOVERS_HOLD)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "[guard %.80s]: leftovers_end says what does not hold the lock: leave it out, or write "
			 "leftovers = hold",
			 guard->name);
}

static bool has_user(const char *name)
{
	char room[4096];
	struct passwd entry, *found = NULL;

	return getpwnam_r(name, &entry, room, sizeof(room), &found) == 0 && found;
}

static awsflock_code choose_user(struct guard *guard, awsflock_error *error)
{
	bool is_there;

	if (*guard->user)
		return AWSFLOCK_OK;
	is_there = has_user(GUARD_USER);
	free(guard->user);
	guard->user = strdup(is_there ? GUARD_USER : "nobody");
	guard->user_is_makeshift = !is_there;
	return guard->user ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- All of it ------------------------------------------------------------------------------------------- */

static awsflock_code init_guard(struct guard *guard, const char *name, awsflock_error *error)
{
	*guard = (struct guard){ .lease_s = 120, .grace_ms = 10000, .end_ms = 6000, .is_for_person = true };
	guard->name = strdup(name);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char **text = member_of_key(guard, &keys[i]);
		if (is_text(&keys[i]) && !*text && !(*text = strdup("")))
			return error_out_of_memory(error);
	}
	if (!guard->name)
		return error_out_of_memory(error);
	return config_init(&guard->config, error);
}

static awsflock_code read_file(const char *path, struct ini *ini, awsflock_error *error)
{
	int fd;
	awsflock_code code = trusted_file_open("the configuration file", path, &fd, error);

	if (code != AWSFLOCK_OK)
		return code;
	code = ini_read_fd(fd, path, INI_STRICT, ini, error);
	close(fd);
	return code;
}

awsflock_code guard_load(const struct guard_request *request, struct guard *guard, awsflock_error *error)
{
	const char *path = request->path ? request->path : CONFIG_PATH_SYSTEM;
	struct guard loaded = { 0 };
	struct ini ini = { NULL, 0 };
	awsflock_code code = text_check_free("the guard's name", request->name, error);

	if (code == AWSFLOCK_OK)
		code = init_guard(&loaded, request->name, error);
	if (code == AWSFLOCK_OK)
		code = read_file(path, &ini, error);
	if (code == AWSFLOCK_OK)
		code = config_apply(&loaded.config, path, &ini, CONFIG_FROM_SYSTEM_FILE, error);
	if (code == AWSFLOCK_OK)
		code = apply_section(&loaded, path, &ini, error);
	if (code == AWSFLOCK_OK)
		code = expand_lock(&loaded, request, error);
	if (code == AWSFLOCK_OK)
		code = check_times(&loaded, error);
	if (code == AWSFLOCK_OK)
		code = check_ends(&loaded, error);
	if (code == AWSFLOCK_OK)
		code = check_leftovers(&loaded, error);
	if (code == AWSFLOCK_OK)
		code = choose_user(&loaded, error);
	ini_free(&ini);
	if (code == AWSFLOCK_OK)
		*guard = loaded;
	else
		guard_free(&loaded);
	return code;
}

void guard_free(struct guard *guard)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is_text(&keys[i])) {
			char **text = member_of_key(guard, &keys[i]);
			free(*text);
			*text = NULL;
		}
	free(guard->name);
	guard->name = NULL;
	config_free(&guard->config);
}

bool guard_list_next(const char **list, const char **name, size_t *size)
{
	const char *at = *list + strspn(*list, SEPARATORS);
	bool quoted = *at == '"';

	if (*at == '\0')
		return false;
	*name = quoted ? at + 1 : at;
	*size = strcspn(*name, quoted ? "\"" : SEPARATORS);
	at = *name + *size;
	*list = quoted && *at != '\0' ? at + 1 : at;
	return true;
}

bool guard_list_has(const char *list, const char *name)
{
	const char *word;
	size_t size;

	while (guard_list_next(&list, &word, &size))
		if (size > 0 && strlen(name) == size && memcmp(word, name, size) == 0)
			return true;
	return false;
}
