/* SPDX-License-Identifier: Apache-2.0
 *
 * Who acts: the person that a session is opened for, or whose sudo or su it is. */
#include "person.h"

#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modutil.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

/* "" where it is not set. */
static const char *text_item(pam_handle_t *pamh, int item)
{
	const void *text = NULL;
	return pam_get_item(pamh, item, &text) == PAM_SUCCESS && text ? text : "";
}

/* ---- Whose the host is ---- */

static bool is_set_id_program(void)
{
	struct stat status;
	return stat("/proc/self/exe", &status) != 0 || (status.st_mode & S_ISUID) != 0;
}

/* atd opens sessions under daemon's real user id: it is a program of root's that took this id itself, so nobody
 * calls it.  A user cannot make a program that is not set-user-id act as root. */
static bool is_daemon_with_lent_id(pam_handle_t *pamh)
{
	return geteuid() == 0 && *text_item(pamh, PAM_RUSER) == '\0' && !is_set_id_program();
}

/* Not by PAM_RUSER: pkexec sets none. */
static bool is_called_by_a_user(pam_handle_t *pamh)
{
	return getuid() != 0 && !is_daemon_with_lent_id(pamh);
}

/* Servers that run as root (vsftpd, proftpd, rlogind) set PAM_RUSER too: to whom a client says it is, or to the user
 * who logs in.  Their clients come from somewhere. */
static bool is_called_by_root(pam_handle_t *pamh)
{
	const char *caller = text_item(pamh, PAM_RUSER);
	if (getuid() != 0 || *caller == '\0' || *text_item(pamh, PAM_RHOST) != '\0')
		return false;
	const struct passwd *account = pam_modutil_getpwnam(pamh, caller);
	return account && account->pw_uid == 0;
}

/* ---- Whose account that is ---- */

/* Not by PAM_RUSER's text, nor by the login uid, which any process may write while it is unset. */
static const struct passwd *find_caller(pam_handle_t *pamh)
{
	const struct passwd *account = pam_modutil_getpwuid(pamh, getuid());
	if (!account)
		pam_syslog(pamh, LOG_ERR, "no account has the user id %lu", (unsigned long)getuid());
	return account;
}

static const struct passwd *find_user(pam_handle_t *pamh)
{
	const char *name = NULL;
	if (pam_get_user(pamh, &name, NULL) != PAM_SUCCESS || !name || name[0] == '\0') {
		pam_syslog(pamh, LOG_ERR, "no user is named");
		return NULL;
	}
	const struct passwd *account = pam_modutil_getpwnam(pamh, name);
	if (!account)
		pam_syslog(pamh, LOG_ERR, "there is no account of that name");
	return account;
}

bool person_find(pam_handle_t *pamh, struct person *person)
{
	*person = (struct person){ .becomes_another = is_called_by_a_user(pamh),
				   .is_root_already = is_called_by_root(pamh) };
	if (person->is_root_already)
		return true;
	const struct passwd *account = person->becomes_another ? find_caller(pamh) : find_user(pamh);
	if (!account)
		return false;
	person->uid = account->pw_uid;
	person->name = account->pw_name;
	return true;
}
