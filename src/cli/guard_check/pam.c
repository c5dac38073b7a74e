/* The PAM lines of a guard.  SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/pam_stack.h"
#include "guard/module_options.h"

#define PAM "pam"

struct search {
	struct findings *findings;
	const char *guard;
	struct guard_lines *lines;
	char module[GUARD_TEXT_SIZE]; /* as the last line named it that was checked */
	size_t found;
};

static bool read_options(const struct pam_line *line, struct module_options *options, char *reason, size_t size)
{
	return module_options_read(line->argument_count, (const char **)line->arguments, options, reason, size);
}

/* What the argument NAME, which ends in '=', says, also where another one is wrong; "" where it says nothing. */
static const char *argument_of(const struct pam_line *line, const char *name)
{
	size_t size = strlen(name);

	for (int i = 0; i < line->argument_count; i++)
		if (strncmp(line->arguments[i], name, size) == 0)
			return line->arguments[i] + size;
	return "";
}

static const char *guard_of(const struct pam_line *line)
{
	return argument_of(line, "guard=");
}

static const struct pam_line *find_ours(const struct pam_stack *stack, const char *guard, size_t *place)
{
	for (size_t i = 0; i < stack->count; i++)
		if (pam_line_is_ours(&stack->lines[i]) &&
		    (!guard || strcmp(guard_of(&stack->lines[i]), guard) == 0)) {
			*place = i;
			return &stack->lines[i];
		}
	return NULL;
}

bool guard_of_service(const char *service, char guard[GUARD_TEXT_SIZE], char conf[GUARD_TEXT_SIZE])
{
	struct pam_stack stack;
	awsflock_error error;
	const struct pam_line *line;
	size_t place;

	if (pam_stack_read(service, "session", &stack, &error) != AWSFLOCK_OK) {
		/* What stands before the fault counts: libpam would refuse everybody, which lets nobody in. */
	}
	line = find_ours(&stack, NULL, &place);
	if (line) {
		snprintf(guard, GUARD_TEXT_SIZE, "%s", guard_of(line));
		snprintf(conf, GUARD_TEXT_SIZE, "%s", argument_of(line, "conf="));
	}
	pam_stack_free(&stack);
	return line != NULL;
}

/* ---- One line -------------------------------------------------------------------------------------------- */

static void check_control(const struct search *search, const char *service, const struct pam_line *line)
{
	static const char mend[] = "write: session requisite pam_awsflock.so guard=...";

	if (strcasecmp(line->control, "optional") == 0 || strcasecmp(line->control, "sufficient") == 0)
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_FAILED, mend,
			     "%s: the guard's line is '%s' (%s:%d): it keeps nobody out", service, line->control,
			     line->file, line->number);
	else if (strcasecmp(line->control, "requisite") != 0)
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_WARNING, mend,
			     "%s: the guard's line is '%s', not requisite (%s:%d): other modules run although it "
			     "refuses, or it does not refuse",
			     service, line->control, line->file, line->number);
	if (line->in_substack)
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_WARNING,
			     "put the line into the service's own file",
			     "%s: the guard's line is in a substack (%s:%d): what follows that runs although it "
			     "refuses",
			     service, line->file, line->number);
	if (line->may_be_missing)
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_WARNING, "take the '-' away",
			     "%s: '-session' (%s:%d): where the module is missing, everybody gets in", service,
			     line->file, line->number);
}

static void check_order(const struct search *search, const char *service, const struct pam_stack *stack,
			size_t place)
{
	const struct pam_line *first = &stack->lines[0];

	if (place > 0 && !pam_line_is_ours(first))
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_WARNING,
			     "put the guard's line before it: an earlier module's failure can hide a refusal",
			     "%s: the guard's is not the first session line: %s comes before it (%s:%d)", service,
			     first->module, first->file, first->number);
}

static void keep_options(struct search *search, const char *service, const struct module_options *options)
{
	struct guard_lines *lines = search->lines;

	if (lines->service[0] == '\0') {
		snprintf(lines->service, sizeof(lines->service), "%s", service);
		snprintf(lines->conf, sizeof(lines->conf), "%s", options->conf ? options->conf : "");
		snprintf(lines->break_glass_group, sizeof(lines->break_glass_group), "%s",
			 options->break_glass_group ? options->break_glass_group : "");
	} else if (strcmp(lines->conf, options->conf ? options->conf : "") != 0) {
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_WARNING,
			     "write the same conf= in all of them, or check each file with --config",
			     "%s reads %s for this guard, %s another file: only the latter is checked here",
			     service, options->conf ? options->conf : "the system's configuration", lines->service);
	}
}

