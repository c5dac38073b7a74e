/* awsflock acquire: take a lock, print its lease id.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/duration.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/lease_output.h"
#include "cli/settings.h"
#include "hold/lease_use.h"
#include "run/giving_back.h"
#include "term/output.h"
#include "term/report.h"
#include "term/waiting.h"

static const struct cli_option options[] = {
	{ OPTION_LEASE_DURATION, "lease-duration", 0, "DURATION", false, "lease_duration",
	  "how long the lock is held unless renewed (default 2 hours)" },
	{ OPTION_WAIT_TIME, "wait-time", 'w', "DURATION", false, "wait_time",
	  "how long to wait for the lock (default 60 seconds; 0: for ever)" },
	{ OPTION_NO_WAIT, "no-wait", 'n', NULL, false, NULL, "fail at once if the lock is held" },
	{ OPTION_OWNER, "owner", 0, "TEXT", false, "owner", "who holds the lock (default this host's name)" },
	{ OPTION_PURPOSE, "purpose", 0, "TEXT", false, NULL, "what the lock is held for, shown to others" },
	{ OPTION_LEASE_FILE, "lease-file", 0, "FILE", false, NULL,
	  "write the lease to FILE, for renew and release, and print no id" },
	OPTION_TABLE_END,
};

/* The wait: --no-wait, or wait_time as --wait-time or the configuration has it. */
static int find_wait(const struct cli_call *call, int64_t *wait_ms)
{
	const char *configured = awsflock_get(call->context, "wait_time");
	awsflock_error error = { .code = AWSFLOCK_OK };
	int64_t configured_ms = 60000;

	if (option_given(call, OPTION_NO_WAIT) || option_given(call, OPTION_WAIT_TIME))
		return option_wait(call, AWSFLOCK_WAIT_FOREVER, wait_ms); /* as in 0.2.0 */
	if (configured && duration_parse_ms(configured, &configured_ms, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	*wait_ms = configured_ms == 0 ? AWSFLOCK_WAIT_FOREVER : configured_ms;
	return CLI_OK;
}

/* The lease is ours; it must not outlive a user who never sees its id. */
static int hand_over(struct cli_call *call, awsflock_lease *lease)
{
	char owner[OWNER_SIZE];
	int print_errno;

	if (interrupt_signal() != 0) {
		lease_give_back(call, lease);
		return CLI_INTERRUPTED;
	}
	settings_owner(call, owner, sizeof(owner));
	if (lease_print(call, lease, owner))
		return CLI_OK;
	print_errno = errno;
	if (lease_give_back(call, lease))
		report_error("cannot write the lease id to standard output (%s): the lock was released again",
			     strerror(print_errno));
	else
		report_error("cannot write the lease id to standard output: %s", strerror(print_errno));
	return CLI_FAILED;
}

/* The same by the lease file, which is the user's to keep. */
static int keep_in_file(struct cli_call *call, struct lease_use *use, awsflock_lease *lease)
{
	char owner[OWNER_SIZE];
	awsflock_error error;

	settings_owner(call, owner, sizeof(owner));
	if (interrupt_signal() != 0) {
		lease_give_back(call, lease);
		return CLI_INTERRUPTED;
	}
	if (lease_use_keep(use, lease, &error) != AWSFLOCK_OK) {
		lease_give_back(call, lease);
		return report_failure(&error);
	}
	return call->json && !lease_print(call, lease, owner) ? CLI_FAILED : CLI_OK;
}

static int take(struct cli_call *call, const awsflock_acquire_options *how, awsflock_lease **lease)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;
	int result;

	awsflock_set_give_back_later(call->context, true);
	code = awsflock_acquire(call->context, call->arguments[0], how, lease, &error);
	waiting_end();
	if (code == AWSFLOCK_OK)
		return CLI_OK;
	result = report_failure(&error);
	giving_back_start(call->context, call->arguments[0]);
	return result;
}

static int acquire_with_file(struct cli_call *call, const awsflock_acquire_options *how, const char *path)
{
	struct lease_use use;
	awsflock_error error;
	awsflock_lease *lease = NULL;
	int result = CLI_OK;

	if (lease_use_reserve(&use, call->context, path, call->arguments[0], false, &error) != AWSFLOCK_OK)
		result = report_failure(&error);
	if (result == CLI_OK)
		result = take(call, how, &lease);
	if (result == CLI_OK)
		result = keep_in_file(call, &use, lease);
	awsflock_lease_free(&lease);
	if (result == CLI_OK)
		lease_use_close(&use);
	else
		lease_use_drop(&use);
	return result;
}

static int acquire_and_print(struct cli_call *call, const awsflock_acquire_options *how)
{
	awsflock_lease *lease = NULL;
	int result;

	if (!output_is_open()) {
		report_error("standard output is closed: the lock was not taken, since its lease id could not be "
			     "printed");
		return CLI_FAILED;
	}
	result = take(call, how, &lease);
	if (result == CLI_OK)
		result = hand_over(call, lease);
	awsflock_lease_free(&lease);
	return result;
}

static int acquire(struct cli_call *call)
{
	awsflock_acquire_options how = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	const char *path = option_text(call, OPTION_LEASE_FILE);
	struct waiting waiting = WAITING_INIT;
	int result = find_wait(call, &how.wait_ms);

	if (result != CLI_OK)
		return result;
	how.purpose = option_text(call, OPTION_PURPOSE);
	/* The shell or program that holds the lock: awsflock itself is gone in a moment. */
	how.pid = getppid();
	how.waiting = waiting_show;
	how.waiting_arg = &waiting;
	return path ? acquire_with_file(call, &how, path) : acquire_and_print(call, &how);
}

const struct cli_command cmd_acquire = {
	.name = "acquire",
	.arguments = "LOCK",
	.least_arguments = 1,
	.most_arguments = 1,
	.summary = "take a lock and print its lease id",
	.details = "The lease id is the proof of ownership that renew and release ask for.  Durations are written\n"
		   "like 15m, '3 minutes', 1h30m or 90 (seconds).\n"
		   "\n"
		   "  lease_id=$(awsflock acquire my-lock --lease-duration 15m) || exit\n"
		   "  new_id=$(awsflock renew my-lock $lease_id --lease-duration 15m) && lease_id=$new_id\n"
		   "  awsflock release my-lock $lease_id\n"
		   "\n"
		   "With --lease-file the id stands in a file, which follows its changes:\n"
		   "\n"
		   "  awsflock acquire my-lock --lease-file lease --lease-duration 15m || exit\n"
		   "  awsflock renew --lease-file lease\n"
		   "  awsflock release --lease-file lease\n",
	.options = options,
	.run = acquire,
};
