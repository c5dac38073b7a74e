/* The protocol, one behaviour at a time, over a table in memory.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <string.h>

#include "lock_world.h"

/* ---- Acquire ----------------------------------------------------------------------------------------------- */

static void a_free_lock_is_taken_with_one_write(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 1);
	assert_int_equal(world.store.reads, 0);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	assert_true(world_item(&world)->fence == world.lease->fence);
	world_clear(&world);
}

static void the_deadline_comes_before_the_lease_counted_from_the_first_send(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NONE)->reply_ns = 400 * NS_PER_MS;
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_true(lease_deadline_boot_ns(world.lease) < FAKE_BOOT_START_NS + LEASE_S * NS_PER_S);
	assert_true(lease_deadline_boot_ns(world.lease) > FAKE_BOOT_START_NS + (LEASE_S - 1) * NS_PER_S);
	world_clear(&world);
}

static void the_written_expiry_outlasts_the_deadline_by_the_margin(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(world_item(&world)->expiration_time, FAKE_EPOCH_START_S + LEASE_S + 2);
	world_clear(&world);
}

static void a_held_lock_is_refused_with_one_write_that_names_the_holder(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	assert_int_equal(world.store.writes, 2);
	assert_non_null(strstr(world.error.message, "held by me"));
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void a_released_lock_is_taken_again_with_a_greater_fence(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_true(world.other->fence > world.lease->fence);
	world_clear(&world);
}

static void a_fence_rises_although_the_clock_goes_back(void **state)
{
	struct world world;
	struct fake_store slow;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	/* Another client, whose clock is a day behind, and a server whose clock was set back. */
	slow = world.store;
	world.store.item_count = 0;
	slow.server_offset_ns = -86400 * NS_PER_S;
	server_time_init(&slow.store.time);
	world.runtime.real_offset_ns -= 86400 * NS_PER_S;
	assert_int_equal(world_try_in(&world, &slow.store, LEASE_S, &world.other), AWSFLOCK_OK);
	assert_true(world.other->fence > world.lease->fence);
	fake_store_clear(&slow);
	world_clear(&world);
}

static void a_second_write_of_a_try_stays_above_the_fence_of_the_first(void **state)
{
	struct world world;
	uint64_t first_fence = (uint64_t)(FAKE_EPOCH_START_S + LEASE_S + 20 + 5) * 1000;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world_advance(&world, LEASE_S + 20);
	/* A fresh process, whose clock is fast until the first answer: a late copy of its acquire carries that. */
	server_time_init(&world.store.store.time);
	world.runtime.real_offset_ns += 5 * NS_PER_S;
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_int_equal(world.store.kinds[2], STORE_RECLAIM);
	assert_true(world.other->fence > first_fence);
	world_clear(&world);
}

static void an_expired_lease_is_reclaimed_only_after_the_grace(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world_advance(&world, LEASE_S + 2 + 4);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	world_advance(&world, 3);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_true(world.other->fence > world.lease->fence);
	world_clear(&world);
}

static void a_long_lease_has_a_grace_of_a_thousandth(void **state)
{
	struct world world;
	const int64_t day_s = 86400;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try_in(&world, &world.store.store, day_s, &world.lease), AWSFLOCK_OK);
	/* The drift of this machine's clock since the last reply is allowed for too: 500 ppm of a day. */
	world_advance(&world, day_s + 2 + 86);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	world_advance(&world, 4);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	world_clear(&world);
}

static void nothing_is_reclaimed_by_this_machines_own_clock(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world.runtime.real_offset_ns += 86400 * NS_PER_S;
	server_time_init(&world.store.store.time);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	world_clear(&world);
}

static void set_the_servers_clock_right(struct store *store, void *arg)
{
	(void)arg;
	((struct fake_store *)store)->server_offset_ns = 0;
}

static void one_reply_with_a_time_long_past_costs_no_lease(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.store.server_offset_ns = -7200 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_NONE);
	fake_store_plan(&world.store, FAULT_NONE)->before = set_the_servers_clock_right;
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_true(lease_deadline_boot_ns(world.lease) > world.runtime.boot_ns + (LEASE_S - 3) * NS_PER_S);
	assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S + LEASE_S,
			FAKE_EPOCH_START_S + LEASE_S + 5);
	world_clear(&world);
}

static const struct store_ops *ops_of_fake;

static awsflock_code read_by_the_right_clock(struct store *store, const char *lock, bool consistent,
					     int64_t give_up_boot_ns, struct store_reply *reply,
					     awsflock_error *error)
{
	((struct fake_store *)store)->server_offset_ns = 0;
	return ops_of_fake->read(store, lock, consistent, give_up_boot_ns, reply, error);
}

