/* Tests of lock/local/store.c and what it is made of, in one process.  The clock is a fake one; where a test needs
 * another user it is skipped unless run as root.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "lock/local/clock.h"
#include "lock/local/store.h"
#include "scratch_directory.h"

#define FIRST "11111111-1111-4111-8111-111111111111"
#define SECOND "22222222-2222-4222-8222-222222222222"
#define OTHER "99999999-9999-4999-8999-999999999999"
#define START_BOOT_NS (INT64_C(1000) * NS_PER_S)
#define EXPIRES_MS INT64_C(1060000)
#define EPOCH INT64_C(1790000000)

/* ---- A clock that moves only when somebody sleeps ----------------------------------------------------------- */

struct clock {
	struct runtime runtime; /* first */
	int64_t boot_ns;
	int64_t stop_at_boot_ns;
	void (*on_sleep)(void); /* somebody else's doings meanwhile; may be NULL */
};

static int64_t fake_boot_ns(struct runtime *runtime)
{
	return ((struct clock *)(void *)runtime)->boot_ns;
}

static bool clock_sleep_until(struct runtime *runtime, int64_t until_boot_ns)
{
	struct clock *clock = (struct clock *)(void *)runtime;

	if (clock->on_sleep != NULL)
		clock->on_sleep();
	if (until_boot_ns >= clock->stop_at_boot_ns)
		return false;
	if (until_boot_ns > clock->boot_ns)
		clock->boot_ns = until_boot_ns;
	return true;
}

static const struct runtime_ops clock_ops = { fake_boot_ns, fake_boot_ns, clock_sleep_until, NULL };

/* ---- A store in a directory of its own ---------------------------------------------------------------------- */

struct fixture {
	struct scratch scratch;
	struct clock clock;
	mode_t umask;
	struct store *store;
	struct store_reply reply;
	awsflock_error error;
	char listed[1024]; /* the names that a listing showed, each with a space; "!" for a damaged one */
	size_t list_limit;
	char damaged[AWSFLOCK_ERROR_MESSAGE_SIZE];
};

static struct fixture fixture;

static const char *in(const char *name)
{
	return scratch_path(&fixture.scratch, name);
}

