/* Whom the module takes for the person in a service, by what is known of its host: pam/person.c decides it by what
 * the host shows then.  SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/guard_check/guard_check.h"

#define PERSONS "persons"

enum taken_for {
	THE_CALLER,    /* set-user-id programs */
	WHO_LOGS_IN,   /* servers, which run as root */
	WHOSE_JOB,     /* the same, of what runs without its user */
	WHO_IS_BECOME, /* the service manager acts: it tells libpam nothing of who asked */
	NOBODY,        /* root alone can call it */
	UNKNOWN
};

static const struct {
	const char *service;
	enum taken_for taken_for;
} hosts[] = {
	{ "atd", WHOSE_JOB },
	{ "cockpit", WHO_LOGS_IN },
	{ "cron", WHOSE_JOB },
	{ "crond", WHOSE_JOB },
	{ "doas", THE_CALLER },
	{ "ftp", WHO_LOGS_IN },
	{ "gdm-autologin", WHO_LOGS_IN },
	{ "gdm-password", WHO_LOGS_IN },
	{ "lightdm", WHO_LOGS_IN },
	{ "login", WHO_LOGS_IN },
	{ "polkit-1", THE_CALLER },
	{ "proftpd", WHO_LOGS_IN },
	{ "remote", WHO_LOGS_IN },
	{ "rlogin", WHO_LOGS_IN },
	{ "runuser", NOBODY },
	{ "runuser-l", NOBODY },
	{ "sddm", WHO_LOGS_IN },
	{ "sshd", WHO_LOGS_IN },
	{ "su", THE_CALLER },
	{ "su-l", THE_CALLER },
	{ "sudo", THE_CALLER },
	{ "sudo-i", THE_CALLER },
	{ "systemd-run0", WHO_IS_BECOME },
	{ "systemd-user", WHOSE_JOB },
	{ "vsftpd", WHO_LOGS_IN },
	{ "xrdp-sesman", WHO_LOGS_IN },
};

static enum taken_for look_up(const char *service)
{
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strcmp(hosts[i].service, service) == 0)
			return hosts[i].taken_for;
	return UNKNOWN;
}

bool guard_check_is_for_jobs(const char *service)
{
	return look_up(service) == WHOSE_JOB;
}

bool guard_check_is_login(const char *service)
{
	return look_up(service) == WHO_LOGS_IN;
}

void guard_check_person(struct findings *findings, const char *service)
{
	switch (look_up(service)) {
	case THE_CALLER:
		findings_add(findings, PERSONS, AWSFLOCK_CHECK_OK, "", "%s: the person is who calls it", service);
		break;
	case WHO_LOGS_IN:
		findings_add(findings, PERSONS, AWSFLOCK_CHECK_OK, "", "%s: the person is who logs in", service);
		break;
	case WHOSE_JOB:
		findings_add(findings, PERSONS, AWSFLOCK_CHECK_OK, "",
			     "%s: the person is the user that it acts for", service);
		break;
	case WHO_IS_BECOME:
		findings_add(findings, PERSONS, AWSFLOCK_CHECK_WARNING,
			     "have polkit refuse org.freedesktop.systemd1.manage-units, and use sudo, which tells "
			     "who calls",
			     "%s: the person is the user who is become, mostly root: two callers are one person",
			     service);
		break;
	case NOBODY:
		findings_add(findings, PERSONS, AWSFLOCK_CHECK_WARNING, "take the guard's lines out of the file",
			     "%s: root alone can call it, and root needs no lock: the guard keeps nobody out",
			     service);
		break;
	case UNKNOWN:
		findings_add(findings, PERSONS, AWSFLOCK_CHECK_OK, "",
			     "%s: the person is who calls it, where its program is set-user-ID, else who logs in",
			     service);
		break;
	}
}
