/* Where credentials come from: a chain of sources, asked in botocore's order; one file a source.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/profile.h"
#include "aws/sigv4.h"
#include "awsflock.h"
#include "base/runtime.h"

struct credentials {
	char *access_key_id, *secret_access_key;
	char *session_token;  /* NULL: none */
	int64_t expires_time; /* epoch seconds; INT64_MAX: never */
	const char *source;   /* "environment", "credentials file": for people */
};

void credentials_clear(struct credentials *credentials); /* wipes */

/* What a source may look at. */
struct credentials_context {
	struct runtime *runtime;
	const struct profile *profile;
	bool profile_given;      /* by name (option): then only that profile serves */
	bool ignore_environment; /* set-id programs and guards */
};

/* One source.  AWSFLOCK_OK with *FOUND false: it does not apply, and WHY_NOT (a buffer) says so in a few words.
 * Any other code: it applies and failed, which ends the chain. */
struct credentials_source {
	const char *name;
	bool profile_only; /* still asked when a profile was given by name */
	awsflock_code (*load)(const struct credentials_context *context, struct credentials *out, bool *found,
			      struct buf *why_not, awsflock_error *error);
};

extern const struct credentials_source credentials_environment; /* credentials_environment.c */
extern const struct credentials_source credentials_shared_file; /* credentials_file.c: the credentials file */
extern const struct credentials_source credentials_config_file; /* credentials_file.c: keys in the config file */

/* Runs the chain.  AWSFLOCK_CREDENTIALS where nothing serves: the sentence lists every source tried and why not. */
awsflock_code credentials_load(const struct credentials_context *context, struct credentials *out,
			       awsflock_error *error);

#endif
