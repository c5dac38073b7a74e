/* SPDX-License-Identifier: Apache-2.0
 *
 * Who acts: the person that a session is opened for, or whose sudo or su it is. */
#include "person.h"

#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modutil.h>
#include <syslog.h>
#include <unistd.h>

static bool is_set(pam_handle_t *pamh, int item)
{
	const void *text = NULL;
	return pam_get_item(pamh, item, &text) == PAM_SUCCESS && text && *(const char *)text != '\0';
}

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
	person->becomes_another = is_set(pamh, PAM_RUSER);
	person->is_root_already = person->becomes_another && getuid() == 0;
	if (person->is_root_already)
		return true;
	const struct passwd *account = person->becomes_another ? find_caller(pamh) : find_user(pamh);
	if (!account)
		return false;
	person->uid = account->pw_uid;
	person->name = account->pw_name;
	return true;
}
