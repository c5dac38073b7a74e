/* Whom the module takes for the person, by what each host shows of itself: its user ids, its file, and what it told
 * libpam.  SPDX-License-Identifier: Apache-2.0 */
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "person.h"

#define ALICE 1001
#define DAEMON 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- A host ---- */

struct pam_handle {
	uid_t real_uid, effective_uid;
	mode_t mode; /* its file's; 0: there is no /proc */
	const char *user, *ruser, *rhost;
};

static const struct pam_handle *host;

uid_t __wrap_getuid(void);
uid_t __wrap_geteuid(void);
int __wrap_stat(const char *path, struct stat *status);

uid_t __wrap_getuid(void)
{
	return host->real_uid;
}

uid_t __wrap_geteuid(void)
{
	return host->effective_uid;
}

int __wrap_stat(const char *path, struct stat *status)
{
	assert_string_equal(path, "/proc/self/exe");
	*status = (struct stat){ .st_mode = host->mode };
	return host->mode != 0 ? 0 : -1;
}

int pam_get_item(const pam_handle_t *pamh, int type, const void **item)
{
	*item = type == PAM_RUSER ? pamh->ruser : type == PAM_RHOST ? pamh->rhost : NULL;
	return PAM_SUCCESS;
}

int pam_get_user(pam_handle_t *pamh, const char **user, const char *prompt)
{
	assert_null(prompt);
	*user = pamh->user;
	return *user ? PAM_SUCCESS : PAM_CONV_ERR;
}

static char root_name[] = "root", toor_name[] = "toor", alice_name[] = "alice", bob_name[] = "bob",
	    daemon_name[] = "daemon";
static struct passwd accounts[] = { { .pw_name = root_name, .pw_uid = 0 },
				    { .pw_name = toor_name, .pw_uid = 0 },
				    { .pw_name = alice_name, .pw_uid = ALICE },
				    { .pw_name = bob_name, .pw_uid = 1002 },
				    { .pw_name = daemon_name, .pw_uid = DAEMON } };

struct passwd *pam_modutil_getpwnam(pam_handle_t *pamh, const char *name)
{
	(void)pamh;
	for (size_t i = 0; i < COUNT(accounts); i++)
		if (strcmp(accounts[i].pw_name, name) == 0)
			return &accounts[i];
	return NULL;
}

struct passwd *pam_modutil_getpwuid(pam_handle_t *pamh, uid_t uid)
{
	(void)pamh;
	for (size_t i = 0; i < COUNT(accounts); i++)
		if (accounts[i].pw_uid == uid)
			return &accounts[i];
	return NULL;
}

void pam_syslog(const pam_handle_t *pamh, int priority, const char *format, ...)
{
	(void)pamh, (void)priority, (void)format;
}

/* ROOT_ALREADY, "" for a refusal, or the person's name with '@' before it where they become another. */
#define ROOT_ALREADY "(root already)"

static const char *person_of(const struct pam_handle *of)
{
	static char text[64];
	struct pam_handle copy = *of;
	struct person person;
	host = &copy;
	if (!person_find(&copy, &person))
		return "";
	if (person.is_root_already)
		return ROOT_ALREADY;
	snprintf(text, sizeof(text), "%s%s", person.becomes_another ? "@" : "", person.name);
	assert_int_equal(person.uid, pam_modutil_getpwnam(&copy, person.name)->pw_uid);
	return text;
}

/* ---- What real hosts show ---- */

#define SET_ID 0104755
#define PLAIN 0100755

