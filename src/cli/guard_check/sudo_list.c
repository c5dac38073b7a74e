/* See sudo_list.h.  SPDX-License-Identifier: Apache-2.0
 *
 * sudo tells what its caller may run (sudo -ll), sudo.conf which rule is for what.  Where an entry is a pattern, or a rule
 * asks for a directory, several rules are possible: all of them are told. */
#include "cli/guard_check/sudo_list.h"

#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "cli/guard_check/programs.h"
#include "cli/guard_check/sudo_conf.h"
#include "guard/sudo_rules.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

#define TEXT_SIZE 512

enum fit {
	FITS_NOT,
	MAY_FIT,
	FITS
};

/* One entry of sudo's, with a command of it. */
struct entry {
	char users[TEXT_SIZE], groups[TEXT_SIZE], command[4096];
	bool has_root; /* of its own: chroot */
};

struct listing {
	const struct sudo_rules *rules;
	struct json_object *array; /* NULL: text */
	struct buf text;
	size_t count;
	bool failed;
};

/* ---- Which rules are possible ---------------------------------------------------------------------------- */

/* The command without its arguments and the digest before it. */
static void name_of_command(const struct entry *entry, char *name, size_t size)
{
	const char *at = entry->command;
	size_t length = strcspn(at, " ");

	if (strncmp(at, "sha", 3) == 0 && memchr(at, ':', length)) {
		at += length + strspn(at + length, " ");
		length = strcspn(at, " ");
	}
	snprintf(name, size, "%.*s", (int)length, at);
}

static bool is_pattern(const char *name)
{
	size_t size = strlen(name);

	return (name[0] != '/' && strcmp(name, SUDO_RULES_EDIT) != 0) || size >= 4095 || name[size - 1] == '/' ||
	       strpbrk(name, "*?[]\\^$") != NULL;
}

static bool has_part(const char *list, const char *name)
{
	const char *part;
	size_t size;

	while (sudo_rules_next(&list, &part, &size))
		if (strlen(name) == size && memcmp(part, name, size) == 0)
			return true;
	return false;
}

static enum fit fit_command(const struct sudo_rule *rule, const struct entry *entry)
{
	char name[4096];

	if (!rule->command)
		return FITS;
	name_of_command(entry, name, sizeof(name));
	if (is_pattern(name) || entry->has_root)
		return MAY_FIT;
	return has_part(rule->command, name) ? FITS : FITS_NOT;
}

/* With a choice of groups the command may not run in the user's own. */
static enum fit fit_users(const struct sudo_rule *rule, const struct entry *entry)
{
	if (!rule->runas)
		return FITS;
	if (strcmp(entry->users, "ALL") == 0 || strpbrk(entry->users, ",%#!+"))
		return MAY_FIT;
	if (!has_part(rule->runas, entry->users))
		return FITS_NOT;
	return entry->groups[0] != '\0' ? MAY_FIT : FITS;
}

static enum fit fit_rule(const struct sudo_rule *rule, const struct entry *entry)
{
	enum fit command = fit_command(rule, entry), users = fit_users(rule, entry);
	enum fit both = command < users ? command : users;

	return rule->cwd && both == FITS ? MAY_FIT : both;
}

/* ---- Telling --------------------------------------------------------------------------------------------- */

static void append_guard(struct buf *text, const struct sudo_rule *rule)
{
	buf_puts(text, text->size > 0 ? " or " : "");
	if (rule->guard)
		output_append_clean(text, rule->guard);
	else
		buf_puts(text, "no lock");
	if (rule->cwd) {
		buf_puts(text, " (in ");
		output_append_clean(text, rule->cwd);
		buf_puts(text, ")");
	}
}

static bool add_json(struct listing *listing, const struct entry *entry, struct json_object *guards)
{
	struct json_object *object = json_object_new_object();

	if (object && guards && json_add_text(object, "command", entry->command) &&
	    json_add_text(object, "users", entry->users) && json_add_text(object, "groups", entry->groups) &&
	    json_object_object_add(object, "guards", guards) == 0 &&
	    json_object_array_add(listing->array, object) == 0)
		return true;
	json_object_put(object);
	return false;
}

static void tell_json(struct listing *listing, const struct entry *entry)
{
	struct json_object *guards = json_object_new_array();
	enum fit fit = MAY_FIT;

	for (size_t i = 0; guards && fit != FITS && i < listing->rules->count; i++) {
		const struct sudo_rule *rule = &listing->rules->rules[i];
		fit = fit_rule(rule, entry);
		if (fit != FITS_NOT)
			json_object_array_add(guards, rule->guard ? json_object_new_string(rule->guard) : NULL);
	}
	listing->failed = listing->failed || !add_json(listing, entry, guards);
}

