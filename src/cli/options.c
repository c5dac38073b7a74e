/* Reading the command line by the tables of options.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/hints.h"
#include "term/report.h"

#define MOST_OPTIONS 40 /* of one command, with the global ones */

const struct cli_option options_global[] = {
	{ OPTION_LOCAL, "local", 0, "DIR", true, NULL,
	  "keep the locks in a directory of this machine, not in a table" },
	{ OPTION_REGION, "region", 0, "REGION", false, "region", "the table's AWS region" },
	{ OPTION_PROFILE, "profile", 0, "NAME", false, "profile", "the profile of the AWS files to use" },
	{ OPTION_ENDPOINT_URL, "endpoint-url", 0, "URL", false, "endpoint_url",
	  "where DynamoDB answers, if not at AWS's own address" },
	{ OPTION_TABLENAME, "tablename", 0, "TABLE", false, "table", "the table's name (default awsflock)" },
	{ OPTION_CONFIG, "config", 0, "FILE", false, NULL, "read FILE instead of the usual configuration files" },
	{ OPTION_JSON, "json", 0, NULL, false, NULL, "print results as JSON" },
	{ OPTION_VERBOSE, "verbose", 'v', NULL, false, NULL, "say more on standard error" },
	{ OPTION_QUIET, "quiet", 'q', NULL, false, NULL, "say nothing but errors; that the lock is held is none" },
	{ OPTION_HELP, "help", 'h', NULL, false, NULL, "show how the command is used" },
	{ OPTION_VERSION, "version", 0, NULL, false, NULL, "print the version" },
	OPTION_TABLE_END,
};

/* What getopt_long() wants to be told. */
struct scanner {
	const struct cli_option *known[MOST_OPTIONS];
	size_t known_count;
	struct option longs[MOST_OPTIONS + 1];
	char letters[2 * MOST_OPTIONS + 3];
};

int options_usage(const struct cli_command *command, const char *format, ...)
{
	char text[AWSFLOCK_ERROR_MESSAGE_SIZE + AWSFLOCK_LOCK_MAX];
	const char *stop = ";";
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (text[0] != '\0' && text[strlen(text) - 1] == '?')
		stop = "";
	if (command)
		report_error("%s: %s%s 'awsflock help %s' shows how", command->name, text, stop, command->name);
	else
		report_error("%s%s 'awsflock help' shows how", text, stop);
	return CLI_USAGE;
}

static void scanner_add(struct scanner *scanner, const struct cli_option *options)
{
	size_t letters = strlen(scanner->letters);

	for (; options && options->name && scanner->known_count < MOST_OPTIONS; options++) {
		struct option *entry = &scanner->longs[scanner->known_count];

		scanner->known[scanner->known_count++] = options;
		entry->name = options->name;
		entry->val = (int)options->id;
		if (options->argument)
			entry->has_arg = options->argument_optional ? optional_argument : required_argument;
		if (options->letter == 0)
			continue;
		scanner->letters[letters++] = options->letter;
		if (options->argument)
			scanner->letters[letters++] = ':';
	}
}

/* "-" hands out the words in between in their place (whatever POSIXLY_CORRECT says), "+" stops at the first; ":"
 * tells a missing argument from an unknown option. */
static void scanner_init(struct scanner *scanner, const struct cli_command *command, bool stop_at_word)
{
	memset(scanner, 0, sizeof(*scanner));
	scanner->letters[0] = stop_at_word ? '+' : '-';
	scanner->letters[1] = ':';
	scanner_add(scanner, options_global);
	if (command)
		scanner_add(scanner, command->options);
}

static const struct cli_option *scanner_find(const struct scanner *scanner, int id_or_letter)
{
	for (size_t i = 0; i < scanner->known_count; i++) {
		const struct cli_option *option = scanner->known[i];
		if ((int)option->id == id_or_letter || (option->letter != 0 && option->letter == id_or_letter))
			return option;
	}
	return NULL;
}