static int set_up(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	fixture.umask = umask(022);
	fixture.clock = (struct clock){ .runtime = { .ops = &clock_ops, .stop_fd = -1 },
					.boot_ns = START_BOOT_NS,
					.stop_at_boot_ns = INT64_MAX };
	fixture.list_limit = 100;
	scratch_make(&fixture.scratch);
	assert_int_equal(store_local_new(&fixture.clock.runtime, in("locks"), &fixture.store, &fixture.error),
			 AWSFLOCK_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(seteuid(getuid()), 0); /* a failed test may have stayed another user */
	store_reply_clear(&fixture.reply);
	store_free(&fixture.store);
	scratch_remove(&fixture.scratch);
	umask(fixture.umask);
	return 0;
}

/* A write with all fields set to something that can be told apart. */
static struct store_write write_of(enum store_write_kind kind, const char *lease_id, const char *accepted)
{
	static const char *ids[8];
	static unsigned next;
	static const struct holder holder = { .user = (char *)"ada", .host = (char *)"host7", .pid = 4711 };
	const char **id = &ids[next++ % 8];

	*id = accepted;
	return (struct store_write){ .kind = kind,
				     .lock = "deploy",
				     .lease_id = lease_id,
				     .accepted = id,
				     .accepted_count = accepted != NULL ? 1 : 0,
				     .lease_duration = 60,
				     .expires_store_ms = EXPIRES_MS,
				     .expiration_time = EPOCH + 60,
				     .fence = 100,
				     .now_time = EPOCH,
				     .owner = "build 7",
				     .holder = &holder,
				     .give_up_boot_ns = INT64_MAX };
}

static awsflock_code perform(const struct store_write *write)
{
	store_reply_clear(&fixture.reply);
	return fixture.store->ops->write(fixture.store, write, &fixture.reply, &fixture.error);
}

static void check_applied(const struct store_write *write)
{
	if (perform(write) != AWSFLOCK_OK)
		fail_msg("%s", fixture.error.message);
	assert_int_equal(fixture.reply.outcome, STORE_APPLIED);
	assert_true(fixture.reply.has_item);
	assert_false(fixture.reply.attempt_unknown);
	assert_false(fixture.reply.maybe_applied);
}

static void check_refused(const struct store_write *write)
{
	if (perform(write) != AWSFLOCK_OK)
		fail_msg("%s", fixture.error.message);
	assert_int_equal(fixture.reply.outcome, STORE_REFUSED);
}

static void take(const char *lock, const char *lease_id)
{
	struct store_write write = write_of(STORE_ACQUIRE, lease_id, NULL);

	write.lock = lock;
	check_applied(&write);
}

static void give_back(const char *lease_id)
{
	struct store_write write = write_of(STORE_RELEASE, OTHER, lease_id);

	write.expires_store_ms = -5000;
	check_applied(&write);
}

/* Into fixture.reply. */
static awsflock_code look(const char *lock)
{
	store_reply_clear(&fixture.reply);
	return fixture.store->ops->read(fixture.store, lock, true, INT64_MAX, &fixture.reply, &fixture.error);
}

static const struct lock_item *item_of(const char *lock)
{
	if (look(lock) != AWSFLOCK_OK)
		fail_msg("%s", fixture.error.message);
	return fixture.reply.has_item ? &fixture.reply.item : NULL;
}

static void check_says(const char *part)
{
	if (strstr(fixture.error.message, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", fixture.error.message, part);
}

/* ---- Acquire and reclaim ------------------------------------------------------------------------------------ */

static void an_acquire_of_a_free_lock_sets_everything(void **state)
{
	const struct lock_item *item;

	(void)state;
	take("deploy", FIRST);
	assert_string_equal(fixture.reply.item.lease_id, FIRST);
	item = item_of("deploy");
	assert_non_null(item);
	assert_string_equal(item->lock_id, "deploy");
	assert_string_equal(item->lease_id, FIRST);
	assert_string_equal(item->owner, "build 7");
	assert_int_equal(item->lease_duration, 60);
	assert_int_equal(item->expires_store_ms, EXPIRES_MS);
	assert_int_equal(item->expiration_time, EPOCH + 60);
	assert_int_equal(item->fence, 100);
	assert_int_equal(item->acquired_time, EPOCH);
	assert_false(item->released);
	assert_string_equal(item->holder.user, "ada");
	assert_string_equal(item->holder.host, "host7");
	assert_int_equal(item->holder.pid, 4711);
	assert_null(item->broken_by);
}

static void an_acquire_of_a_held_lock_is_refused_and_shows_the_holder(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, SECOND, NULL);

	(void)state;
	take("deploy", FIRST);
	write.fence = 1000000;
	check_refused(&write);
	assert_true(fixture.reply.has_item);
	assert_string_equal(fixture.reply.item.lease_id, FIRST);
	assert_string_equal(item_of("deploy")->lease_id, FIRST);
}

static void an_acquire_needs_a_fence_above_a_tombstones(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, SECOND, NULL);

	(void)state;
	take("deploy", FIRST);
	give_back(FIRST);
	assert_int_equal(fixture.reply.item.fence, 101);
	write.fence = 101;
	check_refused(&write);
	assert_int_equal(fixture.reply.item.fence, 101);
	assert_true(fixture.reply.item.released);
	write.fence = 102;
	check_applied(&write);
	assert_false(item_of("deploy")->released);
	assert_int_equal(fixture.reply.item.fence, 102);
}

static void an_acquire_leaves_no_trace_of_who_was_evicted_before(void **state)
{
	struct store_write write = write_of(STORE_RELEASE, OTHER, FIRST);

	(void)state;
	take("deploy", FIRST);
	write.broken_by = "root";
	check_applied(&write);
	assert_string_equal(item_of("deploy")->broken_by, "root");
	write = write_of(STORE_ACQUIRE, SECOND, NULL);
	write.fence = 200;
	check_applied(&write);
	assert_null(item_of("deploy")->broken_by);
	assert_int_equal(fixture.reply.item.broken_time, 0);
}

static void a_reclaim_takes_over_the_lease_that_was_seen(void **state)
{
	struct store_write write = write_of(STORE_RECLAIM, SECOND, FIRST);

	(void)state;
	take("deploy", FIRST);
	write.fence = 300;
	check_applied(&write);
	assert_string_equal(item_of("deploy")->lease_id, SECOND);
	assert_int_equal(fixture.reply.item.fence, 300);
}

static void a_reclaim_takes_over_a_tombstone_too(void **state)
{
	struct store_write write = write_of(STORE_RECLAIM, SECOND, OTHER);

	(void)state;
	take("deploy", FIRST);
	give_back(FIRST);
	check_applied(&write);
	assert_false(item_of("deploy")->released);
}

static void a_reclaim_of_another_lease_than_the_one_seen_is_refused(void **state)
{
	const char *const accepted[] = { OTHER, FIRST };
	struct store_write write = write_of(STORE_RECLAIM, SECOND, NULL);

	(void)state;
	take("deploy", FIRST);
	write.accepted = accepted;
	write.accepted_count = 2; /* only the first of them counts */
	check_refused(&write);
	assert_string_equal(fixture.reply.item.lease_id, FIRST);
}

/* ---- Renew -------------------------------------------------------------------------------------------------- */

static void a_renew_moves_the_lease_and_keeps_the_rest(void **state)
{
	struct store_write write = write_of(STORE_RENEW, SECOND, FIRST);
	const struct lock_item *item;

	(void)state;
	take("deploy", FIRST);
	write.lease_duration = 90;
	write.expires_store_ms = EXPIRES_MS + 30000;
	write.expiration_time = EPOCH + 90;
	write.now_time = EPOCH + 30;
	write.owner = NULL;
	write.fence = 0;
	write.holder = NULL;
	check_applied(&write);
	item = item_of("deploy");
	assert_string_equal(item->lease_id, SECOND);
	assert_int_equal(item->lease_duration, 90);
	assert_int_equal(item->expires_store_ms, EXPIRES_MS + 30000);
	assert_int_equal(item->expiration_time, EPOCH + 90);
	assert_string_equal(item->owner, "build 7");
	assert_int_equal(item->fence, 100);
	assert_int_equal(item->acquired_time, EPOCH);
	assert_string_equal(item->holder.user, "ada");
}

static void a_renew_sets_owner_and_fence_where_given(void **state)
{
	struct store_write write = write_of(STORE_RENEW, SECOND, FIRST);

	(void)state;
	take("deploy", FIRST);
	write.owner = "somebody else";
	write.fence = 500;
	check_applied(&write);
	assert_string_equal(item_of("deploy")->owner, "somebody else");
	assert_int_equal(fixture.reply.item.fence, 500);
}

static void a_renew_accepts_any_of_its_ids(void **state)
{
	const char *const accepted[] = { OTHER, SECOND, FIRST };
	struct store_write write = write_of(STORE_RENEW, SECOND, NULL);

	(void)state;
	take("deploy", FIRST);
	write.accepted = accepted;
	write.accepted_count = 3;
	check_applied(&write);
	assert_string_equal(item_of("deploy")->lease_id, SECOND);
}

static void a_renew_that_may_only_lengthen_does_not_shorten(void **state)
{
	struct store_write write = write_of(STORE_RENEW, SECOND, FIRST);

	(void)state;
	take("deploy", FIRST);
	write.only_if_longer = true;
	write.expires_store_ms = EXPIRES_MS - 1;
	check_refused(&write);
	assert_int_equal(item_of("deploy")->expires_store_ms, EXPIRES_MS);
	write.expires_store_ms = EXPIRES_MS;
	check_applied(&write);
}

/* ---- Release, delete, break, settle ------------------------------------------------------------------------- */

static void a_release_leaves_a_tombstone_with_the_next_fence(void **state)
{
	struct store_write write = write_of(STORE_RELEASE, OTHER, FIRST);
	const struct lock_item *item;

	(void)state;
	take("deploy", FIRST);
	write.expires_store_ms = -5000;
	write.expiration_time = EPOCH - 86400;
	write.fence = 7;
	check_applied(&write);
	item = item_of("deploy");
	assert_true(item->released);
	assert_string_equal(item->lease_id, OTHER);
	assert_int_equal(item->fence, 101);
	assert_int_equal(item->expires_store_ms, -5000);
	assert_int_equal(item->expiration_time, EPOCH - 86400);
	assert_int_equal(item->acquired_time, 0);
	assert_null(item->holder.user);
	assert_int_equal(item->holder.pid, 0);
	assert_null(item->broken_by);
}

static void a_release_of_an_item_without_a_fence_starts_from_the_given_one(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, FIRST, NULL);

	(void)state;
	write.fence = 0;
	check_applied(&write);
	write = write_of(STORE_RELEASE, OTHER, FIRST);
	write.fence = 700;
	check_applied(&write);
	assert_int_equal(item_of("deploy")->fence, 701);
}

