/* See home.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/home.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/account.h"
#include "base/buf.h"
#include "base/error.h"

static awsflock_code copy_text(const char *text, char **out, awsflock_error *error)
{
	*out = strdup(text);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

awsflock_code home_find(char **out, awsflock_error *error)
{
	const char *home = secure_getenv("HOME");
	struct account account;
	awsflock_code code;

	*out = NULL;
	if (home && home[0] != '\0')
		return copy_text(home, out, error);
	code = account_find(geteuid(), &account, error);
	if (code == AWSFLOCK_OK && account.home)
		code = copy_text(account.home, out, error);
	account_clear(&account);
	return code;
}

bool home_is_meant(const char *path)
{
	return path[0] == '~' && (path[1] == '/' || path[1] == '\0');
}

awsflock_code home_expand(const char *path, char **out, awsflock_error *error)
{
	struct buf expanded = BUF_INIT;
	char *home = NULL;
	awsflock_code code;

	if (!home_is_meant(path))
		return copy_text(path, out, error);
	code = home_find(&home, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (!home)
		return error_set(error, AWSFLOCK_CONFIG, "'%s' is in a home directory, but there is none: set HOME",
				 path);
	buf_printf(&expanded, "%s%s", home, path + 1);
	free(home);
	*out = buf_steal(&expanded);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

awsflock_code home_copy_path(const char *path, bool has_home, char **out, awsflock_error *error)
{
	return has_home ? home_expand(path, out, error) : copy_text(path, out, error);
}
