/* The public functions for leases: they check what comes in, thin over lock/.
 * SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/account.h"
#include "base/config.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/runtime.h"
#include "base/sized_struct.h"
#include "base/text_check.h"
#include "lib/context.h"
#include "lib/giving_back.h"
#include "lib/status.h"
#include "lib/store_opening.h"
#include "lock/heartbeat.h"
#include "lock/lease.h"
#include "lock/wait.h"

/* What awsflock_acquire_options had in 1.0. */
#define ACQUIRE_OPTIONS_FIRST_SIZE (offsetof(awsflock_acquire_options, pid) + sizeof(int64_t))

/* Credentials that end so soon may end during the work, however short the lease is. */
#define FORESEEN_LEAST_S 3600

struct awsflock_lease {
	awsflock *context;
	struct lease *lease;
};

static awsflock_code check_options(const awsflock_acquire_options *options, awsflock_error *error)
{
	const struct {
		const char *what, *text;
		awsflock_code (*check)(const char *what, const char *text, awsflock_error *error);
	} texts[] = {
		{ "the owner", options->owner, text_check_person },
		{ "the purpose", options->purpose, text_check_free },
		{ "the user", options->user, text_check_person },
		{ "the terminal", options->tty, text_check_free },
		{ "the service", options->service, text_check_free },
		{ "the remote host", options->rhost, text_check_free },
	};

	if (options->lease_seconds < 0 || options->lease_seconds > DURATION_MAX_SECONDS)
		return error_set(error, AWSFLOCK_INVALID,
				 "a lease lasts from 1 second to 366 days, not %lld seconds",
				 (long long)options->lease_seconds);
	if (options->wait_ms < AWSFLOCK_WAIT_FOREVER || options->wait_ms > DURATION_MAX_SECONDS * MS_PER_S)
		return error_set(error, AWSFLOCK_INVALID, "a wait lasts for 366 days at the most, or for ever");
	if (options->hold_seconds < 0 || options->hold_seconds > DURATION_MAX_SECONDS)
		return error_set(error, AWSFLOCK_INVALID,
				 "a lock is held for 366 days at the most, not %lld seconds",
				 (long long)options->hold_seconds);
	if (options->pid < 0)
		return error_set(error, AWSFLOCK_INVALID, "a process has a number above zero, not %lld",
				 (long long)options->pid);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		awsflock_code code = texts[i].check(texts[i].what, texts[i].text, error);

		if (code != AWSFLOCK_OK)
			return code;
	}
	return AWSFLOCK_OK;
}

/* False without memory. */
static bool copy_if_given(const char *text, char **out)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

static awsflock_code name_user(const awsflock_acquire_options *options, struct holder *holder,
			       awsflock_error *error)
{
	struct account account;
	awsflock_code code;

	if (options->user)
		return copy_if_given(options->user, &holder->user) ? AWSFLOCK_OK : error_out_of_memory(error);
	code = account_find(getuid(), &account, error);
	holder->user = account.name;
	account.name = NULL;
	account_clear(&account);
	return code;
}

static bool name_terminal(const awsflock_acquire_options *options, struct holder *holder)
{
	char own[256];

	if (options->tty)
		return copy_if_given(options->tty, &holder->tty);
	return ttyname_r(STDIN_FILENO, own, sizeof(own)) != 0 || copy_if_given(own, &holder->tty);
}

/* Who holds the lock, for people to read: what cannot be found out is left out. */
static awsflock_code describe_self(const awsflock_acquire_options *options, struct holder *holder,
				   awsflock_error *error)
{
	struct utsname host;
	awsflock_code code;

	if (uname(&host) != 0)
		return error_set_errno(error, AWSFLOCK_INTERNAL, errno, "this host's name cannot be found out");
	code = name_user(options, holder, error);
	if (code != AWSFLOCK_OK)
		return code;
	holder->pid = options->pid != 0 ? options->pid : getpid();
	if (copy_if_given(host.nodename, &holder->host) && name_terminal(options, holder) &&
	    copy_if_given(options->service, &holder->service) && copy_if_given(options->rhost, &holder->rhost) &&
	    copy_if_given(options->purpose, &holder->purpose))
		return AWSFLOCK_OK;
	return error_out_of_memory(error);
}

struct waiting {
	awsflock *context;
	const awsflock_acquire_options *options;
};

static void tell_waiting(void *arg, const struct lock_item *item, int64_t waited_ms)
{
	const struct waiting *waiting = arg;
	awsflock_status status = status_of_item(waiting->context->store, item);

	waiting->options->waiting(waiting->options->waiting_arg, &status, waited_ms);
}