static void one_reply_with_a_wrong_time_evicts_nobody(void **state)
{
	struct world world;
	struct store_ops ops;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	ops_of_fake = world.store.store.ops;
	ops = *ops_of_fake;
	ops.read = read_by_the_right_clock;
	world.store.store.ops = &ops;
	server_time_init(&world.store.store.time); /* another process */
	world.store.server_offset_ns = 86400 * NS_PER_S;
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world.store.store.ops = ops_of_fake;
	world_clear(&world);
}

static void two_replies_that_agree_outvote_this_machines_clock(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	server_time_init(&world.store.store.time);
	world.store.server_offset_ns = 86400 * NS_PER_S;
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_int_equal(world.store.reads, 1);
	world_clear(&world);
}

static void a_lease_of_python_is_honoured_and_reclaimed_by_its_own_rule(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_put_python(&world.store, LOCK, "11111111-1111-4111-8111-111111111111", FAKE_EPOCH_START_S + 30);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_HELD);
	world_advance(&world, 30 + 5 + 2);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_true(world.lease->fence > 0);
	world_clear(&world);
}

/* ---- Lost replies ------------------------------------------------------------------------------------------ */

static void an_acquire_whose_first_answer_was_lost_is_known_as_ours(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_RETRIED);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void an_acquire_that_was_given_up_leaves_the_lock_free(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_UNREACHABLE);
	assert_true(world.error.outcome_unknown);
	assert_true(world_item(&world)->released);
	world_clear(&world);
}

/* By a fast clock, before any reply has told the time: TTL would forget a fence that lies ahead. */
static void an_acquire_given_up_by_a_fast_clock_leaves_a_tombstone_that_ttl_spares(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_UNREACHABLE);
	assert_true(world_item(&world)->released);
	assert_true(world_item(&world)->fence > (uint64_t)(FAKE_EPOCH_START_S + 3599) * 1000);
	assert_int_equal(world_item(&world)->expiration_time, TOMBSTONE_KEPT_TIME);
	world_clear(&world);
}

static void nothing_is_released_where_nothing_was_sent(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NOT_SENT);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_UNREACHABLE);
	assert_false(world.error.outcome_unknown);
	assert_int_equal(world.store.writes, 1);
	world_clear(&world);
}

static void a_lock_taken_unseen_by_an_earlier_try_is_ours_under_a_greater_fence(void **state)
{
	struct world world;
	struct lease_request request = { .lock = LOCK, .seconds = LEASE_S, .owner = "me" };
	struct acquisition acquisition;
	uint64_t first_fence;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	acquisition_init(&acquisition, &world.store.store, &request);
	assert_int_equal(acquisition_try(&acquisition, &world.lease, &world.error), AWSFLOCK_UNREACHABLE);
	first_fence = world_item(&world)->fence;
	assert_int_equal(acquisition_try(&acquisition, &world.lease, &world.error), AWSFLOCK_OK);
	assert_true(world.lease->fence > first_fence);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	acquisition_clear(&acquisition);
	world_clear(&world);
}

/* The first write carries a fence by a fast clock, is refused, and has a copy under way; the reclaim knows
 * better. */
static void a_late_copy_of_an_earlier_try_does_not_revive_a_released_lock(void **state)
{
	struct world world;
	struct store_reply reply;
	uint64_t clock_fence;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try_in(&world, &world.store.store, 1, &world.other), AWSFLOCK_OK);
	world_advance(&world, 60);
	server_time_init(&world.store.store.time);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	clock_fence = (uint64_t)((world.runtime.boot_ns + world.runtime.real_offset_ns) / NS_PER_MS);
	fake_store_plan(&world.store, FAULT_RETRIED);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);

	struct store_write copy = {
		.kind = STORE_ACQUIRE,
		.lock = LOCK,
		.lease_id = "a copy of the first write",
		.lease_duration = LEASE_S,
		.expiration_time = FAKE_EPOCH_START_S + 3600 + LEASE_S,
		.fence = clock_fence,
		.owner = "me",
	};

	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.store.ops->write(&world.store.store, &copy, &reply, &world.error),
			 AWSFLOCK_OK);
	assert_int_equal(reply.outcome, STORE_REFUSED);
	assert_true(world_item(&world)->released);
	store_reply_clear(&reply);
	world_clear(&world);
}

