/* See sudo_rules.h.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/sudo_rules.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "guard/option.h"

#define NO_GUARD "none"

static const struct option general[] = {
	{ "conf", OPTION_PATH, offsetof(struct sudo_rules, conf) },
	{ "break_glass_group", OPTION_TEXT, offsetof(struct sudo_rules, break_glass_group) },
	{ "debug", OPTION_FLAG, offsetof(struct sudo_rules, debug) },
	{ "quiet", OPTION_FLAG, offsetof(struct sudo_rules, quiet) },
};

static const struct option of_rule[] = {
	{ "guard", OPTION_TEXT, offsetof(struct sudo_rule, guard) },
	{ "runas", OPTION_TEXT, offsetof(struct sudo_rule, runas) },
	{ "command", OPTION_TEXT, offsetof(struct sudo_rule, command) },
	{ "cwd", OPTION_PATH, offsetof(struct sudo_rule, cwd) },
};

#define FIND(options, word) option_find((options), sizeof(options) / sizeof((options)[0]), (word))

bool sudo_rules_next(const char **list, const char **part, size_t *size)
{
	if (!*list)
		return false;
	*part = *list;
	*size = strcspn(*list, ",");
	*list = (*part)[*size] == ',' ? *part + *size + 1 : NULL;
	return true;
}

/* ---- Reading --------------------------------------------------------------------------------------------- */

static bool is_edit(const char *part, size_t size)
{
	return size == strlen(SUDO_RULES_EDIT) && memcmp(part, SUDO_RULES_EDIT, size) == 0;
}

/* NULL, or what is wrong, as of all the functions here. */
static const char *check_list(const char *list, bool of_commands)
{
	const char *part;
	size_t size;
	while (sudo_rules_next(&list, &part, &size)) {
		if (size == 0)
			return "has an empty part";
		if (of_commands && part[0] != '/' && !is_edit(part, size))
			return "needs paths that start with /, or " SUDO_RULES_EDIT;
	}
	return NULL;
}

static const char *begin_rule(struct sudo_rules *rules, const char *word)
{
	if (rules->count == SUDO_RULES_MAX)
		return "is one rule too many";
	struct sudo_rule *rule = &rules->rules[rules->count];
	*rule = (struct sudo_rule){ .guard = NULL };
	const char *wrong = option_set(&of_rule[0], rule, word);
	if (wrong)
		return wrong;
	rules->count++;
	return NULL;
}

static const char *add_condition(struct sudo_rules *rules, const struct option *option, const char *word)
{
	if (rules->count == 0)
		return "must come after a guard=";
	struct sudo_rule *rule = &rules->rules[rules->count - 1];
	const char *wrong = option_set(option, rule, word);
	if (wrong)
		return wrong;
	wrong = check_list(rule->runas, false);
	return wrong ? wrong : check_list(rule->command, true);
}

static const char *read_word(struct sudo_rules *rules, const char *word)
{
	const struct option *option = FIND(general, word);
	if (option)
		return rules->count > 0 ? "must come before the first guard=" : option_set(option, rules, word);
	option = FIND(of_rule, word);
	if (!option)
		return "is unknown";
	return option == &of_rule[0] ? begin_rule(rules, word) : add_condition(rules, option, word);
}

static bool has_condition(const struct sudo_rule *rule)
{
	return rule->runas || rule->command || rule->cwd;
}

/* Without an unconditional last rule that asks for a lock, a copy of a command would need none. */
static const char *check_last(const struct sudo_rules *rules)
{
	const struct sudo_rule *last;
	if (rules->count == 0)
		return "guard=NAME is missing";
	last = &rules->rules[rules->count - 1];
	if (has_condition(last))
		return "the last rule has a condition: end the line with a guard=NAME alone, for all other "
		       "commands";
	if (strcmp(last->guard, NO_GUARD) == 0)
		return "the last rule is guard=none: end the line with a guard=NAME, for all other commands";
	return NULL;
}

static void forget_no_guard(struct sudo_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->rules[i].guard, NO_GUARD) == 0)
			rules->rules[i].guard = NULL;
}

bool sudo_rules_read(char *const words[], struct sudo_rules *rules, char *reason, size_t size)
{
	memset(rules, 0, sizeof(*rules));
	for (size_t i = 0; words && words[i]; i++) {
		const char *wrong = read_word(rules, words[i]);
		if (!wrong)
			continue;
		snprintf(reason, size, "the word '%.100s' %s: see awsflock_sudo(8)", words[i], wrong);
		return false;
	}
	const char *wrong = check_last(rules);
	if (wrong)
		snprintf(reason, size, "%s: see awsflock_sudo(8)", wrong);
	forget_no_guard(rules);
	return !wrong;
}

/* ---- Choosing -------------------------------------------------------------------------------------------- */

/* A name that nobody has fits no command. */
static bool find_account(const char *name, size_t size, uid_t *uid, gid_t *gid)
{
	char copy[256], room[4096];
	struct passwd entry, *found = NULL;
	if (size >= sizeof(copy))
		return false;
	memcpy(copy, name, size);
	copy[size] = '\0';
	if (getpwnam_r(copy, &entry, room, sizeof(room), &found) != 0 || !found)
		return false;
	*uid = found->pw_uid;
	*gid = found->pw_gid;
	return true;
}

static bool is_user(const char *part, size_t size, const struct sudo_command *command)
{
	uid_t uid;
	gid_t gid;
	return find_account(part, size, &uid, &gid) && uid == command->runas_uid && gid == command->runas_gid;
}

static bool fits_user(const char *list, const struct sudo_command *command)
{
	const char *part;
	size_t size;
	while (sudo_rules_next(&list, &part, &size))
		if (is_user(part, size, command))
			return true;
	return false;
}

static bool fits_path(const char *list, const struct sudo_command *command)
{
	const char *part;
	size_t size;
	while (!command->has_own_root && sudo_rules_next(&list, &part, &size))
		if (strlen(command->path) == size && memcmp(command->path, part, size) == 0)
			return true;
	return false;
}

static bool fits_directory(const char *directory, const struct sudo_command *command)
{
	return !command->has_own_root && command->cwd && strcmp(command->cwd, directory) == 0;
}

static bool fits(const struct sudo_rule *rule, const struct sudo_command *command)
{
	return (!rule->runas || fits_user(rule->runas, command)) &&
	       (!rule->command || fits_path(rule->command, command)) &&
	       (!rule->cwd || fits_directory(rule->cwd, command));
}

const struct sudo_rule *sudo_rules_choose(const struct sudo_rules *rules, const struct sudo_command *command)
{
	size_t last = rules->count - 1;
	for (size_t i = 0; i < last; i++)
		if (fits(&rules->rules[i], command))
			return &rules->rules[i];
	return &rules->rules[last];
}
