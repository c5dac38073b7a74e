/* What this machine lacks for a guard to hold all that it can.  SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config.h"
#include "cli/guard_check/guard_check.h"

#define LOGIN_UID "login uid"
#define LINGER_DIRECTORY "/var/lib/systemd/linger"
#define NAMES_SHOWN 5

/* ---- The kernel's audit session, by which a login's processes are found ---------------------------------- */

/* Whether all user ids of the machine are ours: in a container with a user namespace they are not, and pam_loginuid
 * does nothing there. */
static bool has_all_user_ids(void)
{
	static const char all[] = "         0          0 4294967295\n";
	char map[sizeof(all)] = "";
	FILE *file = fopen("/proc/self/uid_map", "re");
	bool known = file && fgets(map, sizeof(map), file);

	if (file)
		fclose(file);
	return !known || strcmp(map, all) == 0;
}

void guard_check_login_uid(struct findings *findings, const struct guard_lines *lines)
{
	if (lines->login[0] == '\0')
		return;
	if (access("/proc/self/sessionid", R_OK) != 0 || access("/proc/self/loginuid", R_OK) != 0)
		findings_add(findings, LOGIN_UID, AWSFLOCK_CHECK_WARNING,
			     "use a kernel with CONFIG_AUDIT; a sandbox such as gVisor has none",
			     "this kernel keeps no login uid: a process that leaves its parents may not be found");
	else if (!has_all_user_ids())
		findings_add(findings, LOGIN_UID, AWSFLOCK_CHECK_WARNING,
			     "guard the machine, or a container without a user namespace",
			     "in this container's user namespace no login uid is set: a process that leaves its "
			     "parents may not be found");
	else if (!lines->sets_login_uid)
		findings_add(
			findings, LOGIN_UID, AWSFLOCK_CHECK_WARNING,
			"add, after the guard's line: session optional pam_loginuid.so",
			"%s: its session lines have no pam_loginuid.so: a process that leaves its parents may not "
			"be found",
			lines->login);
}

/* ---- The renewer's user ---------------------------------------------------------------------------------- */

static void check_user(struct findings *findings, const struct guard *guard)
{
	if (guard->user_is_makeshift)
		findings_add(
			findings, "user", AWSFLOCK_CHECK_WARNING,
			"useradd --system --no-create-home --shell /usr/sbin/nologin awsflock",
			"there is no user awsflock, so the keeper's network half is nobody: whatever else runs as "
			"nobody can stop it, which ends the session");
	else if (strcmp(guard->user, "nobody") == 0)
		findings_add(
			findings, "user", AWSFLOCK_CHECK_WARNING, "write user = awsflock",
			"user = nobody: whatever else runs as nobody can stop the keeper's network half, which "
			"ends the session");
}

/* ---- The clock ------------------------------------------------------------------------------------------- */

static void check_clock(struct findings *findings)
{
	struct timex clock = { .modes = 0 };
	int state = adjtimex(&clock);

	if (state >= 0 && (clock.status & STA_UNSYNC) != 0)
		findings_add(
			findings, "time", AWSFLOCK_CHECK_WARNING,
			"timedatectl set-ntp true, or start chronyd or ntpd; in a container: on its host",
			"nothing keeps this machine's clock right: once it is minutes off, AWS refuses what the "
			"keeper asks, and sessions end");
}

/* ---- Users whose services run without a session ---------------------------------------------------------- */

static int is_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool is_guarded(const struct guard *guard, const char *person)
{
	return strcmp(person, "root") != 0 && !guard_list_has(guard->exempt_users, person);
}

static size_t list_lingering(const struct guard *guard, struct buf *names)
{
	struct dirent **entries = NULL;
	int found = scandir(LINGER_DIRECTORY, &entries, is_name, alphasort);
	size_t count = 0;

	for (int i = 0; i < found; i++) {
		if (is_guarded(guard, entries[i]->d_name) && count++ < NAMES_SHOWN)
			buf_printf(names, "%s%s", names->size > 0 ? ", " : "", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (count > NAMES_SHOWN)
		buf_printf(names, " and %zu more", count - NAMES_SHOWN);
	return count;
}

static void check_linger(struct findings *findings, const struct guard *guard)
{
	struct buf names = BUF_INIT;

	if (list_lingering(guard, &names) > 0)
		findings_add(findings, "linger", AWSFLOCK_CHECK_WARNING,
			     "loginctl disable-linger NAME, which ends what they run while they are not logged in",
			     guard->ends_person
				     ? "services and timers of these users start with the machine, whoever "
				       "holds the lock: %s"
				     : "services and timers of these users run on when their session ends: %s",
			     buf_text(&names));
	buf_free(&names);
}

void guard_check_host(struct findings *findings, const struct guard *guard)
{
	if (strcmp(config_get(&guard->config, CONFIG_STORE), "local") != 0) {
		check_user(findings, guard);
		check_clock(findings);
	}
	check_linger(findings, guard);
}
