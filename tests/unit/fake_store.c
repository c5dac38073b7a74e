/* See fake_store.h.  SPDX-License-Identifier: Apache-2.0 */
#include "fake_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- The clock --------------------------------------------------------------------------------------------- */

static struct fake_runtime *fake_of(struct runtime *runtime)
{
	return (struct fake_runtime *)runtime;
}

static int64_t fake_boot_ns(struct runtime *runtime)
{
	return fake_of(runtime)->boot_ns;
}

static int64_t fake_real_ns(struct runtime *runtime)
{
	return fake_of(runtime)->boot_ns + fake_of(runtime)->real_offset_ns;
}

static bool fake_sleep_until(struct runtime *runtime, int64_t until_boot_ns)
{
	struct fake_runtime *fake = fake_of(runtime);

	fake->sleeps++;
	if (until_boot_ns >= fake->stop_at_boot_ns) {
		if (fake->stop_at_boot_ns > fake->boot_ns)
			fake->boot_ns = fake->stop_at_boot_ns;
		return false;
	}
	if (until_boot_ns > fake->boot_ns)
		fake->boot_ns = until_boot_ns;
	return true;
}

static bool fake_random_bytes(struct runtime *runtime, void *bytes, size_t size)
{
	struct fake_runtime *fake = fake_of(runtime);
	unsigned char *out = bytes;

	for (size_t i = 0; i < size; i++) {
		fake->random_state = fake->random_state * 1103515245u + 12345u;
		out[i] = (unsigned char)(fake->random_state >> 16);
	}
	return true;
}

static const struct runtime_ops fake_runtime_ops = {
	.boot_ns = fake_boot_ns,
	.real_ns = fake_real_ns,
	.sleep_until = fake_sleep_until,
	.random_bytes = fake_random_bytes,
};

void fake_runtime_init(struct fake_runtime *fake)
{
	memset(fake, 0, sizeof(*fake));
	runtime_init_system(&fake->runtime);
	fake->runtime.ops = &fake_runtime_ops;
	fake->boot_ns = FAKE_BOOT_START_NS;
	fake->real_offset_ns = FAKE_EPOCH_START_S * NS_PER_S - FAKE_BOOT_START_NS;
	fake->stop_at_boot_ns = INT64_MAX;
	fake->random_state = 1;
}

/* ---- The table --------------------------------------------------------------------------------------------- */

static struct fake_store *store_of(struct store *store)
{
	return (struct fake_store *)store;
}

static int64_t server_now_ns(const struct fake_store *fake)
{
	const struct fake_runtime *runtime = (const struct fake_runtime *)fake->store.runtime;

	return FAKE_EPOCH_START_S * NS_PER_S + (runtime->boot_ns - FAKE_BOOT_START_NS) + fake->server_offset_ns;
}

int64_t fake_server_now_s(const struct fake_store *fake)
{
	return server_now_ns(fake) / NS_PER_S;
}

struct lock_item *fake_store_item(struct fake_store *fake, const char *lock)
{
	for (size_t i = 0; i < fake->item_count; i++) {
		if (strcmp(fake->items[i].lock_id, lock) == 0)
			return &fake->items[i];
	}
	return NULL;
}

void fake_store_remove(struct fake_store *fake, const char *lock)
{
	struct lock_item *item = fake_store_item(fake, lock);

	if (!item)
		return;
	lock_item_clear(item);
	*item = fake->items[fake->item_count - 1];
	memset(&fake->items[fake->item_count - 1], 0, sizeof(*item));
	fake->item_count--;
}

static struct lock_item *make_item(struct fake_store *fake, const char *lock)
{
	struct lock_item *item = fake_store_item(fake, lock);

	if (!item) {
		if (fake->item_count == FAKE_ITEMS_MAX)
			abort();
		item = &fake->items[fake->item_count++];
		item->lock_id = strdup(lock);
	}
	return item;
}

static void replace_text(char **text, const char *with)
{
	char *copy = with ? strdup(with) : NULL;

	free(*text);
	*text = copy;
}

void fake_store_put_python(struct fake_store *fake, const char *lock, const char *lease_id, int64_t expiration_time)
{
	fake_store_remove(fake, lock);

	struct lock_item *item = make_item(fake, lock);

	replace_text(&item->lease_id, lease_id);
	replace_text(&item->owner, "python-host");
	item->lease_duration = 60;
	item->expiration_time = expiration_time;
	item->expires_store_ms = expiration_time * MS_PER_S;
}

static bool is_accepted(const struct store_write *write, const struct lock_item *item)
{
	for (size_t i = 0; item && i < write->accepted_count; i++) {
		if (strcmp(write->accepted[i], item->lease_id) == 0)
			return true;
	}
	return false;
}

