/* Tests of the PAM module over libpam, with a keeper that says what it is told to (tests/support/fake_keeper.c).
 * They need no root.  SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scratch_directory.h"

#define SERVICE "guarded"
#define ROOM 4096

struct host {
	struct scratch scratch;
	char shown[ROOM]; /* what the conversation was given, "info: " or "error: " before each line */
	struct pam_conv conversation;
	pam_handle_t *pamh;
};

/* ---- A host ---- */

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	struct host *host = data;
	for (int i = 0; i < count; i++) {
		size_t used = strlen(host->shown);
		snprintf(host->shown + used, sizeof(host->shown) - used, "%s: %s\n",
			 messages[i]->msg_style == PAM_ERROR_MSG ? "error" : "info", messages[i]->msg);
	}
	*responses = calloc((size_t)count, sizeof(**responses));
	return *responses != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

static int fail_to_converse(int count, const struct pam_message **messages, struct pam_response **responses,
			    void *data)
{
	(void)count, (void)messages, (void)responses, (void)data;
	return PAM_CONV_ERR;
}

static const char *own_name(void)
{
	const struct passwd *self = getpwuid(geteuid());
	assert_non_null(self);
	return self->pw_name;
}

static void write_text(const struct host *host, const char *name, const char *text)
{
	scratch_write(&host->scratch, name, text, strlen(text));
}

/* A PAM file whose every line is the module with ARGUMENTS; a later session module fails where LATER says so. */
static void configure(const struct host *host, const char *arguments, bool later_fails)
{
	static const char *const phases[] = { "auth", "account", "password", "session" };
	char text[ROOM] = "", orders[512];
	snprintf(orders, sizeof(orders), "%s", scratch_path(&host->scratch, "orders"));
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof(text) - used,
			 "%s [default=die success=ok ignore=ignore] %s conf=%s %s\n%s %s\n", phases[i],
			 getenv("PAM_UNDER_TEST"), orders, arguments, phases[i],
			 later_fails && i == 3 ? "requisite pam_deny.so" : "required pam_permit.so");
	}
	write_text(host, SERVICE, text);
}

static void start(struct host *host, const char *arguments, const char *orders)
{
	configure(host, arguments, false);
	write_text(host, "orders", orders);
	host->shown[0] = '\0';
	assert_int_equal(
		pam_start_confdir(SERVICE, own_name(), &host->conversation, host->scratch.root, &host->pamh),
		PAM_SUCCESS);
}

static void end(struct host *host, int status)
{
	assert_int_equal(pam_end(host->pamh, status), PAM_SUCCESS);
	host->pamh = NULL;
}

/* What the keeper heard, once it contains WHAT; it writes whole lines. */
static const char *heard_with(const struct host *host, const char *what)
{
	static char text[ROOM];
	const struct timespec moment = { .tv_nsec = 2000000 };
	for (int tries = 0; tries < 10000; tries++) {
		size_t size = access(scratch_path(&host->scratch, "orders.heard"), R_OK) == 0
				      ? scratch_read(&host->scratch, "orders.heard", text, sizeof(text) - 1)
				      : 0;
		text[size] = '\0';
		if (strstr(text, what) != NULL)
			return text;
		nanosleep(&moment, NULL);
	}
	fail_msg("the keeper did not hear '%s', but: %s", what, text);
	return text;
}

#define assert_contains(text, part)                                                                                \
	do {                                                                                                       \
		if (strstr((text), (part)) == NULL)                                                                \
			fail_msg("no '%s' in: %s", (part), (text));                                                \
	} while (0)

static int set_up(void **state)
{
	struct host *host = calloc(1, sizeof(*host));
	assert_non_null(host);
	scratch_make(&host->scratch);
	host->conversation = (struct pam_conv){ .conv = converse, .appdata_ptr = host };
	*state = host;
	return 0;
}