struct id_listener {
	awsflock *context;
	const char *lock;
};

static void tell_id(void *arg, const char *lease_id)
{
	awsflock_lease *lease = arg;

	lease->context->on_id(lease->context->on_id_arg, lease->lease->lock, lease_id);
}

static void tell_first_id(void *arg, const char *lease_id)
{
	struct id_listener *listener = arg;

	listener->context->on_id(listener->context->on_id_arg, listener->lock, lease_id);
}

static void tell_renewed(void *arg)
{
	awsflock_lease *lease = arg;

	if (lease->context->on_renewed)
		lease->context->on_renewed(lease->context->on_renewed_arg, lease);
}

/* Wraps INNER, which it takes over. */
static awsflock_code wrap_lease(awsflock *context, struct lease *inner, awsflock_lease **out, awsflock_error *error)
{
	awsflock_lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return error_out_of_memory(error);
	lease->context = context;
	lease->lease = inner;
	inner->on_id = context->on_id ? tell_id : NULL;
	inner->on_id_arg = lease;
	inner->on_renewed = tell_renewed;
	inner->on_renewed_arg = lease;
	*out = lease;
	return AWSFLOCK_OK;
}

static awsflock_code acquire_as(awsflock *context, const char *lock, const awsflock_acquire_options *options,
				const struct holder *holder, struct lease **out, awsflock_error *error)
{
	const struct config *config = &context->config;
	const char *owner = options->owner ? options->owner : config_get(config, CONFIG_OWNER);
	struct id_listener listener = { .context = context, .lock = lock };
	struct waiting waiting = { .context = context, .options = options };
	struct lease_request request = {
		.lock = lock,
		.seconds = options->lease_seconds ? options->lease_seconds
						  : config_get_seconds(config, CONFIG_LEASE_DURATION),
		.owner = owner && *owner ? owner : holder->host,
		.holder = holder,
		.on_id = context->on_id ? tell_first_id : NULL,
		.on_id_arg = &listener,
	};
	struct wait_options wait = {
		.wait_ms = options->wait_ms,
		.poll_interval_ms = config_get_ms(config, CONFIG_POLL_INTERVAL),
		.notice = options->waiting ? tell_waiting : NULL,
		.notice_arg = &waiting,
	};

	awsflock_code code = AWSFLOCK_OK;

	if (context->gives_back_later)
		code = giving_back_prepare(context, lock, &wait.owed, error);
	if (code != AWSFLOCK_OK)
		return code;
	code = wait_acquire(context->store, &request, &wait, out, error);
	if (wait.owed)
		giving_back_keep(context);
	return code;
}

/* How long the credentials had better last. */
static int64_t wanted_seconds(const awsflock_acquire_options *options, const struct lease *lease)
{
	if (options->hold_seconds > 0)
		return options->hold_seconds;
	return lease->seconds > FORESEEN_LEAST_S ? lease->seconds : FORESEEN_LEAST_S;
}

awsflock_code awsflock_acquire(awsflock *context, const char *lock, const awsflock_acquire_options *options,
			       awsflock_lease **out, awsflock_error *error)
{
	awsflock_acquire_options own = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	struct holder holder = { 0 };
	struct lease *lease = NULL;
	awsflock_code code;

	error_clear(error);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK && options)
		code = sized_struct_copy(&own, sizeof(own), ACQUIRE_OPTIONS_FIRST_SIZE, options,
					 "AWSFLOCK_ACQUIRE_OPTIONS_INIT", error);
	if (code == AWSFLOCK_OK)
		code = check_options(&own, error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	if (code != AWSFLOCK_OK)
		return code;
	code = describe_self(&own, &holder, error);
	if (code == AWSFLOCK_OK)
		code = acquire_as(context, lock, &own, &holder, &lease, error);
	holder_clear(&holder);
	if (code != AWSFLOCK_OK)
		return code;
	code = wrap_lease(context, lease, out, error);
	if (code == AWSFLOCK_OK) {
		store_foresee(context->store, wanted_seconds(&own, lease));
		return AWSFLOCK_OK;
	}
	if (lease_release(lease, false, NULL) != AWSFLOCK_OK)
		runtime_log(&context->runtime, AWSFLOCK_LOG_WARNING,
			    "'%s' remains held without a holder until its lease expires", lock);
	lease_free(&lease);
	return code;
}

