/* The local store's operations as a program, for the tests that kill it, fill its disk or start several at once.
 *
 * store_local_driver DIR acquire LOCK LEASE_ID FENCE    the lease lasts an hour
 * store_local_driver DIR renew   LOCK OLD_ID NEW_ID
 * store_local_driver DIR release LOCK OLD_ID NEW_ID
 * store_local_driver DIR look    LOCK
 * store_local_driver DIR churn   LOCK    takes, renews and releases until it is killed; prints each fence it gets
 * store_local_driver DIR watch   LOCK COUNT    looks COUNT times; fails where it sees a mixture of two records
 * store_local_driver DIR time
 *
 * Prints "applied", "refused" or "free", and the item: "held" or "released", lease id, fence, milliseconds until it
 * expires.  Exit 1: the store's error on stderr, as "CODE MESSAGE".  SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/text.h"
#include "lock/local/store.h"

#define LEASE_SECONDS 3600

struct driver {
	struct runtime runtime;
	struct store *store;
	struct store_reply reply;
	awsflock_error error;
};

static int failed(const awsflock_error *error)
{
	fprintf(stderr, "%d %s\n", (int)error->code, error->message);
	return 1;
}

static int64_t store_now_ms(struct driver *driver)
{
	return server_time_latest_ms(&driver->store->time, runtime_boot_ns(&driver->runtime));
}

static void print_item(struct driver *driver)
{
	const struct lock_item *item = &driver->reply.item;

	if (!driver->reply.has_item)
		printf("free\n");
	else
		printf("%s %s %llu %lld\n", item->released ? "released" : "held", item->lease_id,
		       (unsigned long long)item->fence, (long long)(item->expires_store_ms - store_now_ms(driver)));
}

/* The owner is always the lease id, so that a mixture of two records shows. */
static awsflock_code perform(struct driver *driver, enum store_write_kind kind, const char *lock,
			     const char *accepted, const char *lease_id, uint64_t fence)
{
	struct store_write write = {
		.kind = kind,
		.lock = lock,
		.lease_id = lease_id,
		.accepted = &accepted,
		.accepted_count = accepted != NULL ? 1 : 0,
		.lease_duration = LEASE_SECONDS,
		.expires_store_ms =
			store_now_ms(driver) + (kind == STORE_RELEASE ? -1 : 1) * LEASE_SECONDS * MS_PER_S,
		.expiration_time = runtime_real_ns(&driver->runtime) / NS_PER_S,
		.fence = fence,
		.now_time = runtime_real_ns(&driver->runtime) / NS_PER_S,
		.owner = kind == STORE_RELEASE ? NULL : lease_id,
		.give_up_boot_ns = INT64_MAX,
	};

	store_reply_clear(&driver->reply);
	return driver->store->ops->write(driver->store, &write, &driver->reply, &driver->error);
}

static awsflock_code look(struct driver *driver, const char *lock)
{
	store_reply_clear(&driver->reply);
	return driver->store->ops->read(driver->store, lock, true, INT64_MAX, &driver->reply, &driver->error);
}

static int perform_once(struct driver *driver, enum store_write_kind kind, const char *lock, const char *accepted,
			const char *lease_id, uint64_t fence)
{
	if (perform(driver, kind, lock, accepted, lease_id, fence) != AWSFLOCK_OK)
		return failed(&driver->error);
	printf("%s ", driver->reply.outcome == STORE_APPLIED ? "applied" : "refused");
	print_item(driver);
	return 0;
}

/* Takes the lock, from whoever has it.  *TAKEN false: another was quicker. */
static awsflock_code churn_take(struct driver *driver, const char *lock, const char *lease_id, bool *taken)
{
	char seen[AWSFLOCK_LEASE_ID_SIZE] = "";
	bool reclaim;
	uint64_t fence;
	awsflock_code code = look(driver, lock);

	*taken = false;
	if (code != AWSFLOCK_OK)
		return code;
	reclaim = driver->reply.has_item && !driver->reply.item.released;
	fence = driver->reply.has_item ? driver->reply.item.fence + 1 : 1;
	if (reclaim)
		snprintf(seen, sizeof(seen), "%s", driver->reply.item.lease_id);
	code = perform(driver, reclaim ? STORE_RECLAIM : STORE_ACQUIRE, lock, reclaim ? seen : NULL, lease_id,
		       fence);
	*taken = code == AWSFLOCK_OK && driver->reply.outcome == STORE_APPLIED;
	return code;
}

