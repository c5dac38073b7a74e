/* See account.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/account.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define ROOM_FIRST ((size_t)1024)
/* An entry from a directory service can be long, but not for ever. */
#define ROOM_MAX ((size_t)1024 * 1024)

static awsflock_code copy_field(const char *text, char **out, awsflock_error *error)
{
	if (!text || text[0] == '\0')
		return AWSFLOCK_OK;
	*out = strdup(text);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code copy_entry(const struct passwd *entry, struct account *out, awsflock_error *error)
{
	struct account account = { NULL, NULL };
	awsflock_code code = copy_field(entry->pw_name, &account.name, error);

	if (code == AWSFLOCK_OK)
		code = copy_field(entry->pw_dir, &account.home, error);
	if (code != AWSFLOCK_OK) {
		account_clear(&account);
		return code;
	}
	*out = account;
	return AWSFLOCK_OK;
}

awsflock_code account_find(uid_t user, struct account *out, awsflock_error *error)
{
	awsflock_code code = AWSFLOCK_OK;
	int result = ERANGE;

	*out = (struct account){ NULL, NULL };
	for (size_t size = ROOM_FIRST; result == ERANGE && size <= ROOM_MAX; size *= 2) {
		struct passwd entry, *found = NULL;
		char *room = malloc(size);
		if (!room)
			return error_out_of_memory(error);
		result = getpwuid_r(user, &entry, room, size, &found);
		if (result == ENOMEM)
			code = error_out_of_memory(error);
		else if (result == 0 && found)
			code = copy_entry(found, out, error);
		free(room);
	}
	return code;
}

void account_clear(struct account *account)
{
	free(account->name);
	free(account->home);
	*account = (struct account){ NULL, NULL };
}
