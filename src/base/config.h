/* The settings: one table of keys serves the configuration file, the environment, the command line and
 * awsflock_set().  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/ini.h"

/* The system's file, in sysconfdir as the build says. */
#ifndef CONFIG_PATH_SYSTEM
#define CONFIG_PATH_SYSTEM "/etc/awsflock.conf"
#endif

/* The local store for everybody on this machine, where an administrator has made it.  Nobody else can: /var/lib is
 * root's. */
#ifndef LOCAL_DIR_SHARED
#define LOCAL_DIR_SHARED "/var/lib/awsflock-shared"
#endif

enum config_key {
	CONFIG_STORE, /* "dynamodb" or "local" */
	CONFIG_LOCAL_DIR,
	CONFIG_TABLE,
	CONFIG_REGION,
	CONFIG_ENDPOINT_URL,
	CONFIG_PROFILE,
	CONFIG_CREDENTIALS_FILE,
	CONFIG_CONFIG_FILE, /* AWS's config file, key "config_file" */
	CONFIG_CA_BUNDLE,
	CONFIG_PROXY,
	CONFIG_ALLOW_PLAIN_HTTP,
	CONFIG_LEASE_DURATION,
	CONFIG_WAIT_TIME,
	CONFIG_POLL_INTERVAL,
	CONFIG_CONNECT_TIMEOUT,
	CONFIG_REQUEST_TIMEOUT,
	CONFIG_OWNER,
	CONFIG_KEY_COUNT
};

enum config_origin {
	CONFIG_DEFAULT,
	CONFIG_FROM_MACHINE, /* the shared local store is there */
	CONFIG_FROM_SYSTEM_FILE,
	CONFIG_FROM_USER_FILE,
	CONFIG_FROM_ENVIRONMENT,
	CONFIG_FROM_CALLER
};

struct config {
	char *values[CONFIG_KEY_COUNT]; /* NULL: unset */
	enum config_origin origins[CONFIG_KEY_COUNT];
	char *passed_over; /* the sentence about a user's file that is none for this user; NULL: none was met */
};

/* The built-in defaults.  AWSFLOCK_MEMORY. */
awsflock_code config_init(struct config *config, awsflock_error *error);
void config_free(struct config *config);

/* The name in the file and in awsflock_set(); CONFIG_KEY_COUNT where NAME is none. */
const char *config_key_name(enum config_key key);
enum config_key config_key_find(const char *name);

/* Checks VALUE (an empty one unsets the key, back to its default) and keeps a copy; in a path with the
 * home directory for a tilde. */
awsflock_code config_set(struct config *config, enum config_key key, const char *value, enum config_origin origin,
			 awsflock_error *error);

/* What awsflock_load_config() promises.  Where nothing names a local_dir, that is LOCAL_DIR_SHARED if it is there: not
 * for session guards, which use config_apply(), since a group's members could forge locks in it. */
awsflock_code config_load(struct config *config, const char *file, awsflock_error *error);

/* The [awsflock] section of a file that was read from PATH; [guard NAME] sections are passed over, broken ones too.
 * A part of it may have been applied where it fails. */
awsflock_code config_apply(struct config *config, const char *path, const struct ini *ini,
			   enum config_origin origin, awsflock_error *error);

/* The value, the default where unset, or NULL.  Values were checked when they were set, so these cannot fail. */
const char *config_get(const struct config *config, enum config_key key);
int64_t config_get_seconds(const struct config *config, enum config_key key);
int64_t config_get_ms(const struct config *config, enum config_key key);
bool config_get_bool(const struct config *config, enum config_key key);

#endif