static void a_delete_removes_the_file_and_shows_what_it_removed(void **state)
{
	struct store_write write = write_of(STORE_DELETE, NULL, FIRST);

	(void)state;
	take("deploy", FIRST);
	scratch_write(&fixture.scratch, "locks/.deploy.json.tmp", "x", 1);
	check_applied(&write);
	assert_string_equal(fixture.reply.item.lease_id, FIRST);
	assert_null(item_of("deploy"));
	assert_int_equal(scratch_count_entries(&fixture.scratch, "locks"), 0);
}

static void a_break_keeps_the_expiry_and_tells_who_it_was(void **state)
{
	struct store_write write = write_of(STORE_BREAK, OTHER, FIRST);
	const struct lock_item *item;

	(void)state;
	take("deploy", FIRST);
	write.expires_store_ms = 1;
	write.expiration_time = 1;
	write.broken_by = "root";
	write.now_time = EPOCH + 5;
	check_applied(&write);
	item = item_of("deploy");
	assert_string_equal(item->lease_id, OTHER);
	assert_string_equal(item->broken_by, "root");
	assert_int_equal(item->broken_time, EPOCH + 5);
	assert_int_equal(item->expires_store_ms, EXPIRES_MS);
	assert_int_equal(item->expiration_time, EPOCH + 60);
	assert_false(item->released);
	assert_int_equal(item->fence, 100);
}

static void a_settle_moves_only_the_expiry_even_of_a_tombstone(void **state)
{
	struct store_write write = write_of(STORE_SETTLE, NULL, OTHER);
	const struct lock_item *item;

	(void)state;
	take("deploy", FIRST);
	give_back(FIRST);
	write.expires_store_ms = 1;
	write.expiration_time = 1;
	check_applied(&write);
	item = item_of("deploy");
	assert_true(item->released);
	assert_string_equal(item->lease_id, OTHER);
	assert_int_equal(item->expires_store_ms, 1);
	assert_int_equal(item->expiration_time, 1);
	assert_int_equal(item->fence, 101);
}

static const enum store_write_kind kinds_of_a_holder[] = { STORE_RENEW, STORE_RELEASE, STORE_DELETE, STORE_BREAK };

static void what_only_a_holder_may_do_is_refused_to_others(void **state)
{
	(void)state;
	take("deploy", FIRST);
	for (size_t i = 0; i < sizeof(kinds_of_a_holder) / sizeof(kinds_of_a_holder[0]); i++) {
		struct store_write write = write_of(kinds_of_a_holder[i], SECOND, OTHER);

		check_refused(&write);
		assert_string_equal(fixture.reply.item.lease_id, FIRST);
		assert_string_equal(item_of("deploy")->lease_id, FIRST);
	}
}

static void a_tombstone_has_no_holder(void **state)
{
	(void)state;
	take("deploy", FIRST);
	give_back(FIRST);
	for (size_t i = 0; i < sizeof(kinds_of_a_holder) / sizeof(kinds_of_a_holder[0]); i++) {
		struct store_write write = write_of(kinds_of_a_holder[i], SECOND, OTHER);

		check_refused(&write);
		assert_true(fixture.reply.item.released);
	}
}