static int tear_down(void **state)
{
	struct host *host = *state;
	if (host->pamh != NULL)
		pam_end(host->pamh, PAM_SUCCESS);
	scratch_remove(&host->scratch);
	free(host);
	return 0;
}

/* ---- Return codes ---- */

struct answer {
	const char *orders;
	int code;
	const char *shown; /* all of it */
};

static void check_answers(struct host *host, const struct answer answers[], size_t count,
			  int phase(pam_handle_t *, int), int flags, const char *arguments)
{
	for (size_t i = 0; i < count; i++) {
		start(host, arguments, answers[i].orders);
		int code = phase(host->pamh, flags);
		if (code != answers[i].code)
			fail_msg("%s: %s, not %s", answers[i].orders, pam_strerror(host->pamh, code),
				 pam_strerror(host->pamh, answers[i].code));
		assert_string_equal(host->shown, answers[i].shown);
		end(host, code);
	}
}

#define BROKEN "error: The session guard does not work: ask this machine's administrator.\n"
#define CHECK_ANSWERS(host, answers, phase, flags, arguments)                                                      \
	check_answers(host, answers, sizeof(answers) / sizeof((answers)[0]), phase, flags, arguments)

/* With pam_permit.so after it, PAM_IGNORE comes out as PAM_SUCCESS: what_is_ignored_is_not_a_success tells the two
 * apart. */
static void every_answer_has_its_return_code(void **state)
{
	static const struct answer answers[] = {
		{ "accept 60000\ngranted ops\n", PAM_SUCCESS, "" },
		{ "granted ops\n", PAM_SUCCESS, "" },
		{ "denied 1 'ops' is held by alice\n", PAM_PERM_DENIED, "error: 'ops' is held by alice\n" },
		{ "denied 2 no answer\n", PAM_PERM_DENIED, "error: no answer\n" },
		{ "denied 3 a typo\n", PAM_SERVICE_ERR, "error: a typo\n" },
		{ "denied 4 no credentials\n", PAM_PERM_DENIED, "error: no credentials\n" },
		{ "denied 5 TLS\n", PAM_PERM_DENIED, "error: TLS\n" },
		{ "denied 6 no table\n", PAM_SERVICE_ERR, "error: no table\n" },
		{ "denied 7 memory\n", PAM_BUF_ERR, "error: memory\n" },
		{ "denied 8 inside\n", PAM_SERVICE_ERR, "error: inside\n" },
		{ "denied 0 of another release\n", PAM_SERVICE_ERR, "error: of another release\n" },
		{ "denied 999 of another release\n", PAM_SERVICE_ERR, "error: of another release\n" },
		{ "admitted 1 exempt\n", PAM_SUCCESS, "" },
		{ "admitted 2 break glass\n", PAM_SUCCESS, "info: break glass\n" },
		{ "admitted 3 unreachable\n", PAM_SUCCESS, "info: unreachable\n" },
		{ "admitted 999 of another release\n", PAM_SERVICE_ERR, BROKEN },
		{ "clear\n", PAM_SERVICE_ERR, BROKEN },
		{ "garbage\n", PAM_SERVICE_ERR, BROKEN },
		{ "end\n", PAM_SERVICE_ERR, BROKEN },
		{ "accept 1000\nend\n", PAM_SERVICE_ERR, BROKEN },
		{ "accept 50\n", PAM_SERVICE_ERR, BROKEN },
		{ "accept -1\n", PAM_SERVICE_ERR, BROKEN },
		{ "unknown\naccept 1000\nunknown\ngranted ops\n", PAM_SUCCESS, "" },
	};
	CHECK_ANSWERS(*state, answers, pam_open_session, 0, "guard=ops");
}

