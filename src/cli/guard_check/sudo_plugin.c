/* sudo's plugin: would it be loaded, does sudo tell it all, and do its rules mean what they seem to?
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/programs.h"
#include "cli/guard_check/sudo_conf.h"
#include "guard/sudo_rules.h"
#include "guard/trusted_file.h"

#define PLUGIN "sudo-plugin"
#define OLDEST_MINOR 9
#define OLDEST_PATCH 5

/* ---- What stands there ----------------------------------------------------------------------------------- */

bool guard_of_plugin(char guard[GUARD_TEXT_SIZE], char conf[GUARD_TEXT_SIZE])
{
	struct sudo_conf file;
	struct sudo_rules rules;
	awsflock_error error;
	char reason[256];
	bool found = sudo_conf_read(&file, &error) == AWSFLOCK_OK && file.approval.line > 0 &&
		     file.audit.line > 0 && sudo_rules_read(file.approval.words, &rules, reason, sizeof(reason));

	if (found) {
		snprintf(guard, GUARD_TEXT_SIZE, "%s", rules.rules[rules.count - 1].guard);
		snprintf(conf, GUARD_TEXT_SIZE, "%s", rules.conf ? rules.conf : "");
	}
	sudo_conf_free(&file);
	return found;
}

static bool names_guard(const struct sudo_rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->rules[i].guard && strcmp(rules->rules[i].guard, name) == 0)
			return true;
	return false;
}

/* ---- The files ------------------------------------------------------------------------------------------- */

static void check_file(struct findings *findings)
{
	awsflock_error error;
	int fd;

	if (trusted_file_open("the file", SUDO_CONF, &fd, &error) == AWSFLOCK_OK)
		close(fd);
	else
		findings_add(
			findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			"make it root's, and writable by root alone: sudo passes over the plugins of a file that "
			"others may write, and no guard is asked",
			"%s", error.message);
}

static void check_pair(struct findings *findings, const struct sudo_conf *conf)
{
	bool has_approval = conf->approval.line > 0;

	if (has_approval != (conf->audit.line > 0))
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "write both lines, as awsflock_sudo(8) shows them: until then sudo runs nothing, but "
			     "for root",
			     "%s has the line of %s without that of %s", SUDO_CONF,
			     has_approval ? "awsflock_approval" : "awsflock_audit",
			     has_approval ? "awsflock_audit" : "awsflock_approval");
}

static void load_plugin(struct findings *findings, const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const char *why = !plugin ? dlerror() : NULL;

	if (!plugin)
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "install the plugin that belongs to this machine, or take the lines out: sudo does "
			     "not start "
			     "for anybody, root included",
			     "%s cannot be loaded: %s", path, why ? why : "the reason is not told");
	else if (!dlsym(plugin, "awsflock_approval") || !dlsym(plugin, "awsflock_audit"))
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "install awsflock_sudo.so there, or take the lines out: sudo does not start for "
			     "anybody, root "
			     "included",
			     "%s is another file", path);
	else
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_OK, "", "%s is there, and can be loaded", path);
	if (plugin)
		dlclose(plugin);
}

static void check_object(struct findings *findings, const struct sudo_conf_plugin *plugin)
{
	awsflock_error error;
	int fd;

	if (plugin->line == 0)
		return;
	if (plugin->path[0] != '/') {
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_WARNING, "write the whole path",
			     "%s:%d names '%s': in which directory sudo looks for it is not known here", SUDO_CONF,
			     plugin->line, plugin->path);
		return;
	}
	if (trusted_file_open("the plugin", plugin->path, &fd, &error) != AWSFLOCK_OK) {
		findings_add(
			findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			"install it there, or take the lines out: sudo does not start for anybody, root included",
			"%s", error.message);
		return;
	}
	close(fd);
	load_plugin(findings, plugin->path);
}

/* ---- The sudo that is to load it ------------------------------------------------------------------------- */

