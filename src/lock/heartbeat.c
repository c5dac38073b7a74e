/* See heartbeat.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/heartbeat.h"

#include "base/error.h"
#include "base/runtime.h"
#include "base/text.h"

/* A third of the lease: two renewals may fail before it is in danger. */
#define RENEWALS_PER_LEASE 3
/* In an outage a renewal is tried again after this part of the time that is left, so that their number, and with it
 * that of the lease ids to remember, stays below LEASE_IDS_MAX however long the lease is. */
#define OUTAGE_PAUSE_DIVISOR 12
#define OUTAGE_PAUSE_MIN_NS (1 * NS_PER_S)
/* How often the clocks are looked at: a paused virtual machine sleeps on as if nothing had happened.  A machine may
 * have hundreds of leases, so the longer they are the more rarely. */
#define WATCHES_PER_LEASE 40
#define WATCH_INTERVAL_MIN_NS (1 * NS_PER_S)
#define WATCH_INTERVAL_MAX_NS (3 * NS_PER_S)
/* What a person needs to sign in anew. */
#define SIGN_IN_S 600

struct heartbeat {
	struct lease *lease;
	struct runtime *runtime;
	int64_t stop_ns;         /* what the caller needs to stop its work */
	int64_t next_boot_ns;    /* the next renewal */
	int64_t failing_boot_ns; /* since when renewals fail; 0: they do not */
	char last_failure[AWSFLOCK_ERROR_MESSAGE_SIZE];
};

/* After this moment the work must be stopped. */
static int64_t last_moment_ns(const struct heartbeat *heartbeat)
{
	return lease_deadline_boot_ns(heartbeat->lease) - heartbeat->stop_ns;
}

static void schedule_after_success(struct heartbeat *heartbeat)
{
	int64_t interval_ns = heartbeat->lease->seconds * NS_PER_S / RENEWALS_PER_LEASE;

	/* Jitter, so that many holders that started together do not stay together. */
	interval_ns -= runtime_random_between(heartbeat->runtime, 0, interval_ns / 10);
	heartbeat->next_boot_ns = heartbeat->lease->sent_boot_ns + interval_ns;
}

static void schedule_after_failure(struct heartbeat *heartbeat)
{
	int64_t now_ns = runtime_boot_ns(heartbeat->runtime);
	int64_t pause_ns = (last_moment_ns(heartbeat) - now_ns) / OUTAGE_PAUSE_DIVISOR;

	heartbeat->next_boot_ns = now_ns + (pause_ns > OUTAGE_PAUSE_MIN_NS ? pause_ns : OUTAGE_PAUSE_MIN_NS);
}

static awsflock_code lost_in_outage(struct heartbeat *heartbeat, awsflock_error *error)
{
	struct lease *lease = heartbeat->lease;
	char since[40];

	if (!heartbeat->failing_boot_ns)
		return error_set(
			error, AWSFLOCK_LOST,
			"the lease of '%s' has run out: this machine or process was suspended, or its clock "
			"jumped past the lease's end",
			lease->lock);
	text_duration((runtime_boot_ns(heartbeat->runtime) - heartbeat->failing_boot_ns) / NS_PER_S, since,
		      sizeof(since));
	return error_set(error, AWSFLOCK_LOST,
			 "the lease of '%s' could not be renewed for %s and is running out: %s", lease->lock, since,
			 heartbeat->last_failure);
}

/* True until the lease is past its last moment. */
static bool is_in_time(const struct heartbeat *heartbeat)
{
	return !lease_is_past_deadline(heartbeat->lease) &&
	       runtime_boot_ns(heartbeat->runtime) < last_moment_ns(heartbeat);
}

static int64_t watch_interval_ns(const struct heartbeat *heartbeat)
{
	int64_t interval_ns = heartbeat->lease->seconds * NS_PER_S / WATCHES_PER_LEASE;

	if (heartbeat->lease->store->local)
		return heartbeat->lease->seconds * NS_PER_S; /* it was paused along with the machine */
	if (interval_ns > WATCH_INTERVAL_MAX_NS)
		return WATCH_INTERVAL_MAX_NS;
	return interval_ns > WATCH_INTERVAL_MIN_NS ? interval_ns : WATCH_INTERVAL_MIN_NS;
}

