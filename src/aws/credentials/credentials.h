/* Where credentials come from: a chain of sources, asked in botocore's order; one file a source.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_CREDENTIALS_H
#define AWS_CREDENTIALS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/http.h"
#include "aws/profile.h"
#include "aws/sigv4.h"
#include "awsflock.h"
#include "base/runtime.h"

struct credentials {
	char *access_key_id;
	char *secret_access_key, *session_token; /* of secret_copy(); without a token NULL */
	int64_t expires_time;                    /* epoch seconds; INT64_MAX: never, or not known */
	const char *source;                      /* "environment", "credentials file": for people */
	/* The source has nothing newer for now: they are used beyond their expiry, and asked for again later. */
	bool outlive_expiry;
	char *identity; /* whose they are, for people: "account 123456789012, role deployer"; NULL: not told */
	/* Until when new keys can be had from here, in epoch seconds, and what a person types then to sign in again.  0:
	 * as long as they are asked for.  NULL: nobody signs in; the environment's keys end for good. */
	int64_t renewable_until_time;
	char *sign_in_command;
};

void credentials_clear(struct credentials *credentials); /* wipes */

/* Fills in copies; TOKEN may be NULL or "".  AWSFLOCK_MEMORY. */
awsflock_code credentials_fill(struct credentials *credentials, const char *id, const char *secret,
			       const char *token, awsflock_error *error);

/* What a client remembers from one load of its credentials to the next; all zero at first. */
struct sign_in_memory {
	char *path, *text; /* a renewed sign-in that could not be written to PATH; TEXT of secret_copy() */
	char *spent;       /* the refresh token that PATH held then; of secret_copy() */
	int64_t refresh_again_boot_ns; /* a token that was not renewed is tried again then */
	int64_t refused_time;          /* the end of a token whose renewal was refused for good; 0: none was */
	bool code_was_asked;           /* for MFA; one load may ask for a chain's codes, a later one for none */
	bool asking_is_over;
	bool sources_were_told; /* why none of them serves */
	bool others_were_told;  /* who can write a sign-in, too */
};

void sign_in_memory_clear(struct sign_in_memory *memory); /* wipes */

/* What a source may look at. */
struct credentials_context {
	struct runtime *runtime;
	struct http_transport *transport;               /* NULL: sources that need one do not serve */
	const struct profile *profile;                  /* NULL only where no source of credentials is asked */
	const char *region;                             /* of the STS endpoint */
	bool profile_given;                             /* by name (option): then only that profile serves */
	bool ignore_environment;                        /* set-id programs and guards */
	bool allow_plain_http;                          /* STS beyond this machine without TLS */
	int64_t give_up_boot_ns;                        /* no source goes on beyond this */
	int64_t connect_timeout_ms, request_timeout_ms; /* of STS and of the sign-in services */
	struct sign_in_memory *memory;                  /* NULL: nothing is remembered */
	bool skip_caches;                               /* the keys in them were refused */
	const char *refused_key_id;                     /* with that: only these were; NULL: any */
	awsflock_mfa_fn *ask_mfa;                       /* NULL: nobody can be asked */
	void *ask_mfa_arg;
};

/* One source.  AWSFLOCK_OK with *FOUND false: it does not apply, and WHY_NOT (a buffer) says so in a few words.
 * Any other code: it applies and failed, which ends the chain. */
struct credentials_source {
	const char *name;
	bool profile_only; /* still asked when a profile was given by name */
	awsflock_code (*load)(const struct credentials_context *context, struct credentials *out, bool *found,
			      struct buf *why_not, awsflock_error *error);
};

extern const struct credentials_source credentials_environment;  /* environment.c */
extern const struct credentials_source credentials_assumed_role; /* assume_role.c */
extern const struct credentials_source credentials_web_identity; /* web_identity.c */
extern const struct credentials_source credentials_sso;          /* sso.c */
extern const struct credentials_source credentials_shared_file;  /* file.c: the credentials file */
extern const struct credentials_source credentials_login;        /* login.c */
extern const struct credentials_source credentials_process;      /* process.c */
extern const struct credentials_source credentials_config_file;  /* file.c: keys in the config file */
extern const struct credentials_source credentials_container;    /* container.c */
extern const struct credentials_source credentials_instance;     /* imds.c */

/* Runs the chain.  AWSFLOCK_CREDENTIALS where nothing serves: the log has a line for every source that was asked, and why
 * not. */
awsflock_code credentials_load(const struct credentials_context *context, struct credentials *out,
			       awsflock_error *error);

/* ---- For the sources ---------------------------------------------------------------------------------------- */

/* One source, with a check of what it gives; where it does not serve, WHY_NOT grows by a clause. */
awsflock_code credentials_ask(const struct credentials_source *source, const struct credentials_context *context,
			      struct credentials *out, bool *found, struct buf *why_not, awsflock_error *error);
/* SOURCES in order, up to the first that serves. */
awsflock_code credentials_ask_in_turn(const struct credentials_source *const *sources, size_t count,
				      const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error);
/* The sources that a profile by itself can name, in order, up to the first that serves. */
awsflock_code credentials_ask_profile(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error);

/* The environment's NAME, NULL where it is unset, empty or ignored. */
const char *credentials_variable(const struct credentials_context *context, const char *name);
/* KEY of the profile: in the credentials file, which takes precedence, or the config file; NULL where unset or
 * empty.
 */
const char *credentials_profile_key(const struct credentials_context *context, const char *key);

/* A copy of PATH, which the caller frees, with the home directory for "~/"; as it is for set-id programs and session
 * guards.  AWSFLOCK_CREDENTIALS where there is no home directory; AWSFLOCK_MEMORY. */
awsflock_code credentials_path(const struct credentials_context *context, const char *path, char **out,
			       awsflock_error *error);

/* AWSFLOCK_CREDENTIALS for a source that needs a person's home directory where there is none: set-id programs and
 * session guards. */
awsflock_code credentials_need_person(const struct credentials_context *context, awsflock_error *error);

/* AWSFLOCK_CREDENTIALS where the temporary keys in CREDENTIALS have expired at NOW_SECONDS. */
awsflock_code credentials_check_fresh(const struct credentials *credentials, const char *giver, int64_t now_seconds,
				      awsflock_error *error);

/* Whether the keys of this ID, of a cache, are to be passed over. */
bool credentials_skip(const struct credentials_context *context, const char *id);

/* Whether TEXT can stand in a header as it is: no white space, no control characters, ASCII. */
bool credentials_fit_header(const char *text);
/* Whether these can be temporary keys, as they are: what cannot be is not kept. */
bool credentials_fit_request(const char *id, const char *secret, const char *token);

#endif
