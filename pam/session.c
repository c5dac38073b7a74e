/* A guarded session from its opening to its close.  SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <grp.h>
#include <inttypes.h>
#include <security/pam_ext.h>
#include <security/pam_modutil.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "door/dialogue.h"
#include "guard/module_options.h"
#include "pam_notifier.h"
#include "person.h"

#define DATA_NAME_SIZE 256
#define REASON_SIZE 256
#define BREAK_GLASS_SENTENCE "You enter without the lock of guard '%s', as a member of '%s'. This has been logged."

/* One call of the host's. */
struct call {
	pam_handle_t *pamh;
	struct module_options options;
	struct person person;
	struct request request;
};

/* What the PAM handle keeps while the session is open. */
struct session {
	pid_t owner; /* the process that opened it */
	int keeper;
	bool at_terminal; /* of the notifier */
};

/* ---- The handle's data ---- */

/* Each guard its own: one service may have several. */
static void data_name(const struct module_options *options, char name[DATA_NAME_SIZE])
{
	snprintf(name, DATA_NAME_SIZE, "pam_awsflock:%s", options->guard);
}

static bool is_silent(int flags)
{
	return ((unsigned)flags & PAM_SILENT) != 0;
}

/* Called by pam_end(), where nobody closed the session: so when a later module refused it.  su, login and systemd
 * call it in forked children too, whose end is not the session's. */
static void cleanup(pam_handle_t *pamh, void *data, int status)
{
	struct session *session = data;
	(void)pamh;
	if (session->owner == getpid() && (status & (PAM_DATA_SILENT | PAM_DATA_REPLACE)) == 0)
		wire_send_type(session->keeper, WIRE_RELEASE);
	close(session->keeper);
	free(session);
}

static struct session *find_session(pam_handle_t *pamh, const struct module_options *options)
{
	char name[DATA_NAME_SIZE];
	const void *data = NULL;
	data_name(options, name);
	if (pam_get_data(pamh, name, &data) != PAM_SUCCESS)
		return NULL;
	return (struct session *)data;
}

/* KEEPER goes over to the handle; where it does not (no memory), it is closed and the keeper gives the lock
 * back. */
static int keep_session(const struct call *call, int keeper)
{
	char name[DATA_NAME_SIZE];
	struct session *session = malloc(sizeof(*session));
	int code = session ? PAM_SUCCESS : PAM_BUF_ERR;
	if (session) {
		*session = (struct session){ .owner = getpid(),
					     .keeper = keeper,
					     .at_terminal = call->request.notifier.at_terminal };
		data_name(&call->options, name);
		code = pam_set_data(call->pamh, name, session, cleanup);
	}
	if (code == PAM_SUCCESS)
		return code;
	close(keeper);
	free(session);
	return PAM_BUF_ERR;
}

static void forget_session(pam_handle_t *pamh, const struct module_options *options)
{
	char name[DATA_NAME_SIZE];
	data_name(options, name);
	pam_set_data(pamh, name, NULL, NULL);
}

/* ---- Who asks for what ---- */

static struct notifier notifier_of(pam_handle_t *pamh, int flags)
{
	return (struct notifier){ .ops = &pam_notifier_ops, .host = pamh, .notices = !is_silent(flags) };
}

static const char *item(pam_handle_t *pamh, int kind)
{
	const void *text = NULL;
	return pam_get_item(pamh, kind, &text) == PAM_SUCCESS ? text : NULL;
}

static gid_t terminal_group(pam_handle_t *pamh)
{
	const struct group *group = pam_modutil_getgrnam(pamh, "tty");
	return group ? group->gr_gid : 0;
}

static void fill_request(struct call *call)
{
	struct request *request = &call->request;
	pam_handle_t *pamh = call->pamh;
	request->notifier.at_terminal = call->person.becomes_another && !call->options.quiet;
	request->guard = call->options.guard;
	request->conf = call->options.conf;
	request->person_uid = call->person.uid;
	request->person = call->person.name;
	request->service = item(pamh, PAM_SERVICE);
	request->user = item(pamh, PAM_USER);
	request->ruser = item(pamh, PAM_RUSER);
	request->rhost = item(pamh, PAM_RHOST);
	request->tty = item(pamh, PAM_TTY);
	request->login_info = pam_getenv(pamh, "SSH_AUTH_INFO_0");
	request->tty_group = terminal_group(pamh);
}

static int prepare(struct call *call, pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	char reason[REASON_SIZE];
	struct notifier *notifier = &call->request.notifier;
	*call = (struct call){ .pamh = pamh, .request = { .notifier = notifier_of(pamh, flags) } };
	bool understood = module_options_read(argc, argv, &call->options, reason, sizeof(reason));
	notifier->debug = call->options.debug;
	notifier->notices = notifier->notices && !call->options.quiet;
	notifier->refusals = !call->options.quiet;
	if (!understood) {
		notify_log(notifier, LOG_ERR, "%s", reason);
		notify_refusal(notifier,
			       "The session guard's PAM line is wrong: ask this machine's administrator.");
		return PAM_SERVICE_ERR;
	}
	if (!person_find(pamh, &call->person))
		return PAM_SERVICE_ERR;
	if (!call->person.is_root_already)
		fill_request(call);
	return PAM_SUCCESS;
}