static awsflock_code sleep_until_next(struct heartbeat *heartbeat, awsflock_error *error)
{
	while (is_in_time(heartbeat)) {
		int64_t now_ns = runtime_boot_ns(heartbeat->runtime);
		int64_t wake_ns = heartbeat->next_boot_ns;

		if (now_ns >= wake_ns)
			return AWSFLOCK_OK;
		store_foresee(heartbeat->lease->store, SIGN_IN_S);
		if (last_moment_ns(heartbeat) < wake_ns)
			wake_ns = last_moment_ns(heartbeat);
		if (now_ns + watch_interval_ns(heartbeat) < wake_ns)
			wake_ns = now_ns + watch_interval_ns(heartbeat);
		if (!runtime_sleep_until(heartbeat->runtime, wake_ns))
			return error_set(error, AWSFLOCK_CANCELLED, "cancelled while renewing '%s'",
					 heartbeat->lease->lock);
	}
	return lost_in_outage(heartbeat, error);
}

static void note_failure(struct heartbeat *heartbeat, const awsflock_error *error)
{
	text_sanitise(error->message, heartbeat->last_failure, sizeof(heartbeat->last_failure));
	if (heartbeat->failing_boot_ns)
		return;
	heartbeat->failing_boot_ns = runtime_boot_ns(heartbeat->runtime);
	runtime_log(heartbeat->runtime, AWSFLOCK_LOG_WARNING, "cannot renew '%s', retrying: %s",
		    heartbeat->lease->lock, error->message);
}

static void note_success(struct heartbeat *heartbeat)
{
	if (heartbeat->failing_boot_ns)
		runtime_log(heartbeat->runtime, AWSFLOCK_LOG_NOTICE, "'%s' is renewed again",
			    heartbeat->lease->lock);
	heartbeat->failing_boot_ns = 0;
}

/* AWSFLOCK_OK also where it failed and is to be tried again. */
static awsflock_code beat(struct heartbeat *heartbeat, awsflock_error *error)
{
	struct lease *lease = heartbeat->lease;
	int64_t give_up_ns =
		lease_deadline_boot_ns(lease) == DEADLINE_UNKNOWN ? INT64_MAX : last_moment_ns(heartbeat);
	awsflock_code code = lease_renew(lease, lease->seconds, NULL, give_up_ns, error);

	switch (code) {
	case AWSFLOCK_OK:
		note_success(heartbeat);
		if (lease->on_renewed)
			lease->on_renewed(lease->on_renewed_arg);
		schedule_after_success(heartbeat);
		return AWSFLOCK_OK;
	case AWSFLOCK_LOST:
	case AWSFLOCK_CANCELLED:
		return code;
	default:
		if (lease_deadline_boot_ns(lease) == DEADLINE_UNKNOWN)
			return code; /* an adopted lease that was never confirmed here: nothing to fall back on */
		note_failure(heartbeat, error);
		schedule_after_failure(heartbeat);
		return AWSFLOCK_OK;
	}
}

awsflock_code heartbeat_keep(struct lease *lease, int64_t stop_ms, awsflock_error *error)
{
	struct heartbeat heartbeat = {
		.lease = lease,
		.runtime = lease->store->runtime,
	};
	awsflock_error own_error;
	awsflock_code code = AWSFLOCK_OK;

	if (!error)
		error = &own_error;
	if (stop_ms < 0 || stop_ms > lease->seconds * MS_PER_S / 3)
		return error_set(
			error, AWSFLOCK_INVALID,
			"a lease of %lld s is too short: it must be at least three times the time that the work "
			"needs to stop (%lld ms)",
			(long long)lease->seconds, (long long)stop_ms);
	heartbeat.stop_ns = stop_ms * NS_PER_MS;
	if (lease_deadline_boot_ns(lease) == DEADLINE_UNKNOWN)
		code = beat(&heartbeat, error);
	else
		schedule_after_success(&heartbeat);
	while (code == AWSFLOCK_OK) {
		code = sleep_until_next(&heartbeat, error);
		if (code == AWSFLOCK_OK)
			code = beat(&heartbeat, error);
	}
	return code;
}