static void a_grant_without_a_date_is_given_back(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NO_DATE);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_PROTOCOL);
	assert_non_null(strstr(world.error.message, "Date"));
	assert_true(world_item(&world)->released);
	world_clear(&world);
}

static void a_grant_that_arrives_after_its_deadline_is_given_back(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NONE)->reply_ns = (LEASE_S + 1) * NS_PER_S;
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_true(world_item(&world)->released);
	world_clear(&world);
}

static void a_late_grant_that_could_not_be_given_back_is_still_known_as_ours(void **state)
{
	struct world world;
	struct lease_request request = { .lock = LOCK, .seconds = LEASE_S, .owner = "me" };
	struct acquisition acquisition;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NONE)->reply_ns = (LEASE_S + 1) * NS_PER_S;
	fake_store_plan(&world.store, FAULT_LOST_REQUEST); /* the giving back */
	acquisition_init(&acquisition, &world.store.store, &request);
	assert_int_equal(acquisition_try(&acquisition, &world.lease, &world.error), AWSFLOCK_TIMED_OUT);
	assert_false(world_item(&world)->released);
	assert_int_equal(acquisition_try(&acquisition, &world.lease, &world.error), AWSFLOCK_OK);
	acquisition_clear(&acquisition);
	world_clear(&world);
}

static void a_server_that_shows_no_item_is_asked_for_it(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_NO_ITEM_SHOWN);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	assert_int_equal(world.store.reads, 1);
	world_clear(&world);
}

/* ---- Clocks ------------------------------------------------------------------------------------------------ */

static void check_corrected(int64_t clock_error_s)
{
	struct world world;

	world_init(&world);
	world.runtime.real_offset_ns += clock_error_s * NS_PER_S;
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 2);
	assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S + LEASE_S + 2,
			FAKE_EPOCH_START_S + LEASE_S + 4);
	assert_true(world_item(&world)->fence >= (uint64_t)FAKE_EPOCH_START_S * 1000);
	assert_true(world.lease->fence == world_item(&world)->fence);
	world_clear(&world);
}

static void a_clock_that_is_an_hour_slow_is_corrected_before_the_grant_is_told(void **state)
{
	(void)state;
	check_corrected(-3600);
}

static void a_clock_that_is_an_hour_fast_is_corrected_before_the_grant_is_told(void **state)
{
	(void)state;
	check_corrected(3600);
}

static void a_clock_within_a_second_costs_no_second_write(void **state)
{
	struct world world;

	(void)state;
	for (int error_ms = -900; error_ms <= 900; error_ms += 300) {
		world_init(&world);
		world.runtime.real_offset_ns += error_ms * NS_PER_MS;
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		assert_int_equal(world.store.writes, 1);
		world_clear(&world);
	}
}

static void a_correction_whose_answer_is_slow_is_no_contradiction(void **state)
{
	struct world world;

	(void)state;
	for (int hours = -1; hours <= 1; hours += 2) {
		world_init(&world);
		world.runtime.real_offset_ns += hours * 3600 * NS_PER_S;
		for (int i = 0; i < 3; i++) {
			fake_store_plan(&world.store, FAULT_NONE)->request_ns = 3 * NS_PER_S;
			world.store.steps[i].reply_ns = (3 - i) * NS_PER_S;
		}
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		assert_int_equal(world.store.writes, 2);
		world_clear(&world);
	}
}

static void remove_item(struct store *store, void *arg)
{
	(void)arg;
	fake_store_remove((struct fake_store *)store, LOCK);
}

static void a_lock_that_is_deleted_before_the_correction_is_taken_anew(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns -= 3600 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_NONE)->after = remove_item; /* TTL, by the wrong expiry */
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void take_as_python(struct store *store, void *arg)
{
	struct world *world = arg;

	(void)store;
	fake_store_put_python(&world->store, LOCK, "22222222-2222-4222-8222-222222222222",
			      fake_server_now_s(&world->store) + 60);
}

static void a_peer_that_comes_before_the_correction_has_the_lock(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns -= 3600 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_NONE)->after = take_as_python;
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_HELD);
	assert_string_equal(world_item(&world)->lease_id, "22222222-2222-4222-8222-222222222222");
	world_clear(&world);
}

static void a_refusal_for_the_time_is_followed_by_a_new_operation_in_the_servers_time(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_CLOCK_SKEW);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 2);
	assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S + LEASE_S + 2,
			FAKE_EPOCH_START_S + LEASE_S + 4);
	world_clear(&world);
}

/* ---- Renew ------------------------------------------------------------------------------------------------- */

