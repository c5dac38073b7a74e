/* Telling what a check has found.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/diagnosis.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

void diagnosis_tell(const struct diagnosis *diagnosis, const char *name, awsflock_verdict verdict, const char *mend,
		    const char *format, ...)
{
	char text[AWSFLOCK_ERROR_MESSAGE_SIZE], finding[AWSFLOCK_ERROR_MESSAGE_SIZE];
	awsflock_check check = { .name = name, .verdict = verdict, .finding = finding, .mend = mend };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	text_sanitise(text, finding, sizeof(finding));
	diagnosis->each(diagnosis->arg, &check);
}

static const char *mend_of_detail(int64_t detail)
{
	switch (detail) {
	case ERROR_DETAIL_SECRET:
		return "copy the secret access key anew, whole: it belongs to the access key id that it was given "
		       "out "
		       "with";
	case ERROR_DETAIL_KEY:
		return "copy the access key id, and the session token where there is one, anew; or ask whether the "
		       "key "
		       "was deleted or switched off";
	case ERROR_DETAIL_EXPIRED:
		return "get new ones from where these came, or let a source that renews them serve";
	case ERROR_DETAIL_ROLE:
		return "have the role's trust policy name who asks for it, and their own policy allow "
		       "sts:AssumeRole on "
		       "it; or correct role_arn";
	case ERROR_DETAIL_SIGNATURE:
		return "look for a proxy on the way that changes the request or takes its Authorization away";
	case ERROR_DETAIL_NO_KEYS:
		return "give one of these sources what it needs (awsflock(1), Credentials), or choose with "
		       "--profile";
	case ERROR_DETAIL_MEMBER:
		return "have root add you to the directory's group, and log in anew; or use a directory of your "
		       "own "
		       "(--local=DIR)";
	default:
		return NULL;
	}
}

static const char *mend_of_code(awsflock_code code)
{
	switch (code) {
	case AWSFLOCK_CONFIG:
	case AWSFLOCK_INVALID:
		return "correct the setting that is named; awsflock.conf(5) has them all";
	case AWSFLOCK_CREDENTIALS:
		return "put right what is named, or sign in as it says; or choose another source with --profile";
	case AWSFLOCK_ACCESS:
		return "have the policy allow it: those in iam, beside the documentation, do; or try a lock that "
		       "it allows, "
		       "awsflock doctor LOCK";
	case AWSFLOCK_NO_TABLE:
		return "awsflock create-table, or name the right table and region";
	case AWSFLOCK_BAD_TABLE:
		return "name another table (--tablename) or directory (--local=DIR), or put right what is named";
	case AWSFLOCK_UNREACHABLE:
		return "check the network, the endpoint URL and the proxy (HTTPS_PROXY, NO_PROXY)";
	case AWSFLOCK_TLS:
		return "name the certificates to trust with ca_bundle or AWS_CA_BUNDLE: an intercepting proxy "
		       "shows "
		       "its own";
	case AWSFLOCK_THROTTLED:
		return "raise the table's throughput, or make it on-demand";
	case AWSFLOCK_CLOCK_SKEW:
		return "set this machine's clock: timedatectl set-ntp true";
	case AWSFLOCK_PROTOCOL:
		return "check the endpoint URL, and for a proxy or login page on the way";
	case AWSFLOCK_STORAGE:
		return "free disk space, or use a directory that you may write to (--local=DIR)";
	default:
		return "";
	}
}

void diagnosis_tell_error(const struct diagnosis *diagnosis, const char *name, awsflock_verdict verdict,
			  const awsflock_error *error)
{
	const char *mend = mend_of_detail(error->detail);

	diagnosis_tell(diagnosis, name, verdict, mend ? mend : mend_of_code(error->code), "%s", error->message);
}
