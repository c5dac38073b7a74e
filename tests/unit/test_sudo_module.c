/* Tests of sudo's plugin without sudo, with a keeper that says what it is told to (tests/support/fake_keeper.c).
 * They need no root.  SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sudo_plugin.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scratch_directory.h"

#define ROOM 4096
#define GRANTED "granted ops\nhear\nhear\nreleased\n"

/* A sudo. */
static struct host {
	struct scratch scratch;
	void *object;
	struct approval_plugin *approval;
	struct audit_plugin *audit;
	char shown[ROOM];
	sudo_plugin_ev_callback_t due; /* what the event loop calls first */
	bool has_no_events;
} host;

static char user[] = "user=alice", other_uid[] = "uid=1000", root_uid[] = "uid=0", tty[] = "tty=/dev/pts/9",
	    cwd[] = "cwd=/home/alice", command[] = "command=/bin/true", edits[] = "sudoedit=true",
	    runas[] = "runas_user=root", runas_uid[] = "runas_uid=0", runas_gid[] = "runas_gid=0";
static char *const alice[] = { user, other_uid, tty, cwd, NULL }, *const root[] = { user, root_uid, NULL };
static char *const runs[] = { command, runas, runas_uid, runas_gid, NULL }, *const edit[] = { edits,     command,
											      runas,     runas_uid,
											      runas_gid, NULL };

static int converse(int count, const struct sudo_conv_message messages[], struct sudo_conv_reply replies[],
		    struct sudo_conv_callback *callback)
{
	(void)replies, (void)callback;
	for (int i = 0; i < count; i++) {
		size_t used = strlen(host.shown);
		assert_int_equal(messages[i].msg_type, SUDO_CONV_ERROR_MSG);
		snprintf(host.shown + used, sizeof(host.shown) - used, "%s", messages[i].msg);
	}
	return 0;
}

__attribute__((format(printf, 2, 3))) static int print(int type, const char *format, ...)
{
	va_list values;
	(void)type;
	va_start(values, format);
	vsnprintf(host.shown, sizeof(host.shown), format, values);
	va_end(values);
	return 0;
}

/* ---- sudo's events ---- */

static int set_event(struct sudo_plugin_event *event, int fd, int events, sudo_plugin_ev_callback_t callback,
		     void *closure)
{
	(void)event, (void)closure;
	assert_int_equal(fd, -1);
	assert_int_equal(events, SUDO_PLUGIN_EV_TIMEOUT);
	host.due = callback;
	return 1;
}

static int add_event(struct sudo_plugin_event *event, struct timespec *timeout)
{
	(void)event;
	assert_int_equal(timeout->tv_sec, 0);
	assert_int_equal(timeout->tv_nsec, 0);
	return 1;
}

static struct sudo_plugin_event *allocate_event(void)
{
	static struct sudo_plugin_event event = { .set = set_event, .add = add_event };
	return host.has_no_events ? NULL : &event;
}

/* ---- Loading it ---- */

/* Each time anew, with the state of a sudo that begins. */
static void load(const char *orders)
{
	scratch_write(&host.scratch, "orders", orders, strlen(orders));
	host.shown[0] = '\0';
	host.due = NULL;
	host.object = dlopen(getenv("SUDO_UNDER_TEST"), RTLD_NOW | RTLD_LOCAL);
	if (!host.object)
		fail_msg("%s", dlerror());
	host.approval = dlsym(host.object, "awsflock_approval");
	host.audit = dlsym(host.object, "awsflock_audit");
	assert_non_null(host.approval);
	assert_non_null(host.audit);
	host.audit->event_alloc = allocate_event;
}

static void unload(void)
{
	if (host.object)
		dlclose(host.object);
	host.object = NULL;
}

static void open_audit(char *const info[])
{
	const char *reason = NULL;
	assert_int_equal(
		host.audit->open(SUDO_API_VERSION, converse, print, NULL, info, 0, NULL, NULL, NULL, &reason), 1);
}