static bool condition_holds(const struct store_write *write, const struct lock_item *item)
{
	switch (write->kind) {
	case STORE_ACQUIRE:
		return !item || (item->released && item->fence && item->fence < write->fence);
	case STORE_RECLAIM:
	case STORE_SETTLE:
		return item && strcmp(write->accepted[0], item->lease_id) == 0;
	case STORE_RENEW:
		if (write->only_if_longer && item && item->expires_store_ms > write->expires_store_ms)
			return false;
		return is_accepted(write, item) && !item->released;
	case STORE_RELEASE:
	case STORE_DELETE:
	case STORE_BREAK:
		return is_accepted(write, item) && !item->released;
	}
	return false;
}

static void set_expiry(struct lock_item *item, const struct store_write *write)
{
	item->expires_store_ms = write->expires_store_ms;
	item->expiration_time = write->expiration_time;
}

static void apply_grant(struct lock_item *item, const struct store_write *write)
{
	replace_text(&item->owner, write->owner);
	holder_clear(&item->holder);
	if (write->holder && holder_copy(write->holder, &item->holder, NULL) != AWSFLOCK_OK)
		abort();
	item->lease_duration = write->lease_duration;
	set_expiry(item, write);
	item->fence = write->fence;
	item->acquired_time = write->now_time;
	item->released = false;
	replace_text(&item->broken_by, NULL);
	item->broken_time = 0;
}

static void apply(struct fake_store *fake, const struct store_write *write)
{
	struct lock_item *item = write->kind == STORE_ACQUIRE || write->kind == STORE_RECLAIM
					 ? make_item(fake, write->lock)
					 : fake_store_item(fake, write->lock);

	if (write->kind == STORE_SETTLE) {
		set_expiry(item, write);
		return;
	}
	replace_text(&item->lease_id, write->lease_id);
	if (write->broken_by) {
		replace_text(&item->broken_by, write->broken_by);
		item->broken_time = write->now_time;
	}
	switch (write->kind) {
	case STORE_ACQUIRE:
	case STORE_RECLAIM:
		apply_grant(item, write);
		break;
	case STORE_RENEW:
		item->lease_duration = write->lease_duration;
		set_expiry(item, write);
		item->fence = write->fence ? write->fence : item->fence;
		if (write->owner)
			replace_text(&item->owner, write->owner);
		break;
	case STORE_RELEASE:
		item->fence = (item->fence ? item->fence : write->fence) + 1;
		item->released = true;
		set_expiry(item, write);
		holder_clear(&item->holder);
		item->acquired_time = 0;
		break;
	default:
		break;
	}
}

/* One copy of the write arrives at the table. */
static void arrive(struct fake_store *fake, const struct store_write *write, struct store_reply *reply)
{
	struct lock_item *item = fake_store_item(fake, write->lock);
	bool holds = condition_holds(write, item);

	lock_item_clear(&reply->item);
	reply->outcome = holds ? STORE_APPLIED : STORE_REFUSED;
	if (holds && write->kind == STORE_DELETE) {
		reply->has_item = lock_item_copy(item, &reply->item, NULL) == AWSFLOCK_OK;
		fake_store_remove(fake, write->lock);
		return;
	}
	if (holds)
		apply(fake, write);
	item = fake_store_item(fake, write->lock);
	reply->has_item = item && lock_item_copy(item, &reply->item, NULL) == AWSFLOCK_OK;
}

static void pass_time(struct fake_store *fake, int64_t ns)
{
	((struct fake_runtime *)fake->store.runtime)->boot_ns += ns;
}

static void answer(struct fake_store *fake, struct store_reply *reply, bool with_date)
{
	int64_t date_s = fake_server_now_s(fake);

	reply->has_store_time = with_date;
	reply->store_time_ms = date_s * MS_PER_S;
}

static void receive(struct fake_store *fake, struct store_reply *reply)
{
	reply->received_boot_ns = runtime_boot_ns(fake->store.runtime);
	if (reply->has_store_time)
		server_time_observe(&fake->store.time, reply->store_time_ms / MS_PER_S, reply->first_sent_boot_ns,
				    reply->received_boot_ns);
}

static awsflock_code fail(struct store_reply *reply, awsflock_code code, bool maybe_applied, awsflock_error *error)
{
	reply->maybe_applied = maybe_applied;
	reply->sent = true;
	lock_item_clear(&reply->item);
	reply->has_item = false;
	return error_set(error, code, "a fault on order");
}

static awsflock_code fail_unsent(struct store_reply *reply, awsflock_error *error)
{
	awsflock_code code = fail(reply, AWSFLOCK_UNREACHABLE, false, error);

	reply->sent = false;
	return code;
}

/* Without an answer, a request takes what time it has. */
static void stall(struct fake_store *fake, int64_t give_up_boot_ns)
{
	struct fake_runtime *runtime = (struct fake_runtime *)fake->store.runtime;
	int64_t until_ns = runtime->boot_ns + FAKE_STALL_NS;

	if (give_up_boot_ns < until_ns)
		until_ns = give_up_boot_ns;
	if (until_ns > runtime->boot_ns)
		runtime->boot_ns = until_ns;
}

