/* The options of the command line: one kind of table drives the parser, --help, and (by "awsflock help
 * --dump-options") the test that the completions and the man page name every option.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"

struct cli_call;
struct cli_command;

enum option_id { /* above every letter */
	OPTION_LOCAL = 256,
	OPTION_REGION,
	OPTION_PROFILE,
	OPTION_ENDPOINT_URL,
	OPTION_TABLENAME,
	OPTION_CONFIG,
	OPTION_JSON,
	OPTION_VERBOSE,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_LEASE_DURATION,
	OPTION_WAIT_TIME,
	OPTION_NO_WAIT,
	OPTION_OWNER,
	OPTION_PURPOSE,
	OPTION_DELETE,
	OPTION_COMMAND,
	OPTION_CONFLICT_EXIT_CODE,
	OPTION_KILL_AFTER,
	OPTION_ON_LOST,
	OPTION_LEFTOVERS,
	OPTION_STOPPED,
	OPTION_EXCLUSIVE,
	OPTION_CLOSE,
	OPTION_EXIT_CODE,
	OPTION_WATCH,
	OPTION_HELD,
	OPTION_NAMES,
	OPTION_LEASE_ID,
	OPTION_YES,
	OPTION_NOW,
	OPTION_BILLING,
	OPTION_READ_UNITS,
	OPTION_WRITE_UNITS,
	OPTION_DELETION_PROTECTION,
	OPTION_TAG,
	OPTION_LEASE_FILE,
	OPTION_DETACH,
	OPTION_WHILE,
	OPTION_MAX_HOLD,
	OPTION_SUDO,
	OPTION_DUMP_OPTIONS
};

struct cli_option {
	enum option_id id;
	const char *name;
	char letter;            /* 0: none */
	const char *argument;   /* what to call it; NULL: the option takes none */
	bool argument_optional; /* only as --name=ARGUMENT */
	const char *config_key; /* the key of awsflock.conf(5) that it sets; NULL: none, or more than that */
	const char *help;       /* NULL: hidden */
};

/* Ends a table. */
#define OPTION_TABLE_END                                                                                           \
	{                                                                                                          \
		0, NULL, 0, NULL, false, NULL, NULL                                                                \
	}

/* The options of every command. */
extern const struct cli_option options_global[];

/* Reads the command line into CALL.  Returns CLI_OK, or CLI_USAGE or CLI_FAILED with the reason said.  Words of
 * ARGV are moved. */
int options_parse(struct cli_call *call, int argc, char **argv);

/* One sentence about the wrong use of COMMAND (NULL: of the program), and where to read how.  Returns CLI_USAGE. */
int options_usage(const struct cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* WORD is no command: says so, and what may have been meant.  MORE_FOLLOW: other words come after it.  Returns CLI_USAGE. */
int options_refuse_command(const struct cli_call *call, const char *word, bool more_follow);

bool option_given(const struct cli_call *call, enum option_id id);
/* Its name where it was given, or NULL. */
const char *option_name(const struct cli_call *call, enum option_id id);
/* What the option was last given, or NULL. */
const char *option_text(const struct cli_call *call, enum option_id id);

/* Each sets *OUT where the option was given, leaves it alone otherwise, and returns CLI_OK or, with the reason
 * said, CLI_USAGE. */
int option_seconds(const struct cli_call *call, enum option_id id, int64_t *out);
int option_milliseconds(const struct cli_call *call, enum option_id id, int64_t *out);
int option_number(const struct cli_call *call, enum option_id id, int64_t low, int64_t high, int64_t *out);
/* *OUT is the index in CHOICES, which ends in NULL. */
int option_choice(const struct cli_call *call, enum option_id id, const char *const *choices, int *out);
/* --no-wait and --wait-time, in awsflock_acquire_options.wait_ms's terms.  ZERO_MS is what a --wait-time of 0 means. */
int option_wait(const struct cli_call *call, int64_t zero_ms, int64_t *wait_ms);

#endif
