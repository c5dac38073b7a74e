/* AWS's shared files: ~/.aws/config and ~/.aws/credentials, and the profile in force.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include <stdbool.h>

#include "awsflock.h"
#include "base/buf.h"
#include "base/ini.h"

struct profile {
	char *name; /* "default" where none was asked for */
	bool named; /* by option, configuration or AWS_PROFILE */
	char *config_path, *credentials_path;
	bool config_named, credentials_named; /* by option, configuration or environment */
	struct ini config, credentials;
	struct buf passed_over; /* empty, or the sentence about files in default places that cannot be read */
};

struct profile_options {
	const char *name;             /* NULL: AWS_PROFILE, AWS_DEFAULT_PROFILE, "default" */
	const char *config_path;      /* NULL: AWS_CONFIG_FILE, ~/.aws/config */
	const char *credentials_path; /* NULL: AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials */
	bool ignore_environment;      /* and no home directory either */
};

/* Reads both files; a missing one is empty, as is one in its default place that cannot be read.  AWSFLOCK_CONFIG: a
 * broken file, one that was named and cannot be read, or a profile named that is in neither. */
awsflock_code profile_load(const struct profile_options *options, struct profile *out, awsflock_error *error);
void profile_clear(struct profile *profile);
/* Reads both files anew, for keys that were changed in them.  PROFILE stays as it is where that fails, and where a
 * file is gone. */
awsflock_code profile_reload(struct profile *profile, awsflock_error *error);

/* Whether either file has the profile. */
bool profile_exists(const struct profile *profile);

/* Below, PROFILE may be NULL: one without keys. */

/* A key of the profile in the config file ("region", "s3.addressing_style" for a nested one), or NULL. */
const char *profile_config_get(const struct profile *profile, const char *key);
/* A key of the profile in the credentials file, or NULL. */
const char *profile_credentials_get(const struct profile *profile, const char *key);
/* The config file's section "KIND NAME" ("sso-session"), as the file spells it, for ini_get(); NULL: there is none. */
const char *profile_section(const struct profile *profile, const char *kind, const char *name);
/* KEY of SERVICE in the profile's [services NAME] section, or NULL. */
const char *profile_service_get(const struct profile *profile, const char *service, const char *key);
/* The name that the profile's services = has where there is no such section, or NULL. */
const char *profile_missing_services(const struct profile *profile);

#endif