static void each_host_shows_its_person(void **state)
{
	static const struct {
		const char *what, *person;
		struct pam_handle host;
	} cases[] = {
		{ "sshd", "alice", { 0, 0, PLAIN, "alice", NULL, "203.0.113.9" } },
		{ "login, cron, systemd", "alice", { 0, 0, PLAIN, "alice", NULL, NULL } },
		{ "login, of root", "root", { 0, 0, PLAIN, "root", NULL, NULL } },
		{ "sudo, su", "@alice", { ALICE, 0, SET_ID, "root", "alice", NULL } },
		{ "su, to another user", "@alice", { ALICE, 0, SET_ID, "bob", "alice", NULL } },
		{ "sudo, of root", ROOT_ALREADY, { 0, 0, SET_ID, "bob", "root", NULL } },
		{ "su, of another name of root's", ROOT_ALREADY, { 0, 0, SET_ID, "bob", "toor", NULL } },
		{ "sudo, of root, with pam_rhost", "bob", { 0, 0, SET_ID, "bob", "root", "bastion" } },
		{ "sudo, without pam_ruser", "@alice", { ALICE, 0, SET_ID, "root", NULL, NULL } },
		{ "sudo, with pam_rhost", "@alice", { ALICE, 0, SET_ID, "root", "alice", "bastion" } },
		{ "pkexec", "@alice", { ALICE, 0, SET_ID, "root", NULL, NULL } },
		{ "pkexec, without /proc", "@alice", { ALICE, 0, 0, "root", NULL, NULL } },
		{ "pkexec, of root", "root", { 0, 0, SET_ID, "root", NULL, NULL } },
		{ "vsftpd", "alice", { 0, 0, PLAIN, "alice", "alice", "203.0.113.9" } },
		{ "vsftpd, without a known client", "alice", { 0, 0, PLAIN, "alice", "alice", NULL } },
		{ "vsftpd, of root", "root", { 0, 0, PLAIN, "root", "root", "203.0.113.9" } },
		{ "rlogind, of another machine's root", "alice", { 0, 0, PLAIN, "alice", "root", "203.0.113.9" } },
		{ "proftpd, of an unknown client", "alice", { 0, 0, PLAIN, "alice", "nobody-here", NULL } },
		{ "atd", "alice", { DAEMON, 0, PLAIN, "alice", NULL, NULL } },
		{ "a program of a user's own", "@alice", { ALICE, ALICE, PLAIN, "bob", NULL, NULL } },
		{ "an unknown caller", "", { 4242, 0, SET_ID, "root", NULL, NULL } },
		{ "an unknown user", "", { 0, 0, PLAIN, "nobody-here", NULL, NULL } },
		{ "no user", "", { 0, 0, PLAIN, NULL, NULL, NULL } },
		{ "a user without a name", "", { 0, 0, PLAIN, "", NULL, NULL } },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *person = person_of(&cases[i].host);
		if (strcmp(person, cases[i].person) != 0)
			fail_msg("%s: '%s', not '%s'", cases[i].what, person, cases[i].person);
	}
}

/* ---- Every combination ---- */

static const char *const rusers[] = { NULL, "", "root", "toor", "alice", "nobody-here" };
static const char *const rhosts[] = { NULL, "", "203.0.113.9" };
static const mode_t modes[] = { 0, PLAIN, SET_ID };

static bool says(const char *text)
{
	return text && *text;
}

static void check_all(uid_t real_uid, uid_t effective_uid, const char *expected(const struct pam_handle *of))
{
	for (size_t ruser = 0; ruser < COUNT(rusers); ruser++)
		for (size_t rhost = 0; rhost < COUNT(rhosts); rhost++)
			for (size_t mode = 0; mode < COUNT(modes); mode++) {
				const struct pam_handle of = { .real_uid = real_uid,
							       .effective_uid = effective_uid,
							       .mode = modes[mode],
							       .user = "bob",
							       .ruser = rusers[ruser],
							       .rhost = rhosts[rhost] };
				if (strcmp(person_of(&of), expected(&of)) != 0)
					fail_msg("uids %u and %u, mode %o, PAM_RUSER %s, PAM_RHOST %s: '%s', not "
						 "'%s'",
						 (unsigned)real_uid, (unsigned)effective_uid, (unsigned)of.mode,
						 of.ruser ? of.ruser : "-", of.rhost ? of.rhost : "-",
						 person_of(&of), expected(&of));
			}
}

static const char *caller(const struct pam_handle *of)
{
	(void)of;
	return "@alice";
}

static const char *caller_of_set_id_program(const struct pam_handle *of)
{
	return of->mode == PLAIN && !says(of->ruser) ? "bob" : "@alice";
}

static const char *root_or_user(const struct pam_handle *of)
{
	bool is_root = says(of->ruser) && (strcmp(of->ruser, "root") == 0 || strcmp(of->ruser, "toor") == 0);
	return is_root && !says(of->rhost) ? ROOT_ALREADY : "bob";
}

static void whoever_calls_a_set_id_program_is_the_person_whatever_it_tells(void **state)
{
	(void)state;
	check_all(ALICE, 0, caller_of_set_id_program);
}

static void whoever_runs_a_program_of_their_own_is_the_person_whatever_it_tells(void **state)
{
	(void)state;
	check_all(ALICE, ALICE, caller);
}

static void a_program_of_roots_is_past_the_guard_only_where_root_calls_it_here(void **state)
{
	(void)state;
	check_all(0, 0, root_or_user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_host_shows_its_person),
		cmocka_unit_test(whoever_calls_a_set_id_program_is_the_person_whatever_it_tells),
		cmocka_unit_test(whoever_runs_a_program_of_their_own_is_the_person_whatever_it_tells),
		cmocka_unit_test(a_program_of_roots_is_past_the_guard_only_where_root_calls_it_here),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
