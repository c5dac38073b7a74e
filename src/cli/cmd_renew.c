/* awsflock renew: extend a lease, print its new id.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

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

/* As in awsflock 0.2.0, a renewal that names no duration does not keep the lease's own, which not everybody expects.  How
 * long that was, one request does not tell. */
static void tell_default(const awsflock_lease *lease)
{
	char now[64];

	text_duration(awsflock_lease_seconds(lease), now, sizeof(now));
	report_notice("the lease lasts %s from now: name what you want with --lease-duration", now);
}

static int renew(struct cli_call *call)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	const char *duration = awsflock_get(call->context, "lease_duration");
	awsflock_lease *lease = NULL;
	int64_t seconds = 0;
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
	result = renew_lease(call, lease, seconds);
	if (result == CLI_OK && !option_given(call, OPTION_LEASE_DURATION))
		tell_default(lease);
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