static void tell_text(struct listing *listing, const struct entry *entry)
{
	struct buf guards = BUF_INIT;
	enum fit fit = MAY_FIT;

	for (size_t i = 0; fit != FITS && i < listing->rules->count; i++) {
		fit = fit_rule(&listing->rules->rules[i], entry);
		if (fit != FITS_NOT)
			append_guard(&guards, &listing->rules->rules[i]);
	}
	output_append_clean(&listing->text, entry->command);
	buf_puts(&listing->text, " (as ");
	output_append_clean(&listing->text, entry->users);
	buf_printf(&listing->text, "): %s\n", buf_text(&guards));
	listing->failed = listing->failed || guards.failed;
	buf_free(&guards);
}

/* ---- sudo's words ---------------------------------------------------------------------------------------- */

static bool take_value(const char *line, const char *name, char value[TEXT_SIZE])
{
	size_t size = strlen(name);

	if (strncmp(line, name, size) != 0)
		return false;
	snprintf(value, TEXT_SIZE, "%s", line + size);
	return true;
}

/* "!/bin/sh" takes away. */
static void take_command(struct listing *listing, struct entry *entry, const char *command)
{
	if (command[0] == '!' || command[0] == '\0')
		return;
	snprintf(entry->command, sizeof(entry->command), "%s", command);
	listing->count++;
	if (listing->array)
		tell_json(listing, entry);
	else
		tell_text(listing, entry);
}

static void take_line(struct listing *listing, struct entry *entry, const char *line)
{
	char root[TEXT_SIZE];

	if (strncmp(line, "Sudoers entry", strlen("Sudoers entry")) == 0 ||
	    strncmp(line, "LDAP Role", strlen("LDAP Role")) == 0)
		*entry = (struct entry){ .users = "root" };
	else if (line[0] == '\t')
		take_command(listing, entry, line + 1);
	else if (take_value(line, "    Chroot: ", root))
		entry->has_root = true;
	else if (!take_value(line, "    RunAsUsers: ", entry->users))
		take_value(line, "    RunAsGroups: ", entry->groups);
}

static void take_answer(struct listing *listing, const char *answer)
{
	struct entry entry = { .users = "root" };
	char line[4096];

	while (*answer != '\0') {
		size_t size = strcspn(answer, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)size, answer);
		take_line(listing, &entry, line);
		answer += size + (answer[size] == '\n' ? 1 : 0);
	}
}

/* ---- All of it ------------------------------------------------------------------------------------------- */

static int put_out(struct listing *listing)
{
	struct json_object *object;

	if (!listing->array && !listing->failed)
		return output_text(&listing->text);
	object = json_object_new_object();
	if (!object || listing->failed || json_object_object_add(object, "commands", listing->array) != 0) {
		json_object_put(object);
		return json_result(NULL);
	}
	listing->array = NULL;
	return json_result(object);
}

static int list(const struct sudo_rules *rules, bool json)
{
	static char option[] = "-nll";
	struct listing listing = { .rules = rules, .text = BUF_INIT };
	struct child_result answer;
	char why[PROGRAM_WHY_SIZE];
	int result = CLI_FAILED;

	if (!program_ask("sudo", option, &answer, why)) {
		report_error("what you may run cannot be found out: %s; where sudo wants a password, run 'sudo -v' "
			     "first",
			     why);
		return CLI_FAILED;
	}
	listing.array = json ? json_object_new_array() : NULL;
	listing.failed = json && !listing.array;
	if (!listing.failed)
		take_answer(&listing, buf_text(&answer.output));
	if (listing.count == 0)
		report_error("sudo tells of no command that you may run");
	else
		result = put_out(&listing);
	child_result_clear(&answer);
	json_object_put(listing.array);
	buf_free(&listing.text);
	return result;
}

int sudo_list_print(bool json)
{
	struct sudo_conf conf;
	struct sudo_rules rules;
	awsflock_error error;
	char reason[256];
	int result = CLI_FAILED;

	if (sudo_conf_read(&conf, &error) != AWSFLOCK_OK)
		report_error("%s", error.message);
	else if (conf.approval.line == 0 || conf.audit.line == 0)
		report_error("sudo has no plugin of awsflock's: %s does not have both its lines", SUDO_CONF);
	else if (!sudo_rules_read(conf.approval.words, &rules, reason, sizeof(reason)))
		report_error("%s:%d: %s", SUDO_CONF, conf.approval.line, reason);
	else
		result = list(&rules, json);
	sudo_conf_free(&conf);
	return result;
}
