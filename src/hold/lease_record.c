/* What stands in a lease file.  SPDX-License-Identifier: Apache-2.0 */
#include "hold/lease_record.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/text_check.h"
#include "term/json_output.h"

#define FORMAT 1
#define DEPTH_MAX 4
#define SECONDS_MAX INT64_C(4000000000000)

static const char *const state_names[] = { "taking", "held", "lost", "ended" };

#define STATE_COUNT ((int)(sizeof(state_names) / sizeof(state_names[0])))

void lease_record_add_id(struct lease_record *record, const char *id)
{
	if (record->id_count == LEASE_RECORD_IDS) {
		memmove(record->ids[1], record->ids[2], (LEASE_RECORD_IDS - 2) * sizeof(record->ids[0]));
		record->id_count--;
	}
	snprintf(record->ids[record->id_count++], sizeof(record->ids[0]), "%s", id);
}

void lease_record_confirm(struct lease_record *record, const awsflock_lease *lease)
{
	uint64_t fence = awsflock_lease_fence(lease);

	record->state = LEASE_HELD;
	record->id_count = 0;
	lease_record_add_id(record, awsflock_lease_id(lease));
	if (fence != 0 && fence <= INT64_MAX)
		record->fence = (int64_t)fence;
	record->lease_seconds = awsflock_lease_seconds(lease);
	record->expiration_time = awsflock_lease_expiration_time(lease);
}

/* ---- Writing ---------------------------------------------------------------------------------------------- */

static bool add_later_ids(struct json_object *json, const struct lease_record *record)
{
	struct json_object *list;

	if (record->id_count < 2)
		return true;
	list = json_object_new_array();
	if (!list || json_object_object_add(json, "later_ids", list) != 0) {
		json_object_put(list);
		return false;
	}
	for (size_t i = 1; i < record->id_count; i++) {
		struct json_object *id = json_object_new_string(record->ids[i]);

		if (!id || json_object_array_add(list, id) != 0) {
			json_object_put(id);
			return false;
		}
	}
	return true;
}

static bool fill(struct json_object *json, const struct lease_record *record)
{
	return json_add_number(json, "format", FORMAT) &&
	       json_add_text(json, "state", state_names[record->state]) &&
	       json_add_text(json, "lock_id", record->lock) &&
	       json_add_text(json, "lease_id", record->id_count > 0 ? record->ids[0] : NULL) &&
	       add_later_ids(json, record) && json_add_known(json, "fence", record->fence) &&
	       json_add_known(json, "lease_duration", record->lease_seconds) &&
	       json_add_known(json, "expiration_time", record->expiration_time) &&
	       json_add_known(json, "pid", record->pid) && json_add_known(json, "pid_start", record->start_ticks) &&
	       json_add_text(json, "machine", record->machine) && json_add_text(json, "store", record->store) &&
	       json_add_text(json, "reason", record->reason);
}

bool lease_record_encode(const struct lease_record *record, struct buf *out)
{
	struct json_object *json = json_object_new_object();
	bool good = json && fill(json, record) && json_append(out, json);

	json_object_put(json);
	return good;
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

/* What is missing or null is "". */
static bool get_text(struct json_object *json, const char *key, char *out, size_t size)
{
	struct json_object *value = NULL;
	size_t length;

	out[0] = '\0';
	if (!json_object_object_get_ex(json, key, &value) || !value)
		return true;
	if (!json_object_is_type(value, json_type_string))
		return false;
	length = (size_t)json_object_get_string_len(value);
	if (length >= size || strlen(json_object_get_string(value)) != length)
		return false;
	memcpy(out, json_object_get_string(value), length + 1);
	return true;
}

/* The same, for what awsflock never writes but as it may be shown. */
static bool get_shown_text(struct json_object *json, const char *key, char *out, size_t size)
{
	char shown[LEASE_STORE_SIZE];

	if (!get_text(json, key, out, size))
		return false;
	text_sanitise(out, shown, sizeof(shown));
	return strcmp(out, shown) == 0;
}

/* What is missing or null is 0. */
static bool get_number(struct json_object *json, const char *key, int64_t high, int64_t *out)
{
	struct json_object *value = NULL;

	*out = 0;
	if (!json_object_object_get_ex(json, key, &value) || !value)
		return true;
	if (!json_object_is_type(value, json_type_int))
		return false;
	*out = json_object_get_int64(value);
	return *out >= 0 && *out <= high;
}

static bool get_state(struct json_object *json, enum lease_state *out)
{
	char name[16];

	if (!get_text(json, "state", name, sizeof(name)))
		return false;
	for (int i = 0; i < STATE_COUNT; i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*out = (enum lease_state)i;
			return true;
		}
	}
	return false;
}

static bool take_id(struct lease_record *out, struct json_object *value)
{
	const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

	if (out->id_count == LEASE_RECORD_IDS || text_check_lease_id(text, NULL) != AWSFLOCK_OK)
		return false;
	lease_record_add_id(out, text);
	return true;
}

static bool get_ids(struct json_object *json, struct lease_record *out)
{
	struct json_object *first = NULL, *later = NULL;

	out->id_count = 0;
	if (!json_object_object_get_ex(json, "lease_id", &first) || !first)
		return out->state != LEASE_HELD;
	if (!take_id(out, first))
		return false;
	if (!json_object_object_get_ex(json, "later_ids", &later))
		return true;
	if (!json_object_is_type(later, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(later); i++) {
		if (!take_id(out, json_object_array_get_idx(later, i)))
			return false;
	}
	return true;
}

static bool get_all(struct json_object *json, struct lease_record *out)
{
	int64_t format;

	return get_number(json, "format", FORMAT, &format) && format == FORMAT && get_state(json, &out->state) &&
	       get_text(json, "lock_id", out->lock, sizeof(out->lock)) &&
	       text_check_lock_name(out->lock, NULL) == AWSFLOCK_OK && get_ids(json, out) &&
	       get_number(json, "fence", INT64_MAX - 1, &out->fence) &&
	       get_number(json, "lease_duration", SECONDS_MAX, &out->lease_seconds) &&
	       get_number(json, "expiration_time", SECONDS_MAX, &out->expiration_time) &&
	       get_number(json, "pid", INT32_MAX, &out->pid) &&
	       get_number(json, "pid_start", INT64_MAX - 1, &out->start_ticks) &&
	       get_shown_text(json, "machine", out->machine, sizeof(out->machine)) &&
	       get_shown_text(json, "store", out->store, sizeof(out->store)) &&
	       get_shown_text(json, "reason", out->reason, sizeof(out->reason));
}

static bool only_space_follows(const char *text, size_t size, size_t end)
{
	for (size_t i = end; i < size; i++) {
		if (text[i] == '\0' || !strchr(" \t\r\n", text[i]))
			return false;
	}
	return true;
}

bool lease_record_decode(const char *text, size_t size, struct lease_record *out)
{
	struct json_tokener *tokener;
	struct json_object *json;
	bool good;

	if (size > LEASE_RECORD_MAX)
		return false;
	tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return false;
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, text, (int)size);
	good = json_object_is_type(json, json_type_object) &&
	       only_space_follows(text, size, json_tokener_get_parse_end(tokener)) && get_all(json, out);
	json_object_put(json);
	json_tokener_free(tokener);
	return good;
}
