/* The public functions, thin over lock/: they check what comes in, and put store, transport and clock together.
 * SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api_trial.h"
#include "aws/dynamodb.h"
#include "aws/imds.h"
#include "base/account.h"
#include "base/config.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/runtime.h"
#include "base/text.h"
#include "base/text_check.h"
#include "lock/diagnosis.h"
#include "lock/heartbeat.h"
#include "lock/lease.h"
#include "lock/store_dynamodb.h"
#include "lock/store_local.h"
#include "lock/wait.h"

#ifndef AWSFLOCK_VERSION
#define AWSFLOCK_VERSION "unknown"
#endif

struct awsflock {
	struct runtime runtime;
	struct config config;
	struct store *store; /* opened at the first use */
	awsflock_lease_id_fn *on_id;
	void *on_id_arg;
	awsflock_renewed_fn *on_renewed;
	void *on_renewed_arg;
	bool is_set_id;
};

struct awsflock_lease {
	awsflock *context;
	struct lease *lease;
};

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

/* The value of KEY where it has the given rank: the environment comes between the caller's and the files'. */
static const char *from_caller(const struct config *config, enum config_key key)
{
	return config->origins[key] == CONFIG_FROM_CALLER ? config_get(config, key) : NULL;
}

static const char *from_file(const struct config *config, enum config_key key)
{
	enum config_origin origin = config->origins[key];

	return origin == CONFIG_FROM_SYSTEM_FILE || origin == CONFIG_FROM_USER_FILE ? config_get(config, key)
										    : NULL;
}

static const char *from_environment(const awsflock *context, const char *name)
{
	const char *value = context->is_set_id ? NULL : secure_getenv(name);

	return value && *value ? value : NULL;
}

static const char *first_of(const char *a, const char *b, const char *c, const char *d)
{
	return a ? a : b ? b : c ? c : d;
}

static awsflock_code load_profile(awsflock *context, struct profile *profile, awsflock_error *error)
{
	const struct config *config = &context->config;
	struct profile_options options = {
		.name = first_of(from_caller(config, CONFIG_PROFILE), from_environment(context, "AWS_PROFILE"),
				 from_file(config, CONFIG_PROFILE), NULL),
		.config_path = config_get(config, CONFIG_CONFIG_FILE),
		.credentials_path = config_get(config, CONFIG_CREDENTIALS_FILE),
		.ignore_environment = context->is_set_id,
	};

	return profile_load(&options, profile, error);
}

static awsflock_code open_transport(awsflock *context, const struct profile *profile, struct http_transport **out,
				    awsflock_error *error)
{
	const struct config *config = &context->config;
	const char *proxy = config_get(config, CONFIG_PROXY);
	struct http_curl_options options = {
		.ca_bundle =
			first_of(from_caller(config, CONFIG_CA_BUNDLE), from_environment(context, "AWS_CA_BUNDLE"),
				 from_file(config, CONFIG_CA_BUNDLE), profile_config_get(profile, "ca_bundle")),
		.proxy = proxy || !context->is_set_id ? proxy : "",
		.user_agent = "awsflock/" AWSFLOCK_VERSION,
	};

	/* botocore's last resort, which it has from the requests library. */
	if (!options.ca_bundle)
		options.ca_bundle = from_environment(context, "REQUESTS_CA_BUNDLE");
	return http_curl_new(&context->runtime, &options, out, error);
}

/* What it takes to ask for the instance's region. */
struct region_asking {
	awsflock *context;
	const struct profile *profile;
	char *region; /* the answer */
};

/* Over a transport of its own: a process that forks later must not share its connection with its child. */
static const char *ask_instance_region(void *arg)
{
	struct region_asking *asking = arg;
	struct credentials_context context = { .runtime = &asking->context->runtime,
					       .profile = asking->profile,
					       .ignore_environment = asking->context->is_set_id,
					       .give_up_boot_ns = INT64_MAX };
	struct buf why_not = BUF_INIT;
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (open_transport(asking->context, asking->profile, &context.transport, &error) != AWSFLOCK_OK)
		return NULL; /* which the caller is going to learn, too */
	if (imds_region(&context, &asking->region, &why_not, &error) != AWSFLOCK_OK)
		buf_puts(&why_not, error.message);
	if (!asking->region)
		runtime_log(&asking->context->runtime, AWSFLOCK_LOG_DEBUG,
			    "no region from the instance metadata: %s", buf_text(&why_not));
	buf_free(&why_not);
	context.transport->free(context.transport);
	return asking->region;
}