static void without_an_item_all_but_an_acquire_is_refused_and_makes_nothing(void **state)
{
	static const enum store_write_kind kinds[] = { STORE_RECLAIM, STORE_RENEW, STORE_RELEASE,
						       STORE_DELETE,  STORE_BREAK, STORE_SETTLE };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct store_write write = write_of(kinds[i], SECOND, FIRST);

		check_refused(&write);
		assert_false(fixture.reply.has_item);
		assert_false(fixture.reply.item_unknown);
	}
	assert_int_equal(scratch_mode(&fixture.scratch, "locks"), 0);
	take("other", FIRST);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct store_write write = write_of(kinds[i], SECOND, FIRST);

		check_refused(&write);
	}
	assert_int_equal(scratch_count_entries(&fixture.scratch, "locks"), 1);
}

/* ---- Time --------------------------------------------------------------------------------------------------- */

static void the_stores_time_is_known_exactly_and_told_in_each_reply(void **state)
{
	int64_t offset_ns;

	(void)state;
	assert_true(fixture.store->local);
	assert_true(fixture.store->time.exact);
	assert_int_equal(local_clock_offset(&offset_ns, &fixture.error), AWSFLOCK_OK);
	take("deploy", FIRST);
	assert_true(fixture.reply.has_store_time);
	assert_int_equal(fixture.reply.first_sent_boot_ns, START_BOOT_NS);
	assert_int_equal(fixture.reply.received_boot_ns, START_BOOT_NS);
	assert_int_equal(fixture.reply.store_time_ms, (START_BOOT_NS + offset_ns) / NS_PER_MS);
	assert_int_equal(server_time_earliest_ms(&fixture.store->time, START_BOOT_NS),
			 server_time_latest_ms(&fixture.store->time, START_BOOT_NS));
	assert_int_equal(server_time_latest_ms(&fixture.store->time, START_BOOT_NS), fixture.reply.store_time_ms);
	fixture.clock.boot_ns += 5 * NS_PER_S;
	assert_int_equal(look("deploy"), AWSFLOCK_OK);
	assert_int_equal(fixture.reply.first_sent_boot_ns, START_BOOT_NS + 5 * NS_PER_S);
	assert_true(fixture.reply.has_store_time);
}

/* Rewrites the lock's file with the boot id spoilt. */
static void put_into_another_boot(const char *name)
{
	char text[4096];
	size_t size = scratch_read(&fixture.scratch, name, text, sizeof(text));
	char *boot_id;

	assert_int_equal(size, sizeof(text));
	text[size - 1] = '\0';
	boot_id = strstr(text, "\"boot_id\":\"");
	assert_non_null(boot_id);
	boot_id[strlen("\"boot_id\":\"")] = 'x';
	text[size - 1] = '\n';
	scratch_write(&fixture.scratch, name, text, size);
}

static void a_lease_of_another_boot_is_over_and_can_be_reclaimed_or_renewed(void **state)
{
	struct store_write write = write_of(STORE_RENEW, SECOND, FIRST);

	(void)state;
	take("deploy", FIRST);
	put_into_another_boot("locks/deploy.json");
	assert_true(item_of("deploy")->expires_store_ms <= 0);
	assert_int_equal(fixture.reply.item.fence, 100);
	assert_string_equal(fixture.reply.item.lease_id, FIRST);
	check_applied(&write);
	assert_int_equal(item_of("deploy")->expires_store_ms, EXPIRES_MS);
	put_into_another_boot("locks/deploy.json");
	write = write_of(STORE_BREAK, OTHER, SECOND);
	check_applied(&write);
	assert_true(item_of("deploy")->expires_store_ms <= 0);
	write = write_of(STORE_RECLAIM, FIRST, OTHER);
	check_applied(&write);
	assert_int_equal(item_of("deploy")->expires_store_ms, EXPIRES_MS);
}

/* ---- Files -------------------------------------------------------------------------------------------------- */

static void looking_makes_nothing(void **state)
{
	(void)state;
	assert_null(item_of("deploy"));
	assert_int_equal(fixture.store->ops->list(fixture.store, NULL, NULL, NULL, &fixture.error), AWSFLOCK_OK);
	assert_int_equal(scratch_mode(&fixture.scratch, "locks"), 0);
}

static void an_empty_file_is_a_free_lock(void **state)
{
	struct store_write write = write_of(STORE_RENEW, SECOND, FIRST);

	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0700);
	scratch_write(&fixture.scratch, "locks/deploy.json", "", 0);
	assert_null(item_of("deploy"));
	check_refused(&write);
	assert_false(fixture.reply.has_item);
	take("deploy", FIRST);
	assert_non_null(item_of("deploy"));
}

static void a_change_leaves_one_file_and_clears_away_what_a_killed_one_left(void **state)
{
	(void)state;
	take("deploy", FIRST);
	scratch_write(&fixture.scratch, "locks/.deploy.json.tmp", "half a rec", 10);
	give_back(FIRST);
	assert_int_equal(scratch_count_entries(&fixture.scratch, "locks"), 1);
	assert_true(item_of("deploy")->released);
}

static void a_temporary_name_that_is_a_link_is_not_written_through(void **state)
{
	char text[4] = "";

	(void)state;
	take("deploy", FIRST);
	scratch_write(&fixture.scratch, "victim", "safe", 4);
	assert_int_equal(symlink(in("victim"), in("locks/.deploy.json.tmp")), 0);
	give_back(FIRST);
	assert_int_equal(scratch_read(&fixture.scratch, "victim", text, sizeof(text)), 4);
	assert_memory_equal(text, "safe", 4);
}

