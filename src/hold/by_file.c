/* See by_file.h.  SPDX-License-Identifier: Apache-2.0 */
#include "hold/by_file.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

/* A holder that is well needs fifteen seconds at the most to release. */
#define HOLDER_ENDS_MS 30000

/* ---- The holder -------------------------------------------------------------------------------------------- */

static awsflock_code refuse_busy(const struct lease_use *use, awsflock_error *error)
{
	return error_set(error, AWSFLOCK_STORAGE,
			 "another program has the lease file %s: try again when it has ended", use->file.path);
}

/* Also where the file is a copy, which nobody has. */
static bool has_holder(const struct lease_use *use)
{
	return use->holder == HOLDER_HERE && lease_use_has_holder_at_work(use);
}

static awsflock_code refuse_elsewhere(const struct lease_use *use, awsflock_error *error)
{
	return error_set(error, AWSFLOCK_CONFIG,
			 "'%s' is held by process %" PRId64
			 " in another container or on another machine: release it "
			 "there, or evict it ('awsflock break')",
			 use->record.lock, use->record.pid);
}

/* Asks the store, since no clock here tells whether the holder that cannot be seen is done. */
static awsflock_code judge_elsewhere(const struct lease_use *use, awsflock *context, awsflock_error *error)
{
	const struct lease_record *record = &use->record;
	awsflock_status *status = NULL;
	awsflock_code code;
	bool is_held;

	if (use->taken && record->state != LEASE_HELD)
		return AWSFLOCK_OK;
	code = lease_use_check_store(use, context, error);
	if (code == AWSFLOCK_OK)
		code = awsflock_inspect(context, record->lock, &status, error);
	if (code != AWSFLOCK_OK)
		return code;
	is_held = status->held && status->fence == (uint64_t)record->fence;
	awsflock_status_free(&status);
	return is_held || !use->taken ? refuse_elsewhere(use, error) : AWSFLOCK_OK;
}

/* Waits for its end; what it has written of that is read by who opens the file anew. */
static awsflock_code tell_holder_to_end(const struct lease_use *use, int wake_fd, awsflock_error *error)
{
	struct pollfd fds[] = { { .fd = process_pidfd_open(use->process.pid), .events = POLLIN },
				{ .fd = wake_fd, .events = POLLIN } };
	int answer;

	/* One that was stopped could not end.  Not after SIGTERM: a SIGCONT takes away the stop for which a tracer waits
	 * that attaches as it ends, as LeakSanitizer does, and both would wait for ever. */
	process_signal(&use->process, SIGCONT);
	if (!process_signal(&use->process, SIGTERM)) {
		if (fds[0].fd >= 0)
			close(fds[0].fd);
		if (errno == ESRCH)
			return AWSFLOCK_OK;
		return error_set_errno(error, AWSFLOCK_STORAGE, errno, "cannot tell process %d to release '%s'",
				       (int)use->process.pid, use->record.lock);
	}
	if (fds[0].fd < 0)
		return AWSFLOCK_OK; /* it has ended */
	answer = poll(fds, 2, HOLDER_ENDS_MS);
	close(fds[0].fd);
	if (answer < 0 || (answer > 0 && fds[0].revents == 0))
		return error_set(error, AWSFLOCK_CANCELLED, "interrupted while process %d releases '%s'",
				 (int)use->process.pid, use->record.lock);
	if (answer > 0)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_STORAGE, "process %d, which holds '%s', does not end",
			 (int)use->process.pid, use->record.lock);
}

/* ---- Releasing --------------------------------------------------------------------------------------------- */

/* The newest first: it is the valid one unless its request got lost. */
static awsflock_code release_each(const struct lease_record *record, awsflock *context, awsflock_error *error)
{
	awsflock_code code = AWSFLOCK_LOST;

	for (size_t i = record->id_count; i > 0 && code == AWSFLOCK_LOST; i--) {
		awsflock_lease *lease = NULL;

		code = awsflock_adopt(context, record->lock, record->ids[i - 1], &lease, error);
		if (code == AWSFLOCK_OK)
			code = awsflock_release(lease, 0, error);
		awsflock_lease_free(&lease);
	}
	return code;
}

