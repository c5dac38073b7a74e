/* Retries: jittered exponential pauses, a quota that stops a storm, and never past the caller's own end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/retry.h"

#define PAUSE_BASE_TRANSIENT_NS (25 * NS_PER_MS)
#define PAUSE_BASE_THROTTLED_NS NS_PER_S
#define PAUSE_MAX_NS (20 * NS_PER_S)
/* Two thirds of what is left, so that a slow answer comes through all the same; but less than this is no attempt. */
#define ATTEMPT_LEAST_MS INT64_C(1000)
#define COST_TRANSIENT 14
#define COST_THROTTLED 5

void retry_init(struct retry *retry)
{
	*retry = (struct retry){ .max_attempts = RETRY_MAX_ATTEMPTS_DYNAMODB, .quota = RETRY_QUOTA_FULL };
}

void retry_begin(struct retry *retry)
{
	retry->attempts = 1;
	retry->latest_cost = 0;
}

static int64_t longest_pause_ns(enum retry_cause cause, int retries_before)
{
	int64_t pause = cause == RETRY_THROTTLED ? PAUSE_BASE_THROTTLED_NS : PAUSE_BASE_TRANSIENT_NS;

	while (retries_before-- > 0 && pause < PAUSE_MAX_NS)
		pause *= 2;
	return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

/* False where the pause would not leave any time for another attempt, or was broken off. */
static bool pause_before_retry(const struct retry *retry, struct runtime *runtime, enum retry_cause cause,
			       int64_t give_up_boot_ns)
{
	int64_t longest = longest_pause_ns(cause, retry->attempts - 1);
	int64_t until = runtime_boot_ns(runtime) + runtime_random_between(runtime, 0, longest);

	return until < give_up_boot_ns && runtime_sleep_until(runtime, until);
}

bool retry_again(struct retry *retry, struct runtime *runtime, enum retry_cause cause, int64_t give_up_boot_ns)
{
	int cost;

	if (retry->attempts >= retry->max_attempts || runtime_stop_requested(runtime))
		return false;
	switch (cause) {
	case RETRY_NOT:
	case RETRY_CLOCK_SKEW:
		return false;
	case RETRY_CREDENTIALS:
		retry->attempts++;
		return runtime_boot_ns(runtime) < give_up_boot_ns;
	case RETRY_TRANSIENT:
	case RETRY_THROTTLED:
		break;
	}
	cost = cause == RETRY_THROTTLED ? COST_THROTTLED : COST_TRANSIENT;
	if (retry->quota < cost || !pause_before_retry(retry, runtime, cause, give_up_boot_ns))
		return false;
	retry->quota -= cost;
	retry->latest_cost = cost;
	retry->attempts++;
	return true;
}

int64_t retry_attempt_ms(const struct retry *retry, struct runtime *runtime, int64_t longest_ms,
			 int64_t give_up_boot_ns)
{
	int64_t left_ms, part_ms;

	if (give_up_boot_ns == INT64_MAX)
		return longest_ms;
	left_ms = give_up_boot_ns - runtime_boot_ns(runtime);
	left_ms = left_ms > 0 ? left_ms / NS_PER_MS + 1 : 0;
	part_ms = left_ms / 3 * 2;
	if (part_ms < ATTEMPT_LEAST_MS)
		part_ms = ATTEMPT_LEAST_MS;
	if (part_ms < left_ms && retry->attempts < retry->max_attempts)
		left_ms = part_ms;
	return left_ms < longest_ms ? left_ms : longest_ms;
}

void retry_succeeded(struct retry *retry)
{
	retry->quota += retry->latest_cost > 0 ? retry->latest_cost : 1;
	retry->latest_cost = 0;
	if (retry->quota > RETRY_QUOTA_FULL)
		retry->quota = RETRY_QUOTA_FULL;
}