static void a_renewal_is_one_write_that_keeps_the_fence_and_changes_the_id(void **state)
{
	struct world world;
	char old_id[AWSFLOCK_LEASE_ID_SIZE];
	int64_t old_deadline;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	memcpy(old_id, world.lease->current_id, sizeof(old_id));
	old_deadline = lease_deadline_boot_ns(world.lease);

	uint64_t fence = world.lease->fence;

	world_advance(&world, 20);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 2);
	assert_string_not_equal(world.lease->current_id, old_id);
	assert_true(world.lease->fence == fence && world_item(&world)->fence == fence);
	assert_true(lease_deadline_boot_ns(world.lease) == old_deadline + 20 * NS_PER_S);
	world_clear(&world);
}

static void a_renewal_after_the_deadline_is_not_sent(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world_advance(&world, LEASE_S);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	assert_int_equal(world.store.writes, 1);
	world_clear(&world);
}

static void a_wall_clock_that_jumps_past_the_deadline_ends_the_lease(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	assert_true(lease_is_past_deadline(world.lease));
	world.store.store.local = true; /* whose clock is this machine's */
	assert_false(lease_is_past_deadline(world.lease));
	world_clear(&world);
}

static void a_renewal_confirmed_after_the_old_deadline_is_a_loss(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world_advance(&world, LEASE_S - 1);
	fake_store_plan(&world.store, FAULT_NONE)->reply_ns = 2 * NS_PER_S;
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	world_clear(&world);
}

static void a_renewal_whose_answer_was_lost_leaves_both_ids_good(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_UNREACHABLE);
	assert_true(world.error.outcome_unknown);
	assert_int_equal(world.lease->ids.count, 2);
	world_advance(&world, 20);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.lease->ids.count, 1);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void a_renewal_that_never_arrived_does_not_extend_the_deadline(void **state)
{
	struct world world;
	int64_t deadline;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	deadline = lease_deadline_boot_ns(world.lease);
	world_advance(&world, 20);
	fake_store_plan(&world.store, FAULT_LOST_REQUEST);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_UNREACHABLE);
	assert_true(lease_deadline_boot_ns(world.lease) == deadline);
	world_clear(&world);
}

static void a_renewal_that_shortens_does_so_although_its_answer_is_lost(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(lease_renew(world.lease, 10, NULL, INT64_MAX, &world.error), AWSFLOCK_UNREACHABLE);
	assert_true(lease_deadline_boot_ns(world.lease) <= FAKE_BOOT_START_NS + 10 * NS_PER_S);
	world_clear(&world);
}

static void a_renewal_by_an_uncertain_time_shortens_by_what_it_may_write_too_early(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	/* Only slow answers have told the server's time, and this clock is slow. */
	world.store.store.time.low_ns -= 9 * NS_PER_S;
	world.runtime.real_offset_ns -= 3600 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(lease_renew(world.lease, 20, NULL, INT64_MAX, &world.error), AWSFLOCK_UNREACHABLE);
	assert_true(world.lease->deadline_boot_ns <=
		    FAKE_BOOT_START_NS + (world_item(&world)->expiration_time - FAKE_EPOCH_START_S) * NS_PER_S);
	world_clear(&world);
}

static void a_renewal_that_shortens_gives_up_as_much_earlier(void **state)
{
	struct world world;
	const int64_t stop_ns = 5 * NS_PER_S;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(
		lease_renew(world.lease, 20, NULL, lease_deadline_boot_ns(world.lease) - stop_ns, &world.error),
		AWSFLOCK_UNREACHABLE);
	assert_true(world.store.give_up_boot_ns == lease_deadline_boot_ns(world.lease) - stop_ns);
	world_clear(&world);
}

static void what_is_done_by_hand_at_a_store_that_never_answers_is_given_up_in_time(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct world world;
		int64_t start;
		awsflock_code code;

		world_init(&world);
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		world.store.reads_stall = world.store.writes_stall = true;
		start = world.runtime.boot_ns;
		if (kind < 2) /* one that shortens the lease has as much time */
			code = lease_renew(world.lease, kind == 0 ? LEASE_S : 5, NULL, INT64_MAX, &world.error);
		else if (kind == 2)
			code = lease_release(world.lease, false, &world.error);
		else
			code = lease_break(&world.store.store, LOCK, world.lease->current_id, "root@host", false,
					   &world.error);
		assert_int_equal(code, AWSFLOCK_UNREACHABLE);
		assert_int_equal(world.runtime.boot_ns - start, STORE_ONE_TRY_MS * NS_PER_MS);
		world_clear(&world);
	}
}

