/* Handing a lease to the user: printing its id, or giving back what could not be handed over.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/lease_output.h"

#include <errno.h>

#include "base/buf.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

#define MOST_IDS 8

bool lease_print(const struct cli_call *call, const awsflock_lease *lease, const char *owner)
{
	struct buf text = BUF_INIT;
	bool printed = false;
	int print_errno;

	if (call->json) {
		struct json_object *object = json_from_lease(lease, owner);
		if (!json_append(&text, object))
			text.failed = true;
		json_object_put(object);
	} else {
		buf_printf(&text, "%s\n", awsflock_lease_id(lease));
	}
	errno = ENOMEM;
	if (!text.failed)
		printed = output_finish(buf_text(&text));
	print_errno = errno;
	buf_free(&text);
	errno = print_errno;
	return printed;
}

bool lease_give_back(struct cli_call *call, awsflock_lease *lease)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;

	awsflock_set_stop_fd(call->context, -1);
	code = awsflock_release(lease, 0, &error);
	if (code == AWSFLOCK_OK || code == AWSFLOCK_LOST)
		return true;
	report_error("%s", error.message);
	report_error(
		"cannot release the lock: it remains held until its lease expires, or until 'awsflock release' "
		"is given this lease id: %s",
		awsflock_lease_id(lease));
	return false;
}

void lease_tell_ids(const awsflock_lease *lease)
{
	char ids[MOST_IDS][AWSFLOCK_LEASE_ID_SIZE];
	size_t count = awsflock_lease_copy_ids(lease, ids, MOST_IDS);

	if (count > MOST_IDS)
		count = MOST_IDS;
	report_error(
		"it is not known whether the lock was renewed: any one of these may be the valid lease id, the "
		"newest first");
	for (size_t i = 0; i < count; i++)
		report_error("lease id %s", ids[i]);
}