awsflock_code awsflock_adopt(awsflock *context, const char *lock, const char *lease_id, awsflock_lease **out,
			     awsflock_error *error)
{
	struct lease *lease = NULL;
	awsflock_code code;

	error_clear(error);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = text_check_lease_id(lease_id, error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	if (code == AWSFLOCK_OK)
		code = lease_adopt(context->store, lock, lease_id,
				   config_get_seconds(&context->config, CONFIG_LEASE_DURATION), &lease, error);
	if (code == AWSFLOCK_OK)
		code = wrap_lease(context, lease, out, error);
	if (code != AWSFLOCK_OK)
		lease_free(&lease);
	return code;
}

awsflock_code awsflock_renew(awsflock_lease *lease, int64_t lease_seconds, const char *owner, awsflock_error *error)
{
	awsflock_code code;

	error_clear(error);
	if (lease_seconds < 0 || lease_seconds > DURATION_MAX_SECONDS)
		return error_set(error, AWSFLOCK_INVALID,
				 "a lease lasts from 1 second to 366 days, not %lld seconds",
				 (long long)lease_seconds);
	code = text_check_person("the owner", owner, error);
	if (code != AWSFLOCK_OK)
		return code;
	return lease_renew(lease->lease, lease_seconds ? lease_seconds : lease->lease->seconds, owner, INT64_MAX,
			   error);
}

awsflock_code awsflock_release(awsflock_lease *lease, unsigned flags, awsflock_error *error)
{
	error_clear(error);
	if ((flags & ~AWSFLOCK_RELEASE_DELETE) != 0)
		return error_set(error, AWSFLOCK_INVALID, "awsflock_release() has no such flag: %#x", flags);
	return lease_release(lease->lease, (flags & AWSFLOCK_RELEASE_DELETE) != 0, error);
}

bool awsflock_lease_is_evicted(const awsflock_lease *lease)
{
	return lease_is_evicted(lease->lease);
}

void awsflock_lease_free(awsflock_lease **lease)
{
	if (!lease || !*lease)
		return;
	lease_free(&(*lease)->lease);
	free(*lease);
	*lease = NULL;
}

awsflock_code awsflock_keepalive(awsflock_lease *lease, int64_t stop_ms, awsflock_error *error)
{
	error_clear(error);
	return heartbeat_keep(lease->lease, stop_ms, error);
}

const char *awsflock_lease_lock(const awsflock_lease *lease)
{
	return lease->lease->lock;
}

const char *awsflock_lease_id(const awsflock_lease *lease)
{
	return lease->lease->current_id;
}

int64_t awsflock_lease_seconds(const awsflock_lease *lease)
{
	pthread_mutex_lock(&lease->lease->mutex);
	int64_t seconds = lease->lease->seconds;
	pthread_mutex_unlock(&lease->lease->mutex);
	return seconds;
}

uint64_t awsflock_lease_fence(const awsflock_lease *lease)
{
	pthread_mutex_lock(&lease->lease->mutex);
	uint64_t fence = lease->lease->fence;
	pthread_mutex_unlock(&lease->lease->mutex);
	return fence;
}

int64_t awsflock_lease_expiration_time(const awsflock_lease *lease)
{
	pthread_mutex_lock(&lease->lease->mutex);
	int64_t expiration_time = lease->lease->expiration_time;
	pthread_mutex_unlock(&lease->lease->mutex);
	return expiration_time;
}

int64_t awsflock_lease_deadline_boot_ns(const awsflock_lease *lease)
{
	return lease_deadline_boot_ns(lease->lease);
}

int64_t awsflock_lease_remaining_ms(const awsflock_lease *lease)
{
	int64_t deadline = lease_deadline_boot_ns(lease->lease);

	if (lease_is_past_deadline(lease->lease))
		return 0;
	if (deadline == DEADLINE_UNKNOWN)
		return INT64_MAX;

	int64_t left_ns = deadline - runtime_boot_ns(lease->lease->store->runtime);

	return left_ns > 0 ? left_ns / NS_PER_MS : 0;
}

size_t awsflock_lease_copy_ids(const awsflock_lease *lease, char (*ids)[AWSFLOCK_LEASE_ID_SIZE], size_t capacity)
{
	struct lease *inner = lease->lease;

	pthread_mutex_lock(&inner->mutex);
	size_t count = inner->ids.count;

	for (size_t i = 0; i < count && i < capacity; i++)
		memcpy(ids[i], inner->ids.id[count - 1 - i], AWSFLOCK_LEASE_ID_SIZE);
	pthread_mutex_unlock(&inner->mutex);
	return count;
}