static struct lease *adopt(struct world *world, const char *lease_id)
{
	struct lease *lease = NULL;

	server_time_init(&world->store.store.time); /* another process */
	assert_int_equal(lease_adopt(&world->store.store, LOCK, lease_id, LEASE_S, &lease, &world->error),
			 AWSFLOCK_OK);
	return lease;
}

/* Without its Date, or where the correction that a wrong clock needs could not be sent. */
static void a_renewal_that_was_written_but_not_confirmed_leaves_both_ids_good(void **state)
{
	static const enum fake_fault faults[] = { FAULT_NO_DATE, FAULT_NONE };

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct world world;

		world_init(&world);
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		server_time_init(&world.store.store.time); /* another process, whose clock is fast */
		world.runtime.real_offset_ns += 7200 * NS_PER_S;
		world.other = adopt(&world, world.lease->current_id);
		fake_store_plan(&world.store, faults[i]);
		fake_store_plan(&world.store, FAULT_NOT_SENT);
		assert_int_not_equal(lease_renew(world.other, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
		assert_true(world.error.outcome_unknown);
		assert_true(lease_ids_contain(&world.other->ids, world_item(&world)->lease_id));
		world_clear(&world);
	}
}

static void an_adopted_lease_is_renewed_with_one_write(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world_advance(&world, 1);
	world.other = adopt(&world, world.lease->current_id);
	assert_int_equal(lease_renew(world.other, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 2);
	assert_true(world.other->fence == world.lease->fence);
	world_clear(&world);
}

static void a_slow_clock_in_a_fresh_process_never_shortens_what_stands(void **state)
{
	struct world world;
	int64_t expiration;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	expiration = world_item(&world)->expiration_time;
	world.other = adopt(&world, world.lease->current_id);
	world.runtime.real_offset_ns -= 3600 * NS_PER_S;
	world_advance(&world, 10);
	/* Two writes: the first is refused by its condition and tells the time. */
	assert_int_equal(lease_renew(world.other, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 3);
	assert_true(world_item(&world)->expiration_time > expiration);
	world_clear(&world);
}

static void a_shortening_renewal_in_a_fresh_process_costs_two_writes(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try_in(&world, &world.store.store, 7200, &world.lease), AWSFLOCK_OK);
	world.other = adopt(&world, world.lease->current_id);
	assert_int_equal(lease_renew(world.other, 60, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 3);
	assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S + 62, FAKE_EPOCH_START_S + 64);
	world_clear(&world);
}

static void an_expired_lease_that_nobody_reclaimed_can_be_renewed_by_its_id(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world_advance(&world, 3600);
	world.other = adopt(&world, world.lease->current_id);
	assert_int_equal(lease_renew(world.other, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	world_clear(&world);
}

static void a_lease_that_was_taken_over_is_lost_and_says_to_whom(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_put_python(&world.store, LOCK, "33333333-3333-4333-8333-333333333333", FAKE_EPOCH_START_S + 60);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	assert_non_null(strstr(world.error.message, "python-host"));
	assert_true(lease_is_past_deadline(world.lease));
	world_clear(&world);
}

static void a_released_lease_cannot_be_renewed(void **state)
{
	struct world world;
	char old_id[AWSFLOCK_LEASE_ID_SIZE];

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	memcpy(old_id, world.lease->current_id, sizeof(old_id));
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	world.other = adopt(&world, old_id);
	assert_int_equal(lease_renew(world.other, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	world_clear(&world);
}

static void the_tombstones_own_id_renews_nothing(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	world.other = adopt(&world, world_item(&world)->lease_id);
	assert_int_equal(lease_renew(world.other, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_LOST);
	world_clear(&world);
}

static void a_renewed_python_lease_gets_a_fence(void **state)
{
	struct world world;
	static const char id[] = "44444444-4444-4444-8444-444444444444";

	(void)state;
	world_init(&world);
	fake_store_put_python(&world.store, LOCK, id, FAKE_EPOCH_START_S + 30);
	world.lease = adopt(&world, id);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_true(world.lease->fence >= (uint64_t)FAKE_EPOCH_START_S * 1000);
	world_clear(&world);
}

/* ---- Release ----------------------------------------------------------------------------------------------- */

static void a_release_is_one_write_that_leaves_a_tombstone_python_can_reclaim(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 2);
	assert_true(world_item(&world)->released);
	assert_true(world_item(&world)->fence > world.lease->fence);
	assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S - 86401,
			FAKE_EPOCH_START_S - 86399);
	world_clear(&world);
}

static void a_release_whose_answer_was_lost_counts_as_done(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_RETRIED);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	world_clear(&world);
}

static void a_release_repeated_after_a_lost_answer_counts_as_done(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_UNREACHABLE);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	world_clear(&world);
}

static void a_release_done_unseen_before_a_refusal_for_the_time_counts_as_done(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_UNSEEN_THEN_SKEW);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 3);
	world_clear(&world);
}

static void a_second_release_says_that_nothing_was_held(void **state)
{
	struct world world;
	char old_id[AWSFLOCK_LEASE_ID_SIZE];

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	memcpy(old_id, world.lease->current_id, sizeof(old_id));
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	world.other = adopt(&world, old_id);
	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_LOST);
	world_clear(&world);
}