/* TEXT is what follows conf=. */
static void open_approval(char *const info[], const char *text)
{
	static char line[ROOM], *words[32];
	char *rest = line;
	const char *reason = NULL;
	size_t count = 0;
	snprintf(line, sizeof(line), "conf=%s %s", scratch_path(&host.scratch, "orders"), text);
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
		if (*word != '\0')
			words[count++] = word;
	words[count] = NULL;
	assert_int_equal(
		host.approval->open(SUDO_API_VERSION, converse, print, NULL, info, 0, NULL, NULL, words, &reason),
		1);
}

static int check(char *const info[])
{
	const char *reason = NULL;
	int result = host.approval->check(info, NULL, NULL, &reason);
	assert_int_equal(result == 1, reason == NULL);
	return result;
}

static int accept_command(char *const info[])
{
	const char *reason = NULL;
	return host.audit->accept("sudo", SUDO_FRONT_END, info, NULL, NULL, &reason);
}

static void reject_command(void)
{
	const char *reason = NULL;
	assert_int_equal(host.audit->reject("other", SUDO_APPROVAL_PLUGIN, "no", runs, &reason), 1);
}

/* A sudo of alice's with both lines. */
static int begin(const char *orders, const char *text)
{
	load(orders);
	open_audit(alice);
	open_approval(alice, text);
	return check(runs);
}

static const char *heard_with(const char *what)
{
	static char text[ROOM];
	const struct timespec moment = { .tv_nsec = 2000000 };
	for (int tries = 0; tries < 10000; tries++) {
		size_t size = access(scratch_path(&host.scratch, "orders.heard"), R_OK) == 0
				      ? scratch_read(&host.scratch, "orders.heard", text, sizeof(text) - 1)
				      : 0;
		text[size] = '\0';
		if (strstr(text, what) != NULL)
			return text;
		nanosleep(&moment, NULL);
	}
	fail_msg("the keeper did not hear '%s', but: %s", what, text);
	return text;
}

static void assert_nothing_heard(void)
{
	assert_int_equal(access(scratch_path(&host.scratch, "orders.heard"), F_OK), -1);
}

#define OPEN "type=1 "
#define OPENED "type=2\n"
#define RELEASE "type=3\n"
#define MOVED "type=4\n"

static int set_up(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	scratch_make(&host.scratch);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unload();
	scratch_remove(&host.scratch);
	return 0;
}

/* ---- Answers ---- */

#define BROKEN "awsflock: The session guard does not work: ask this machine's administrator.\n"
#define WRONG "awsflock: The session guard's lines in sudo.conf are wrong: ask this machine's administrator.\n"

static void every_answer_has_its_return_code(void **state)
{
	static const struct {
		const char *orders;
		int code;
		const char *shown;
	} answers[] = {
		{ "accept 60000\n" GRANTED, 1, "" },
		{ "denied 1 'ops' is held by bob\n", 0, "awsflock: 'ops' is held by bob\n" },
		{ "denied 2 no answer\n", 0, "awsflock: no answer\n" },
		{ "denied 3 a typo\n", -1, "awsflock: a typo\n" },
		{ "denied 4 no credentials\n", 0, "awsflock: no credentials\n" },
		{ "denied 5 TLS\n", 0, "awsflock: TLS\n" },
		{ "denied 6 no table\n", -1, "awsflock: no table\n" },
		{ "denied 7 memory\n", -1, "awsflock: memory\n" },
		{ "denied 999 of another release\n", -1, "awsflock: of another release\n" },
		{ "admitted 1 exempt\n", 1, "" },
		{ "admitted 2 break glass\n", 1, "awsflock: break glass\n" },
		{ "admitted 3 unreachable\n", 1, "awsflock: unreachable\n" },
		{ "admitted 999 of another release\n", -1, BROKEN },
		{ "clear\n", -1, BROKEN },
		{ "garbage\n", -1, BROKEN },
		{ "end\n", -1, BROKEN },
		{ "accept 50\n", -1, BROKEN },
		{ "denied 1 a\033[2Jb\302\233c\n", 0, "awsflock: a?[2Jb??c\n" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		int code = begin(answers[i].orders, "guard=ops");
		if (code != answers[i].code)
			fail_msg("%s: %d", answers[i].orders, code);
		assert_string_equal(host.shown, answers[i].shown);
		unload();
	}
}

static void the_keeper_is_told_who_asks_for_what(void **state)
{
	(void)state;
	assert_int_equal(begin("denied 1 held\n", "guard=none command=/bin/false guard=ops"), 0);
	const char *heard = heard_with(OPEN);
	assert_non_null(strstr(heard, " uid=1000 flags=8 guard=ops service=sudo user=root ruser=alice person=alice "
				      "tty=/dev/pts/9 session="));
}

static void quiet_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(begin("notice wait\ndenied 1 held\n", "quiet guard=ops"), 0);
	assert_string_equal(host.shown, "");
	assert_non_null(strstr(heard_with(OPEN), " flags=9 "));
}

