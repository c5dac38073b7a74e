/* A session inside of another that asks for the same lock: with share = session it is refused by the lock that its
 * own person holds.  SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "cli/guard_check/login_services.h"

#define SHARE "share"

struct pair {
	char outer[GUARD_TEXT_SIZE], inner[GUARD_TEXT_SIZE]; /* services; "": none yet */
	bool shares;                                         /* every guard of both has share = person */
};

/* Is it the lock of GUARD that the guard NAME asks for in SERVICE? */
static bool has_same_lock(const struct guard *guard, const char *name, const char *path, const char *service,
			  bool *shares)
{
	struct guard_request request = { .name = name, .path = path, .person = "root", .service = service };
	struct guard other;
	awsflock_error error;
	bool same;

	if (guard_load(&request, &other, &error) != AWSFLOCK_OK)
		return false;
	same = strcmp(other.lock, guard->lock) == 0 &&
	       strcmp(config_get(&other.config, CONFIG_STORE), config_get(&guard->config, CONFIG_STORE)) == 0 &&
	       strcmp(config_get(&other.config, CONFIG_TABLE), config_get(&guard->config, CONFIG_TABLE)) == 0 &&
	       strcmp(config_get(&other.config, CONFIG_LOCAL_DIR), config_get(&guard->config, CONFIG_LOCAL_DIR)) ==
		       0;
	*shares = other.is_for_person;
	guard_free(&other);
	return same;
}

static void keep_login_service(struct pair *pair, const struct login_service *login, bool shares)
{
	/* sshd may have a service of any name. */
	bool is_login = strcmp(login->program, "sshd") == 0 || guard_check_is_login(login->service);
	char *side = is_login ? pair->outer : pair->inner;

	if (side[0] == '\0')
		snprintf(side, GUARD_TEXT_SIZE, "%s", login->service);
	pair->shares = pair->shares && shares;
}

void guard_check_sharing(struct findings *findings, const struct sshd_settings *sshd, const struct guard *guard,
			 const char *config)
{
	struct pair pair = { .shares = true };
	char name[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];
	struct login_service login;
	bool shares;

	for (size_t place = 0; login_service_next(sshd, &login, &place);)
		if (guard_of_service(login.service, name, conf) &&
		    has_same_lock(guard, name, conf[0] != '\0' ? conf : config, login.service, &shares))
			keep_login_service(&pair, &login, shares);
	if (pair.shares || pair.outer[0] == '\0' || pair.inner[0] == '\0')
		return;
	findings_add(
		findings, SHARE, AWSFLOCK_CHECK_FAILED,
		"write share = person into the guards of this lock, or give one of them another lock",
		"%s and %s ask for the lock '%s' with share = session: whoever has logged in by %s holds it, and "
		"is refused by %s",
		pair.outer, pair.inner, guard->lock, pair.outer, pair.inner);
}