static awsflock_code resolve_endpoint(awsflock *context, const struct profile *profile, struct endpoint *endpoint,
				      awsflock_error *error)
{
	const struct config *config = &context->config;
	struct region_asking asking = { .context = context, .profile = profile };
	struct endpoint_options options = {
		.region = from_caller(config, CONFIG_REGION),
		.url = from_caller(config, CONFIG_ENDPOINT_URL),
		.config_region = from_file(config, CONFIG_REGION),
		.config_url = from_file(config, CONFIG_ENDPOINT_URL),
		.profile = profile,
		.allow_plain_http = config_get_bool(config, CONFIG_ALLOW_PLAIN_HTTP),
		.ignore_environment = context->is_set_id,
		.instance_region = ask_instance_region,
		.instance_region_arg = &asking,
	};
	awsflock_code code;

	code = endpoint_resolve(&options, endpoint, error);
	free(asking.region);
	return code;
}

/* *STEP: what was under way when it failed, as awsflock_diagnose() calls it. */
static awsflock_code open_dynamodb(awsflock *context, const char **step, awsflock_error *error)
{
	const struct config *config = &context->config;
	struct dynamodb_options options = {
		.runtime = &context->runtime,
		.profile_given = from_caller(config, CONFIG_PROFILE) != NULL,
		.ignore_environment = context->is_set_id,
		.allow_plain_http = config_get_bool(config, CONFIG_ALLOW_PLAIN_HTTP),
		.connect_timeout_ms = config_get_ms(config, CONFIG_CONNECT_TIMEOUT),
		.request_timeout_ms = config_get_ms(config, CONFIG_REQUEST_TIMEOUT),
	};
	struct dynamodb *client = NULL;
	awsflock_code code;

	*step = "profile";
	code = load_profile(context, &options.profile, error);
	if (code == AWSFLOCK_OK) {
		*step = "endpoint";
		code = resolve_endpoint(context, &options.profile, &options.endpoint, error);
	}
	if (code == AWSFLOCK_OK) {
		*step = "connection";
		code = open_transport(context, &options.profile, &options.transport, error);
	}
	if (code != AWSFLOCK_OK) {
		endpoint_clear(&options.endpoint);
		profile_clear(&options.profile);
		return code;
	}
	code = dynamodb_new(&options, &client, error);
	if (code != AWSFLOCK_OK)
		return code;
	return store_dynamodb_new(&context->runtime, client, config_get(config, CONFIG_TABLE), &context->store,
				  error);
}

static awsflock_code open_store_by_steps(awsflock *context, const char **step, awsflock_error *error)
{
	const struct config *config = &context->config;

	error_clear(error);
	*step = "directory";
	if (context->store)
		return AWSFLOCK_OK;
	if (strcmp(config_get(config, CONFIG_STORE), "local") == 0)
		return store_local_new(&context->runtime, config_get(config, CONFIG_LOCAL_DIR), &context->store,
				       error);
	return open_dynamodb(context, step, error);
}

static awsflock_code open_store(awsflock *context, awsflock_error *error)
{
	const char *step;

	return open_store_by_steps(context, &step, error);
}

awsflock_code awsflock_store_name(awsflock *context, const char **name, awsflock_error *error)
{
	awsflock_code code = open_store(context, error);

	if (code == AWSFLOCK_OK)
		*name = context->store->name;
	return code;
}

awsflock_code awsflock_create_table(awsflock *context, const awsflock_table_options *options, awsflock_error *error)
{
	static const awsflock_table_options defaults = AWSFLOCK_TABLE_OPTIONS_INIT;
	awsflock_code code = open_store(context, error);

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
	if (open_store_by_steps(context, &step, &fault) != AWSFLOCK_OK) {
		diagnosis_tell_error(&diagnosis, step, AWSFLOCK_CHECK_FAILED, &fault);
		return AWSFLOCK_OK;
	}
	if (context->store->ops->diagnose(context->store, scratch ? scratch : name, &diagnosis))
		trial_run(context, scratch ? scratch : name, scratch == NULL, &diagnosis);
	if (runtime_stop_requested(&context->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "told to stop before everything was checked");
	return AWSFLOCK_OK;
}

/* ---- Who holds a lock -------------------------------------------------------------------------------------- */

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* A view into ITEM, which must outlive it. */
static awsflock_status status_of(struct store *store, const struct lock_item *item)
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
		code = open_store(context, error);
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
	owned->status = status_of(context->store, &owned->item);
	*out = &owned->status;
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

	awsflock_status status = status_of(listing->context->store, item);

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
		code = open_store(context, error);
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
		code = open_store(context, error);
	if (code == AWSFLOCK_OK)
		code = lease_break(context->store, lock, lease_id, by, now, error);
	return code;
}