static void a_release_accepts_an_id_whose_renewal_was_never_confirmed(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_UNREACHABLE);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_true(world_item(&world)->released);
	world_clear(&world);
}

static void a_late_copy_of_the_acquire_does_not_revive_a_released_lock(void **state)
{
	struct world world;
	struct store_reply reply;
	const char *id;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	id = world.lease->current_id;

	struct store_write copy = {
		.kind = STORE_ACQUIRE,
		.lock = LOCK,
		.lease_id = id,
		.lease_duration = LEASE_S,
		.expiration_time = world_item(&world)->expiration_time,
		.fence = world.lease->fence,
		.owner = "me",
	};

	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.store.ops->write(&world.store.store, &copy, &reply, &world.error),
			 AWSFLOCK_OK);
	assert_int_equal(reply.outcome, STORE_REFUSED);
	assert_true(world_item(&world)->released);
	store_reply_clear(&reply);
	world_clear(&world);
}

static void a_tombstone_ahead_of_the_servers_time_is_kept_from_ttl(void **state)
{
	struct world world;
	char id[AWSFLOCK_LEASE_ID_SIZE];

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	memcpy(id, world.lease->current_id, sizeof(id));
	world_item(&world)->fence += 3600 * 1000;
	world.other = adopt(&world, id);
	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world_item(&world)->expiration_time, 1);
	/* and the next one still takes the lock, above it */
	lease_free(&world.lease);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_true(world.lease->fence > (uint64_t)(FAKE_EPOCH_START_S + 3600) * 1000);
	world_clear(&world);
}

static void a_tombstone_ahead_is_kept_from_ttl_although_the_first_answer_was_lost(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world.other = adopt(&world, world.lease->current_id);
	server_time_init(&world.store.store.time); /* a fresh process */
	fake_store_plan(&world.store, FAULT_RETRIED);
	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world_item(&world)->expiration_time, TOMBSTONE_KEPT_TIME);
	world_clear(&world);
}

/* Python 0.2.0 would take the lock for held until then. */
static void a_tombstone_by_a_clock_a_month_fast_is_old_by_the_servers_time(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world.other = adopt(&world, world.lease->current_id);
	server_time_init(&world.store.store.time); /* a fresh process, whose clock is wrong */
	world.runtime.real_offset_ns += 30 * 86400 * NS_PER_S;
	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_OK);
	assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S - 86400,
			FAKE_EPOCH_START_S - 86399);
	world_clear(&world);
}

static void a_lock_broken_now_by_a_clock_a_month_fast_is_free_for_python_too(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	server_time_init(&world.store.store.time);
	world.runtime.real_offset_ns += 30 * 86400 * NS_PER_S;
	assert_int_equal(
		lease_break(&world.store.store, LOCK, world.lease->current_id, "root@host", true, &world.error),
		AWSFLOCK_OK);
	assert_in_range(world_item(&world)->expiration_time, 1, FAKE_EPOCH_START_S - 86399);
	world_clear(&world);
}

static void an_acquire_given_up_by_a_clock_a_month_fast_shuts_nobody_out(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns += 30 * 86400 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_UNREACHABLE);
	assert_in_range(world_item(&world)->expiration_time, 1, FAKE_EPOCH_START_S - 86399);
	world_clear(&world);
}

static void a_clock_an_hour_wrong_costs_a_release_no_second_write(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	world.other = adopt(&world, world.lease->current_id);
	server_time_init(&world.store.store.time);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.writes, 2);
	world_clear(&world);
}

static void a_deleting_release_leaves_nothing(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(lease_release(world.lease, true, &world.error), AWSFLOCK_OK);
	assert_null(world_item(&world));
	world_clear(&world);
}

/* ---- Break ------------------------------------------------------------------------------------------------- */

