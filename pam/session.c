/* A guarded session from its opening to its close.  SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <inttypes.h>
#include <security/pam_ext.h>
#include <security/pam_modutil.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "dialogue.h"
#include "guard/module_options.h"
#include "notify.h"
#include "person.h"

#define DATA_NAME_SIZE 256
#define REASON_SIZE 256
#define BREAK_GLASS_SENTENCE "You enter without the lock of guard '%s', as a member of '%s'. This has been logged."

/* What the PAM handle keeps while the session is open. */
struct session {
	pid_t owner; /* the process that opened it */
	int keeper;
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
static int keep_session(pam_handle_t *pamh, const struct module_options *options, int keeper)
{
	char name[DATA_NAME_SIZE];
	struct session *session = malloc(sizeof(*session));
	int code = session ? PAM_SUCCESS : PAM_BUF_ERR;
	if (session) {
		*session = (struct session){ .owner = getpid(), .keeper = keeper };
		data_name(options, name);
		code = pam_set_data(pamh, name, session, cleanup);
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

/* ---- Who needs no lock ---- */

static int prepare(struct request *request, struct module_options *options, struct person *person, int argc,
		   const char **argv)
{
	char reason[REASON_SIZE];
	bool understood = module_options_read(argc, argv, options, reason, sizeof(reason));
	request->options = options;
	request->person = person;
	request->notifier.debug = options->debug;
	request->notifier.notices = request->notifier.notices && !options->quiet;
	request->notifier.refusals = !options->quiet;
	if (!understood) {
		notify_log(&request->notifier, LOG_ERR, "%s", reason);
		notify_refusal(&request->notifier,
			       "The session guard's PAM line is wrong: ask this machine's administrator.");
		return PAM_SERVICE_ERR;
	}
	if (!person_find(request->notifier.pamh, person))
		return PAM_SERVICE_ERR;
	request->notifier.at_terminal = person->becomes_another && !options->quiet;
	return PAM_SUCCESS;
}

/* Decided before the configuration is read or a keeper started: neither may lock out those who mend them. */
static bool breaks_glass(const struct request *request)
{
	const char *group = request->options->break_glass_group;
	return group &&
	       pam_modutil_user_in_group_nam_nam(request->notifier.pamh, request->person->name, group) == 1;
}

static void tell_break_glass(const struct request *request)
{
	const struct module_options *options = request->options;
	char sentence[REASON_SIZE * 2];
	notify_log(&request->notifier, LOG_ALERT, "guard %s: %s enters without the lock, as a member of %s",
		   options->guard, request->person->name, options->break_glass_group);
	snprintf(sentence, sizeof(sentence), BREAK_GLASS_SENTENCE, options->guard, options->break_glass_group);
	notify_notice(&request->notifier, sentence);
}

/* ---- Opening ---- */

static int put_variable(pam_handle_t *pamh, const char *name, const char *value)
{
	char setting[WIRE_TEXT_MAX + REASON_SIZE];
	snprintf(setting, sizeof(setting), "%s=%s", name, value);
	return pam_putenv(pamh, setting);
}

static int put_environment(const struct request *request, const struct wire_message *granted)
{
	pam_handle_t *pamh = request->notifier.pamh;
	char fence[32];
	snprintf(fence, sizeof(fence), "%" PRId64, wire_number(granted, WIRE_FENCE));
	if (put_variable(pamh, "AWSFLOCK_LOCK", wire_text(granted, WIRE_LOCK)) != PAM_SUCCESS ||
	    put_variable(pamh, "AWSFLOCK_FENCE", fence) != PAM_SUCCESS ||
	    put_variable(pamh, "AWSFLOCK_SESSION", request->session) != PAM_SUCCESS)
		return PAM_BUF_ERR;
	return PAM_SUCCESS;
}

static void tell_waited(const struct request *request, const struct wire_message *granted)
{
	char sentence[REASON_SIZE];
	int64_t waited_s = wire_number(granted, WIRE_WAITED_MS) / 1000;
	if (wire_number(granted, WIRE_WAITED_MS) <= 0)
		return;
	snprintf(sentence, sizeof(sentence), "'%.128s' is yours, after %" PRId64 " s.",
		 wire_text(granted, WIRE_LOCK), waited_s);
	notify_waiting(&request->notifier, sentence);
}

/* The keeper waits for OPENED and gives the lock back where it does not come: nothing before it needs undoing. */
static int begin_session(const struct request *request, const struct wire_message *granted, int keeper)
{
	pam_handle_t *pamh = request->notifier.pamh;
	int code = put_environment(request, granted);
	if (code != PAM_SUCCESS) {
		close(keeper);
		return code;
	}
	code = keep_session(pamh, request->options, keeper);
	if (code != PAM_SUCCESS)
		return code;
	if (!wire_send_type(keeper, WIRE_OPENED)) {
		notify_log(&request->notifier, LOG_CRIT, "awsflock-keeper is gone");
		forget_session(pamh, request->options);
		return PAM_SERVICE_ERR;
	}
	tell_waited(request, granted);
	return PAM_SUCCESS;
}

static int open_guarded(struct request *request)
{
	struct wire_message answer;
	int keeper = -1;
	if (!dialogue_make_session_id(request->session)) {
		notify_log(&request->notifier, LOG_CRIT, "the system has no randomness to give");
		return PAM_SERVICE_ERR;
	}
	int code = dialogue_ask(request, &answer, &keeper);
	if (code != PAM_SUCCESS)
		return code;
	if (wire_type(&answer) == WIRE_GRANTED && !request->is_probe)
		return begin_session(request, &answer, keeper);
	code = dialogue_judge(request, &answer);
	close(keeper);
	return code;
}

static struct request request_of(pam_handle_t *pamh, int flags)
{
	return (struct request){ .notifier = { .pamh = pamh, .notices = !is_silent(flags) } };
}

int session_open(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct module_options options;
	struct person person;
	struct request request = request_of(pamh, flags);
	int code = prepare(&request, &options, &person, argc, argv);
	if (code != PAM_SUCCESS)
		return code;
	if (person.is_root_already)
		return PAM_IGNORE;
	if (find_session(pamh, &options))
		return PAM_SUCCESS;
	if (breaks_glass(&request)) {
		tell_break_glass(&request);
		return PAM_SUCCESS;
	}
	code = open_guarded(&request);
	notify_log(&request.notifier, LOG_DEBUG, "guard %s: %s's session: %s", options.guard, person.name,
		   pam_strerror(pamh, code));
	return code;
}

int session_probe(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct module_options options;
	struct person person;
	struct request request = request_of(pamh, flags);
	request.is_probe = true;
	int code = prepare(&request, &options, &person, argc, argv);
	if (code != PAM_SUCCESS)
		return code;
	if (person.is_root_already || breaks_glass(&request))
		return PAM_IGNORE;
	return open_guarded(&request);
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
	struct notifier notifier = { .pamh = pamh,
				     .notices = !is_silent(flags) && !options.quiet,
				     .debug = options.debug };
	if (session->owner != getpid())
		return PAM_IGNORE; /* systemd's (sd-pam) closes as the user, from a child */
	dialogue_release(&notifier, session->keeper);
	forget_session(pamh, &options);
	return PAM_SUCCESS;
}
