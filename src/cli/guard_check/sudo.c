/* What sudo must be told for a guard to hold.  SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/programs.h"

#define SUDO "sudo"
#define SPACE " \t\r\n"

/* ---- The sudo that is written in C ----------------------------------------------------------------------- */

/* As root, `sudo -V` prints a line for each setting that is on: those of the file, or what sudo does without it.
 * What is set for some users, hosts or commands alone is not among them. */
static void judge_terminal(struct findings *findings, const struct child_result *result)
{
	if (!program_says(result, "Always run commands in a pseudo-tty"))
		findings_add(findings, SUDO, AWSFLOCK_CHECK_WARNING, "write into /etc/sudoers: Defaults use_pty",
			     "use_pty is not set: a command outlives a sudo that its user kills, until the keeper "
			     "ends it");
}

/* By which a command has a session of PAM's, and so a line of ours. */
static void judge_sessions(struct findings *findings, const struct child_result *result)
{
	if (!program_says(result, "Create a new PAM session for the command to run in"))
		findings_add(findings, SUDO, AWSFLOCK_CHECK_FAILED, "write into /etc/sudoers: Defaults pam_session",
			     "pam_session is off: sudo opens no session, so no guard is asked");
	if (!program_says(result, "PAM service name to use: sudo") ||
	    !program_says(result, "PAM service name to use for login shells: sudo-i"))
		findings_add(findings, SUDO, AWSFLOCK_CHECK_WARNING,
			     "see to it that the files which pam_service and pam_login_service name are guarded",
			     "it uses other PAM files than sudo and sudo-i");
	if (program_says(result, "Allow the use of unknown runas user and/or group ID"))
		findings_add(
			findings, SUDO, AWSFLOCK_CHECK_WARNING,
			"write into /etc/sudoers: Defaults !runas_allow_unknown_id",
			"runas_allow_unknown_id is set: sudo -u '#4242' opens no session, so no guard is asked");
}

static void judge_sudo(struct findings *findings, const struct child_result *result, bool has_plugin)
{
	size_t bad = findings->failed + findings->warnings;

	judge_terminal(findings, result);
	if (!has_plugin)
		judge_sessions(findings, result);
	if (findings->failed + findings->warnings == bad)
		findings_add(findings, SUDO, AWSFLOCK_CHECK_OK, "", "%s",
			     has_plugin ? "use_pty is set" : "use_pty and pam_session are set");
}

/* ---- sudo-rs --------------------------------------------------------------------------------------------- */

static bool turns_off_use_pty(char *line)
{
	line += strspn(line, SPACE);
	line[strcspn(line, "#")] = '\0';
	return strncmp(line, "Defaults", strlen("Defaults")) == 0 && strstr(line, "!use_pty") != NULL;
}

static bool file_turns_off_use_pty(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (file && !found && getline(&line, &room, file) >= 0)
		found = turns_off_use_pty(line);
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* As sudo, it passes over what has a dot in its name or '~' at its end. */
static int is_included(const struct dirent *entry)
{
	return !strpbrk(entry->d_name, ".~");
}

/* It prints no settings, so its files are read; sudo-rs has one of its own, or shares sudo's. */
static bool find_without_use_pty(char path[PROGRAM_PATH_SIZE])
{
	static const char directory[] = "/etc/sudoers.d";
	struct dirent **entries = NULL;
	int count;
	bool found;

	snprintf(path, PROGRAM_PATH_SIZE, "%s",
		 access("/etc/sudoers-rs", F_OK) == 0 ? "/etc/sudoers-rs" : "/etc/sudoers");
	found = file_turns_off_use_pty(path);
	count = scandir(directory, &entries, is_included, alphasort);
	for (int i = 0; i < count; i++) {
		if (!found &&
		    snprintf(path, PROGRAM_PATH_SIZE, "%s/%s", directory, entries[i]->d_name) < PROGRAM_PATH_SIZE)
			found = file_turns_off_use_pty(path);
		free(entries[i]);
	}
	free(entries);
	return found;
}

/* It opens a session for each command, of the service sudo or sudo-i, and no setting turns that off.  What its file
 * has for sudo alone (pam_session, pam_service, runas_allow_unknown_id) it does not know, and complains of. */
static void judge_sudo_rs(struct findings *findings, const char *version)
{
	char path[PROGRAM_PATH_SIZE];

	if (find_without_use_pty(path))
		findings_add(findings, SUDO, AWSFLOCK_CHECK_WARNING, "take !use_pty out of that file",
			     "sudo-rs %s: use_pty is turned off in %s: a command outlives a sudo that its user "
			     "kills, until the keeper ends it",
			     version, path);
	else
		findings_add(findings, SUDO, AWSFLOCK_CHECK_OK, "",
			     "sudo-rs %s: it opens a session for each command, and use_pty is on", version);
}

/* ---- Both ------------------------------------------------------------------------------------------------ */

static void check_pair(struct findings *findings, bool plain, bool login)
{
	if (plain == login)
		return;
	findings_add(findings, SUDO, AWSFLOCK_CHECK_WARNING, "write the guard's line into both files",
		     "/etc/pam.d/%s is guarded and /etc/pam.d/%s is not: '%s' goes past the guard",
		     plain ? "sudo" : "sudo-i", plain ? "sudo-i" : "sudo", plain ? "sudo -i" : "sudo");
}

static void check_settings(struct findings *findings, bool has_plugin)
{
	static char option[] = "-V";
	struct child_result result;
	char why[PROGRAM_WHY_SIZE], version[32];

	if (!program_ask("sudo", option, &result, why)) {
		findings_add(findings, SUDO, AWSFLOCK_CHECK_WARNING, "look it up yourself",
			     "whether sudo has use_pty and pam_session could not be found out: %s", why);
		return;
	}
	if (program_value(&result, "sudo-rs", version, sizeof(version)))
		judge_sudo_rs(findings, version);
	else
		judge_sudo(findings, &result, has_plugin);
	child_result_clear(&result);
}

void guard_check_sudo(struct findings *findings)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE], path[PROGRAM_PATH_SIZE];
	bool plain = guard_of_service("sudo", guard, conf), login = guard_of_service("sudo-i", guard, conf);
	bool has_plugin = guard_of_plugin(guard, conf);

	if (!program_find("sudo", path))
		return;
	/* The plugin asks before there is a session, whatever the settings of that. */
	if (!has_plugin)
		check_pair(findings, plain, login);
	if (plain || login || has_plugin)
		check_settings(findings, has_plugin);
}
