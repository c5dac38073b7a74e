/* awsflock run: hold a lock while a command runs.  SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/text.h"
#include "base/text_check.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "run/supervise.h"
#include "term/report.h"

#define KILL_AFTER_MS_DEFAULT 5000

static const struct cli_option options[] = {
	{ OPTION_NO_WAIT, "no-wait", 'n', NULL, false, NULL, "fail at once if the lock is held" },
	{ OPTION_WAIT_TIME, "wait-time", 'w', "DURATION", false, NULL,
	  "how long to wait, such as 0.5; 0 is one try (default for ever)" },
	{ OPTION_CONFLICT_EXIT_CODE, "conflict-exit-code", 'E', "NUMBER", false, NULL,
	  "the exit code if the lock cannot be had (default 3)" },
	{ OPTION_COMMAND, "command", 'c', "TEXT", false, NULL, "run TEXT by sh instead of COMMAND" },
	{ OPTION_LEASE_DURATION, "lease-duration", 0, "DURATION", false, NULL,
	  "the lease, which is renewed every third of it (default 60 seconds)" },
	{ OPTION_KILL_AFTER, "kill-after", 0, "DURATION", false, NULL,
	  "from the first signal to the kill (default 5 seconds)" },
	{ OPTION_ON_LOST, "on-lost", 0, "stop|warn", false, NULL,
	  "what to do with the command when the lease is lost (default stop)" },
	{ OPTION_LEFTOVERS, "leftovers", 0, "hold|end|release", false, NULL,
	  "for processes that the command leaves behind (default hold)" },
	{ OPTION_STOPPED, "stopped", 0, "hold|release-after=T", false, NULL,
	  "for a stopped command: hold, or end it after T (default hold)" },
	{ OPTION_OWNER, "owner", 0, "TEXT", false, "owner", "who holds the lock (default this host's name)" },
	{ OPTION_PURPOSE, "purpose", 0, "TEXT", false, NULL, "what the lock is held for, shown to others" },
	/* flock(1)'s words for the same. */
	{ OPTION_NO_WAIT, "nonblock", 0, NULL, false, NULL, NULL },
	{ OPTION_NO_WAIT, "nb", 0, NULL, false, NULL, NULL },
	{ OPTION_WAIT_TIME, "timeout", 0, "DURATION", false, NULL, NULL },
	{ OPTION_EXCLUSIVE, "exclusive", 'x', NULL, false, NULL, NULL },
	{ OPTION_EXCLUSIVE, "exclusive", 'e', NULL, false, NULL, NULL },
	{ OPTION_CLOSE, "close", 'o', NULL, false, NULL, NULL },
	OPTION_TABLE_END,
};

/* flock(1) takes the number of an open file in the place of a lock and a command. */
static int refuse_without_command(const struct cli_call *call)
{
	const char *lock = call->arguments[0];

	if (lock[strspn(lock, "0123456789")] == '\0')
		return options_usage(call->command,
				     "the command to run is missing; a lock is on no descriptor, 'acquire' and "
				     "'release' hold one over several steps");
	return options_usage(call->command, "the command to run is missing");
}

/* --stopped: *AFTER_MS is 0 where the lock is held. */
static int read_stopped(const struct cli_call *call, int64_t *after_ms)
{
	static const char release_after[] = "release-after";
	const char *text = option_text(call, OPTION_STOPPED);
	size_t size = sizeof(release_after) - 1;
	awsflock_error error = { .code = AWSFLOCK_OK };
	int64_t seconds = 0;

	*after_ms = 0;
	if (!text || strcmp(text, "hold") == 0)
		return CLI_OK;
	if (strncmp(text, release_after, size) != 0 || (text[size] != '=' && text[size] != ' '))
		return options_usage(call->command, "--stopped takes hold or release-after=DURATION, not '%s'",
				     text);
	if (duration_parse(text + size + 1, &seconds, &error) != AWSFLOCK_OK)
		return options_usage(call->command, "--stopped: %s", error.message);
	*after_ms = seconds * MS_PER_S;
	return CLI_OK;
}