static void a_broken_lock_becomes_free_only_when_its_lease_would_have_ended(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(
		lease_break(&world.store.store, LOCK, world.lease->current_id, "root@host", false, &world.error),
		AWSFLOCK_OK);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	assert_non_null(strstr(world.error.message, "broken by root@host"));
	world_advance(&world, LEASE_S + 2 + 7);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	world_clear(&world);
}

static void a_lock_broken_now_is_free_at_once_under_a_greater_fence(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(
		lease_break(&world.store.store, LOCK, world.lease->current_id, "root@host", true, &world.error),
		AWSFLOCK_OK);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_true(world.other->fence > world.lease->fence);
	assert_null(world_item(&world)->broken_by);
	world_clear(&world);
}

static void break_it(struct world *world, bool now)
{
	assert_int_equal(lease_break(&world->store.store, LOCK, world_item(world)->lease_id, "root@host", now,
				     &world->error),
			 AWSFLOCK_OK);
}

static void an_evicted_holder_that_knows_it_frees_the_lock_when_its_work_has_ended(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	break_it(&world, false);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_LOST);
	assert_true(lease_is_evicted(world.lease));
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_HELD);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_non_null(world_item(&world)->broken_by);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_true(world.other->fence > world.lease->fence);
	world_clear(&world);
}

static void an_evicted_holder_that_learns_it_at_the_release_frees_the_lock_and_is_told(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	break_it(&world, false);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_LOST);
	assert_non_null(strstr(world.error.message, "root@host"));
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	world_clear(&world);
}

/* The first holder's lease has run out; the second one's was evicted, and its work may still run. */
static void somebody_elses_eviction_is_freed_by_nobody(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try_in(&world, &world.store.store, 5, &world.lease), AWSFLOCK_OK);
	world_advance(&world, 20);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	break_it(&world, false);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_LOST);
	assert_false(lease_is_evicted(world.lease));
	assert_false(world_item(&world)->released);
	world_clear(&world);
}

