/* awsflock_diagnose(): the settings, the store, and at last a lock.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/diagnosis.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text_check.h"
#include "lib/context.h"
#include "lib/store_opening.h"
#include "lib/trial.h"

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
	case CONFIG_FROM_MACHINE:
		return "set up on this machine for its group";
	case CONFIG_DEFAULT:
		break;
	}
	return "the default";
}

static const char *whose_place(const struct config *config, enum config_key place)
{
	if (place == CONFIG_LOCAL_DIR && config->origins[place] == CONFIG_DEFAULT)
		return geteuid() == 0 ? "the default: root's alone" : "the default: this user's alone";
	return origin_name(config->origins[place]);
}

static void tell_settings(const awsflock *context, const struct diagnosis *diagnosis)
{
	const struct config *config = &context->config;
	bool local = strcmp(config_get(config, CONFIG_STORE), "local") == 0;
	enum config_key place = local ? CONFIG_LOCAL_DIR : CONFIG_TABLE;

	diagnosis_tell(diagnosis, "config", AWSFLOCK_CHECK_OK, "", "%s: %s (%s)",
		       local ? "local store in directory" : "DynamoDB table", config_get(config, place),
		       whose_place(config, place));
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
	if (store_open_by_steps(context, &step, &fault) != AWSFLOCK_OK) {
		diagnosis_tell_error(&diagnosis, step, AWSFLOCK_CHECK_FAILED, &fault);
		return AWSFLOCK_OK;
	}
	if (context->store->ops->diagnose(context->store, scratch ? scratch : name, &diagnosis))
		trial_run(context, &context->runtime, scratch ? scratch : name, !scratch, &diagnosis);
	if (runtime_stop_requested(&context->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "cancelled before everything was checked");
	return AWSFLOCK_OK;
}
