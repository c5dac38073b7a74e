/* Ways into this machine, or to root on it, with and without a guard; and the settings of sshd and sudo that a
 * guard needs.  SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/runtime.h"
#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/pam_stack.h"

#define CHECK_SERVICES "services"
#define PATH_SIZE 128
#define ANSWER_WITHIN_S 15
#define ANSWER_LIMIT ((size_t)256 * 1024)

struct guardable_service {
	const char *program;
	const char *service; /* what it calls itself to libpam */
};

static const struct guardable_service guardable_services[] = {
	{ "sshd", "sshd" },       { "sudo", "sudo" },         { "sudo", "sudo-i" },
	{ "su", "su" },           { "su", "su-l" },           { "login", "login" },
	{ "pkexec", "polkit-1" }, { "run0", "systemd-run0" }, { "doas", "doas" },
};

static bool find_program(const char *name, char path[PATH_SIZE])
{
	static const char *const directories[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
						   "/usr/bin",        "/sbin",          "/bin" };

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, PATH_SIZE, "%s/%s", directories[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* ---- Asking sshd and sudo -------------------------------------------------------------------------------- */

/* What PROGRAM prints when it is asked with OPTION; false, and a warning about what is not known, where it does not
 * answer. */
static bool ask_program(struct findings *findings, const char *name, const char *program, char *option,
			const char *unknown, struct child_result *result)
{
	char path[PATH_SIZE];
	static char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
	char *const words[] = { path, option, NULL };
	char *const environment[] = { search, language, NULL };
	struct runtime runtime;
	awsflock_error error = { .message = "" };
	struct child_options options = { .words = words, .environment = environment, .output_limit = ANSWER_LIMIT };

	runtime_init_system(&runtime);
	options.give_up_boot_ns = runtime_boot_ns(&runtime) + ANSWER_WITHIN_S * NS_PER_S;
	if (!find_program(program, path))
		return false;
	if (child_run(&runtime, &options, result, &error) != AWSFLOCK_OK) {
		findings_add(findings, name, AWSFLOCK_CHECK_WARNING, "look it up yourself",
			     "%s could not be found out: '%s %s' cannot be run: %s", unknown, path, option,
			     error.message);
		return false;
	}
	if (result->end == CHILD_EXITED && result->number == 0)
		return true;
	findings_add(findings, name, AWSFLOCK_CHECK_WARNING, "look it up yourself",
		     "%s could not be found out: '%s %s' has failed: %.200s", unknown, path, option,
		     buf_text(&result->complaint));
	child_result_clear(result);
	return false;
}

static bool says(const struct child_result *result, const char *line)
{
	const char *text = buf_text(&result->output);
	size_t size = strlen(line);

	for (const char *found = text; (found = strstr(found, line)) != NULL; found++)
		if ((found == text || found[-1] == '\n') && (found[size] == '\n' || found[size] == '\0'))
			return true;
	return false;
}

/* `sshd -T` prints every setting in lower case, as sshd understands it. */
static void check_sshd(struct findings *findings)
{
	static char option[] = "-T";
	struct child_result result;

	if (!ask_program(findings, "sshd", "sshd", option, "whether sshd uses PAM", &result))
		return;
	if (says(&result, "usepam yes"))
		findings_add(findings, "sshd", AWSFLOCK_CHECK_OK, "", "it uses PAM");
	else
		findings_add(findings, "sshd", AWSFLOCK_CHECK_FAILED,
			     "write UsePAM yes into /etc/ssh/sshd_config, and restart sshd",
			     "'UsePAM yes' is not set: nobody who logs in over ssh comes past the guard");
	child_result_clear(&result);
}

/* As root, `sudo -V` prints a line for each setting that is on: those of the file, or what sudo does without it.
 * What is set for some users, hosts or commands alone is not among them. */
static void judge_sudo(struct findings *findings, const struct child_result *result)
{
	size_t bad = findings->failed + findings->warnings;

	if (!says(result, "Always run commands in a pseudo-tty"))
		findings_add(findings, "sudo", AWSFLOCK_CHECK_WARNING, "write into /etc/sudoers: Defaults use_pty",
			     "use_pty is not set: a command outlives a sudo that its user kills, until the keeper "
			     "ends it");
	if (!says(result, "Create a new PAM session for the command to run in"))
		findings_add(findings, "sudo", AWSFLOCK_CHECK_FAILED,
			     "write into /etc/sudoers: Defaults pam_session",
			     "pam_session is off: sudo opens no session, so no guard is asked");
	if (!says(result, "PAM service name to use: sudo") ||
	    !says(result, "PAM service name to use for login shells: sudo-i"))
		findings_add(findings, "sudo", AWSFLOCK_CHECK_WARNING,
			     "see to it that the files which pam_service and pam_login_service name are guarded",
			     "it uses other PAM files than sudo and sudo-i");
	if (says(result, "Allow the use of unknown runas user and/or group ID"))
		findings_add(
			findings, "sudo", AWSFLOCK_CHECK_WARNING,
			"write into /etc/sudoers: Defaults !runas_allow_unknown_id",
			"runas_allow_unknown_id is set: sudo -u '#4242' opens no session, so no guard is asked");
	if (findings->failed + findings->warnings == bad)
		findings_add(findings, "sudo", AWSFLOCK_CHECK_OK, "", "use_pty and pam_session are set");
}

static void check_sudo(struct findings *findings)
{
	static char option[] = "-V";
	struct child_result result;

	if (!ask_program(findings, "sudo", "sudo", option, "whether sudo has use_pty and pam_session", &result))
		return;
	judge_sudo(findings, &result);
	child_result_clear(&result);
}

/* ---- Which are open -------------------------------------------------------------------------------------- */

static bool is_guarded(const char *service)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	return guard_of_service(service, guard, conf);
}

static void append_name(struct buf *list, const char *name)
{
	buf_printf(list, "%s%s", list->size > 0 ? ", " : "", name);
}

static void list_guardable_services(struct buf *guarded, struct buf *open)
{
	char path[PATH_SIZE], guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(guardable_services) / sizeof(guardable_services[0]); i++) {
		if (!find_program(guardable_services[i].program, path))
			continue;
		if (!guard_of_service(guardable_services[i].service, guard, conf)) {
			append_name(open, guardable_services[i].service);
			continue;
		}
		append_name(guarded, guardable_services[i].service);
		buf_printf(guarded, " (%s)", guard);
	}
}