/* VERSION is "1.9.13p3". */
static bool is_old(const char *version)
{
	int64_t part[3] = { 0 };

	for (size_t i = 0; i < 3; i++) {
		char digits[8];
		size_t size = strspn(version, "0123456789");
		snprintf(digits, sizeof(digits), "%.*s", (int)size, version);
		if (!text_parse_int64(digits, 0, 9999, &part[i]))
			break;
		version += size + (version[size] == '.' ? 1 : 0);
	}
	return part[0] < 1 ||
	       (part[0] == 1 && (part[1] < OLDEST_MINOR || (part[1] == OLDEST_MINOR && part[2] < OLDEST_PATCH)));
}

static void check_version(struct findings *findings)
{
	static char option[] = "-V";
	struct child_result result;
	char why[PROGRAM_WHY_SIZE], version[32];

	if (!program_ask("sudo", option, &result, why)) {
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "mend it, or take the plugin's lines out of " SUDO_CONF, "sudo does not start: %s",
			     why);
		return;
	}
	if (program_value(&result, "sudo-rs", version, sizeof(version)))
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "use the PAM line of pam_awsflock(8), or the sudo that is written in C",
			     "sudo-rs %s loads no plugins: the lines in %s guard nothing", version, SUDO_CONF);
	else if (program_value(&result, "Sudo version", version, sizeof(version)) && is_old(version))
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "use the PAM line of pam_awsflock(8), or a newer sudo",
			     "sudo %s is too old for the plugin: it needs 1.9.5", version);
	else
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_OK, "", "sudo %s loads its plugins", version);
	child_result_clear(&result);
}

/* ---- The rules ------------------------------------------------------------------------------------------- */

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Does whatever fits LATER fit EARLIER? */
static bool covers(const struct sudo_rule *earlier, const struct sudo_rule *later)
{
	return (!earlier->runas || is_same(earlier->runas, later->runas)) &&
	       (!earlier->command || is_same(earlier->command, later->command)) &&
	       (!earlier->cwd || is_same(earlier->cwd, later->cwd));
}

static const char *guard_name(const struct sudo_rule *rule)
{
	return rule->guard ? rule->guard : "none";
}

static void check_covered(struct findings *findings, const struct sudo_rules *rules)
{
	for (size_t later = 1; later < rules->count; later++)
		for (size_t earlier = 0; earlier < later; earlier++) {
			if (!covers(&rules->rules[earlier], &rules->rules[later]))
				continue;
			findings_add(findings, PLUGIN, AWSFLOCK_CHECK_WARNING,
				     "take it out, or put it before the other one",
				     "rule %zu (guard=%s) fits nothing: rule %zu (guard=%s) comes before it",
				     later + 1, guard_name(&rules->rules[later]), earlier + 1,
				     guard_name(&rules->rules[earlier]));
			break;
		}
}

static bool has_user(const char *part, size_t size)
{
	char name[256];

	snprintf(name, sizeof(name), "%.*s", (int)size, part);
	return size < sizeof(name) && getpwnam(name);
}

static bool has_command(const char *part, size_t size)
{
	char path[4096];

	snprintf(path, sizeof(path), "%.*s", (int)size, part);
	return path[0] != '/' || (size < sizeof(path) && access(path, F_OK) == 0);
}

static void check_parts(struct findings *findings, const char *list, bool has(const char *, size_t),
			const char *what)
{
	const char *part;
	size_t size;

	while (sudo_rules_next(&list, &part, &size))
		if (!has(part, size))
			findings_add(findings, PLUGIN, AWSFLOCK_CHECK_WARNING, "correct it, or take it out",
				     "%s=%.*s fits nothing: there is none on this machine", what, (int)size, part);
}

static void check_conditions(struct findings *findings, const struct sudo_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		check_parts(findings, rules->rules[i].runas, has_user, "runas");
		check_parts(findings, rules->rules[i].command, has_command, "command");
	}
}

