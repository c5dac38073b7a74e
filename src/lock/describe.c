/* See describe.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/describe.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/lease_end.h"
#include "base/runtime.h"
#include "base/text.h"
#include "lock/lease_time.h"

#define FIELD_SIZE 160

static const char *sanitised(const char *text, char out[FIELD_SIZE])
{
	text_sanitise(text ? text : "", out, FIELD_SIZE);
	return out;
}

static bool is_set(const char *text)
{
	return text && *text;
}

static void describe_person(const struct lock_item *item, struct buf *out)
{
	const struct holder *holder = &item->holder;
	char field[FIELD_SIZE];

	if (is_set(holder->user) && is_set(holder->host)) {
		buf_printf(out, "%s@", sanitised(holder->user, field));
		buf_puts(out, sanitised(holder->host, field));
		if (is_set(item->owner) && strcmp(item->owner, holder->host) != 0)
			buf_printf(out, " [%s]", sanitised(item->owner, field));
	} else if (is_set(item->owner)) {
		buf_puts(out, sanitised(item->owner, field));
	} else {
		buf_puts(out, "somebody who left no name");
	}
}

static void describe_origin(const struct holder *holder, struct buf *out)
{
	char field[FIELD_SIZE];

	if (!is_set(holder->service) && !is_set(holder->rhost) && !is_set(holder->purpose))
		return;
	buf_puts(out, " (");
	if (is_set(holder->service))
		buf_puts(out, sanitised(holder->service, field));
	if (is_set(holder->rhost)) {
		buf_puts(out, is_set(holder->service) ? " from " : "from ");
		buf_puts(out, sanitised(holder->rhost, field));
	}
	if (is_set(holder->purpose)) {
		buf_puts(out, is_set(holder->service) || is_set(holder->rhost) ? ": " : "");
		buf_puts(out, sanitised(holder->purpose, field));
	}
	buf_puts(out, ")");
}

static int64_t find_end(struct store *store, const struct lock_item *item, int64_t now)
{
	const awsflock_status status = {
		.expiration_time = item->expiration_time,
		.fence = item->fence,
		.lease_duration = item->lease_duration,
		.remaining_seconds = lease_remaining_seconds(store, item),
	};

	return lease_end_time(&status, now);
}

/* Sanitised. */
static void describe_holder(struct store *store, const struct lock_item *item, char *out, size_t size)
{
	struct buf text = BUF_INIT;
	int64_t now = runtime_real_ns(store->runtime) / NS_PER_S, end = find_end(store, item, now);
	char when[40];
	char field[FIELD_SIZE];

	describe_person(item, &text);
	if (item->acquired_time > 0) {
		text_local_time(item->acquired_time, now, when, sizeof(when));
		buf_printf(&text, " since %s", when);
	}
	describe_origin(&item->holder, &text);
	text_local_time(end, now, when, sizeof(when));
	buf_printf(&text, ", lease %s %s", end >= now ? "ends" : "ended", when);
	if (item->broken_by)
		buf_printf(&text, " (broken by %s)", sanitised(item->broken_by, field));
	snprintf(out, size, "%s", buf_text(&text));
	buf_free(&text);
}

awsflock_code describe_held(struct store *store, const struct lock_item *item, awsflock_error *error)
{
	char lock[FIELD_SIZE];
	char holder[AWSFLOCK_ERROR_MESSAGE_SIZE];

	describe_holder(store, item, holder, sizeof(holder));
	return error_set(error, AWSFLOCK_HELD, "'%s' is held by %s", sanitised(item->lock_id, lock), holder);
}

static awsflock_code describe_gone(const struct store *store, const char *lock, awsflock_error *error)
{
	return error_set(
		error, AWSFLOCK_LOST,
		store->local ? "this lease does not hold '%s': its file was removed from %s, or never was there"
			     : "this lease does not hold '%s': its item was deleted from %s, or never was there",
		lock, store->where);
}

awsflock_code describe_lost_lease(struct store *store, const char *lock, uint64_t fence,
				  const struct lock_item *item, awsflock_error *error)
{
	char name[FIELD_SIZE], by[FIELD_SIZE];
	char holder[AWSFLOCK_ERROR_MESSAGE_SIZE];

	sanitised(lock, name);
	if (!item)
		return describe_gone(store, name, error);
	if (item->broken_by)
		return error_set(error, AWSFLOCK_LOST, "this lease no longer holds '%s': it was broken by %s", name,
				 sanitised(item->broken_by, by));
	if (item->released)
		return error_set(error, AWSFLOCK_LOST,
				 fence > 0 && item->fence > fence
					 ? "this lease no longer holds '%s': somebody else has held it since, and "
					   "released it"
					 : "this lease no longer holds '%s': it was released",
				 name);
	describe_holder(store, item, holder, sizeof(holder));
	return error_set(error, AWSFLOCK_LOST, "this lease does not hold '%s': it is held by %s", name, holder);
}

awsflock_code describe_lost(struct store *store, const char *lock, const struct lock_item *item,
			    awsflock_error *error)
{
	return describe_lost_lease(store, lock, 0, item, error);
}