static void only_the_lease_that_was_shown_is_broken(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_int_equal(lease_break(&world.store.store, LOCK, "55555555-5555-4555-8555-555555555555", "root@host",
				     true, &world.error),
			 AWSFLOCK_LOST);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_free_lock_is_taken_with_one_write),
		cmocka_unit_test(the_deadline_comes_before_the_lease_counted_from_the_first_send),
		cmocka_unit_test(the_written_expiry_outlasts_the_deadline_by_the_margin),
		cmocka_unit_test(a_held_lock_is_refused_with_one_write_that_names_the_holder),
		cmocka_unit_test(a_released_lock_is_taken_again_with_a_greater_fence),
		cmocka_unit_test(a_fence_rises_although_the_clock_goes_back),
		cmocka_unit_test(an_expired_lease_is_reclaimed_only_after_the_grace),
		cmocka_unit_test(a_second_write_of_a_try_stays_above_the_fence_of_the_first),
		cmocka_unit_test(a_long_lease_has_a_grace_of_a_thousandth),
		cmocka_unit_test(nothing_is_reclaimed_by_this_machines_own_clock),
		cmocka_unit_test(one_reply_with_a_time_long_past_costs_no_lease),
		cmocka_unit_test(one_reply_with_a_wrong_time_evicts_nobody),
		cmocka_unit_test(two_replies_that_agree_outvote_this_machines_clock),
		cmocka_unit_test(a_lease_of_python_is_honoured_and_reclaimed_by_its_own_rule),
		cmocka_unit_test(an_acquire_whose_first_answer_was_lost_is_known_as_ours),
		cmocka_unit_test(an_acquire_that_was_given_up_leaves_the_lock_free),
		cmocka_unit_test(an_acquire_given_up_by_a_fast_clock_leaves_a_tombstone_that_ttl_spares),
		cmocka_unit_test(nothing_is_released_where_nothing_was_sent),
		cmocka_unit_test(a_lock_taken_unseen_by_an_earlier_try_is_ours_under_a_greater_fence),
		cmocka_unit_test(a_late_copy_of_an_earlier_try_does_not_revive_a_released_lock),
		cmocka_unit_test(a_grant_without_a_date_is_given_back),
		cmocka_unit_test(a_grant_that_arrives_after_its_deadline_is_given_back),
		cmocka_unit_test(a_late_grant_that_could_not_be_given_back_is_still_known_as_ours),
		cmocka_unit_test(a_server_that_shows_no_item_is_asked_for_it),
		cmocka_unit_test(a_clock_that_is_an_hour_slow_is_corrected_before_the_grant_is_told),
		cmocka_unit_test(a_clock_that_is_an_hour_fast_is_corrected_before_the_grant_is_told),
		cmocka_unit_test(a_clock_within_a_second_costs_no_second_write),
		cmocka_unit_test(a_correction_whose_answer_is_slow_is_no_contradiction),
		cmocka_unit_test(a_lock_that_is_deleted_before_the_correction_is_taken_anew),
		cmocka_unit_test(a_peer_that_comes_before_the_correction_has_the_lock),
		cmocka_unit_test(a_refusal_for_the_time_is_followed_by_a_new_operation_in_the_servers_time),
		cmocka_unit_test(a_renewal_is_one_write_that_keeps_the_fence_and_changes_the_id),
		cmocka_unit_test(a_renewal_after_the_deadline_is_not_sent),
		cmocka_unit_test(a_wall_clock_that_jumps_past_the_deadline_ends_the_lease),
		cmocka_unit_test(a_renewal_confirmed_after_the_old_deadline_is_a_loss),
		cmocka_unit_test(a_renewal_whose_answer_was_lost_leaves_both_ids_good),
		cmocka_unit_test(a_renewal_that_was_written_but_not_confirmed_leaves_both_ids_good),
		cmocka_unit_test(a_renewal_that_never_arrived_does_not_extend_the_deadline),
		cmocka_unit_test(a_renewal_that_shortens_does_so_although_its_answer_is_lost),
		cmocka_unit_test(a_renewal_by_an_uncertain_time_shortens_by_what_it_may_write_too_early),
		cmocka_unit_test(a_renewal_that_shortens_gives_up_as_much_earlier),
		cmocka_unit_test(what_is_done_by_hand_at_a_store_that_never_answers_is_given_up_in_time),
		cmocka_unit_test(an_adopted_lease_is_renewed_with_one_write),
		cmocka_unit_test(a_slow_clock_in_a_fresh_process_never_shortens_what_stands),
		cmocka_unit_test(a_shortening_renewal_in_a_fresh_process_costs_two_writes),
		cmocka_unit_test(an_expired_lease_that_nobody_reclaimed_can_be_renewed_by_its_id),
		cmocka_unit_test(a_lease_that_was_taken_over_is_lost_and_says_to_whom),
		cmocka_unit_test(a_released_lease_cannot_be_renewed),
		cmocka_unit_test(the_tombstones_own_id_renews_nothing),
		cmocka_unit_test(a_renewed_python_lease_gets_a_fence),
		cmocka_unit_test(a_release_is_one_write_that_leaves_a_tombstone_python_can_reclaim),
		cmocka_unit_test(a_release_whose_answer_was_lost_counts_as_done),
		cmocka_unit_test(a_release_repeated_after_a_lost_answer_counts_as_done),
		cmocka_unit_test(a_release_done_unseen_before_a_refusal_for_the_time_counts_as_done),
		cmocka_unit_test(a_second_release_says_that_nothing_was_held),
		cmocka_unit_test(a_release_accepts_an_id_whose_renewal_was_never_confirmed),
		cmocka_unit_test(a_late_copy_of_the_acquire_does_not_revive_a_released_lock),
		cmocka_unit_test(a_tombstone_ahead_of_the_servers_time_is_kept_from_ttl),
		cmocka_unit_test(a_tombstone_ahead_is_kept_from_ttl_although_the_first_answer_was_lost),
		cmocka_unit_test(a_tombstone_by_a_clock_a_month_fast_is_old_by_the_servers_time),
		cmocka_unit_test(a_lock_broken_now_by_a_clock_a_month_fast_is_free_for_python_too),
		cmocka_unit_test(an_acquire_given_up_by_a_clock_a_month_fast_shuts_nobody_out),
		cmocka_unit_test(a_clock_an_hour_wrong_costs_a_release_no_second_write),
		cmocka_unit_test(a_deleting_release_leaves_nothing),
		cmocka_unit_test(a_broken_lock_becomes_free_only_when_its_lease_would_have_ended),
		cmocka_unit_test(a_lock_broken_now_is_free_at_once_under_a_greater_fence),
		cmocka_unit_test(an_evicted_holder_that_knows_it_frees_the_lock_when_its_work_has_ended),
		cmocka_unit_test(an_evicted_holder_that_learns_it_at_the_release_frees_the_lock_and_is_told),
		cmocka_unit_test(somebody_elses_eviction_is_freed_by_nobody),
		cmocka_unit_test(only_the_lease_that_was_shown_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