static void check_arguments(struct search *search, const char *service, const struct pam_line *line)
{
	struct module_options options;
	char reason[256];

	if (read_options(line, &options, reason, sizeof(reason)))
		keep_options(search, service, &options);
	else
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_FAILED, "correct the line: it refuses everybody",
			     "%s: %s (%s:%d)", service, reason, line->file, line->number);
}

static bool sets_login_uid(const struct pam_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		if (pam_line_is_of(&stack->lines[i], "pam_loginuid.so"))
			return true;
	return false;
}

static void keep_login(struct guard_lines *lines, const char *service, const struct pam_stack *stack)
{
	if (!guard_check_is_login(service) || (lines->login[0] != '\0' && !lines->sets_login_uid))
		return;
	snprintf(lines->login, sizeof(lines->login), "%s", service);
	lines->sets_login_uid = sets_login_uid(stack);
}

static void check_module_once(struct search *search, const struct pam_line *line)
{
	if (strcmp(search->module, line->module) == 0)
		return;
	snprintf(search->module, sizeof(search->module), "%s", line->module);
	guard_check_module(search->findings, line->module);
}

/* ---- Services -------------------------------------------------------------------------------------------- */

static void check_session(struct search *search, const char *service, const struct pam_stack *stack)
{
	size_t place = 0, bad = search->findings->failed + search->findings->warnings;
	const struct pam_line *line = find_ours(stack, search->guard, &place);

	if (!line)
		return;
	search->found++;
	check_control(search, service, line);
	check_order(search, service, stack, place);
	check_arguments(search, service, line);
	if (search->findings->failed + search->findings->warnings == bad)
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_OK, "",
			     "%s: requisite, and the first session line (%s:%d)", service, line->file,
			     line->number);
	guard_check_person(search->findings, service);
	keep_login(search->lines, service, stack);
	check_module_once(search, line);
}

/* An account line looks, and no more: that is enough where nobody logs in. */
static void tell_account(struct search *search, const char *service, const struct pam_line *line)
{
	if (guard_check_is_for_jobs(service))
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_OK, "",
			     "%s: starts nothing for a person while another one holds the lock (%s:%d)", service,
			     line->file, line->number);
	else
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_FAILED,
			     "add, as the first session line: session requisite pam_awsflock.so guard=...",
			     "%s: the guard has an account line and no session line (%s:%d): it takes no lock",
			     service, line->file, line->number);
}

static void check_account(struct search *search, const char *service, bool has_session)
{
	struct pam_stack stack;
	awsflock_error error;
	size_t place;
	const struct pam_line *line;

	if (pam_stack_read(service, "account", &stack, &error) == AWSFLOCK_OK &&
	    (line = find_ours(&stack, search->guard, &place)) != NULL && !has_session)
		tell_account(search, service, line);
	pam_stack_free(&stack);
}

static void check_service(struct search *search, const char *service)
{
	struct pam_stack stack;
	awsflock_error error;
	awsflock_code code = pam_stack_read(service, "session", &stack, &error);
	size_t found = search->found;

	check_session(search, service, &stack);
	if (code != AWSFLOCK_OK && search->found > found)
		findings_add(search->findings, PAM, AWSFLOCK_CHECK_FAILED,
			     "mend the file: libpam refuses everybody", "%s: %s", service, error.message);
	check_account(search, service, search->found > found);
	pam_stack_free(&stack);
}

/* Copies that editors and packages leave behind are no services; who is in the files of others stands there. */
static int is_service(const struct dirent *entry)
{
	return !strpbrk(entry->d_name, ".~") && strncmp(entry->d_name, "common-", 7) != 0;
}

static void tell_absence(struct findings *findings, const char *guard, bool in_plugin)
{
	if (in_plugin)
		findings_add(findings, PAM, AWSFLOCK_CHECK_OK, "",
			     "no session line in %s has guard=%s: sudo's plugin alone asks for it", PAM_DIRECTORY,
			     guard);
	else
		findings_add(
			findings, PAM, AWSFLOCK_CHECK_FAILED,
			"write the line that pam_awsflock(8) shows into the files of the services to be guarded",
			"no session line in %s has guard=%s: nothing is guarded by it", PAM_DIRECTORY, guard);
}

void guard_check_pam(struct findings *findings, const char *guard, bool in_plugin, struct guard_lines *lines)
{
	struct search search = { .findings = findings, .guard = guard, .lines = lines };
	struct dirent **entries = NULL;
	int count = scandir(PAM_DIRECTORY, &entries, is_service, alphasort);

	if (!in_plugin)
		*lines = (struct guard_lines){ .service = "" };
	if (count < 0) {
		findings_add(findings, PAM, AWSFLOCK_CHECK_FAILED, "", "cannot read %s: %s", PAM_DIRECTORY,
			     strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		check_service(&search, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (search.found == 0)
		tell_absence(findings, guard, in_plugin);
}
