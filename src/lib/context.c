/* The public functions for a context, and to look at locks: they check what comes in, thin over lock/.
 * SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/config.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/runtime.h"
#include "base/text_check.h"
#include "lib/context.h"
#include "lib/trial.h"
#include "lock/diagnosis.h"
#include "lock/lease.h"
#include "lock/store.h"

#ifndef AWSFLOCK_VERSION
#define AWSFLOCK_VERSION "unknown"
#endif

const char *awsflock_version(void)
{
	return AWSFLOCK_VERSION;
}

const char *awsflock_code_name(awsflock_code code)
{
	switch (code) {
	case AWSFLOCK_OK:
		return "ok";
	case AWSFLOCK_HELD:
		return "held";
	case AWSFLOCK_LOST:
		return "lost";
	case AWSFLOCK_TIMED_OUT:
		return "timed-out";
	case AWSFLOCK_CANCELLED:
		return "cancelled";
	case AWSFLOCK_INVALID:
		return "invalid";
	case AWSFLOCK_CONFIG:
		return "config";
	case AWSFLOCK_CREDENTIALS:
		return "credentials";
	case AWSFLOCK_ACCESS:
		return "access";
	case AWSFLOCK_NO_TABLE:
		return "no-table";
	case AWSFLOCK_BAD_TABLE:
		return "bad-table";
	case AWSFLOCK_BAD_ITEM:
		return "bad-item";
	case AWSFLOCK_UNREACHABLE:
		return "unreachable";
	case AWSFLOCK_TLS:
		return "tls";
	case AWSFLOCK_THROTTLED:
		return "throttled";
	case AWSFLOCK_CLOCK_SKEW:
		return "clock-skew";
	case AWSFLOCK_PROTOCOL:
		return "protocol";
	case AWSFLOCK_STORAGE:
		return "storage";
	case AWSFLOCK_MEMORY:
		return "memory";
	case AWSFLOCK_INTERNAL:
		return "internal";
	}
	return "unknown";
}

awsflock_code awsflock_parse_duration(const char *text, int64_t *seconds, awsflock_error *error)
{
	error_clear(error);
	return duration_parse(text, seconds, error);
}

/* ---- Context ----------------------------------------------------------------------------------------------- */

awsflock_code awsflock_new(awsflock **out, awsflock_error *error)
{
	awsflock *context = calloc(1, sizeof(*context));

	error_clear(error);
	if (!context)
		return error_out_of_memory(error);
	runtime_init_system(&context->runtime);
	context->is_set_id = getauxval(AT_SECURE) != 0;

	awsflock_code code = config_init(&context->config, error);

	if (code != AWSFLOCK_OK) {
		free(context);
		return code;
	}
	*out = context;
	return AWSFLOCK_OK;
}

void awsflock_free(awsflock **context)
{
	if (!*context)
		return;
	store_free(&(*context)->store);
	config_free(&(*context)->config);
	free(*context);
	*context = NULL;
}

static awsflock_code refuse_late_change(const awsflock *context, awsflock_error *error)
{
	error_clear(error);
	if (context->store)
		return error_set(error, AWSFLOCK_INVALID,
				 "the configuration cannot change after the first request: make a new context");
	return AWSFLOCK_OK;
}

awsflock_code awsflock_load_config(awsflock *context, const char *file, awsflock_error *error)
{
	awsflock_code code = refuse_late_change(context, error);

	return code == AWSFLOCK_OK ? config_load(&context->config, file, error) : code;
}

awsflock_code awsflock_set(awsflock *context, const char *key, const char *value, awsflock_error *error)
{
	awsflock_code code = refuse_late_change(context, error);
	enum config_key found = config_key_find(key);

	if (code != AWSFLOCK_OK)
		return code;
	if (found == CONFIG_KEY_COUNT)
		return error_set(error, AWSFLOCK_INVALID,
				 "there is no setting called '%s': see awsflock.conf(5) for those that exist", key);
	code = config_set(&context->config, found, value, CONFIG_FROM_CALLER, error);
	/* In a file a bad value is a fault of the configuration; here it is one of the caller's. */
	if (code == AWSFLOCK_CONFIG && error)
		error->code = AWSFLOCK_INVALID;
	return code == AWSFLOCK_CONFIG ? AWSFLOCK_INVALID : code;
}

const char *awsflock_get(const awsflock *context, const char *key)
{
	enum config_key found = config_key_find(key);

	return found == CONFIG_KEY_COUNT ? NULL : config_get(&context->config, found);
}

