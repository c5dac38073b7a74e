/* awsflock hold: hold a lock across the steps of a job, with a lease file.  SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "base/text_check.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "hold/hold.h"
#include "term/report.h"

static const struct cli_option options[] = {
	{ OPTION_LEASE_FILE, "lease-file", 0, "FILE", false, NULL,
	  "where the lease is written, for release and status (needed)" },
	{ OPTION_DETACH, "detach", 0, NULL, false, NULL,
	  "return once the lock is held; it is held on in the background" },
	{ OPTION_WHILE, "while", 0, "PID", false, NULL, "release the lock when this process ends" },
	{ OPTION_MAX_HOLD, "max-hold", 0, "DURATION", false, NULL, "release the lock after this time" },
	{ OPTION_ON_LOST, "on-lost", 0, "COMMAND", false, NULL, "run this by sh when the lease is lost" },
	{ OPTION_NO_WAIT, "no-wait", 'n', NULL, false, NULL, "fail at once if the lock is held" },
	{ OPTION_WAIT_TIME, "wait-time", 'w', "DURATION", false, NULL,
	  "how long to wait, such as 0.5; 0 is one try (default for ever)" },
	{ OPTION_LEASE_DURATION, "lease-duration", 0, "DURATION", false, NULL,
	  "the lease, which is renewed every third of it (default 60 seconds)" },
	{ OPTION_OWNER, "owner", 0, "TEXT", false, "owner", "who holds the lock (default this host's name)" },
	{ OPTION_PURPOSE, "purpose", 0, "TEXT", false, NULL, "what the lock is held for, shown to others" },
	OPTION_TABLE_END,
};

static int read_options(const struct cli_call *call, struct hold_job *job)
{
	int64_t while_pid = 0;
	int result = option_wait(call, 0, &job->acquire.wait_ms); /* as in run */

	if (result == CLI_OK)
		result = option_seconds(call, OPTION_LEASE_DURATION, &job->acquire.lease_seconds);
	if (result == CLI_OK)
		result = option_seconds(call, OPTION_MAX_HOLD, &job->max_hold_seconds);
	job->acquire.hold_seconds = job->max_hold_seconds;
	if (result == CLI_OK)
		result = option_number(call, OPTION_WHILE, 1, INT32_MAX, &while_pid);
	job->while_pid = (pid_t)while_pid;
	job->path = option_text(call, OPTION_LEASE_FILE);
	job->on_lost = option_text(call, OPTION_ON_LOST);
	job->detach = option_given(call, OPTION_DETACH);
	job->json = call->json;
	job->acquire.purpose = option_text(call, OPTION_PURPOSE);
	if (result == CLI_OK && !job->path)
		return options_usage(call->command,
				     "--lease-file is missing: it names the file that release is told");
	return result;
}

static int hold(struct cli_call *call)
{
	struct waiting waiting = WAITING_INIT;
	struct hold_job job = {
		.context = call->context,
		.lock = call->arguments[0],
		.acquire = AWSFLOCK_ACQUIRE_OPTIONS_INIT,
	};
	awsflock_error error = { .code = AWSFLOCK_OK };
	char owner[OWNER_SIZE];
	int result;

	settings_of_renewed(&job.acquire, &waiting);
	result = read_options(call, &job);
	if (result != CLI_OK)
		return result;
	if (text_check_lock_name(job.lock, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	settings_owner(call, owner, sizeof(owner));
	job.owner = owner;
	result = settings_sign_in(call);
	return result == CLI_OK ? hold_run(&job) : result;
}

const struct cli_command cmd_hold = {
	.name = "hold",
	.arguments = "LOCK",
	.least_arguments = 1,
	.most_arguments = 1,
	.summary = "hold a lock across the steps of a job",
	.details = "The lease is renewed until 'awsflock release --lease-file FILE', until the process or the time "
		   "given\n"
		   "here ends, or until awsflock is told to end by a signal.  FILE tells scripts, in JSON, of the "
		   "lock,\n"
		   "the lease, its fence, its end and its holder's pid, and whether it was lost.\n"
		   "\n"
		   "  awsflock hold deploy --lease-file lease --detach\n"
		   "  ./deploy.sh\n"
		   "  awsflock release --lease-file lease\n",
	.options = options,
	.own_signals = true,
	.run = hold,
};
