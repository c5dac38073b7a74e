/* Trying a lock for a diagnosis.  SPDX-License-Identifier: Apache-2.0 */
#include "lib/trial.h"

#include <inttypes.h>
#include <stdio.h>

#include "lock/diagnosis.h"

#define TRIAL_LEASE_SECONDS 30

awsflock_code trial_name(struct runtime *runtime, char name[TRIAL_NAME_SIZE], awsflock_error *error)
{
	char uuid[AWSFLOCK_LEASE_ID_SIZE];
	awsflock_code code = runtime_uuid(runtime, uuid, error);

	if (code == AWSFLOCK_OK)
		snprintf(name, TRIAL_NAME_SIZE, "awsflock-doctor-%s", uuid);
	return code;
}

static int64_t now_ms(void)
{
	return clock_boot_ms();
}

static awsflock_code take_trial_lease(awsflock *context, const char *lock, awsflock_lease **lease,
				      awsflock_error *error)
{
	awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;

	options.lease_seconds = TRIAL_LEASE_SECONDS;
	options.purpose = "awsflock doctor";
	return awsflock_acquire(context, lock, &options, lease, error);
}

/* A policy may allow locks and not their deletion: then the record of a released lock stays, for TTL. */
static awsflock_code release_trial_lease(awsflock_lease *lease, bool delete_it, awsflock_error *error)
{
	awsflock_code code = awsflock_release(lease, delete_it ? AWSFLOCK_RELEASE_DELETE : 0, error);

	return code == AWSFLOCK_ACCESS && delete_it ? awsflock_release(lease, 0, error) : code;
}

static void tell_trial_refusal(const char *lock, const awsflock_error *error, const struct diagnosis *diagnosis)
{
	if (error->code == AWSFLOCK_HELD)
		diagnosis_tell(diagnosis, "lock", AWSFLOCK_CHECK_WARNING,
			       "name a lock that is free, or none: awsflock doctor", "'%s' was not tried: %s", lock,
			       error->message);
	else if (error->code != AWSFLOCK_CANCELLED)
		diagnosis_tell_error(diagnosis, "lock", AWSFLOCK_CHECK_FAILED, error);
}

void trial_run(awsflock *context, struct runtime *runtime, const char *lock, bool delete_it,
	       const struct diagnosis *diagnosis)
{
	awsflock_error error = { .code = AWSFLOCK_OK }, late = { .code = AWSFLOCK_OK };
	awsflock_lease *lease = NULL;
	int64_t began_ms = now_ms(), taken_ms, renewed_ms;
	uint64_t fence;

	if (take_trial_lease(context, lock, &lease, &error) != AWSFLOCK_OK) {
		tell_trial_refusal(lock, &error, diagnosis);
		return;
	}
	taken_ms = now_ms();
	fence = awsflock_lease_fence(lease);
	if (awsflock_renew(lease, 0, NULL, &error) != AWSFLOCK_OK)
		diagnosis_tell_error(diagnosis, "lock", AWSFLOCK_CHECK_FAILED, &error);
	renewed_ms = now_ms();
	runtime->stop_ignored = true;
	if (release_trial_lease(lease, delete_it, &late) != AWSFLOCK_OK)
		diagnosis_tell_error(diagnosis, "lock", AWSFLOCK_CHECK_FAILED, &late);
	else if (error.code == AWSFLOCK_OK)
		diagnosis_tell(diagnosis, "lock", AWSFLOCK_CHECK_OK, "",
			       "taken in %" PRId64 " ms with fence %" PRIu64 ", renewed in %" PRId64
			       " ms, released in %" PRId64 " ms",
			       taken_ms - began_ms, fence, renewed_ms - taken_ms, now_ms() - renewed_ms);
	runtime->stop_ignored = false;
	awsflock_lease_free(&lease);
}