static void root_passes_whatever_is_wrong(void **state)
{
	(void)state;
	load("denied 1 held\n");
	open_approval(root, "typo");
	assert_int_equal(check(runs), 1);
	open_audit(root);
	assert_int_equal(accept_command(runs), 1);
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	unload();
	load("denied 1 held\n");
	open_audit(root);
	assert_int_equal(accept_command(runs), 1);
	assert_nothing_heard();
	assert_string_equal(host.shown, "");
}

static void a_line_without_the_other_runs_nothing(void **state)
{
	(void)state;
	load(GRANTED);
	open_approval(alice, "guard=ops");
	assert_int_equal(check(runs), -1);
	assert_string_equal(host.shown, WRONG);
	unload();
	load(GRANTED);
	open_audit(alice);
	assert_int_equal(accept_command(runs), -1);
	assert_string_equal(host.shown, WRONG);
	assert_nothing_heard();
}

static void what_sudo_must_say_is_asked_for(void **state)
{
	static char no_number[] = "uid=1x", too_great[] = "uid=4294967295", empty[] = "uid=", no_name[] = "user=";
	char *const callers[][3] = {
		{ user, NULL },        { user, no_number, NULL }, { user, too_great, NULL },
		{ user, empty, NULL }, { other_uid, NULL },       { no_name, other_uid, NULL }
	};
	char *const commands[][4] = { { runas, runas_uid, runas_gid, NULL },
				      { command, runas_uid, NULL },
				      { command, runas_gid, NULL } };
	(void)state;
	for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
		load(GRANTED);
		open_audit(callers[i]);
		open_approval(callers[i], "guard=ops");
		assert_int_equal(check(runs), -1);
		unload();
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		load(GRANTED);
		open_audit(alice);
		open_approval(alice, "guard=ops");
		assert_int_equal(check(commands[i]), -1);
		unload();
	}
	assert_nothing_heard();
}

static void a_sudo_without_events_is_too_old(void **state)
{
	(void)state;
	load(GRANTED);
	host.audit->event_alloc = NULL;
	open_audit(alice);
	open_approval(alice, "guard=ops");
	assert_int_equal(check(runs), -1);
	assert_nothing_heard();
}

static void versions_are_told(void **state)
{
	(void)state;
	load("");
	open_audit(alice);
	assert_int_equal(host.audit->show_version(1), 1);
	assert_string_equal(host.shown, "awsflock plugin version " AWSFLOCK_VERSION "\n");
	assert_int_equal(host.audit->type, SUDO_AUDIT_PLUGIN);
	assert_int_equal(host.approval->type, SUDO_APPROVAL_PLUGIN);
	assert_int_equal(host.audit->version, SUDO_API_MKVERSION(1, 17));
	assert_int_equal(host.approval->version, SUDO_API_MKVERSION(1, 17));
}

/* ---- From the grant to the end ---- */

static void a_command_holds_the_lock_until_it_is_closed(void **state)
{
	(void)state;
	assert_int_equal(begin(GRANTED, "guard=ops"), 1);
	assert_null(strstr(heard_with(OPENED), RELEASE));
	assert_int_equal(accept_command(runs), 1);
	assert_non_null(host.due);
	host.due(-1, SUDO_PLUGIN_EV_TIMEOUT, NULL); /* in the same process: nothing has moved */
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	assert_null(strstr(heard_with(RELEASE), MOVED));
}

static void what_is_left_is_told(void **state)
{
	(void)state;
	assert_int_equal(begin("granted ops\nhear\nhear\nleftovers 'ops' remains held\n", "guard=ops"), 1);
	assert_int_equal(accept_command(runs), 1);
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	assert_string_equal(host.shown, "awsflock: 'ops' remains held\n");
}