static void check_bad_item(const char *part)
{
	struct store_write write = write_of(STORE_ACQUIRE, SECOND, NULL);

	assert_int_equal(look("deploy"), AWSFLOCK_BAD_ITEM);
	check_says(part);
	assert_int_equal(perform(&write), AWSFLOCK_BAD_ITEM);
	check_says(part);
	check_says(in("locks/deploy.json"));
	assert_false(fixture.reply.maybe_applied);
}

static void a_damaged_file_is_neither_trusted_nor_overwritten(void **state)
{
	char text[16];

	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0700);
	scratch_write(&fixture.scratch, "locks/deploy.json", "{\"format\":1,", 12);
	check_bad_item("if nobody holds this lock, remove");
	assert_int_equal(scratch_read(&fixture.scratch, "locks/deploy.json", text, sizeof(text)), 12);
}

static void a_file_with_another_locks_item_is_damaged(void **state)
{
	(void)state;
	take("other", FIRST);
	assert_int_equal(rename(in("locks/other.json"), in("locks/deploy.json")), 0);
	check_bad_item("lock_id is of another lock");
}

static void what_is_no_regular_file_is_refused(void **state)
{
	(void)state;
	take("other", FIRST);
	assert_int_equal(symlink("other.json", in("locks/deploy.json")), 0);
	check_bad_item("not a regular file");
	assert_int_equal(unlink(in("locks/deploy.json")), 0);
	assert_int_equal(mkfifo(in("locks/deploy.json"), 0600), 0);
	check_bad_item("not a regular file");
	assert_int_equal(unlink(in("locks/deploy.json")), 0);
	scratch_make_directory(&fixture.scratch, "locks/deploy.json", 0700);
	check_bad_item("not a regular file");
}

static void every_lock_name_has_an_item_of_its_own(void **state)
{
	static char longest[AWSFLOCK_LOCK_MAX + 1], similar[AWSFLOCK_LOCK_MAX + 1];
	const char *const names[] = { "a",      ".",         "..",     "a/b",   "a%2Fb", "A",     "a.json",
				      ".a.tmp", "h\xc3\xa9", "..\\..", longest, similar, "a b\"c" };

	(void)state;
	memset(longest, '/', AWSFLOCK_LOCK_MAX);
	memcpy(similar, longest, AWSFLOCK_LOCK_MAX);
	similar[AWSFLOCK_LOCK_MAX - 1] = '.';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		take(names[i], FIRST);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(item_of(names[i])->lock_id, names[i]);
	assert_int_equal(scratch_count_entries(&fixture.scratch, "locks"), sizeof(names) / sizeof(names[0]));
	assert_int_equal(scratch_count_entries(&fixture.scratch, ""), 1);
}

static void a_record_of_several_blocks_is_kept(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, FIRST, NULL);
	char owner[9001];

	(void)state;
	memset(owner, '"', sizeof(owner) - 1);
	owner[sizeof(owner) - 1] = '\0';
	write.owner = owner;
	check_applied(&write);
	assert_string_equal(item_of("deploy")->owner, owner);
}

static void a_private_directory_has_private_files_whatever_the_umask(void **state)
{
	static const mode_t umasks[] = { 0, 022, 0777 };

	(void)state;
	for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
		char lock[8];
		char name[32];

		snprintf(lock, sizeof(lock), "lock%zu", i);
		snprintf(name, sizeof(name), "locks/%s.json", lock);
		umask(umasks[i]);
		take(lock, FIRST);
		assert_int_equal(scratch_mode(&fixture.scratch, name), 0600);
		assert_int_equal(scratch_mode(&fixture.scratch, "locks"), 0700);
	}
}

static void a_shared_directory_has_files_of_its_group_whatever_the_umask(void **state)
{
	gid_t group = geteuid() == 0 ? STRANGER_ID : getegid();
	struct stat info;

	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0700);
	assert_int_equal(chown(in("locks"), (uid_t)-1, group), 0);
	assert_int_equal(chmod(in("locks"), 0770), 0);
	umask(077);
	take("deploy", FIRST);
	assert_int_equal(stat(in("locks/deploy.json"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0660);
	assert_int_equal(info.st_gid, group);
}

static void a_file_stays_private_where_the_group_cannot_be_given(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_make_directory(&fixture.scratch, "locks", 0770);
	assert_int_equal(chown(in("locks"), STRANGER_ID, STRANGER_ID), 0);
	/* No member of the directory's group, and not root either: its owner. */
	assert_int_equal(seteuid(STRANGER_ID), 0);
	take("deploy", FIRST);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(scratch_mode(&fixture.scratch, "locks/deploy.json"), 0600);
}

static void an_unsafe_directory_is_refused_for_every_operation(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, FIRST, NULL);

	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0777);
	assert_int_equal(perform(&write), AWSFLOCK_BAD_TABLE);
	assert_int_equal(look("deploy"), AWSFLOCK_BAD_TABLE);
	assert_int_equal(fixture.store->ops->list(fixture.store, NULL, NULL, NULL, &fixture.error),
			 AWSFLOCK_BAD_TABLE);
	assert_int_equal(fixture.store->ops->create(fixture.store, NULL, &fixture.error), AWSFLOCK_BAD_TABLE);
	check_says("use a directory of your own");
	assert_int_equal(scratch_count_entries(&fixture.scratch, "locks"), 0);
}

