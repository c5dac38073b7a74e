/* awsflock renew: extend a lease, print its new id.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/duration.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/lease_output.h"
#include "term/output.h"
#include "term/report.h"

static const struct cli_option options[] = {
	{ OPTION_LEASE_DURATION, "lease-duration", 0, "DURATION", false, "lease_duration",
	  "how long from now the lock is held (default 2 hours)" },
	{ OPTION_OWNER, "owner", 0, "TEXT", false, NULL, "who holds the lock (default as before)" },
	OPTION_TABLE_END,
};

static int renew_lease(struct cli_call *call, awsflock_lease *lease, int64_t seconds)
{
	const char *owner = option_text(call, OPTION_OWNER);
	awsflock_error error = { .code = AWSFLOCK_OK };
	int print_errno;

	if (awsflock_renew(lease, seconds, owner, &error) != AWSFLOCK_OK) {
		int result = report_failure(&error);
		if (error.outcome_unknown)
			lease_tell_ids(lease);
		return result;
	}
	if (lease_print(call, lease, owner))
		return CLI_OK;
	print_errno = errno;
	report_error(
		"the lock was renewed, but its new lease id could not be written to standard output (%s): it is "
		"%s",
		strerror(print_errno), awsflock_lease_id(lease));
	return CLI_FAILED;
}

/* How long the lease was until now, where it is still ours; 0 where that is not known.  As in awsflock 0.2.0, a renewal
 * that names no duration does not keep the lease's own, which not everybody expects. */
static int64_t previous_seconds(struct cli_call *call)
{
	awsflock_error ignored = { .code = AWSFLOCK_OK };
	awsflock_status *status = NULL;
	int64_t seconds = 0;

	if (option_given(call, OPTION_LEASE_DURATION) || report_level() < 0 ||
	    awsflock_inspect(call->context, call->arguments[0], &status, &ignored) != AWSFLOCK_OK)
		return 0;
	if (status->held && strcasecmp(status->lease_id, call->arguments[1]) == 0)
		seconds = status->lease_duration;
	awsflock_status_free(&status);
	return seconds;
}

static void tell_longer(int64_t before_seconds, const awsflock_lease *lease)
{
	char before[64], now[64];

	if (before_seconds == 0 || awsflock_lease_seconds(lease) <= before_seconds)
		return;
	text_duration(before_seconds, before, sizeof(before));
	text_duration(awsflock_lease_seconds(lease), now, sizeof(now));
	report_notice("the lease lasts %s now, no longer %s: name what you want with --lease-duration", now,
		      before);
}

static int renew(struct cli_call *call)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	const char *duration = awsflock_get(call->context, "lease_duration");
	awsflock_lease *lease = NULL;
	int64_t seconds = 0, before_seconds;
	int result;

	if (duration && duration_parse(duration, &seconds, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (!output_is_open()) {
		report_error("standard output is closed: the lock was not renewed, its lease id still is %s",
			     call->arguments[1]);
		return CLI_FAILED;
	}
	if (awsflock_adopt(call->context, call->arguments[0], call->arguments[1], &lease, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	before_seconds = previous_seconds(call);
	result = renew_lease(call, lease, seconds);
	if (result == CLI_OK)
		tell_longer(before_seconds, lease);
	awsflock_lease_free(&lease);
	return result;
}

const struct cli_command cmd_renew = {
	.name = "renew",
	.arguments = "LOCK LEASE_ID",
	.least_arguments = 2,
	.most_arguments = 2,
	.summary = "extend a lease and print its new id",
	.details = "The old lease id is void from then on.\n",
	.options = options,
	.run = renew,
};