static void check_sudo_pair(struct findings *findings)
{
	bool plain = is_guarded("sudo"), login = is_guarded("sudo-i");

	if (plain == login)
		return;
	findings_add(findings, "sudo", AWSFLOCK_CHECK_WARNING, "write the guard's line into both files",
		     "/etc/pam.d/%s is guarded and /etc/pam.d/%s is not: '%s' goes past the guard",
		     plain ? "sudo" : "sudo-i", plain ? "sudo-i" : "sudo", plain ? "sudo -i" : "sudo");
}

void guard_check_services(struct findings *findings)
{
	struct buf guarded = BUF_INIT, open = BUF_INIT;
	char path[PATH_SIZE];

	list_guardable_services(&guarded, &open);
	if (guarded.size > 0)
		findings_add(findings, CHECK_SERVICES, AWSFLOCK_CHECK_OK, "", "guarded, and by which guard: %s",
			     buf_text(&guarded));
	if (open.size > 0)
		findings_add(findings, CHECK_SERVICES, AWSFLOCK_CHECK_WARNING,
			     "guard them too (there are examples beside the documentation), or close them",
			     "not guarded: %s", buf_text(&open));
	buf_free(&guarded);
	buf_free(&open);
	if (find_program("sshd", path) && is_guarded("sshd"))
		check_sshd(findings);
	if (!find_program("sudo", path))
		return;
	check_sudo_pair(findings);
	if (is_guarded("sudo") || is_guarded("sudo-i"))
		check_sudo(findings);
}

/* ---- Other guards ---------------------------------------------------------------------------------------- */

static void check_other_guard(struct findings *findings, const char *service, const char *name, const char *path)
{
	struct guard_request request = { .name = name, .path = path, .person = "root", .service = service };
	struct guard guard;
	awsflock_error error;

	if (guard_load(&request, &guard, &error) == AWSFLOCK_OK) {
		guard_free(&guard);
		return;
	}
	findings_add(findings, CHECK_SERVICES, AWSFLOCK_CHECK_FAILED,
		     "write or correct that guard's section, then ask guard-check about it too",
		     "%s has the guard '%s', which lets nobody in: %s", service, name, error.message);
}

/* The sections of an example that was copied are easily left out: sudo would then refuse whoever is to mend it. */
void guard_check_other_guards(struct findings *findings, const char *name, const char *config)
{
	char path[PATH_SIZE], guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE], told[GUARD_TEXT_SIZE] = "";

	for (size_t i = 0; i < sizeof(guardable_services) / sizeof(guardable_services[0]); i++) {
		const char *service = guardable_services[i].service;

		if (!find_program(guardable_services[i].program, path) || !guard_of_service(service, guard, conf) ||
		    strcmp(guard, name) == 0 || strcmp(guard, told) == 0)
			continue;
		check_other_guard(findings, service, guard, conf[0] != '\0' ? conf : config);
		snprintf(told, sizeof(told), "%s", guard);
	}
}
