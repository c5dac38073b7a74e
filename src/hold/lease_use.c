/* See lease_use.h.  SPDX-License-Identifier: Apache-2.0 */
#include "hold/lease_use.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "term/report.h"

/* What another command needs for its request to the store. */
#define BUSY_WAIT_NS (20 * NS_PER_S)
#define BUSY_PAUSE_NS (20 * NS_PER_MS)

static awsflock_code look(struct lease_use *use, bool create, awsflock_error *error)
{
	awsflock_code code = lease_file_take(&use->file, create, &use->taken, error);

	if (code == AWSFLOCK_OK)
		code = lease_file_read(&use->file, &use->record, &use->empty, error);
	if (code == AWSFLOCK_OK)
		use->holder = use->empty ? HOLDER_NONE : holder_process_find(&use->record, &use->process);
	return code;
}

bool lease_use_has_holder_at_work(const struct lease_use *use)
{
	return (use->holder == HOLDER_HERE || use->holder == HOLDER_ELSEWHERE) &&
	       (use->record.state == LEASE_TAKING || use->record.state == LEASE_HELD);
}

awsflock_code lease_use_open(struct lease_use *use, const char *path, bool create, awsflock_error *error)
{
	int64_t end_ns = clock_boot_ns() + BUSY_WAIT_NS;
	awsflock_code code = lease_file_open(&use->file, path, error);

	while (code == AWSFLOCK_OK) {
		code = look(use, create, error);
		if (code != AWSFLOCK_OK || use->taken || lease_use_has_holder_at_work(use))
			break;
		if (clock_boot_ns() > end_ns)
			return error_set(error, AWSFLOCK_STORAGE,
					 "another program has the lease file %s: try again when it has ended",
					 path);
		clock_pause_ns(BUSY_PAUSE_NS);
	}
	return code;
}

void lease_use_close(struct lease_use *use)
{
	lease_file_close(&use->file);
}

static awsflock_code name_store(awsflock *context, char name[LEASE_STORE_SIZE], awsflock_error *error)
{
	const char *store;
	awsflock_code code = awsflock_store_name(context, &store, error);

	if (code == AWSFLOCK_OK)
		text_sanitise(store, name, LEASE_STORE_SIZE);
	return code;
}

awsflock_code lease_use_check_store(const struct lease_use *use, awsflock *context, awsflock_error *error)
{
	char store[LEASE_STORE_SIZE];
	awsflock_error none;
	awsflock_code code = name_store(context, store, &none);

	if (code != AWSFLOCK_OK)
		return error_set(
			error, code,
			"the lease of %s is one of '%s' in the store %s, and these settings tell of none: %s",
			use->file.path, use->record.lock, use->record.store, none.message);
	if (strcmp(store, use->record.store) == 0)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "the lease of %s is one of '%s' in the store %s, and these settings are of %s",
			 use->file.path, use->record.lock, use->record.store, store);
}

awsflock_code lease_use_judge(const struct lease_use *use, awsflock_error *error)
{
	const struct lease_record *record = &use->record;

	if (use->empty)
		return error_set(error, AWSFLOCK_LOST, "%s is empty: nothing is held by it", use->file.path);
	switch (record->state) {
	case LEASE_TAKING:
		if (!use->taken) /* its holder has it, and lives */
			return error_set(error, AWSFLOCK_LOST, "'%s' is not taken yet: its holder waits for it",
					 record->lock);
		return error_set(error, AWSFLOCK_LOST, "'%s' was not taken with %s: who waited for it has ended",
				 record->lock, use->file.path);
	case LEASE_LOST:
		return error_set(error, AWSFLOCK_LOST, "'%s' was lost: %s", record->lock, record->reason);
	case LEASE_ENDED:
		return error_set(error, AWSFLOCK_LOST, "'%s' is released already: %s", record->lock,
				 record->reason);
	default:
		return AWSFLOCK_OK;
	}
}

/* ---- Taking a lock with one -------------------------------------------------------------------------------- */

static awsflock_code refuse_other_lease(const struct lease_use *use, awsflock_error *error)
{
	const struct lease_record *record = &use->record;

	if (!use->taken && use->holder == HOLDER_HERE)
		return error_set(error, AWSFLOCK_CONFIG,
				 "process %" PRId64
				 " holds or waits for '%s' with %s: release that first, or name another "
				 "file",
				 record->pid, record->lock, use->file.path);
	if (!use->taken)
		return error_set(
			error, AWSFLOCK_CONFIG,
			"a process in another container or on another machine holds '%s' with %s: name another "
			"file",
			record->lock, use->file.path);
	/* A lease that nobody renewed may be a long one, and its id is known here alone.  That of a holder that is gone
	 * runs out soon, and is waited for as everybody's. */
	if (!use->empty && record->state == LEASE_HELD && use->holder == HOLDER_NONE &&
	    record->expiration_time > clock_real_seconds())
		return error_set(
			error, AWSFLOCK_CONFIG,
			"'%s' is held with %s: release it first (awsflock release --lease-file), or name another "
			"file",
			record->lock, use->file.path);
	return AWSFLOCK_OK;
}

awsflock_code lease_use_reserve(struct lease_use *use, awsflock *context, const char *path, const char *lock,
				bool with_holder, awsflock_error *error)
{
	awsflock_code code = lease_use_open(use, path, true, error);

	if (code == AWSFLOCK_OK)
		code = refuse_other_lease(use, error);
	if (code != AWSFLOCK_OK) {
		lease_file_let_go(&use->file);
		return code;
	}
	use->record = (struct lease_record){ .state = LEASE_TAKING };
	use->empty = false;
	snprintf(use->record.lock, sizeof(use->record.lock), "%s", lock);
	if (with_holder)
		holder_process_set_self(&use->record);
	code = name_store(context, use->record.store, error);
	return code == AWSFLOCK_OK ? lease_file_write(&use->file, &use->record, error) : code;
}

void lease_use_drop(struct lease_use *use)
{
	if (use->file.fd >= 0)
		lease_file_remove(&use->file);
	lease_use_close(use);
}

awsflock_code lease_use_keep(struct lease_use *use, const awsflock_lease *lease, awsflock_error *error)
{
	lease_record_confirm(&use->record, lease);
	return lease_file_write(&use->file, &use->record, error);
}

void lease_use_note_id(void *arg, const char *lock, const char *lease_id)
{
	struct lease_use *use = arg;
	awsflock_error error;

	(void)lock;
	if (use->record.state != LEASE_HELD)
		return;
	lease_record_add_id(&use->record, lease_id);
	if (lease_file_write(&use->file, &use->record, &error) != AWSFLOCK_OK)
		report_notice("%s", error.message);
}