/* ---- Leases ------------------------------------------------------------------------------------------------ */

static awsflock_code check_options(const awsflock_acquire_options *options, awsflock_error *error)
{
	const struct {
		const char *what, *text;
	} texts[] = {
		{ "the owner", options->owner },     { "the purpose", options->purpose },
		{ "the user", options->user },       { "the terminal", options->tty },
		{ "the service", options->service }, { "the remote host", options->rhost },
	};

	if (options->size < sizeof(awsflock_acquire_options))
		return error_set(error, AWSFLOCK_INVALID,
				 "the options were not initialised with AWSFLOCK_ACQUIRE_OPTIONS_INIT");
	if (options->lease_seconds < 0 || options->lease_seconds > DURATION_MAX_SECONDS)
		return error_set(error, AWSFLOCK_INVALID,
				 "a lease lasts from 1 second to 366 days, not %lld seconds",
				 (long long)options->lease_seconds);
	if (options->wait_ms < AWSFLOCK_WAIT_FOREVER || options->wait_ms > DURATION_MAX_SECONDS * MS_PER_S)
		return error_set(error, AWSFLOCK_INVALID, "a wait lasts for 366 days at the most, or for ever");
	if (options->pid < 0)
		return error_set(error, AWSFLOCK_INVALID, "a process has a number above zero, not %lld",
				 (long long)options->pid);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		awsflock_code code =
			texts[i].text ? text_check_free(texts[i].what, texts[i].text, error) : AWSFLOCK_OK;

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
	awsflock_status status = status_of(waiting->context->store, item);

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

	return wait_acquire(context->store, &request, &wait, out, error);
}

awsflock_code awsflock_acquire(awsflock *context, const char *lock, const awsflock_acquire_options *options,
			       awsflock_lease **out, awsflock_error *error)
{
	static const awsflock_acquire_options defaults = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	struct holder holder = { 0 };
	struct lease *lease = NULL;
	awsflock_code code;

	error_clear(error);
	if (!options)
		options = &defaults;
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = check_options(options, error);
	if (code == AWSFLOCK_OK)
		code = open_store(context, error);
	if (code != AWSFLOCK_OK)
		return code;
	code = describe_self(options, &holder, error);
	if (code == AWSFLOCK_OK)
		code = acquire_as(context, lock, options, &holder, &lease, error);
	holder_clear(&holder);
	if (code != AWSFLOCK_OK)
		return code;
	code = wrap_lease(context, lease, out, error);
	if (code != AWSFLOCK_OK) {
		if (lease_release(lease, false, NULL) != AWSFLOCK_OK)
			runtime_log(&context->runtime, AWSFLOCK_LOG_WARNING,
				    "'%s' stays taken for nobody until its lease runs out", lock);
		lease_free(&lease);
	}
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
		code = open_store(context, error);
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
	awsflock_code code = AWSFLOCK_OK;

	error_clear(error);
	if (lease_seconds < 0 || lease_seconds > DURATION_MAX_SECONDS)
		return error_set(error, AWSFLOCK_INVALID,
				 "a lease lasts from 1 second to 366 days, not %lld seconds",
				 (long long)lease_seconds);
	if (owner)
		code = text_check_free("the owner", owner, error);
	if (code != AWSFLOCK_OK)
		return code;
	return lease_renew(lease->lease, lease_seconds ? lease_seconds : lease->lease->seconds, owner, INT64_MAX,
			   error);
}

awsflock_code awsflock_release(awsflock_lease *lease, unsigned flags, awsflock_error *error)
{
	error_clear(error);
	return lease_release(lease->lease, (flags & AWSFLOCK_RELEASE_DELETE) != 0, error);
}

void awsflock_lease_free(awsflock_lease **lease)
{
	if (!*lease)
		return;
	lease_free(&(*lease)->lease);
	free(*lease);
	*lease = NULL;
}

awsflock_code awsflock_keep(awsflock_lease *lease, int64_t stop_ms, awsflock_error *error)
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
	return lease->lease->seconds;
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