static int keep_option(struct cli_call *call, const struct cli_option *option, const char *value)
{
	struct cli_given *grown;

	/* Elsewhere the last one counts, so that a wrapper's can be overruled; here one would be left out in silence. */
	if ((option->id == OPTION_COMMAND || option->id == OPTION_LEASE_ID || option->id == OPTION_LEASE_FILE) &&
	    option_given(call, option->id))
		return options_usage(call->command, "--%s can be given only once", option->name);
	grown = realloc(call->given, (call->given_count + 1) * sizeof(*grown));

	if (!grown) {
		report_error("out of memory");
		return CLI_FAILED;
	}
	call->given = grown;
	call->given[call->given_count].option = option;
	call->given[call->given_count++].value = value;
	return CLI_OK;
}

/* The first other command that has an option of this letter or, where that is 0, name. */
static const struct cli_command *find_owner(const struct cli_call *call, int letter, const char *name)
{
	for (size_t i = 0; call->commands[i]; i++) {
		const struct cli_option *option = call->commands[i]->options;

		for (; call->commands[i] != call->command && option && option->name; option++) {
			if (letter != 0 ? option->letter == letter : strcmp(option->name, name) == 0)
				return call->commands[i];
		}
	}
	return NULL;
}

static const char *nearest_option(const struct scanner *scanner, const char *name)
{
	struct nearest nearest = { .word = name };

	for (size_t i = 0; i < scanner->known_count; i++) {
		if (scanner->known[i]->help)
			nearest_consider(&nearest, scanner->known[i]->name);
	}
	return nearest.name;
}

/* WORD is as it was typed, NAME what it is called where LETTER is 0. */
static int refuse_unknown(const struct scanner *scanner, const struct cli_call *call, const char *word, int letter,
			  const char *name)
{
	const char *hint = hint_flock_option(letter, name);
	const char *nearest = letter == 0 ? nearest_option(scanner, name) : NULL;
	const struct cli_command *owner = find_owner(call, letter, name);

	if (hint)
		return options_usage(call->command, "unknown option %s: %s", word, hint);
	if (owner && !call->command)
		return options_usage(NULL,
				     "%s is an option of '%s', and comes after that word: 'awsflock %s %s %s'",
				     word, owner->name, owner->name, word, owner->arguments);
	if (owner)
		return options_usage(call->command, "unknown option %s, it is one of '%s'", word, owner->name);
	if (nearest)
		return options_usage(call->command, "unknown option %s: did you mean --%s?", word, nearest);
	return options_usage(call->command, "unknown option %s", word);
}

/* Why getopt_long() did not take what it just saw; WORD is the word it was in. */
static int refuse_option(const struct scanner *scanner, const struct cli_call *call, int answer, const char *word)
{
	const struct cli_command *command = call->command;
	const struct cli_option *option = scanner_find(scanner, optopt);
	char name[64], short_word[] = { '-', (char)optopt, '\0' };

	if (answer == ':' && option)
		return options_usage(command, "--%s needs an argument (%s)", option->name, option->argument);
	if (option)
		return options_usage(command, "--%s takes no argument", option->name);
	if (optopt != 0)
		return refuse_unknown(scanner, call, short_word, optopt, "");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	return refuse_unknown(scanner, call, word, 0, name);
}

/* WORDS, which end in NULL, come after a --local without a directory. */
static int check_after_local(const struct cli_call *call, char *const *words)
{
	if (!words[0] || !hint_is_directory(words))
		return CLI_OK;
	return options_usage(call->command, "--local takes its directory after an equals sign: --local=%s",
			     words[0]);
}

/* Reads the options of ARGV from START on, and stops after "--", at the first word if STOP_AT_WORD, or at the end.
 * *NEXT is where it stopped.  Otherwise the words among the options are kept as arguments. */