static void an_account_line_only_refuses(void **state)
{
	static const struct answer answers[] = {
		{ "accept 1000\nclear\n", PAM_SUCCESS, "" },
		{ "denied 1 'ops' is held by alice\n", PAM_PERM_DENIED, "error: 'ops' is held by alice\n" },
		{ "denied 3 a typo\n", PAM_SERVICE_ERR, "error: a typo\n" },
		{ "admitted 1 exempt\n", PAM_SUCCESS, "" },
		{ "admitted 2 break glass\n", PAM_SUCCESS, "" },
		{ "admitted 3 unreachable\n", PAM_SUCCESS, "" },
		{ "granted ops\n", PAM_SERVICE_ERR, BROKEN },
		{ "end\n", PAM_SERVICE_ERR, BROKEN },
	};
	CHECK_ANSWERS(*state, answers, pam_acct_mgmt, 0, "guard=ops");
}

static void silence_hides_notices_and_quiet_hides_refusals_too(void **state)
{
	static const struct answer silent[] = {
		{ "notice wait\ndenied 1 held\n", PAM_PERM_DENIED, "error: held\n" },
		{ "notice wait\nwaited 4000 ops\n", PAM_SUCCESS, "" },
		{ "admitted 3 unreachable\n", PAM_SUCCESS, "" },
	};
	static const struct answer quiet[] = {
		{ "notice wait\ndenied 1 held\n", PAM_PERM_DENIED, "" },
		{ "end\n", PAM_SERVICE_ERR, "" },
		{ "admitted 2 break glass\n", PAM_SUCCESS, "" },
	};
	static const struct answer loud[] = {
		{ "notice wait\nnotice more\ndenied 1 held\n", PAM_PERM_DENIED,
		  "info: wait\ninfo: more\nerror: held\n" },
		{ "notice wait\nwaited 4000 ops\n", PAM_SUCCESS, "info: wait\ninfo: 'ops' is yours, after 4 s.\n" },
	};
	CHECK_ANSWERS(*state, silent, pam_open_session, PAM_SILENT, "guard=ops");
	CHECK_ANSWERS(*state, quiet, pam_open_session, 0, "guard=ops quiet");
	CHECK_ANSWERS(*state, loud, pam_open_session, 0, "guard=ops");
}

static void a_sentence_cannot_steer_the_terminal(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "denied 1 a\033[2Jb\302\233c\tä\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_PERM_DENIED);
	assert_string_equal(host->shown, "error: a?[2Jb??c?ä\n");
}

static void a_wrong_line_is_a_service_error(void **state)
{
#define REFUSAL "error: The session guard's PAM line is wrong: ask this machine's administrator.\n"
	static const char *const lines[] = { "", "guard=", "guard=ops typo", "guard=ops guard=ops" };
	struct host *host = *state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		start(host, lines[i], "granted ops\n");
		assert_int_equal(pam_open_session(host->pamh, 0), PAM_SERVICE_ERR);
		assert_int_equal(pam_acct_mgmt(host->pamh, 0), PAM_SERVICE_ERR);
		assert_string_equal(host->shown, REFUSAL REFUSAL);
		end(host, PAM_SERVICE_ERR);
	}
	assert_int_equal(access(scratch_path(&host->scratch, "orders.heard"), F_OK), -1);
}

/* [default=bad] without anything after it: PAM_IGNORE becomes PAM_PERM_DENIED, success stays success. */
static void what_is_ignored_is_not_a_success(void **state)
{
	struct host *host = *state;
	char text[ROOM], orders[512];
	snprintf(orders, sizeof(orders), "%s", scratch_path(&host->scratch, "orders"));
	snprintf(text, sizeof(text),
		 "auth required %s guard=ops\naccount required %s guard=ops conf=%s\npassword required %s "
		 "guard=ops\n"
		 "session required %s guard=ops conf=%s\n",
		 getenv("PAM_UNDER_TEST"), getenv("PAM_UNDER_TEST"), orders, getenv("PAM_UNDER_TEST"),
		 getenv("PAM_UNDER_TEST"), orders);
	start(host, "guard=ops", "admitted 1 exempt\n");
	end(host, PAM_SUCCESS);
	write_text(host, SERVICE, text);
	assert_int_equal(
		pam_start_confdir(SERVICE, own_name(), &host->conversation, host->scratch.root, &host->pamh),
		PAM_SUCCESS);
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_PERM_DENIED);
	assert_int_equal(pam_close_session(host->pamh, 0), PAM_PERM_DENIED);
	assert_int_equal(pam_acct_mgmt(host->pamh, 0), PAM_PERM_DENIED);
	assert_int_equal(pam_authenticate(host->pamh, 0), PAM_PERM_DENIED);
	assert_int_equal(pam_setcred(host->pamh, PAM_ESTABLISH_CRED), PAM_PERM_DENIED);
	write_text(host, "orders", "admitted 3 unreachable\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
}