/* ---- Who needs no lock ---- */

/* Decided before the configuration is read or a keeper started: neither may lock out those who mend them. */
static bool breaks_glass(const struct call *call)
{
	const char *group = call->options.break_glass_group;
	return group && pam_modutil_user_in_group_nam_nam(call->pamh, call->person.name, group) == 1;
}

static void tell_break_glass(const struct call *call)
{
	const struct module_options *options = &call->options;
	char sentence[REASON_SIZE * 2];
	notify_log(&call->request.notifier, LOG_ALERT, "guard %s: %s enters without the lock, as a member of %s",
		   options->guard, call->person.name, options->break_glass_group);
	snprintf(sentence, sizeof(sentence), BREAK_GLASS_SENTENCE, options->guard, options->break_glass_group);
	notify_notice(&call->request.notifier, sentence);
}

/* ---- Opening ---- */

static int put_variable(pam_handle_t *pamh, const char *name, const char *value)
{
	char setting[WIRE_TEXT_MAX + REASON_SIZE];
	snprintf(setting, sizeof(setting), "%s=%s", name, value);
	return pam_putenv(pamh, setting);
}

static int put_environment(const struct call *call, const struct wire_message *granted)
{
	char fence[32];
	snprintf(fence, sizeof(fence), "%" PRId64, wire_number(granted, WIRE_FENCE));
	if (put_variable(call->pamh, "AWSFLOCK_LOCK", wire_text(granted, WIRE_LOCK)) != PAM_SUCCESS ||
	    put_variable(call->pamh, "AWSFLOCK_FENCE", fence) != PAM_SUCCESS ||
	    put_variable(call->pamh, "AWSFLOCK_SESSION", call->request.session) != PAM_SUCCESS)
		return PAM_BUF_ERR;
	return PAM_SUCCESS;
}

/* The keeper waits for OPENED and gives the lock back where it does not come: nothing before it needs undoing. */
static int begin_session(const struct call *call, const struct wire_message *granted, int keeper)
{
	int code = put_environment(call, granted);
	if (code != PAM_SUCCESS) {
		close(keeper);
		return code;
	}
	code = keep_session(call, keeper);
	if (code != PAM_SUCCESS)
		return code;
	if (!wire_send_type(keeper, WIRE_OPENED)) {
		notify_log(&call->request.notifier, LOG_CRIT, "awsflock-keeper is gone");
		forget_session(call->pamh, &call->options);
		return PAM_SERVICE_ERR;
	}
	dialogue_tell_waited(&call->request.notifier, granted);
	return PAM_SUCCESS;
}

static int open_guarded(struct call *call)
{
	struct wire_message answer;
	int keeper = -1;
	switch (dialogue_ask(&call->request, &answer, &keeper)) {
	case DIALOGUE_GRANTED:
		return begin_session(call, &answer, keeper);
	case DIALOGUE_ADMITTED:
		return call->request.is_probe ? PAM_IGNORE : PAM_SUCCESS;
	case DIALOGUE_CLEAR:
	case DIALOGUE_EXEMPT:
		return PAM_IGNORE;
	case DIALOGUE_REFUSED:
		return PAM_PERM_DENIED;
	case DIALOGUE_MEMORY:
		return PAM_BUF_ERR;
	default:
		return PAM_SERVICE_ERR;
	}
}

int session_open(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct call call;
	int code = prepare(&call, pamh, flags, argc, argv);
	if (code != PAM_SUCCESS)
		return code;
	if (call.person.is_root_already)
		return PAM_IGNORE;
	if (find_session(pamh, &call.options))
		return PAM_SUCCESS;
	if (breaks_glass(&call)) {
		tell_break_glass(&call);
		return PAM_SUCCESS;
	}
	code = open_guarded(&call);
	notify_log(&call.request.notifier, LOG_DEBUG, "guard %s: %s's session: %s", call.options.guard,
		   call.person.name, pam_strerror(pamh, code));
	return code;
}

int session_probe(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct call call;
	int code = prepare(&call, pamh, flags, argc, argv);
	if (code != PAM_SUCCESS)
		return code;
	if (call.person.is_root_already || breaks_glass(&call))
		return PAM_IGNORE;
	call.request.is_probe = true;
	return open_guarded(&call);
}

/* ---- Closing ---- */

int session_close(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct module_options options;
	char reason[REASON_SIZE];
	if (!module_options_read(argc, argv, &options, reason, sizeof(reason)))
		return PAM_IGNORE; /* nothing was opened: session_open() refused the same line */
	struct session *session = find_session(pamh, &options);
	if (!session)
		return PAM_IGNORE;
	struct notifier notifier = notifier_of(pamh, flags);
	notifier.notices = notifier.notices && !options.quiet;
	notifier.debug = options.debug;
	notifier.at_terminal = session->at_terminal;
	if (session->owner != getpid())
		return PAM_IGNORE; /* systemd's (sd-pam) closes as the user, from a child */
	dialogue_release(&notifier, session->keeper);
	forget_session(pamh, &options);
	return PAM_SUCCESS;
}