static void another_plugins_refusal_gives_it_back(void **state)
{
	(void)state;
	assert_int_equal(begin(GRANTED, "guard=ops"), 1);
	reject_command();
	heard_with(RELEASE);
	host.audit->close(SUDO_PLUGIN_NO_STATUS, 0);
}

static void what_a_command_starts_and_sudo_refuses_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(begin(GRANTED, "guard=ops"), 1);
	assert_int_equal(accept_command(runs), 1);
	reject_command();
	assert_null(strstr(heard_with(OPENED), RELEASE));
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	heard_with(RELEASE);
}

static void what_a_command_starts_needs_the_same_lock_or_none(void **state)
{
	static char excused[] = "command=/bin/a", others[] = "command=/bin/b";
	char *const needs_none[] = { excused, runas_uid, runas_gid, NULL }, *const needs_other[] = {
		others, runas_uid, runas_gid, NULL
	};
	static const char rules[] = "guard=none command=/bin/a guard=other command=/bin/b guard=ops";
	(void)state;
	assert_int_equal(begin(GRANTED, rules), 1);
	assert_int_equal(accept_command(runs), 1);
	assert_int_equal(check(runs), 1);
	assert_int_equal(check(needs_none), 1);
	assert_string_equal(host.shown, "");
	assert_int_equal(check(needs_other), 0);
	assert_non_null(strstr(host.shown, "needs the lock of guard 'other'"));
	assert_int_equal(accept_command(needs_none), 1);
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	assert_null(strstr(strstr(heard_with(RELEASE), OPEN) + 1, OPEN));
}

static void an_editor_holds_the_lock_until_sudo_ends(void **state)
{
	(void)state;
	load(GRANTED);
	open_audit(alice);
	open_approval(alice, "guard=ops");
	assert_int_equal(check(edit), 1);
	assert_int_equal(accept_command(edit), 1);
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	assert_null(strstr(heard_with(OPENED), RELEASE));
	unload();
	heard_with(RELEASE);
}

static void without_memory_for_the_event_nothing_runs(void **state)
{
	(void)state;
	assert_int_equal(begin(GRANTED, "guard=ops"), 1);
	host.has_no_events = true;
	assert_int_equal(accept_command(runs), -1);
	heard_with(RELEASE);
}

/* Runs WHAT in a child, as sudo forks them. */
static void in_a_child(void what(void))
{
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void close_only(void)
{
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
}

static void move_and_close(void)
{
	host.due(-1, SUDO_PLUGIN_EV_TIMEOUT, NULL);
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
}

static void a_copy_of_sudo_gives_nothing_back(void **state)
{
	(void)state;
	assert_int_equal(begin(GRANTED, "guard=ops"), 1);
	assert_int_equal(accept_command(runs), 1);
	in_a_child(close_only);
	assert_null(strstr(heard_with(OPENED), RELEASE));
	host.audit->close(SUDO_PLUGIN_WAIT_STATUS, 0);
	heard_with(RELEASE);
}

static void a_child_that_waits_for_the_command_says_so_and_gives_it_back(void **state)
{
	(void)state;
	assert_int_equal(begin("granted ops\nhear\nhear\nhear\nreleased\n", "guard=ops"), 1);
	assert_int_equal(accept_command(runs), 1);
	in_a_child(move_and_close);
	const char *heard = heard_with(RELEASE);
	assert_true(strstr(heard, MOVED) != NULL && strstr(heard, MOVED) < strstr(heard, RELEASE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_answer_has_its_return_code, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_keeper_is_told_who_asks_for_what, set_up, tear_down),
		cmocka_unit_test_setup_teardown(quiet_says_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(root_passes_whatever_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_line_without_the_other_runs_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_sudo_must_say_is_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sudo_without_events_is_too_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(versions_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_command_holds_the_lock_until_it_is_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_left_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_plugins_refusal_gives_it_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_command_starts_and_sudo_refuses_changes_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_a_command_starts_needs_the_same_lock_or_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_editor_holds_the_lock_until_sudo_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_memory_for_the_event_nothing_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_copy_of_sudo_gives_nothing_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_child_that_waits_for_the_command_says_so_and_gives_it_back,
						set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
