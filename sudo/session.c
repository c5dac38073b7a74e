/* See session.h.  SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "door/dialogue.h"
#include "guard/sudo_rules.h"
#include "information.h"
#include "sudo_notifier.h"

#define SENTENCE_SIZE 512
#define NOT_GRANTED "the lock of the session guard is not granted"
#define WRONG "the session guard does not work"
#define BREAK_GLASS_SENTENCE                                                                                       \
	"You run this without the lock of guard '%s', as a member of '%s'. This has been logged."

/* sudo is one process with one command; loaded once for both plugins. */
static struct {
	struct sudo_notifier shown_by;
	bool has_audit;
	struct sudo_plugin_event *(*event_alloc)(void);
	char *const *user_info;
	char *const *words;
	struct notifier notifier;
	struct sudo_rules rules;

	bool is_decided;     /* the command may run */
	bool is_running;     /* sudo has accepted it: what comes now is about what it starts */
	bool may_do_all;     /* whatever it starts */
	const char *guard;   /* of the words: whose lock was asked for; NULL: none */
	int keeper;          /* -1: none */
	pid_t owner;         /* the process that the keeper takes for the host */
	bool ends_with_sudo; /* sudoedit copies the files back after close() */
} session = { .keeper = -1 };

/* ---- Who and what ---------------------------------------------------------------------------------------- */

static void begin_notifier(sudo_conv_t converse)
{
	session.shown_by.converse = converse;
	session.notifier = (struct notifier){ .ops = &sudo_notifier_ops,
					      .host = &session.shown_by,
					      .notices = true,
					      .refusals = true,
					      .at_terminal = true };
}

void session_open_audit(sudo_conv_t converse, char *const user_info[],
			struct sudo_plugin_event *(*event_alloc)(void))
{
	begin_notifier(converse);
	session.user_info = user_info;
	session.event_alloc = event_alloc;
	session.has_audit = true;
}

void session_open_approval(sudo_conv_t converse, char *const user_info[], char *const words[])
{
	begin_notifier(converse);
	session.user_info = user_info;
	session.words = words;
}

/* Who cannot be told is not root. */
static bool is_called_by_root(void)
{
	struct caller caller;
	return information_of_caller(session.user_info, &caller) && caller.uid == 0;
}

static void settle_notifier(void)
{
	struct notifier *notifier = &session.notifier;
	notifier->debug = session.rules.debug;
	notifier->notices = notifier->refusals = notifier->at_terminal = !session.rules.quiet;
}

static enum session_answer fail(const char **reason, const char *sentence)
{
	notify_log(&session.notifier, LOG_ERR, "%s", sentence);
	notify_refusal(&session.notifier, "The session guard's lines in sudo.conf are wrong: ask this machine's "
					  "administrator.");
	*reason = WRONG;
	return SESSION_ERROR;
}

/* ---- Who needs no lock ----------------------------------------------------------------------------------- */

static bool is_in_group(const char *name, const char *group_name)
{
	const struct passwd *account = getpwnam(name);
	gid_t primary = account ? account->pw_gid : (gid_t)-1;
	const struct group *group = getgrnam(group_name);
	if (!group)
		return false;
	if (account && group->gr_gid == primary)
		return true;
	for (char **member = group->gr_mem; *member; member++)
		if (strcmp(*member, name) == 0)
			return true;
	return false;
}

/* Decided before the rules are judged, the configuration is read or a keeper is started: none may lock out those who
 * mend them. */
static bool breaks_glass(const struct caller *caller)
{
	const char *group = session.rules.break_glass_group;
	return group && is_in_group(caller->name, group);
}

static enum session_answer break_glass(const struct caller *caller, const char *guard)
{
	char sentence[SENTENCE_SIZE];
	const char *group = session.rules.break_glass_group;
	notify_log(&session.notifier, LOG_ALERT, "guard %s: %s runs a command without the lock, as a member of %s",
		   guard, caller->name, group);
	snprintf(sentence, sizeof(sentence), BREAK_GLASS_SENTENCE, guard, group);
	notify_notice(&session.notifier, sentence);
	session.is_decided = session.may_do_all = true;
	return SESSION_GRANTED;
}

/* ---- Asking ---------------------------------------------------------------------------------------------- */

static gid_t terminal_group(void)
{
	const struct group *group = getgrnam("tty");
	return group ? group->gr_gid : 0;
}

/* Confirmed at once: other plugins may take their time, and what becomes of the command the audit plugin is told. */
static enum session_answer begin_session(const struct wire_message *granted, int keeper, const char **reason)
{
	if (!wire_send_type(keeper, WIRE_OPENED)) {
		notify_log(&session.notifier, LOG_CRIT, "awsflock-keeper is gone");
		notify_refusal(&session.notifier,
			       "The session guard does not work: ask this machine's administrator.");
		close(keeper);
		*reason = WRONG;
		return SESSION_ERROR;
	}
	session.keeper = keeper;
	session.owner = getpid();
	dialogue_tell_waited(&session.notifier, granted);
	return SESSION_GRANTED;
}