static void a_directory_that_may_not_be_written_is_a_storage_error(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, FIRST, NULL);
	bool is_root = geteuid() == 0;
	awsflock_code written, created;

	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0555);
	if (is_root)
		assert_int_equal(seteuid(STRANGER_ID), 0);
	written = perform(&write);
	if (written == AWSFLOCK_STORAGE)
		assert_int_equal(fixture.error.system_errno, EACCES);
	created = fixture.store->ops->create(fixture.store, NULL, NULL);
	if (is_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(written, AWSFLOCK_STORAGE);
	assert_int_equal(created, AWSFLOCK_STORAGE);
	check_says(in("locks"));
	assert_false(fixture.reply.maybe_applied);
}

/* ---- Others at work ----------------------------------------------------------------------------------------- */

static int others_fd = -1;

static void another_locks(const char *name)
{
	others_fd = open(in(name), O_RDWR | O_CLOEXEC);
	assert_true(others_fd >= 0);
	assert_int_equal(flock(others_fd, LOCK_EX | LOCK_NB), 0);
}

static void another_unlocks(void)
{
	if (others_fd >= 0)
		close(others_fd);
	others_fd = -1;
}

static void a_change_waits_for_the_other_process_to_finish(void **state)
{
	(void)state;
	take("deploy", FIRST);
	another_locks("locks/deploy.json");
	fixture.clock.on_sleep = another_unlocks;
	give_back(FIRST);
	assert_true(item_of("deploy")->released);
}

static void another_replaces_the_file(void)
{
	if (others_fd < 0)
		return;
	assert_int_equal(rename(in("locks/newer"), in("locks/deploy.json")), 0);
	another_unlocks();
}

static void a_change_looks_again_at_what_replaced_the_file_meanwhile(void **state)
{
	struct store_write write = write_of(STORE_RENEW, SECOND, FIRST);
	char text[4096];

	(void)state;
	take("deploy", OTHER);
	scratch_read(&fixture.scratch, "locks/deploy.json", text, sizeof(text));
	scratch_write(&fixture.scratch, "locks/newer", text, sizeof(text));
	assert_int_equal(unlink(in("locks/deploy.json")), 0);
	take("deploy", FIRST);
	another_locks("locks/deploy.json");
	fixture.clock.on_sleep = another_replaces_the_file;
	check_refused(&write);
	assert_string_equal(fixture.reply.item.lease_id, OTHER);
}

static void a_file_kept_busy_ends_the_wait_after_ten_seconds_and_names_the_process(void **state)
{
	struct store_write write = write_of(STORE_RELEASE, OTHER, FIRST);
	char pid[32];

	(void)state;
	take("deploy", FIRST);
	another_locks("locks/deploy.json");
	assert_int_equal(perform(&write), AWSFLOCK_STORAGE);
	assert_int_equal(fixture.clock.boot_ns, START_BOOT_NS + 10 * NS_PER_S);
	assert_int_equal(fixture.reply.first_sent_boot_ns, START_BOOT_NS);
	assert_false(fixture.reply.maybe_applied);
	check_says("busy for 10.0 s");
	check_says(in("locks/deploy.json"));
	snprintf(pid, sizeof(pid), "(pid %ld)", (long)getpid());
	check_says(pid);
	another_unlocks();
	assert_false(item_of("deploy")->released);
}

static void a_change_does_not_wait_beyond_the_callers_time(void **state)
{
	struct store_write write = write_of(STORE_RELEASE, OTHER, FIRST);

	(void)state;
	take("deploy", FIRST);
	another_locks("locks/deploy.json");
	write.give_up_boot_ns = START_BOOT_NS + 2 * NS_PER_S;
	assert_int_equal(perform(&write), AWSFLOCK_STORAGE);
	assert_int_equal(fixture.clock.boot_ns, START_BOOT_NS + 2 * NS_PER_S);
	another_unlocks();
}

static void no_change_is_made_after_the_callers_time(void **state)
{
	struct store_write write = write_of(STORE_ACQUIRE, FIRST, NULL);

	(void)state;
	write.give_up_boot_ns = START_BOOT_NS - 1;
	assert_int_equal(perform(&write), AWSFLOCK_STORAGE);
	check_says("time allowed");
	assert_int_equal(scratch_count_entries(&fixture.scratch, "locks"), 0);
}

static void a_wait_for_a_busy_file_ends_when_told_to_stop(void **state)
{
	struct store_write write = write_of(STORE_RELEASE, OTHER, FIRST);

	(void)state;
	take("deploy", FIRST);
	another_locks("locks/deploy.json");
	fixture.clock.stop_at_boot_ns = START_BOOT_NS + NS_PER_S;
	assert_int_equal(perform(&write), AWSFLOCK_CANCELLED);
	assert_true(fixture.clock.boot_ns < START_BOOT_NS + NS_PER_S);
	another_unlocks();
}

static void whoever_looks_is_told_even_while_a_writer_is_stopped(void **state)
{
	(void)state;
	take("deploy", FIRST);
	another_locks("locks/deploy.json");
	assert_string_equal(item_of("deploy")->lease_id, FIRST);
	assert_true(fixture.clock.boot_ns < START_BOOT_NS + NS_PER_S);
	another_unlocks();
}

static char finished_record[4096];

static void another_finishes_writing_in_place(void)
{
	if (others_fd >= 0)
		assert_int_equal(pwrite(others_fd, finished_record, sizeof(finished_record), 0),
				 sizeof(finished_record));
	another_unlocks();
}

