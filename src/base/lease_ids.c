/* See lease_ids.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/lease_ids.h"

#include <stdio.h>
#include <string.h>

static void remove_at(struct lease_ids *ids, size_t index)
{
	memmove(ids->id[index], ids->id[index + 1], (ids->count - index - 1) * AWSFLOCK_LEASE_ID_SIZE);
	ids->count--;
}

static bool is_id(const char *text)
{
	size_t size = strlen(text);

	return size > 0 && size < AWSFLOCK_LEASE_ID_SIZE;
}

void lease_ids_add(struct lease_ids *ids, const char *id)
{
	if (!is_id(id))
		return;
	if (ids->count == LEASE_IDS_MAX)
		remove_at(ids, 1);
	snprintf(ids->id[ids->count], AWSFLOCK_LEASE_ID_SIZE, "%s", id);
	ids->count++;
}

void lease_ids_drop(struct lease_ids *ids, const char *id)
{
	for (size_t i = 0; i < ids->count; i++) {
		if (strcmp(ids->id[i], id) == 0) {
			remove_at(ids, i);
			return;
		}
	}
}

void lease_ids_set(struct lease_ids *ids, const char *id)
{
	char kept[AWSFLOCK_LEASE_ID_SIZE];

	if (!is_id(id))
		return;
	snprintf(kept, sizeof(kept), "%s", id); /* ID may stand in IDS */
	ids->count = 0;
	lease_ids_add(ids, kept);
}

bool lease_ids_contain(const struct lease_ids *ids, const char *id)
{
	for (size_t i = 0; i < ids->count; i++) {
		if (strcmp(ids->id[i], id) == 0)
			return true;
	}
	return false;
}

size_t lease_ids_list(const struct lease_ids *ids, const char *list[LEASE_IDS_MAX])
{
	for (size_t i = 0; i < ids->count; i++)
		list[i] = ids->id[i];
	return ids->count;
}
