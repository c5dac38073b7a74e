/* SPDX-License-Identifier: Apache-2.0
 *
 * awsflock doctor: check everything that a lock needs, one thing after the other. */
#include "base/pidfd.h"
#include "cli/cli.h"
#include "term/findings.h"
#include "term/report.h"

/* Whatever else is well: a lock held by hand needs none of it. */
static void check_pidfds(struct findings *findings)
{
	const char *fault = pidfd_fault();

	if (fault)
		findings_add(findings, "pidfd", AWSFLOCK_CHECK_WARNING,
			     "use a newer kernel, or container engine, or a seccomp profile that allows both",
			     "awsflock run and session guards cannot work: %s", fault);
}

static int diagnose_lock(struct cli_call *call, struct findings *findings)
{
	const awsflock_check bad_settings = { .name = "config",
					      .verdict = AWSFLOCK_CHECK_FAILED,
					      .finding = call->settings_error.message,
					      .mend = "correct the file; awsflock.conf(5) has every key" };
	awsflock_error error = { .code = AWSFLOCK_OK };

	check_pidfds(findings);
	if (call->settings_error.code != AWSFLOCK_OK)
		findings_take(findings, &bad_settings);
	else if (awsflock_diagnose(call->context, call->arguments[0], findings_take, findings, &error) !=
		 AWSFLOCK_OK)
		return report_failure(&error);
	return findings_conclude(findings);
}

static int doctor(struct cli_call *call)
{
	struct findings findings;
	int result = CLI_FAILED;

	if (findings_begin(&findings, call->json))
		result = diagnose_lock(call, &findings);
	findings_free(&findings);
	return result;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.arguments = "[LOCK]",
	.least_arguments = 0,
	.most_arguments = 1,
	.summary = "check everything that a lock needs, and say how to mend it",
	.details = "At last takes, renews and releases LOCK, or one of a random name.  Exit code 1 where a check "
		   "failed.\n",
	.judges_settings = true,
	.run = doctor,
};