static int read_options(const struct cli_call *call, struct supervise_job *job)
{
	/* In the order of their enums. */
	static const char *const on_lost[] = { "stop", "warn", NULL };
	static const char *const leftovers[] = { "hold", "end", "release", NULL };
	int lost_choice = SUPERVISE_STOP, result;
	/* flock's -o keeps the lock from what the command leaves behind. */
	int leftovers_choice = option_given(call, OPTION_CLOSE) ? SUPERVISE_RELEASE : SUPERVISE_HOLD;
	int64_t conflict_exit = CLI_NOT_HELD;

	result = option_wait(call, 0, &job->acquire.wait_ms); /* as in flock(1) */
	if (result == CLI_OK)
		result = option_seconds(call, OPTION_LEASE_DURATION, &job->acquire.lease_seconds);
	if (result == CLI_OK)
		result = option_milliseconds(call, OPTION_KILL_AFTER, &job->kill_after_ms);
	if (result == CLI_OK)
		result = option_number(call, OPTION_CONFLICT_EXIT_CODE, 0, 255, &conflict_exit);
	if (result == CLI_OK)
		result = option_choice(call, OPTION_ON_LOST, on_lost, &lost_choice);
	if (result == CLI_OK)
		result = option_choice(call, OPTION_LEFTOVERS, leftovers, &leftovers_choice);
	if (result == CLI_OK)
		result = read_stopped(call, &job->stopped_end_after_ms);
	job->acquire.purpose = option_text(call, OPTION_PURPOSE);
	job->not_acquired_exit = (int)conflict_exit;
	job->on_lost = (enum supervise_on_lost)lost_choice;
	job->leftovers = (enum supervise_leftovers)leftovers_choice;
	return result;
}

static int run_command(struct cli_call *call)
{
	char shell[] = "/bin/sh", flag[] = "-c";
	char *shell_argv[] = { shell, flag, (char *)option_text(call, OPTION_COMMAND), NULL };
	struct waiting waiting = WAITING_INIT;
	struct supervise_job job = {
		.context = call->context,
		.lock = call->arguments[0],
		.acquire = AWSFLOCK_ACQUIRE_OPTIONS_INIT,
		.argv = call->arguments + 1,
		.kill_after_ms = KILL_AFTER_MS_DEFAULT,
	};
	awsflock_error error = { .code = AWSFLOCK_OK };
	int result;

	settings_of_renewed(&job.acquire, &waiting);
	result = read_options(call, &job);
	if (result != CLI_OK)
		return result;
	if (text_check_lock_name(job.lock, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (shell_argv[2]) {
		if (call->argument_count > 1)
			return options_usage(call->command, "-c and a command cannot be used together");
		job.argv = shell_argv;
	} else if (call->argument_count < 2) {
		return refuse_without_command(call);
	}
	result = settings_sign_in(call);
	return result == CLI_OK ? supervise_run(&job) : result == CLI_FAILED ? CLI_RUN_FAILED : result;
}

const struct cli_command cmd_run = {
	.name = "run",
	.arguments = "LOCK [--] COMMAND [ARG...]",
	.least_arguments = 1,
	.most_arguments = CLI_ANY_NUMBER,
	.summary = "hold a lock while a command runs",
	.details =
		"Options stand before LOCK or between LOCK and COMMAND; what follows COMMAND is the command's.\n"
		"The command sees AWSFLOCK_LOCK, AWSFLOCK_FENCE and AWSFLOCK_OWNER in its environment.\n"
		"\n"
		"Exit code: the command's own, 128 + its signal, 3 (see -E) if the lock cannot be had, 124 if the\n"
		"lease was lost and the command stopped, 125 if awsflock failed, 126 if the command cannot be\n"
		"executed, 127 if it cannot be found.\n"
		"\n"
		"  awsflock run nightly-backup ./backup.sh --full\n"
		"  awsflock run -n deploy -c 'git pull && make install'\n",
	.options = options,
	.command_follows = true,
	.own_signals = true,
	.failed_exit = CLI_RUN_FAILED,
	.run = run_command,
};
