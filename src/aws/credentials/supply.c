/* When to ask for new credentials.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/supply.h"

#include "base/error.h"
#include "base/text.h"

#define EARLY_NS (INT64_C(900) * NS_PER_S) /* botocore's, too */
/* After a failed early renewal.  A service that cannot renew anybody's keys is not to be asked by everybody at
 * once. */
#define RETRY_NS (INT64_C(60) * NS_PER_S)
/* What was read before may have been renewed by a person since. */
#define LOOK_AGAIN_NS (INT64_C(60) * NS_PER_S)
#define OUTLIVE_LEAST_NS (INT64_C(300) * NS_PER_S)
#define OUTLIVE_MOST_NS (INT64_C(600) * NS_PER_S)

static int64_t left_ns(const struct credentials_supply *supply, const struct credentials_context *context,
		       const struct server_time *time)
{
	struct runtime *runtime = context->runtime;
	int64_t now_ms = server_time_guess_ms(time, runtime_boot_ns(runtime), runtime_real_ns(runtime));
	int64_t left;

	if (supply->credentials.expires_time == INT64_MAX)
		return INT64_MAX;
	if (__builtin_mul_overflow(supply->credentials.expires_time - now_ms / MS_PER_S, NS_PER_S, &left))
		return INT64_MAX;
	return left;
}

static void ask_again_in(struct credentials_supply *supply, const struct credentials_context *context, int64_t ns)
{
	supply->ask_again_boot_ns = runtime_boot_ns(context->runtime) + ns;
}

static void ask_again_later(struct credentials_supply *supply, const struct credentials_context *context)
{
	ask_again_in(supply, context,
		     supply->credentials.outlive_expiry
			     ? runtime_random_between(context->runtime, OUTLIVE_LEAST_NS, OUTLIVE_MOST_NS)
			     : RETRY_NS);
}

/* Keys that live less than half an hour are renewed at half of their life, not with every request. */
static void plan(struct credentials_supply *supply, const struct credentials_context *context, int64_t left)
{
	if (left <= 0)
		ask_again_later(supply, context);
	else
		ask_again_in(supply, context, left / 2 < EARLY_NS ? left / 2 : EARLY_NS);
}

static awsflock_code load_credentials(struct credentials_supply *supply, struct credentials_context *context,
				      const struct server_time *time, awsflock_error *error)
{
	struct credentials fresh = { .source = NULL };
	awsflock_code code;

	context->memory = &supply->memory;
	context->skip_caches = supply->refused;
	context->refused_key_id = supply->credentials.access_key_id;
	code = credentials_load(context, &fresh, error);
	context->refused_key_id = NULL; /* which does not outlive this call */
	supply->memory.asking_is_over = supply->memory.code_was_asked;
	if (code != AWSFLOCK_OK)
		return code;
	supply->refused = false;
	credentials_clear(&supply->credentials);
	supply->credentials = fresh;
	supply->loaded = true;
	supply->loaded_boot_ns = runtime_boot_ns(context->runtime);
	plan(supply, context, left_ns(supply, context, time));
	return AWSFLOCK_OK;
}

/* The old ones are still good: no source may take the time that the request itself needs. */
static awsflock_code load_in_half_the_time(struct credentials_supply *supply, struct credentials_context *context,
					   const struct server_time *time, awsflock_error *error)
{
	int64_t now_ns = runtime_boot_ns(context->runtime), give_up_ns = context->give_up_boot_ns;
	awsflock_code code;

	if (give_up_ns != INT64_MAX)
		context->give_up_boot_ns = now_ns + (give_up_ns - now_ns) / 2;
	code = load_credentials(supply, context, time, error);
	context->give_up_boot_ns = give_up_ns;
	if (code != AWSFLOCK_OK)
		ask_again_later(supply, context);
	return code;
}

static void renew_early(struct credentials_supply *supply, struct credentials_context *context,
			const struct server_time *time)
{
	awsflock_error why = { .code = AWSFLOCK_OK };

	if (load_in_half_the_time(supply, context, time, &why) != AWSFLOCK_OK)
		runtime_log(context->runtime, AWSFLOCK_LOG_WARNING,
			    "the credentials from the %s could not be renewed, and stay in use: %s",
			    supply->credentials.source, why.message);
}