static const struct fake_step *next_step(struct fake_store *fake)
{
	static const struct fake_step none = { .fault = FAULT_NONE };

	return fake->steps_taken < fake->step_count ? &fake->steps[fake->steps_taken++] : &none;
}

static awsflock_code fake_write(struct store *store, const struct store_write *write, struct store_reply *reply,
				awsflock_error *error)
{
	struct fake_store *fake = store_of(store);
	const struct fake_step *step = next_step(fake);

	memset(reply, 0, sizeof(*reply));
	reply->first_sent_boot_ns = runtime_boot_ns(store->runtime);
	fake->kinds[fake->writes % FAKE_STEPS_MAX] = write->kind;
	fake->writes++;
	fake->give_up_boot_ns = write->give_up_boot_ns;
	if (step->fault == FAULT_NOT_SENT)
		return fail_unsent(reply, error);
	reply->sent = true;
	if (step->fault == FAULT_THROTTLED)
		return fail(reply, AWSFLOCK_THROTTLED, false, error);
	if (fake->writes_stall) {
		stall(fake, write->give_up_boot_ns);
		return fail(reply, AWSFLOCK_UNREACHABLE, true, error);
	}
	pass_time(fake, step->request_ns);
	if (step->before)
		step->before(store, fake->step_arg);
	if (step->fault == FAULT_LOST_REQUEST)
		return fail(reply, AWSFLOCK_UNREACHABLE, true, error);
	answer(fake, reply, step->fault != FAULT_NO_DATE);
	if (step->fault != FAULT_CLOCK_SKEW)
		arrive(fake, write, reply);
	if (step->after)
		step->after(store, fake->step_arg);
	pass_time(fake, step->reply_ns);
	if (step->fault == FAULT_RETRIED || step->fault == FAULT_TWICE) {
		reply->attempt_unknown = step->fault == FAULT_RETRIED;
		answer(fake, reply, true);
		arrive(fake, write, reply);
	}
	if (step->fault == FAULT_LOST_REPLY)
		return fail(reply, AWSFLOCK_UNREACHABLE, true, error);
	receive(fake, reply);
	if (step->fault == FAULT_TWICE_THEN_THROTTLED)
		return fail(reply, AWSFLOCK_THROTTLED, false, error);
	if (step->fault == FAULT_CLOCK_SKEW)
		return fail(reply, AWSFLOCK_CLOCK_SKEW, false, error);
	if (step->fault == FAULT_UNSEEN_THEN_SKEW)
		return fail(reply, AWSFLOCK_CLOCK_SKEW, true, error);
	if (step->fault == FAULT_NO_ITEM_SHOWN && reply->outcome == STORE_REFUSED) {
		lock_item_clear(&reply->item);
		reply->has_item = false;
		reply->item_unknown = true;
	}
	return AWSFLOCK_OK;
}

static awsflock_code fake_read(struct store *store, const char *lock, bool consistent, int64_t give_up_boot_ns,
			       struct store_reply *reply, awsflock_error *error)
{
	struct fake_store *fake = store_of(store);
	struct lock_item *item = fake_store_item(fake, lock);

	(void)consistent;
	memset(reply, 0, sizeof(*reply));
	fake->reads++;
	reply->first_sent_boot_ns = runtime_boot_ns(store->runtime);
	if (fake->reads_stall)
		stall(fake, give_up_boot_ns);
	if (fake->reads_fail || fake->reads_stall)
		return fail(reply, AWSFLOCK_UNREACHABLE, false, error);
	reply->has_item = item && lock_item_copy(item, &reply->item, NULL) == AWSFLOCK_OK;
	answer(fake, reply, true);
	receive(fake, reply);
	return AWSFLOCK_OK;
}

static const struct store_ops fake_store_ops = { .write = fake_write, .read = fake_read };

void fake_store_init(struct fake_store *fake, struct fake_runtime *runtime)
{
	memset(fake, 0, sizeof(*fake));
	fake->store.ops = &fake_store_ops;
	fake->store.runtime = &runtime->runtime;
	fake->store.where = "the fake table";
	server_time_init(&fake->store.time);
}

void fake_store_clear(struct fake_store *fake)
{
	for (size_t i = 0; i < fake->item_count; i++)
		lock_item_clear(&fake->items[i]);
	fake->item_count = 0;
}

struct fake_step *fake_store_plan(struct fake_store *fake, enum fake_fault fault)
{
	if (fake->step_count == FAKE_STEPS_MAX)
		abort();

	struct fake_step *step = &fake->steps[fake->step_count++];

	*step = (struct fake_step){ .fault = fault };
	return step;
}
