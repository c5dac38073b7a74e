/* Ways into this machine, or to root on it, with and without a guard.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/guard_check/login_services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/guard_check/pam_stack.h"
#include "cli/guard_check/programs.h"

#define SERVICES "services"
#define JOBS "jobs"

/* What each calls itself to libpam.  Of machinectl only "shell" opens a session, by the service manager. */
static const struct login_service login_services[] = {
	{ "sshd", "sshd", NULL },
	{ "sudo", "sudo", NULL },
	{ "sudo", "sudo-i", NULL },
	{ "su", "su", NULL },
	{ "su", "su-l", NULL },
	{ "login", "login", NULL },
	{ "pkexec", "polkit-1", NULL },
	{ "run0", "systemd-run0", NULL },
	{ "doas", "doas", NULL },
	{ "machinectl", "login", "machinectl shell" },
	{ "vsftpd", "vsftpd", NULL },
	{ "/usr/lib/cockpit/cockpit-session", "cockpit", NULL },
	{ "/usr/libexec/cockpit-session", "cockpit", NULL },
};

bool login_service_next(const struct sshd_settings *sshd, struct login_service *login, size_t *place)
{
	char path[PROGRAM_PATH_SIZE];

	while (*place < sizeof(login_services) / sizeof(login_services[0])) {
		*login = login_services[(*place)++];
		if (!program_find(login->program, path))
			continue;
		if (strcmp(login->service, "sshd") == 0)
			login->service = sshd->service;
		if (!login->name)
			login->name = login->service;
		return true;
	}
	return false;
}

/* ---- Which are open -------------------------------------------------------------------------------------- */

static void append_name(struct buf *list, const char *name)
{
	buf_printf(list, "%s%s", list->size > 0 ? ", " : "", name);
}

static void list_login_services(const struct sshd_settings *sshd, struct buf *guarded, struct buf *open)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];
	struct login_service login;

	for (size_t place = 0; login_service_next(sshd, &login, &place);) {
		bool has_line = guard_of_service(login.service, guard, conf);
		bool has_plugin = strcmp(login.program, "sudo") == 0 && guard_of_plugin(guard, conf);
		if (!has_line && !has_plugin) {
			append_name(open, login.name);
			continue;
		}
		append_name(guarded, login.name);
		buf_printf(guarded, " (%s%s)", guard, has_plugin ? ", by its plugin" : "");
	}
}

static void check_login_services(struct findings *findings, const struct sshd_settings *sshd)
{
	struct buf guarded = BUF_INIT, open = BUF_INIT;

	list_login_services(sshd, &guarded, &open);
	if (guarded.size > 0)
		findings_add(findings, SERVICES, AWSFLOCK_CHECK_OK, "", "guarded, and by which guard: %s",
			     buf_text(&guarded));
	if (open.size > 0)
		findings_add(findings, SERVICES, AWSFLOCK_CHECK_WARNING,
			     "guard them too (there are examples beside the documentation), or close them",
			     "not guarded: %s", buf_text(&open));
	buf_free(&guarded);
	buf_free(&open);
}

/* ---- Login services with a setting of their own ------------------------------------------------------------------- */

static bool has_line(const char *path, const char *wanted)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (file && !found && getline(&line, &room, file) >= 0) {
		line[strcspn(line, " \t\r\n")] = '\0';
		found = strcmp(line, wanted) == 0;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static void check_vsftpd(struct findings *findings)
{
	char path[PROGRAM_PATH_SIZE], guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	if (program_find("vsftpd", path) && guard_of_service("vsftpd", guard, conf) &&
	    !has_line("/etc/vsftpd.conf", "session_support=YES") &&
	    !has_line("/etc/vsftpd/vsftpd.conf", "session_support=YES"))
		findings_add(findings, "vsftpd", AWSFLOCK_CHECK_FAILED,
			     "write session_support=YES into vsftpd.conf, and restart vsftpd",
			     "'session_support=YES' is not set: vsftpd opens no session, so no guard is asked");
}

static void check_machinectl(struct findings *findings)
{
	char path[PROGRAM_PATH_SIZE], guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	if (program_find("machinectl", path) && guard_of_service("login", guard, conf))
		findings_add(
			findings, "persons", AWSFLOCK_CHECK_WARNING,
			"have polkit refuse org.freedesktop.machine1.host-shell, and use sudo, which tells who "
			"calls",
			"machinectl shell: the person is the user who is become, mostly root: two callers are "
			"one person");
}

/* ---- What users leave for later -------------------------------------------------------------------------- */

/* Without the ALLOW file everybody may, or whom the DENY file does not name. */
static const struct spooler {
	const char *program;
	const char *services[2]; /* as Debian and as others call it */
	const char *allow;
} spoolers[] = {
	{ "crontab", { "cron", "crond" }, "/etc/cron.allow" },
	{ "at", { "atd", NULL }, "/etc/at.allow" },
};

static bool is_spooler_guarded(const struct spooler *spooler)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	for (size_t i = 0; i < 2; i++)
		if (spooler->services[i] && pam_has_file(spooler->services[i]) &&
		    guard_of_service(spooler->services[i], guard, conf))
			return true;
	return false;
}

static void check_jobs(struct findings *findings)
{
	char path[PROGRAM_PATH_SIZE];

	for (size_t i = 0; i < sizeof(spoolers) / sizeof(spoolers[0]); i++) {
		const struct spooler *spooler = &spoolers[i];
		char mend[256];

		if (!program_find(spooler->program, path) || access(spooler->allow, F_OK) == 0 ||
		    is_spooler_guarded(spooler))
			continue;
		snprintf(mend, sizeof(mend),
			 "write into %s who may leave jobs; those that are there already still run",
			 spooler->allow);
		findings_add(findings, JOBS, AWSFLOCK_CHECK_WARNING, mend,
			     "every user may leave jobs by %s, which run without a session and without the lock",
			     spooler->program);
	}
}

void guard_check_services(struct findings *findings, const struct sshd_settings *sshd)
{
	check_login_services(findings, sshd);
	guard_check_sshd(findings, sshd);
	guard_check_sudo(findings);
	check_vsftpd(findings);
	check_machinectl(findings);
	check_jobs(findings);
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
	findings_add(findings, SERVICES, AWSFLOCK_CHECK_FAILED,
		     "write or correct that guard's section, then ask guard-check about it too",
		     "%s has the guard '%s', which lets nobody in: %s", service, name, error.message);
}

/* The sections of an example that was copied are easily left out: sudo would then refuse whoever is to mend it. */
void guard_check_other_guards(struct findings *findings, const struct sshd_settings *sshd, const char *name,
			      const char *config)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE], told[GUARD_TEXT_SIZE] = "";
	struct login_service login;

	for (size_t place = 0; login_service_next(sshd, &login, &place);) {
		if (!guard_of_service(login.service, guard, conf) || strcmp(guard, name) == 0 ||
		    strcmp(guard, told) == 0)
			continue;
		check_other_guard(findings, login.service, guard, conf[0] != '\0' ? conf : config);
		snprintf(told, sizeof(told), "%s", guard);
	}
}
