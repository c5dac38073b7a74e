/* The public functions for a context: its settings and callbacks.  SPDX-License-Identifier: Apache-2.0 */
#include "lib/context.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/error.h"
#include "base/outside.h"
#include "lib/giving_back.h"

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
	if (!context || !*context)
		return;
	giving_back_forget(*context);
	if ((*context)->runtime.outside_socket > 0)
		close((*context)->runtime.outside_socket);
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

	if (code == AWSFLOCK_OK)
		code = config_load(&context->config, file, error);
	if (code == AWSFLOCK_OK && context->config.passed_over)
		runtime_log(&context->runtime, AWSFLOCK_LOG_NOTICE, "%s: passed over", context->config.passed_over);
	return code;
}

awsflock_code awsflock_set(awsflock *context, const char *key, const char *value, awsflock_error *error)
{
	awsflock_code code = refuse_late_change(context, error);
	enum config_key found = config_key_find(key);

	if (code != AWSFLOCK_OK)
		return code;
	if (found == CONFIG_KEY_COUNT)
		return error_set(error, AWSFLOCK_INVALID, "unknown setting '%s': see awsflock.conf(5)", key);
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

void awsflock_set_give_back_later(awsflock *context, bool later)
{
	context->gives_back_later = later;
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

awsflock_code awsflock_start_programs_outside(awsflock *context, awsflock_error *error)
{
	int socket;

	error_clear(error);
	if (context->runtime.outside_socket > 0)
		return AWSFLOCK_OK;
	socket = outside_start();
	if (socket < 0)
		return error_set_errno(error, AWSFLOCK_INTERNAL, errno, "no process can be started for programs");
	context->runtime.outside_socket = socket;
	return AWSFLOCK_OK;
}

void awsflock_set_lease_id_callback(awsflock *context, awsflock_lease_id_fn *on_id, void *arg)
{
	context->on_id = on_id;
	context->on_id_arg = arg;
}

void awsflock_set_mfa_callback(awsflock *context, awsflock_mfa_fn *ask, void *arg)
{
	context->ask_mfa = ask;
	context->ask_mfa_arg = arg;
}

void awsflock_set_renewed_callback(awsflock *context, awsflock_renewed_fn *on_renewed, void *arg)
{
	context->on_renewed = on_renewed;
	context->on_renewed_arg = arg;
}
