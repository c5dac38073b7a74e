/* awsflock renew: extend a lease, print its new id.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/lease_output.h"
#include "hold/by_file.h"
#include "term/output.h"
#include "term/report.h"

static const struct cli_option options[] = {
	{ OPTION_LEASE_DURATION, "lease-duration", 0, "DURATION", false, "lease_duration",
	  "how long from now the lock is held (default 2 hours)" },
	{ OPTION_OWNER, "owner", 0, "TEXT", false, NULL, "who holds the lock (default as before)" },
	{ OPTION_LEASE_FILE, "lease-file", 0, "FILE", false, NULL,
	  "the lease of FILE, as acquire wrote it; lasts as long as before" },
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

static int renew_by_file(struct cli_call *call, const char *path, int64_t seconds)
{
	const char *owner = option_text(call, OPTION_OWNER);
	struct lease_use use;
	awsflock_lease *lease = NULL;
	awsflock_error error;
	int result = CLI_OK;

	if (lease_renew_by_file(&use, call->context, path, seconds, owner, &lease, &error) != AWSFLOCK_OK) {
		result = report_failure(&error);
		if (lease && use.record.state == LEASE_HELD && error.code == AWSFLOCK_STORAGE)
			lease_tell_ids(lease);
	} else if (call->json && !lease_print(call, lease, owner)) {
		report_error("the lock was renewed, but standard output cannot be written to: %s", strerror(errno));
		result = CLI_FAILED;
	}
	awsflock_lease_free(&lease);
	lease_use_close(&use);
	return result;
}

static int renew(struct cli_call *call)
{
	const char *path = option_text(call, OPTION_LEASE_FILE);
	awsflock_error error = { .code = AWSFLOCK_OK };
	const char *duration = awsflock_get(call->context, "lease_duration");
	awsflock_lease *lease = NULL;
	int64_t seconds = 0;
	int result;

	if (duration && duration_parse(duration, &seconds, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (path)
		return renew_by_file(call, path, option_given(call, OPTION_LEASE_DURATION) ? seconds : 0);
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
	.details = "The old lease id is void from then on.  With --lease-file in the place of LOCK and LEASE_ID "
		   "the new\n"
		   "one is written to the file, and none is printed.\n",
	.lease_file_instead = true,
	.options = options,
	.run = renew,
};