static int scan_words(struct cli_call *call, bool stop_at_word, int argc, char **argv, int start, int *next)
{
	struct scanner scanner;
	int answer, result;

	scanner_init(&scanner, call->command, stop_at_word);
	opterr = 0;
	optind = 0; /* glibc: start anew */
	while ((answer = getopt_long(argc - start + 1, argv + start - 1, scanner.letters, scanner.longs, NULL)) !=
	       -1) {
		if (answer == 1) {
			call->arguments[call->argument_count++] = optarg;
			continue;
		}
		const struct cli_option *option =
			answer == ':' || answer == '?' ? NULL : scanner_find(&scanner, answer);
		if (!option)
			return refuse_option(&scanner, call, answer, argv[start - 1 + optind - 1]);
		if (option->id == OPTION_LOCAL && !optarg)
			result = check_after_local(call, argv + start - 1 + optind);
		else
			result = CLI_OK;
		if (result == CLI_OK)
			result = keep_option(call, option, optarg);
		if (result != CLI_OK)
			return result;
	}
	*next = start - 1 + optind;
	return CLI_OK;
}

/* Before the lock, "--" says that the lock was forgotten ("run -- make"): it would be the command's first word.  A
 * name that begins with a dash can be written in no other way, and no command is called so. */
static bool lock_is_missing(const struct cli_call *call, char *const *argv, int start, int next)
{
	const char *before = next > start ? argv[next - 1] : "";
	bool ends_options = strcmp(before, "--") == 0 &&
			    (call->given_count == 0 || call->given[call->given_count - 1].value != before);

	return ends_options && argv[next][0] != '-';
}

/* run LOCK COMMAND...: the options end at the first word after LOCK. */
static int scan_before_command(struct cli_call *call, int argc, char **argv, int start)
{
	int next = start, result = scan_words(call, true, argc, argv, start, &next);

	if (result != CLI_OK || next >= argc)
		return result;
	if (lock_is_missing(call, argv, start, next))
		return options_usage(call->command, "the lock's name is missing before --: it takes %s",
				     call->command->arguments);
	call->arguments[call->argument_count++] = argv[next];
	result = scan_words(call, true, argc, argv, next + 1, &next);
	for (; result == CLI_OK && next < argc; next++)
		call->arguments[call->argument_count++] = argv[next];
	return result;
}

static int scan_command(struct cli_call *call, int argc, char **argv, int start)
{
	int next = start, result;

	/* Behind what is being read, so that the words can be kept in place. */
	call->arguments = argv;
	if (call->command->command_follows) {
		result = scan_before_command(call, argc, argv, start);
	} else {
		result = scan_words(call, false, argc, argv, start, &next);
		for (; result == CLI_OK && next < argc; next++)
			call->arguments[call->argument_count++] = argv[next];
	}
	if (result == CLI_OK)
		call->arguments[call->argument_count] = NULL;
	return result;
}

static int check_argument_count(const struct cli_call *call)
{
	const struct cli_command *command = call->command;

	if (command->lease_file_instead && option_given(call, OPTION_LEASE_FILE)) {
		if (call->argument_count == 0)
			return CLI_OK;
		return options_usage(command, "--lease-file stands in the place of %s", command->arguments);
	}
	if (call->argument_count < command->least_arguments)
		return options_usage(command, "too few arguments: it takes %s", command->arguments);
	if (command->most_arguments != CLI_ANY_NUMBER && call->argument_count > command->most_arguments)
		return options_usage(command, "too many arguments: '%s'", call->arguments[command->most_arguments]);
	return CLI_OK;
}

int options_refuse_command(const struct cli_call *call, const char *word, bool more_follow)
{
	struct nearest nearest = { .word = word };
	const char *hint = hint_command(word);

	if (hint)
		return options_usage(NULL, "unknown command '%s': did you mean %s?", word, hint);
	for (size_t i = 0; call->commands[i]; i++)
		nearest_consider(&nearest, call->commands[i]->name);
	if (nearest.name)
		return options_usage(NULL, "unknown command '%s': did you mean '%s'?", word, nearest.name);
	if (more_follow)
		return options_usage(NULL,
				     "unknown command '%s'; to hold a lock of that name while a command runs: "
				     "'awsflock run %s COMMAND'",
				     word, word);
	return options_usage(NULL, "unknown command '%s'", word);
}