void awsflock_set_log(awsflock *context, awsflock_log_fn *log, void *arg)
{
	context->runtime.log = log;
	context->runtime.log_arg = arg;
}

void awsflock_set_stop(awsflock *context, awsflock_stop_fn *stop, void *arg)
{
	context->runtime.stop = stop;
	context->runtime.stop_arg = arg;
}

void awsflock_set_stop_fd(awsflock *context, int fd)
{
	context->runtime.stop_fd = fd;
}

void awsflock_set_lease_id_callback(awsflock *context, awsflock_lease_id_fn *on_id, void *arg)
{
	context->on_id = on_id;
	context->on_id_arg = arg;
}

void awsflock_set_renewed_callback(awsflock *context, awsflock_renewed_fn *on_renewed, void *arg)
{
	context->on_renewed = on_renewed;
	context->on_renewed_arg = arg;
}

/* ---- The store --------------------------------------------------------------------------------------------- */

awsflock_code awsflock_store_name(awsflock *context, const char **name, awsflock_error *error)
{
	awsflock_code code = context_open(context, error);

	if (code == AWSFLOCK_OK)
		*name = context->store->name;
	return code;
}

awsflock_code awsflock_create_table(awsflock *context, const awsflock_table_options *options, awsflock_error *error)
{
	static const awsflock_table_options defaults = AWSFLOCK_TABLE_OPTIONS_INIT;
	awsflock_code code;

	if (options && options->size < sizeof(awsflock_table_options))
		return error_set(error, AWSFLOCK_INVALID,
				 "the options were not initialised with AWSFLOCK_TABLE_OPTIONS_INIT");
	code = context_open(context, error);
	if (code != AWSFLOCK_OK)
		return code;
	return context->store->ops->create(context->store, options ? options : &defaults, error);
}

/* ---- Diagnosis --------------------------------------------------------------------------------------------- */

static const char *origin_name(enum config_origin origin)
{
	switch (origin) {
	case CONFIG_FROM_SYSTEM_FILE:
		return "from the system's file";
	case CONFIG_FROM_USER_FILE:
		return "from the user's file";
	case CONFIG_FROM_ENVIRONMENT:
		return "from the environment";
	case CONFIG_FROM_CALLER:
		return "from the command line";
	case CONFIG_DEFAULT:
		break;
	}
	return "the default";
}

static void tell_settings(const awsflock *context, const struct diagnosis *diagnosis)
{
	const struct config *config = &context->config;
	bool local = strcmp(config_get(config, CONFIG_STORE), "local") == 0;
	enum config_key place = local ? CONFIG_LOCAL_DIR : CONFIG_TABLE;

	diagnosis_tell(diagnosis, "config", AWSFLOCK_CHECK_OK, "", "%s: %s (%s)",
		       local ? "local store in directory" : "DynamoDB table", config_get(config, place),
		       origin_name(config->origins[place]));
}