static void a_host_without_a_conversation_is_served_all_the_same(void **state)
{
	struct host *host = *state;
	host->conversation = (struct pam_conv){ .conv = fail_to_converse };
	start(host, "guard=ops", "notice wait\nwaited 3000 ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	end(host, PAM_SUCCESS);
	start(host, "guard=ops", "denied 1 held\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_PERM_DENIED);
	end(host, PAM_SUCCESS);
	host->conversation = (struct pam_conv){ .conv = NULL };
	configure(host, "guard=ops", false);
	write_text(host, "orders", "notice wait\ngranted ops\n");
	if (pam_start_confdir(SERVICE, own_name(), &host->conversation, host->scratch.root, &host->pamh) ==
	    PAM_SUCCESS)
		assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
}

static void the_break_glass_group_enters_without_a_keeper(void **state)
{
	struct host *host = *state;
	char arguments[256];
	const struct group *group = getgrgid(getegid());
	assert_non_null(group);
	snprintf(arguments, sizeof(arguments), "guard=ops break_glass_group=%s", group->gr_name);
	start(host, arguments, "denied 1 held\n");
	assert_int_equal(pam_acct_mgmt(host->pamh, 0), PAM_SUCCESS);
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_contains(host->shown, "info: You enter without the lock of guard 'ops'");
	assert_int_equal(pam_close_session(host->pamh, 0), PAM_SUCCESS);
	assert_int_equal(access(scratch_path(&host->scratch, "orders.heard"), F_OK), -1);
	end(host, PAM_SUCCESS);
	start(host, "guard=ops break_glass_group=no-such-group", "denied 1 held\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_PERM_DENIED);
}

static void somebody_without_an_account_is_refused(void **state)
{
	struct host *host = *state;
	configure(host, "guard=ops", false);
	write_text(host, "orders", "granted ops\n");
	assert_int_equal(
		pam_start_confdir(SERVICE, "no-such-user", &host->conversation, host->scratch.root, &host->pamh),
		PAM_SUCCESS);
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SERVICE_ERR);
	assert_int_equal(pam_acct_mgmt(host->pamh, 0), PAM_SERVICE_ERR);
}

/* ---- A session ---- */

static void a_granted_session_knows_its_lock_and_is_confirmed(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops debug", "granted ops on bastion\nhear\nhear\nreleased\n");
	pam_set_item(host->pamh, PAM_TTY, "pts/7");
	pam_set_item(host->pamh, PAM_RHOST, "203.0.113.9");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_string_equal(pam_getenv(host->pamh, "AWSFLOCK_LOCK"), "ops on bastion");
	assert_string_equal(pam_getenv(host->pamh, "AWSFLOCK_FENCE"), "42");
	const char *session = pam_getenv(host->pamh, "AWSFLOCK_SESSION");
	assert_int_equal(strlen(session), 32);
	assert_int_equal(strspn(session, "0123456789abcdef"), 32);
	const char *heard = heard_with(host, "type=2\n");
	assert_contains(heard, "environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin descriptors=right\n");
	assert_contains(heard, "guard=ops service=" SERVICE " user=");
	assert_contains(heard, "rhost=203.0.113.9 tty=pts/7");
	assert_contains(heard, session);
	assert_contains(heard, " flags=2 ");
	assert_null(strstr(heard, "type=3\n"));
	assert_int_equal(pam_close_session(host->pamh, 0), PAM_SUCCESS);
	heard_with(host, "type=3\n");
	end(host, PAM_SUCCESS);
	heard = heard_with(host, "end\n");
	assert_null(strstr(strstr(heard, "type=3\n") + 1, "type=3\n"));
}

static void the_key_is_sent_as_sshd_names_it(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\nhear\nhear\nreleased\n");
	pam_putenv(host->pamh, "SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAAC3Nz\npassword\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_contains(heard_with(host, "type=2\n"), " key=publickey ssh-ed25519 AAAAC3Nz session=");
	end(host, PAM_SUCCESS);
}

static void a_key_too_long_for_the_keeper_is_left_out(void **state)
{
	struct host *host = *state;
	char info[5000] = "SSH_AUTH_INFO_0=publickey ssh-rsa ";
	size_t used = strlen(info);
	memset(info + used, 'A', sizeof(info) - used - 1);
	start(host, "guard=ops", "granted ops\nhear\nhear\nreleased\n");
	pam_putenv(host->pamh, info);
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_null(strstr(heard_with(host, "type=2\n"), " key="));
	end(host, PAM_SUCCESS);
}

static void two_sessions_never_have_the_same_id(void **state)
{
	struct host *host = *state;
	char first[64];
	start(host, "guard=ops", "granted ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	snprintf(first, sizeof(first), "%s", pam_getenv(host->pamh, "AWSFLOCK_SESSION"));
	end(host, PAM_SUCCESS);
	start(host, "guard=ops", "granted ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_string_not_equal(first, pam_getenv(host->pamh, "AWSFLOCK_SESSION"));
}

static void a_refused_session_leaves_no_trace_in_the_handle(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "denied 1 held\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_PERM_DENIED);
	assert_null(pam_getenv(host->pamh, "AWSFLOCK_LOCK"));
	(void)pam_close_session(host->pamh, 0);
	const char *heard = heard_with(host, "end\n");
	assert_null(strstr(heard, "type=2\n"));
	assert_null(strstr(heard, "type=3\n"));
}

static void a_session_that_nobody_closes_is_released_with_its_handle(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	end(host, PAM_SUCCESS);
	heard_with(host, "type=2\ntype=3\nend\n");
}

static void a_session_that_a_later_module_refuses_is_released(void **state)
{
	struct host *host = *state;
	configure(host, "guard=ops", true);
	write_text(host, "orders", "granted ops\n");
	assert_int_equal(
		pam_start_confdir(SERVICE, own_name(), &host->conversation, host->scratch.root, &host->pamh),
		PAM_SUCCESS);
	assert_int_not_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	end(host, PAM_SUCCESS);
	heard_with(host, "type=2\ntype=3\nend\n");
}

/* As su's child does, or systemd's (sd-pam). */
static void in_child(struct host *host, void act(struct host *host))
{
	pid_t pid = fork();
	if (pid == 0) {
		act(host);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void close_it(struct host *host)
{
	(void)pam_close_session(host->pamh, 0);
}

static void end_it(struct host *host)
{
	(void)pam_end(host->pamh, PAM_SUCCESS);
}

static void end_it_silently(struct host *host)
{
	(void)pam_end(host->pamh, PAM_SUCCESS | PAM_DATA_SILENT);
}

static void a_forked_child_releases_nothing(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\nhear\nhear\nreleased\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	heard_with(host, "type=2\n");
	in_child(host, close_it);
	in_child(host, end_it);
	in_child(host, end_it_silently);
	/* It is the first RELEASE that is answered: one of a child's would have been written down before. */
	assert_int_equal(pam_close_session(host->pamh, 0), PAM_SUCCESS);
	end(host, PAM_SUCCESS);
	const char *heard = heard_with(host, "end\n");
	assert_non_null(strstr(heard, "type=2\ntype=3\nend\n"));
}

static void a_handle_that_ends_silently_releases_nothing(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	end(host, PAM_SUCCESS | PAM_DATA_SILENT);
	heard_with(host, "type=2\nend\n");
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How long a close takes whose keeper carries out ORDERS. */
static int64_t close_ms(struct host *host, const char *orders)
{
	start(host, "guard=ops", orders);
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	int64_t began_ms = now_ms();
	assert_int_equal(pam_close_session(host->pamh, 0), PAM_SUCCESS);
	int64_t took_ms = now_ms() - began_ms;
	end(host, PAM_SUCCESS);
	return took_ms;
}

static void a_close_waits_two_seconds_and_no_longer(void **state)
{
	static const char *const ends[] = { "end\n", "hear\nend\n", "hear\ngarbage\n", "hear\n" };
	struct host *host = *state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char orders[256];
		snprintf(orders, sizeof(orders), "granted ops\nhear\n%s", ends[i]);
		int64_t shortest_ms = close_ms(host, orders);
		/* One that a busy machine held up says nothing; all of them would. */
		for (int again = 0; again < 5 && shortest_ms > 3900; again++)
			shortest_ms = close_ms(host, orders);
		assert_in_range(shortest_ms, 0, 3900);
	}
}

static void a_close_says_why_the_lock_is_not_free_where_that_is_not_as_it_should_be(void **state)
{
	static const struct {
		const char *answer;
		int flags;
		const char *shown;
	} closes[] = { { "leftovers kept for pid 7 (tmux)", 0, "info: kept for pid 7 (tmux)\n" },
		       { "kept the store does not answer", 0, "info: the store does not answer\n" },
		       { "kept the store does not answer", PAM_SILENT, "" },
		       { "shared another session has it", 0, "" } };
	struct host *host = *state;
	for (size_t i = 0; i < sizeof(closes) / sizeof(closes[0]); i++) {
		char orders[128];
		snprintf(orders, sizeof(orders), "granted ops\nhear\nhear\n%s\n", closes[i].answer);
		start(host, "guard=ops", orders);
		assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
		assert_int_equal(pam_close_session(host->pamh, closes[i].flags), PAM_SUCCESS);
		assert_string_equal(host->shown, closes[i].shown);
		end(host, PAM_SUCCESS);
	}
}

static void opening_twice_opens_once(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	write_text(host, "orders", "denied 1 held\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
}

/* ---- A good guest in the host ---- */

static size_t count_descriptors(void)
{
	size_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static void two_hundred_cycles_leave_no_descriptor_and_no_child(void **state)
{
	struct host *host = *state;
	size_t before = 0;
	for (int i = 0; i < 200; i++) {
		start(host, "guard=ops", i % 2 != 0 ? "granted ops\nhear\nhear\nreleased\n" : "denied 1 held\n");
		(void)pam_open_session(host->pamh, 0);
		(void)pam_close_session(host->pamh, 0);
		end(host, PAM_SUCCESS);
		if (i == 1)
			before = count_descriptors();
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
}

static void no_descriptor_of_the_modules_survives_exec(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\n");
	size_t before = count_descriptors();
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_int_equal(count_descriptors(), before + 1);
	for (int fd = 3; fd < 256; fd++) {
		char path[64], target[64] = "";
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) > 0 && strncmp(target, "socket:", 7) == 0)
			assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	}
}

static void the_module_keeps_away_from_the_standard_descriptors(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "granted ops\n");
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(0), (void)close(1), (void)close(2);
		int code = pam_open_session(host->pamh, 0);
		bool are_free = fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0;
		_exit(code == PAM_SUCCESS && are_free ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_contains(heard_with(host, "type=2\n"), "descriptors=right\n");
}

static volatile sig_atomic_t child_signals;

static void count_child_signal(int number)
{
	(void)number;
	child_signals++;
}

static void the_hosts_signals_mask_and_children_are_untouched(void **state)
{
	struct host *host = *state;
	struct sigaction counting = { .sa_handler = count_child_signal }, ignoring = { .sa_handler = SIG_IGN }, now;
	sigset_t blocked, mask;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaction(SIGCHLD, &counting, NULL);
	sigaction(SIGPIPE, &ignoring, NULL);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	start(host, "guard=ops", "granted ops\nhear\nend\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	assert_int_equal(pam_close_session(host->pamh, 0), PAM_SUCCESS);
	assert_int_equal(child_signals, 0);
	sigaction(SIGCHLD, NULL, &now);
	assert_ptr_equal(now.sa_handler, count_child_signal);
	sigaction(SIGPIPE, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	assert_true(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGCHLD) == 0);
	sigaction(SIGCHLD, &ignoring, NULL);
	end(host, PAM_SUCCESS);
	start(host, "guard=ops", "granted ops\n");
	assert_int_equal(pam_open_session(host->pamh, 0), PAM_SUCCESS);
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigaction(SIGCHLD, &plain, NULL);
	sigaction(SIGPIPE, &plain, NULL);
	sigemptyset(&blocked);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static void a_host_without_descriptors_left_opens_no_door(void **state)
{
	struct host *host = *state;
	start(host, "guard=ops", "admitted 3 unreachable\n");
	assert_int_equal(pam_acct_mgmt(host->pamh, 0), PAM_SUCCESS); /* everything is loaded now */
	pid_t pid = fork();
	if (pid == 0) {
		int next = open("/dev/null", O_RDONLY);
		struct rlimit limit = { .rlim_cur = (rlim_t)next + 1, .rlim_max = (rlim_t)next + 1 };
		setrlimit(RLIMIT_NOFILE, &limit);
		/* SERVICE_ERR is ours; libpam makes SYSTEM_ERR of it where it cannot open its own log. */
		int code = pam_open_session(host->pamh, 0);
		_exit(code == PAM_SERVICE_ERR || code == PAM_SYSTEM_ERR ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_answer_has_its_return_code),
		TEST(an_account_line_only_refuses),
		TEST(silence_hides_notices_and_quiet_hides_refusals_too),
		TEST(a_sentence_cannot_steer_the_terminal),
		TEST(a_wrong_line_is_a_service_error),
		TEST(what_is_ignored_is_not_a_success),
		TEST(a_host_without_a_conversation_is_served_all_the_same),
		TEST(the_break_glass_group_enters_without_a_keeper),
		TEST(somebody_without_an_account_is_refused),
		TEST(a_granted_session_knows_its_lock_and_is_confirmed),
		TEST(the_key_is_sent_as_sshd_names_it),
		TEST(a_key_too_long_for_the_keeper_is_left_out),
		TEST(two_sessions_never_have_the_same_id),
		TEST(a_refused_session_leaves_no_trace_in_the_handle),
		TEST(a_session_that_nobody_closes_is_released_with_its_handle),
		TEST(a_session_that_a_later_module_refuses_is_released),
		TEST(a_forked_child_releases_nothing),
		TEST(a_handle_that_ends_silently_releases_nothing),
		TEST(a_close_waits_two_seconds_and_no_longer),
		TEST(a_close_says_why_the_lock_is_not_free_where_that_is_not_as_it_should_be),
		TEST(opening_twice_opens_once),
		TEST(two_hundred_cycles_leave_no_descriptor_and_no_child),
		TEST(no_descriptor_of_the_modules_survives_exec),
		TEST(the_module_keeps_away_from_the_standard_descriptors),
		TEST(the_hosts_signals_mask_and_children_are_untouched),
		TEST(a_host_without_descriptors_left_opens_no_door),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