static void whoever_looks_waits_for_a_writer_in_the_middle_of_a_record(void **state)
{
	(void)state;
	take("deploy", FIRST);
	scratch_read(&fixture.scratch, "locks/deploy.json", finished_record, sizeof(finished_record));
	another_locks("locks/deploy.json");
	assert_int_equal(pwrite(others_fd, "half a record", 13, 0), 13);
	fixture.clock.on_sleep = another_finishes_writing_in_place;
	assert_string_equal(item_of("deploy")->lease_id, FIRST);
}

/* ---- Listing ------------------------------------------------------------------------------------------------ */

static bool note(void *arg, const struct lock_item *item, const char *damaged)
{
	(void)arg;
	strcat(fixture.listed, damaged != NULL ? "!" : item->lock_id);
	strcat(fixture.listed, " ");
	if (damaged != NULL)
		snprintf(fixture.damaged, sizeof(fixture.damaged), "%s", damaged);
	return --fixture.list_limit > 0;
}

static void check_listed(const char *prefix, const char *expected)
{
	fixture.listed[0] = '\0';
	assert_int_equal(fixture.store->ops->list(fixture.store, prefix, note, NULL, &fixture.error), AWSFLOCK_OK);
	assert_string_equal(fixture.listed, expected);
}

static void a_listing_shows_every_lock_or_those_with_a_prefix(void **state)
{
	static char longer[301];

	(void)state;
	take("web/a", FIRST);
	take("web/b", FIRST);
	take("db", FIRST);
	check_listed(NULL, "db web/a web/b ");
	check_listed("web/", "web/a web/b ");
	check_listed("web/b", "web/b ");
	check_listed("webb", "");
	memset(longer, 'x', 300);
	take(longer, FIRST);
	longer[299] = '\0';
	assert_int_equal(fixture.store->ops->list(fixture.store, longer, note, NULL, &fixture.error), AWSFLOCK_OK);
	assert_int_equal(strlen(fixture.listed), 301);
	longer[298] = 'y';
	check_listed(longer, "");
}

static void a_listing_ends_when_its_caller_has_seen_enough(void **state)
{
	(void)state;
	take("a", FIRST);
	take("b", FIRST);
	take("c", FIRST);
	fixture.list_limit = 2;
	check_listed(NULL, "a b ");
}

static void a_listing_passes_over_what_is_no_locks_file(void **state)
{
	(void)state;
	take("a", FIRST);
	scratch_write(&fixture.scratch, "locks/.a.json.tmp", "x", 1);
	scratch_write(&fixture.scratch, "locks/README", "x", 1);
	scratch_write(&fixture.scratch, "locks/b.json.orig", "x", 1);
	scratch_write(&fixture.scratch, "locks/empty.json", "", 0);
	scratch_make_directory(&fixture.scratch, "locks/subdirectory", 0700);
	check_listed(NULL, "a ");
}

static void a_listing_goes_on_after_a_damaged_file_and_names_it(void **state)
{
	(void)state;
	take("a", FIRST);
	take("z", FIRST);
	scratch_write(&fixture.scratch, "locks/m.json", "x", 1);
	check_listed(NULL, "a ! z ");
	assert_non_null(strstr(fixture.damaged, in("locks/m.json")));
	check_listed("z", "z ");
}

static void a_listing_shows_a_file_under_a_wrong_name_as_damaged(void **state)
{
	(void)state;
	take("a", FIRST);
	assert_int_equal(rename(in("locks/a.json"), in("locks/b.json")), 0);
	check_listed(NULL, "! ");
	assert_non_null(strstr(fixture.damaged, "of another lock"));
}

/* ---- Making and naming -------------------------------------------------------------------------------------- */

static void note_line(void *arg, const char *line)
{
	snprintf(arg, 600, "%s", line);
}

static void creating_makes_the_directory_and_says_so(void **state)
{
	char line[600] = "";
	awsflock_table_options options = AWSFLOCK_TABLE_OPTIONS_INIT;

	(void)state;
	options.progress = note_line;
	options.progress_arg = line;
	assert_int_equal(fixture.store->ops->create(fixture.store, &options, &fixture.error), AWSFLOCK_OK);
	assert_int_equal(scratch_mode(&fixture.scratch, "locks"), 0700);
	assert_non_null(strstr(line, "made directory"));
	assert_int_equal(fixture.store->ops->create(fixture.store, &options, &fixture.error), AWSFLOCK_OK);
	assert_non_null(strstr(line, "is there"));
	assert_int_equal(fixture.store->ops->create(fixture.store, NULL, NULL), AWSFLOCK_OK);
}

static void a_store_has_one_name_by_whatever_path_and_before_it_is_made(void **state)
{
	char expected[600];
	struct store *other;

	(void)state;
	snprintf(expected, sizeof(expected), "local %s", in("locks"));
	assert_string_equal(fixture.store->name, expected);
	assert_string_equal(fixture.store->where, in("locks"));
	assert_int_equal(symlink(".", in("link")), 0);
	for (int made = 0; made < 2; made++) {
		assert_int_equal(store_local_new(&fixture.clock.runtime, in("link/locks/"), &other, &fixture.error),
				 AWSFLOCK_OK);
		assert_string_equal(other->name, expected);
		store_free(&other);
		assert_null(other);
		take("deploy", made == 0 ? FIRST : SECOND);
		give_back(made == 0 ? FIRST : SECOND);
		assert_int_equal(unlink(in("locks/deploy.json")), 0);
	}
}