awsflock_code awsflock_diagnose(awsflock *context, const char *scratch, awsflock_check_fn *each, void *arg,
				awsflock_error *error)
{
	const struct diagnosis diagnosis = { each, arg };
	char name[TRIAL_NAME_SIZE];
	const char *step;
	awsflock_error fault = { .code = AWSFLOCK_OK };
	awsflock_code code;

	error_clear(error);
	code = scratch ? text_check_lock_name(scratch, error) : trial_name(&context->runtime, name, error);
	if (code != AWSFLOCK_OK)
		return code;
	tell_settings(context, &diagnosis);
	if (context_open_by_steps(context, &step, &fault) != AWSFLOCK_OK) {
		diagnosis_tell_error(&diagnosis, step, AWSFLOCK_CHECK_FAILED, &fault);
		return AWSFLOCK_OK;
	}
	if (context->store->ops->diagnose(context->store, scratch ? scratch : name, &diagnosis))
		trial_run(context, &context->runtime, scratch ? scratch : name, scratch == NULL, &diagnosis);
	if (runtime_stop_requested(&context->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "told to stop before everything was checked");
	return AWSFLOCK_OK;
}

/* ---- Who holds a lock -------------------------------------------------------------------------------------- */

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

awsflock_status context_status_of(struct store *store, const struct lock_item *item)
{
	int64_t now_boot_ns = runtime_boot_ns(store->runtime);
	int64_t now_ms = server_time_guess_ms(&store->time, now_boot_ns, runtime_real_ns(store->runtime));
	const struct holder *holder = &item->holder;

	return (awsflock_status){
		.lock = or_empty(item->lock_id),
		.held = !lease_is_over(store, item),
		.lease_id = item->released ? "" : or_empty(item->lease_id),
		.owner = or_empty(item->owner),
		.fence = item->fence,
		.lease_duration = item->lease_duration,
		.expiration_time = item->expiration_time,
		.acquired_time = item->acquired_time,
		.remaining_seconds = (item->expires_store_ms - now_ms) / MS_PER_S,
		.user = or_empty(holder->user),
		.host = or_empty(holder->host),
		.tty = or_empty(holder->tty),
		.service = or_empty(holder->service),
		.rhost = or_empty(holder->rhost),
		.purpose = or_empty(holder->purpose),
		.pid = holder->pid,
		.broken_by = or_empty(item->broken_by),
		.broken_time = item->broken_time,
	};
}

/* What awsflock_inspect() hands out: the view, and what it looks at.  The view comes first, so that its address is
 * the whole's. */
struct owned_status {
	awsflock_status status;
	struct lock_item item;
};

awsflock_code awsflock_inspect(awsflock *context, const char *lock, awsflock_status **out, awsflock_error *error)
{
	struct owned_status *owned = NULL;
	struct store_reply reply = { 0 };
	awsflock_code code;

	error_clear(error);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = context_open(context, error);
	if (code == AWSFLOCK_OK)
		code = context->store->ops->read(context->store, lock, true, &reply, error);
	if (code != AWSFLOCK_OK)
		return code;
	owned = calloc(1, sizeof(*owned));
	if (!owned)
		goto no_memory;
	owned->item = reply.item;
	memset(&reply.item, 0, sizeof(reply.item));
	if (!reply.has_item) {
		owned->item.released = true;
		owned->item.lock_id = strdup(lock);
		if (!owned->item.lock_id)
			goto no_memory;
	}
	owned->status = context_status_of(context->store, &owned->item);
	*out = (awsflock_status *)owned;
	return AWSFLOCK_OK;

no_memory:
	store_reply_clear(&reply);
	free(owned);
	return error_out_of_memory(error);
}

void awsflock_status_free(awsflock_status **status)
{
	struct owned_status *owned = (struct owned_status *)*status;

	if (!owned)
		return;
	lock_item_clear(&owned->item);
	free(owned);
	*status = NULL;
}

struct listing {
	awsflock *context;
	awsflock_list_fn *each;
	void *arg;
	size_t damaged_count;
};

static bool list_one(void *arg, const struct lock_item *item, const char *damaged)
{
	struct listing *listing = arg;

	if (damaged) {
		listing->damaged_count++;
		runtime_log(&listing->context->runtime, AWSFLOCK_LOG_WARNING, "%s", damaged);
		return true;
	}

	awsflock_status status = context_status_of(listing->context->store, item);

	return listing->each(listing->arg, &status);
}

awsflock_code awsflock_list(awsflock *context, const char *prefix, awsflock_list_fn *each, void *arg,
			    awsflock_error *error)
{
	struct listing listing = { .context = context, .each = each, .arg = arg };
	awsflock_code code = AWSFLOCK_OK;

	error_clear(error);
	if (prefix && *prefix)
		code = text_check_lock_name(prefix, error);
	if (code == AWSFLOCK_OK)
		code = context_open(context, error);
	if (code == AWSFLOCK_OK)
		code = context->store->ops->list(context->store, prefix ? prefix : "", list_one, &listing, error);
	if (code == AWSFLOCK_OK && listing.damaged_count > 0)
		code = error_set(error, AWSFLOCK_BAD_ITEM, "%zu of the entries in %s cannot be read",
				 listing.damaged_count, context->store->where);
	return code;
}

awsflock_code awsflock_break(awsflock *context, const char *lock, const char *lease_id, const char *by, bool now,
			     awsflock_error *error)
{
	awsflock_code code;

	error_clear(error);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = text_check_free("the lease id", lease_id, error);
	if (code == AWSFLOCK_OK)
		code = text_check_free("the name of who breaks the lock", by, error);
	if (code == AWSFLOCK_OK)
		code = context_open(context, error);
	if (code == AWSFLOCK_OK)
		code = lease_break(context->store, lock, lease_id, by, now, error);
	return code;
}