static awsflock_code end_taken(struct lease_use *use, awsflock *context, bool told, awsflock_error *error)
{
	awsflock_code code = lease_use_judge(use, error);

	if (code == AWSFLOCK_LOST && told && !use->empty && use->record.state == LEASE_ENDED)
		code = AWSFLOCK_OK; /* as it was told */
	else if (code == AWSFLOCK_OK)
		code = lease_use_check_store(use, context, error);
	if (code == AWSFLOCK_OK && use->record.state == LEASE_HELD)
		code = release_each(&use->record, context, error);
	if (code == AWSFLOCK_OK || code == AWSFLOCK_LOST)
		lease_file_remove(&use->file);
	return code;
}

awsflock_code lease_end(struct lease_use *use, awsflock *context, const char *path, int wake_fd,
			awsflock_error *error)
{
	awsflock_code code = lease_use_open(use, path, false, error);
	bool told = false;

	if (code == AWSFLOCK_OK && has_holder(use)) {
		code = tell_holder_to_end(use, wake_fd, error);
		told = code == AWSFLOCK_OK;
		if (told) {
			lease_use_close(use);
			code = lease_use_open(use, path, false, error);
			if (code == AWSFLOCK_LOST)
				return AWSFLOCK_OK; /* it has removed the file, as one does that has nothing left */
		}
	}
	if (code == AWSFLOCK_OK && use->holder == HOLDER_ELSEWHERE)
		code = judge_elsewhere(use, context, error);
	if (code == AWSFLOCK_OK && !use->taken)
		code = refuse_busy(use, error);
	return code == AWSFLOCK_OK ? end_taken(use, context, told, error) : code;
}

/* ---- Renewing ---------------------------------------------------------------------------------------------- */

static awsflock_code judge_renewable(const struct lease_use *use, awsflock *context, awsflock_error *error)
{
	if (has_holder(use))
		return error_set(error, AWSFLOCK_CONFIG,
				 "process %" PRId64 " renews the lease of '%s' by itself: there is nothing to do",
				 use->record.pid, use->record.lock);
	if (use->holder == HOLDER_ELSEWHERE) {
		awsflock_code code = judge_elsewhere(use, context, error);

		if (code != AWSFLOCK_OK)
			return code;
	}
	if (!use->taken)
		return refuse_busy(use, error);
	return lease_use_judge(use, error);
}

static awsflock_code renew_each(struct lease_use *use, awsflock *context, int64_t seconds, const char *owner,
				awsflock_lease **lease, awsflock_error *error)
{
	struct lease_record known = use->record; /* each try adds an id */
	awsflock_code code = AWSFLOCK_LOST;

	for (size_t i = known.id_count; i > 0 && code == AWSFLOCK_LOST; i--) {
		awsflock_lease_free(lease);
		code = awsflock_adopt(context, known.lock, known.ids[i - 1], lease, error);
		if (code == AWSFLOCK_OK)
			code = awsflock_renew(*lease, seconds != 0 ? seconds : known.lease_seconds, owner, error);
	}
	if (code == AWSFLOCK_LOST) /* none of them was made valid */
		memcpy(&use->record, &known, sizeof(known));
	return code;
}

awsflock_code lease_renew_by_file(struct lease_use *use, awsflock *context, const char *path, int64_t seconds,
				  const char *owner, awsflock_lease **lease, awsflock_error *error)
{
	awsflock_code code = lease_use_open(use, path, false, error);

	if (code == AWSFLOCK_OK)
		code = judge_renewable(use, context, error);
	if (code == AWSFLOCK_OK)
		code = lease_use_check_store(use, context, error);
	if (code != AWSFLOCK_OK)
		return code;
	awsflock_set_lease_id_callback(context, lease_use_note_id, use);
	code = renew_each(use, context, seconds, owner, lease, error);
	if (code != AWSFLOCK_OK)
		return code;
	use->record.pid = 0;
	use->record.start_ticks = 0;
	return lease_use_keep(use, *lease, error);
}