static enum session_answer ask(const struct caller *caller, const char *guard, const char *runas,
			       const char **reason)
{
	struct wire_message answer;
	int keeper = -1;
	struct request request = { .notifier = session.notifier,
				   .guard = guard,
				   .conf = session.rules.conf,
				   .person_uid = caller->uid,
				   .person = caller->name,
				   .service = "sudo",
				   .user = runas,
				   .ruser = caller->name,
				   .tty = caller->tty,
				   .tty_group = terminal_group(),
				   .may_move = true };
	switch (dialogue_ask(&request, &answer, &keeper)) {
	case DIALOGUE_GRANTED:
		return begin_session(&answer, keeper, reason);
	case DIALOGUE_ADMITTED:
	case DIALOGUE_EXEMPT:
		return SESSION_GRANTED;
	case DIALOGUE_REFUSED:
		*reason = NOT_GRANTED;
		return SESSION_REFUSED;
	default:
		*reason = WRONG;
		return SESSION_ERROR;
	}
}

static bool is_same_guard(const char *guard)
{
	return !guard || (session.guard && strcmp(session.guard, guard) == 0);
}

/* What the command itself starts (intercept): it has the lock of the command, or needs none.  Not asked for another
 * one: the command could not go on, nor be left, while somebody waits for that. */
static enum session_answer check_started(const char *guard, const char **reason)
{
	char sentence[SENTENCE_SIZE];
	if (session.may_do_all || is_same_guard(guard))
		return SESSION_GRANTED;
	snprintf(
		sentence, sizeof(sentence),
		"This command needs the lock of guard '%.100s', which the one that starts it does not: run it with "
		"a sudo of its own.",
		guard);
	notify_refusal(&session.notifier, sentence);
	*reason = NOT_GRANTED;
	return SESSION_REFUSED;
}

static enum session_answer decide(const struct caller *caller, char *const command_info[], const char **reason)
{
	struct sudo_command command;
	const char *runas = NULL;
	if (!information_of_command(command_info, caller, &command, &runas))
		return fail(reason, "sudo does not say what it is to run");
	const struct sudo_rule *rule = sudo_rules_choose(&session.rules, &command);
	if (session.is_decided)
		return check_started(rule->guard, reason);
	enum session_answer answer = SESSION_GRANTED;
	if (rule->guard)
		answer = ask(caller, rule->guard, runas ? runas : "-", reason);
	if (answer == SESSION_GRANTED) {
		session.is_decided = true;
		session.guard = rule->guard;
	}
	return answer;
}

enum session_answer session_check(char *const command_info[], const char **reason)
{
	char fault[SENTENCE_SIZE];
	struct caller caller;
	if (is_called_by_root()) {
		session.is_decided = session.may_do_all = true;
		return SESSION_GRANTED;
	}
	bool is_understood = sudo_rules_read(session.words, &session.rules, fault, sizeof(fault));
	settle_notifier();
	if (!information_of_caller(session.user_info, &caller))
		return fail(reason, "sudo does not say who calls it");
	if (!session.is_decided && breaks_glass(&caller))
		return break_glass(&caller,
				   is_understood ? session.rules.rules[session.rules.count - 1].guard : "-");
	if (!is_understood)
		return fail(reason, fault);
	if (!session.has_audit)
		return fail(reason,
			    "sudo.conf has the line of awsflock_approval without that of awsflock_audit: see "
			    "awsflock_sudo(8)");
	if (!session.event_alloc)
		return fail(reason, "this sudo is too old: 1.9.5 or later is needed");
	enum session_answer answer = decide(&caller, command_info, reason);
	notify_log(&session.notifier, LOG_DEBUG, "%s's command: %d", caller.name, (int)answer);
	return answer;
}

/* ---- What follows ---------------------------------------------------------------------------------------- */

/* RELEASE, where this process is the session's: sudo's monitor and others are copies of it. */
static void release(void)
{
	if (session.keeper < 0 || session.owner != getpid())
		return;
	int keeper = session.keeper;
	session.keeper = -1;
	dialogue_release(&session.notifier, keeper);
	close(keeper);
}

/* Called in the process that waits for the command, once it does: under `sudo -b` that is a child, and its parent has
 * ended or will soon. */
static void tell_process(int fd, int what, void *closure)
{
	(void)fd, (void)what, (void)closure;
	if (session.keeper < 0 || session.owner == getpid())
		return;
	int code = dialogue_move(session.keeper);
	if (code == 0)
		session.owner = getpid();
	else
		notify_log(&session.notifier, LOG_ERR, "cannot tell awsflock-keeper of the background: %s",
			   strerror(code));
}

/* False without memory. */
static bool await_process(void)
{
	static struct timespec at_once;
	struct sudo_plugin_event *event = session.event_alloc();
	if (!event)
		return false;
	if (event->set(event, -1, SUDO_PLUGIN_EV_TIMEOUT, tell_process, NULL) == 1 &&
	    event->add(event, &at_once) == 1)
		return true; /* sudo's own from here on */
	event->free(event);
	return false;
}

enum session_answer session_accept(char *const command_info[], const char **reason)
{
	if (session.is_running || is_called_by_root())
		return SESSION_GRANTED;
	if (!session.is_decided)
		return fail(reason,
			    "sudo.conf has the line of awsflock_audit without that of awsflock_approval: see "
			    "awsflock_sudo(8)");
	session.is_running = true;
	if (session.keeper < 0)
		return SESSION_GRANTED;
	if (!await_process()) {
		release();
		return fail(reason, "out of memory");
	}
	session.ends_with_sudo = information_is_of_edit(command_info);
	return SESSION_GRANTED;
}

void session_reject(void)
{
	if (!session.is_running)
		release();
}

void session_close(void)
{
	if (!session.ends_with_sudo)
		release();
}

void session_end(void)
{
	release();
}