static void check_guards(struct findings *findings, const struct sudo_rules *rules, const char *config)
{
	const char *path = rules->conf ? rules->conf : config;

	for (size_t i = 0; i < rules->count; i++) {
		struct guard_request request = { .path = path, .person = "root", .service = "sudo" };
		struct guard guard;
		awsflock_error error;
		request.name = rules->rules[i].guard;
		if (!request.name)
			continue;
		if (guard_load(&request, &guard, &error) == AWSFLOCK_OK)
			guard_free(&guard);
		else
			findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
				     "write or correct that guard's section, then ask guard-check about it too",
				     "a rule has the guard '%s', which lets nobody run anything: %s", request.name,
				     error.message);
	}
}

/* ---- A PAM line beside it -------------------------------------------------------------------------------- */

static void check_doubled(struct findings *findings, const char *service, const char *last)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	if (!guard_of_service(service, guard, conf))
		return;
	if (strcmp(guard, last) == 0)
		findings_add(
			findings, PLUGIN, AWSFLOCK_CHECK_OK, "",
			"/etc/pam.d/%s has the same guard: the two share one lease, and a command takes longer to "
			"begin",
			service);
	else
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_WARNING,
			     "take that line out: sudo asks for both locks, one after the other",
			     "/etc/pam.d/%s has another guard, '%s', than the plugin's last rule, '%s'", service,
			     guard, last);
}

/* ---- All of it ------------------------------------------------------------------------------------------- */

static void keep_lines(struct guard_lines *lines, const struct sudo_rules *rules)
{
	*lines = (struct guard_lines){ .service = "sudo" };
	snprintf(lines->conf, sizeof(lines->conf), "%s", rules->conf ? rules->conf : "");
	snprintf(lines->break_glass_group, sizeof(lines->break_glass_group), "%s",
		 rules->break_glass_group ? rules->break_glass_group : "");
}

static bool check_rules(struct findings *findings, const struct sudo_conf_plugin *approval, const char *name,
			const char *config, struct guard_lines *lines)
{
	struct sudo_rules rules;
	char reason[256];
	size_t bad = findings->failed + findings->warnings;

	if (!sudo_rules_read(approval->words, &rules, reason, sizeof(reason))) {
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED,
			     "correct the line: until then sudo runs nothing, but for root", "%s:%d: %s", SUDO_CONF,
			     approval->line, reason);
		return false;
	}
	check_guards(findings, &rules, config);
	check_covered(findings, &rules);
	check_conditions(findings, &rules);
	check_doubled(findings, "sudo", rules.rules[rules.count - 1].guard);
	check_doubled(findings, "sudo-i", rules.rules[rules.count - 1].guard);
	if (findings->failed + findings->warnings == bad)
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_OK, "", "%s:%d: %zu rule%s, and '%s' for all else",
			     SUDO_CONF, approval->line, rules.count - 1, rules.count == 2 ? "" : "s",
			     rules.rules[rules.count - 1].guard);
	keep_lines(lines, &rules);
	return names_guard(&rules, name);
}

bool guard_check_plugin(struct findings *findings, const char *name, const char *config, struct guard_lines *lines)
{
	struct sudo_conf conf;
	awsflock_error error;
	bool is_named = false;

	if (sudo_conf_read(&conf, &error) != AWSFLOCK_OK) {
		findings_add(findings, PLUGIN, AWSFLOCK_CHECK_FAILED, "correct the file", "%s", error.message);
	} else if (conf.approval.line > 0 || conf.audit.line > 0) {
		check_file(findings);
		check_pair(findings, &conf);
		check_object(findings, &conf.approval);
		if (conf.audit.line > 0 &&
		    !(conf.approval.line > 0 && is_same(conf.approval.path, conf.audit.path)))
			check_object(findings, &conf.audit);
		check_version(findings);
		if (conf.approval.line > 0)
			is_named = check_rules(findings, &conf.approval, name, config, lines);
	}
	sudo_conf_free(&conf);
	return is_named;
}