static void a_relative_directory_stays_the_same_when_the_process_moves(void **state)
{
	char before[4096];
	struct store *other;

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(fixture.scratch.root), 0);
	assert_int_equal(store_local_new(&fixture.clock.runtime, "locks", &other, &fixture.error), AWSFLOCK_OK);
	assert_int_equal(chdir(before), 0);
	assert_string_equal(other->name, fixture.store->name);
	take("deploy", FIRST);
	store_reply_clear(&fixture.reply);
	assert_int_equal(other->ops->read(other, "deploy", true, INT64_MAX, &fixture.reply, &fixture.error),
			 AWSFLOCK_OK);
	assert_true(fixture.reply.has_item);
	store_free(&other);
}

static void an_empty_directory_name_is_refused(void **state)
{
	struct store *other = NULL;

	(void)state;
	assert_int_equal(store_local_new(&fixture.clock.runtime, "", &other, &fixture.error), AWSFLOCK_INVALID);
	assert_null(other);
}

static void a_user_without_a_home_is_told_to_name_a_directory(void **state)
{
	struct store *other = NULL;

	(void)state;
	assert_int_equal(store_local_new(&fixture.clock.runtime, NULL, &other, &fixture.error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(fixture.error.message, "--local=DIR"));
	assert_null(other);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		STORE_TEST(an_acquire_of_a_free_lock_sets_everything),
		STORE_TEST(an_acquire_of_a_held_lock_is_refused_and_shows_the_holder),
		STORE_TEST(an_acquire_needs_a_fence_above_a_tombstones),
		STORE_TEST(an_acquire_leaves_no_trace_of_who_was_evicted_before),
		STORE_TEST(a_reclaim_takes_over_the_lease_that_was_seen),
		STORE_TEST(a_reclaim_takes_over_a_tombstone_too),
		STORE_TEST(a_reclaim_of_another_lease_than_the_one_seen_is_refused),
		STORE_TEST(a_renew_moves_the_lease_and_keeps_the_rest),
		STORE_TEST(a_renew_sets_owner_and_fence_where_given),
		STORE_TEST(a_renew_accepts_any_of_its_ids),
		STORE_TEST(a_renew_that_may_only_lengthen_does_not_shorten),
		STORE_TEST(a_release_leaves_a_tombstone_with_the_next_fence),
		STORE_TEST(a_release_of_an_item_without_a_fence_starts_from_the_given_one),
		STORE_TEST(a_delete_removes_the_file_and_shows_what_it_removed),
		STORE_TEST(a_break_keeps_the_expiry_and_tells_who_it_was),
		STORE_TEST(a_settle_moves_only_the_expiry_even_of_a_tombstone),
		STORE_TEST(what_only_a_holder_may_do_is_refused_to_others),
		STORE_TEST(a_tombstone_has_no_holder),
		STORE_TEST(without_an_item_all_but_an_acquire_is_refused_and_makes_nothing),
		STORE_TEST(the_stores_time_is_known_exactly_and_told_in_each_reply),
		STORE_TEST(a_lease_of_another_boot_is_over_and_can_be_reclaimed_or_renewed),
		STORE_TEST(looking_makes_nothing),
		STORE_TEST(an_empty_file_is_a_free_lock),
		STORE_TEST(a_change_leaves_one_file_and_clears_away_what_a_killed_one_left),
		STORE_TEST(a_temporary_name_that_is_a_link_is_not_written_through),
		STORE_TEST(a_damaged_file_is_neither_trusted_nor_overwritten),
		STORE_TEST(a_file_with_another_locks_item_is_damaged),
		STORE_TEST(what_is_no_regular_file_is_refused),
		STORE_TEST(every_lock_name_has_an_item_of_its_own),
		STORE_TEST(a_record_of_several_blocks_is_kept),
		STORE_TEST(a_private_directory_has_private_files_whatever_the_umask),
		STORE_TEST(a_shared_directory_has_files_of_its_group_whatever_the_umask),
		STORE_TEST(a_file_stays_private_where_the_group_cannot_be_given),
		STORE_TEST(an_unsafe_directory_is_refused_for_every_operation),
		STORE_TEST(a_directory_that_may_not_be_written_is_a_storage_error),
		STORE_TEST(a_change_waits_for_the_other_process_to_finish),
		STORE_TEST(a_change_looks_again_at_what_replaced_the_file_meanwhile),
		STORE_TEST(a_file_kept_busy_ends_the_wait_after_ten_seconds_and_names_the_process),
		STORE_TEST(a_change_does_not_wait_beyond_the_callers_time),
		STORE_TEST(no_change_is_made_after_the_callers_time),
		STORE_TEST(a_wait_for_a_busy_file_ends_when_told_to_stop),
		STORE_TEST(whoever_looks_is_told_even_while_a_writer_is_stopped),
		STORE_TEST(whoever_looks_waits_for_a_writer_in_the_middle_of_a_record),
		STORE_TEST(a_listing_shows_every_lock_or_those_with_a_prefix),
		STORE_TEST(a_listing_ends_when_its_caller_has_seen_enough),
		STORE_TEST(a_listing_passes_over_what_is_no_locks_file),
		STORE_TEST(a_listing_goes_on_after_a_damaged_file_and_names_it),
		STORE_TEST(a_listing_shows_a_file_under_a_wrong_name_as_damaged),
		STORE_TEST(creating_makes_the_directory_and_says_so),
		STORE_TEST(a_store_has_one_name_by_whatever_path_and_before_it_is_made),
		STORE_TEST(a_relative_directory_stays_the_same_when_the_process_moves),
		STORE_TEST(an_empty_directory_name_is_refused),
		STORE_TEST(a_user_without_a_home_is_told_to_name_a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