int options_parse(struct cli_call *call, int argc, char **argv)
{
	int next = 1, result = scan_words(call, true, argc, argv, 1, &next);

	if (result != CLI_OK)
		return result;
	if (next >= argc) {
		if (option_given(call, OPTION_HELP) || option_given(call, OPTION_VERSION))
			return CLI_OK;
		return options_usage(NULL, "a command is missing");
	}
	call->command = command_find(call->commands, argv[next]);
	if (!call->command)
		return options_refuse_command(call, argv[next], next + 1 < argc);
	result = scan_command(call, argc, argv, next + 1);
	call->json = option_given(call, OPTION_JSON);
	if (result != CLI_OK || option_given(call, OPTION_HELP) || option_given(call, OPTION_VERSION))
		return result;
	return check_argument_count(call);
}

static const struct cli_given *find_given(const struct cli_call *call, enum option_id id)
{
	for (size_t i = call->given_count; i > 0; i--) {
		if (call->given[i - 1].option->id == id)
			return &call->given[i - 1];
	}
	return NULL;
}

bool option_given(const struct cli_call *call, enum option_id id)
{
	return find_given(call, id) != NULL;
}

const char *option_name(const struct cli_call *call, enum option_id id)
{
	const struct cli_given *given = find_given(call, id);

	return given ? given->option->name : NULL;
}

const char *option_text(const struct cli_call *call, enum option_id id)
{
	const struct cli_given *given = find_given(call, id);

	return given ? given->value : NULL;
}

int option_seconds(const struct cli_call *call, enum option_id id, int64_t *out)
{
	const struct cli_given *given = find_given(call, id);
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (!given || duration_parse(given->value, out, &error) == AWSFLOCK_OK)
		return CLI_OK;
	return options_usage(call->command, "--%s: %s", given->option->name, error.message);
}

int option_milliseconds(const struct cli_call *call, enum option_id id, int64_t *out)
{
	const struct cli_given *given = find_given(call, id);
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (!given || duration_parse_ms(given->value, out, &error) == AWSFLOCK_OK)
		return CLI_OK;
	return options_usage(call->command, "--%s: %s", given->option->name, error.message);
}

int option_number(const struct cli_call *call, enum option_id id, int64_t low, int64_t high, int64_t *out)
{
	const struct cli_given *given = find_given(call, id);

	if (!given || text_parse_int64(given->value, low, high, out))
		return CLI_OK;
	return options_usage(call->command, "--%s takes a whole number from %lld to %lld, not '%s'",
			     given->option->name, (long long)low, (long long)high, given->value);
}

int option_choice(const struct cli_call *call, enum option_id id, const char *const *choices, int *out)
{
	const struct cli_given *given = find_given(call, id);

	if (!given)
		return CLI_OK;
	for (int i = 0; choices[i]; i++) {
		if (strcmp(given->value, choices[i]) == 0) {
			*out = i;
			return CLI_OK;
		}
	}
	return options_usage(call->command, "--%s takes %s, not '%s'", given->option->name, given->option->argument,
			     given->value);
}

int option_wait(const struct cli_call *call, int64_t zero_ms, int64_t *wait_ms)
{
	int64_t given_ms = 0;
	int result;

	if (option_given(call, OPTION_NO_WAIT)) {
		if (option_given(call, OPTION_WAIT_TIME))
			return options_usage(call->command, "--no-wait and --wait-time cannot be used together");
		*wait_ms = 0;
		return CLI_OK;
	}
	if (!option_given(call, OPTION_WAIT_TIME))
		return CLI_OK;
	result = option_milliseconds(call, OPTION_WAIT_TIME, &given_ms);
	if (result == CLI_OK)
		*wait_ms = given_ms == 0 ? zero_ms : given_ms;
	return result;
}
