/* See handover.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/handover.h"

#include <string.h>

void handover_expect(struct handover *handover, const char *id)
{
	size_t size = strlen(id) + 1;

	if (size == 1 || size > AWSFLOCK_LEASE_ID_SIZE)
		return;
	if (handover->count == HANDOVER_IDS_MAX)
		memmove(handover->ids[1], handover->ids[2], sizeof(handover->ids[0]) * (--handover->count - 1));
	memcpy(handover->ids[handover->count++], id, size);
}

void handover_confirm(struct handover *handover, const char *id)
{
	if (!*id)
		return;
	handover->count = 0;
	handover_expect(handover, id);
}