static awsflock_code churn_once(struct driver *driver, const char *lock)
{
	char id[3][AWSFLOCK_LEASE_ID_SIZE];
	bool taken;
	awsflock_code code;

	for (int i = 0; i < 3; i++) {
		code = runtime_uuid(&driver->runtime, id[i], &driver->error);
		if (code != AWSFLOCK_OK)
			return code;
	}
	code = churn_take(driver, lock, id[0], &taken);
	if (code != AWSFLOCK_OK || !taken)
		return code;
	printf("%llu\n", (unsigned long long)driver->reply.item.fence);
	fflush(stdout);
	code = perform(driver, STORE_RENEW, lock, id[0], id[1], 0);
	if (code != AWSFLOCK_OK || driver->reply.outcome != STORE_APPLIED)
		return code;
	return perform(driver, STORE_RELEASE, lock, id[1], id[2], 1);
}

static int churn(struct driver *driver, const char *lock)
{
	while (churn_once(driver, lock) == AWSFLOCK_OK)
		;
	return failed(&driver->error);
}

static int watch(struct driver *driver, const char *lock, int64_t count)
{
	uint64_t fence = 0;

	for (int64_t i = 0; i < count; i++) {
		const struct lock_item *item = &driver->reply.item;

		if (look(driver, lock) != AWSFLOCK_OK)
			return failed(&driver->error);
		if (!driver->reply.has_item)
			continue;
		if (item->fence < fence || (!item->released && strcmp(item->owner, item->lease_id) != 0)) {
			fprintf(stderr, "fence %llu after %llu, owner %s, lease %s\n",
				(unsigned long long)item->fence, (unsigned long long)fence, item->owner,
				item->lease_id);
			return 1;
		}
		fence = item->fence;
	}
	return 0;
}

static int look_once(struct driver *driver, const char *lock)
{
	if (look(driver, lock) != AWSFLOCK_OK)
		return failed(&driver->error);
	print_item(driver);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "see the beginning of store_local_driver.c\n");
	return 2;
}

static int run(struct driver *driver, int argc, char **argv)
{
	const char *command = argv[2];
	int64_t number;

	if (strcmp(command, "time") == 0 && argc == 3)
		return printf("%lld\n", (long long)store_now_ms(driver)) < 0;
	if (strcmp(command, "look") == 0 && argc == 4)
		return look_once(driver, argv[3]);
	if (strcmp(command, "churn") == 0 && argc == 4)
		return churn(driver, argv[3]);
	if (strcmp(command, "watch") == 0 && argc == 5 && text_parse_int64(argv[4], 1, INT64_MAX, &number))
		return watch(driver, argv[3], number);
	if (strcmp(command, "acquire") == 0 && argc == 6 && text_parse_int64(argv[5], 1, INT64_MAX - 1, &number))
		return perform_once(driver, STORE_ACQUIRE, argv[3], NULL, argv[4], (uint64_t)number);
	if (strcmp(command, "renew") == 0 && argc == 6)
		return perform_once(driver, STORE_RENEW, argv[3], argv[4], argv[5], 0);
	if (strcmp(command, "release") == 0 && argc == 6)
		return perform_once(driver, STORE_RELEASE, argv[3], argv[4], argv[5], 1);
	return usage();
}

int main(int argc, char **argv)
{
	struct driver driver = { 0 };
	int code;

	if (argc < 3)
		return usage();
	runtime_init_system(&driver.runtime);
	if (store_local_new(&driver.runtime, argv[1], &driver.store, &driver.error) != AWSFLOCK_OK)
		return failed(&driver.error);
	code = run(&driver, argc, argv);
	store_reply_clear(&driver.reply);
	store_free(&driver.store);
	return code;
}