awsflock_code credentials_supply_have(struct credentials_supply *supply, struct credentials_context *context,
				      const struct server_time *time, awsflock_error *error)
{
	int64_t left;

	if (!supply->loaded)
		return load_credentials(supply, context, time, error);
	left = left_ns(supply, context, time);
	if (left <= 0 && !supply->credentials.outlive_expiry)
		return load_credentials(supply, context, time, error);
	if (left >= EARLY_NS || runtime_boot_ns(context->runtime) < supply->ask_again_boot_ns)
		return AWSFLOCK_OK;
	renew_early(supply, context, time);
	return AWSFLOCK_OK;
}

/* Files that cannot be read now, perhaps half written, leave what they said before in force. */
void credentials_supply_refused(struct credentials_supply *supply, struct runtime *runtime, struct profile *profile)
{
	awsflock_error error = { .code = AWSFLOCK_OK };

	supply->loaded = false;
	supply->refused = true;
	if (profile_reload(profile, &error) != AWSFLOCK_OK)
		runtime_log(runtime, AWSFLOCK_LOG_WARNING, "%s", error.message);
}

/* When the last keys end that can be had from here; INT64_MAX: never, for all that is known. */
static int64_t find_end(const struct credentials *credentials)
{
	if (credentials->renewable_until_time == 0)
		return INT64_MAX;
	return credentials->renewable_until_time > credentials->expires_time ? credentials->renewable_until_time
									     : credentials->expires_time;
}

/* Seconds until *END; INT64_MAX: there is none. */
static int64_t end_left(const struct credentials_supply *supply, const struct credentials_context *context,
			const struct server_time *time, int64_t *end)
{
	struct runtime *runtime = context->runtime;

	*end = supply->loaded ? find_end(&supply->credentials) : INT64_MAX;
	if (*end == INT64_MAX)
		return INT64_MAX;
	return *end - server_time_guess_ms(time, runtime_boot_ns(runtime), runtime_real_ns(runtime)) / MS_PER_S;
}

static bool is_to_be_told(const struct credentials_supply *supply, int64_t end, int64_t left, int64_t seconds)
{
	return left > 0 && left <= seconds && (supply->foreseen_time != end || seconds < supply->foreseen_within_s);
}

static void tell_end(const struct credentials_supply *supply, struct runtime *runtime, int64_t left)
{
	char within[32];

	text_duration(left, within, sizeof(within));
	if (supply->credentials.sign_in_command)
		runtime_log(
			runtime, AWSFLOCK_LOG_WARNING,
			"the sign-in ends in %s, and then the lock cannot be renewed: type %s before, also while "
			"this runs",
			within, supply->credentials.sign_in_command);
	else
		runtime_log(
			runtime, AWSFLOCK_LOG_WARNING,
			"the keys from the %s end in %s, and then the lock cannot be renewed: use keys that last "
			"longer, or a source that renews them",
			supply->credentials.source, within);
}

void credentials_supply_foresee(struct credentials_supply *supply, struct credentials_context *context,
				const struct server_time *time, int64_t seconds)
{
	int64_t end, left = end_left(supply, context, time, &end);
	awsflock_error ignored;

	if (!is_to_be_told(supply, end, left, seconds))
		return;
	if (runtime_boot_ns(context->runtime) - supply->loaded_boot_ns >= LOOK_AGAIN_NS &&
	    load_in_half_the_time(supply, context, time, &ignored) == AWSFLOCK_OK)
		left = end_left(supply, context, time, &end);
	if (!is_to_be_told(supply, end, left, seconds))
		return;
	supply->foreseen_time = end;
	supply->foreseen_within_s = left < seconds ? left : seconds;
	tell_end(supply, context->runtime, left);
}

void credentials_supply_clear(struct credentials_supply *supply)
{
	credentials_clear(&supply->credentials);
	sign_in_memory_clear(&supply->memory);
	supply->loaded = false;
}
