/* What stands in a local lock's file: JSON.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/error.h"

#define FORMAT 1
#define DEPTH_MAX 8
/* Bounds that keep every later sum and conversion to nanoseconds far from overflow. */
#define SECONDS_MAX INT64_C(4000000000000)
#define MILLISECONDS_MAX INT64_C(4000000000000)

struct holder_field {
	const char *key;
	size_t offset;
};

static const struct holder_field holder_fields[] = {
	{ "user", offsetof(struct holder, user) },   { "host", offsetof(struct holder, host) },
	{ "tty", offsetof(struct holder, tty) },     { "service", offsetof(struct holder, service) },
	{ "rhost", offsetof(struct holder, rhost) }, { "purpose", offsetof(struct holder, purpose) },
};

#define HOLDER_FIELD_COUNT (sizeof(holder_fields) / sizeof(holder_fields[0]))

void local_record_clear(struct local_record *record)
{
	lock_item_clear(&record->item);
	record->released_time = 0;
}

/* ---- Writing ---------------------------------------------------------------------------------------------- */

/* Takes over VALUE.  False where memory ran out. */
static bool add_member(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool add_text(struct json_object *object, const char *key, const char *text)
{
	return !text || add_member(object, key, json_object_new_string(text));
}

static bool add_number(struct json_object *object, const char *key, int64_t number)
{
	return add_member(object, key, json_object_new_int64(number));
}

static bool add_holder(struct json_object *object, const struct holder *holder)
{
	struct json_object *json = json_object_new_object();
	bool good = json != NULL;

	for (size_t i = 0; good && i < HOLDER_FIELD_COUNT; i++) {
		const char *text;

		memcpy(&text, (const char *)holder + holder_fields[i].offset, sizeof(text));
		good = add_text(json, holder_fields[i].key, text);
	}
	if (good && holder->pid != 0)
		good = add_number(json, "pid", holder->pid);
	if (good && json_object_object_length(json) > 0)
		return add_member(object, "holder", json);
	json_object_put(json);
	return good;
}

static bool add_all(struct json_object *json, const struct local_record *record, const char *boot_id)
{
	const struct lock_item *item = &record->item;

	return add_number(json, "format", FORMAT) && add_text(json, "lock_id", item->lock_id) &&
	       add_text(json, "lease_id", item->lease_id) && add_text(json, "owner", item->owner) &&
	       add_number(json, "lease_duration", item->lease_duration) &&
	       add_number(json, "fence", (int64_t)item->fence) && add_text(json, "boot_id", boot_id) &&
	       add_number(json, "expires_boot_ms", item->expires_store_ms) &&
	       add_number(json, "expiration_time", item->expiration_time) &&
	       (item->acquired_time == 0 || add_number(json, "acquired_time", item->acquired_time)) &&
	       add_holder(json, &item->holder) &&
	       (!item->released || add_number(json, "released_time", record->released_time)) &&
	       (!item->broken_by || (add_text(json, "broken_by", item->broken_by) &&
				     add_number(json, "broken_time", item->broken_time)));
}

/* A line end after the record and at the end of the file, and spaces between: still JSON for every other reader. */
static bool append_padding(struct buf *out)
{
	char spaces[256];

	memset(spaces, ' ', sizeof(spaces));
	if (!buf_append(out, "\n", 1))
		return false;
	while (out->size % LOCAL_BLOCK_SIZE != 0) {
		size_t missing = LOCAL_BLOCK_SIZE - out->size % LOCAL_BLOCK_SIZE;

		if (missing == 1)
			return buf_append(out, "\n", 1);
		if (!buf_append(out, spaces, missing - 1 < sizeof(spaces) ? missing - 1 : sizeof(spaces)))
			return false;
	}
	return true;
}

awsflock_code local_record_encode(const struct local_record *record, const char *boot_id, struct buf *out,
				  awsflock_error *error)
{
	struct json_object *json = json_object_new_object();
	const char *text = NULL;
	bool good = false;

	if (json && add_all(json, record, boot_id))
		text = json_object_to_json_string_ext(json,
						      JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		good = buf_puts(out, text) && append_padding(out);
	json_object_put(json);
	if (!good)
		return error_out_of_memory(error);
	if (out->size > LOCAL_RECORD_MAX)
		return error_set(error, AWSFLOCK_INVALID,
				 "the lock's name, owner and purpose are too long together");
	return AWSFLOCK_OK;
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

/* The first fault wins: FAULT stays NULL as long as all is well. */
struct reader {
	struct json_object *json;
	char fault[80];
	bool out_of_memory;
};

static void found_fault(struct reader *reader, const char *what, const char *key)
{
	if (reader->fault[0] == '\0')
		snprintf(reader->fault, sizeof(reader->fault), "%s %s", key, what);
}

static char *get_text(struct reader *reader, const char *key, bool required)
{
	struct json_object *value = NULL;
	const char *text;
	char *copy;

	if (!json_object_object_get_ex(reader->json, key, &value)) {
		if (required)
			found_fault(reader, "is missing", key);
		return NULL;
	}
	if (!json_object_is_type(value, json_type_string)) {
		found_fault(reader, "is not a string", key);
		return NULL;
	}
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value) || (required && *text == '\0')) {
		found_fault(reader, "is not a text", key);
		return NULL;
	}
	copy = strdup(text);
	if (!copy)
		reader->out_of_memory = true;
	return copy;
}

static int64_t get_number(struct reader *reader, const char *key, bool required, int64_t low, int64_t high)
{
	struct json_object *value = NULL;
	int64_t number;

	if (!json_object_object_get_ex(reader->json, key, &value)) {
		if (required)
			found_fault(reader, "is missing", key);
		return 0;
	}
	if (!json_object_is_type(value, json_type_int)) {
		found_fault(reader, "is not a whole number", key);
		return 0;
	}
	/* json-c returns the nearest bound where the number is too large for the type: outside of every range
	 * here. */
	number = json_object_get_int64(value);
	if (number < low || number > high) {
		found_fault(reader, "is out of range", key);
		return 0;
	}
	return number;
}

static void get_holder(struct reader *reader, struct holder *holder)
{
	struct reader inner = { 0 };

	if (!json_object_object_get_ex(reader->json, "holder", &inner.json))
		return;
	if (!json_object_is_type(inner.json, json_type_object)) {
		found_fault(reader, "is not an object", "holder");
		return;
	}
	for (size_t i = 0; i < HOLDER_FIELD_COUNT; i++) {
		char *text = get_text(&inner, holder_fields[i].key, false);

		memcpy((char *)holder + holder_fields[i].offset, &text, sizeof(text));
	}
	holder->pid = get_number(&inner, "pid", false, 0, INT32_MAX);
	if (inner.fault[0] != '\0')
		found_fault(reader, "is damaged", "holder");
	reader->out_of_memory = reader->out_of_memory || inner.out_of_memory;
}

/* What the number counts is another boot's time: that lease's holder is gone with it. */
static int64_t get_expires(struct reader *reader, const char *boot_id)
{
	int64_t expires = get_number(reader, "expires_boot_ms", true, -MILLISECONDS_MAX, MILLISECONDS_MAX);
	char *written_boot_id = get_text(reader, "boot_id", true);
	bool same_boot = written_boot_id && strcmp(written_boot_id, boot_id) == 0;

	free(written_boot_id);
	return same_boot ? expires : LOCAL_OTHER_BOOT_EXPIRES_MS;
}

static void get_all(struct reader *reader, const char *boot_id, struct local_record *out)
{
	struct lock_item *item = &out->item;

	item->lock_id = get_text(reader, "lock_id", true);
	item->lease_id = get_text(reader, "lease_id", true);
	item->owner = get_text(reader, "owner", false);
	item->lease_duration = get_number(reader, "lease_duration", true, 0, SECONDS_MAX);
	item->fence = (uint64_t)get_number(reader, "fence", true, 0, INT64_MAX - 1);
	item->expires_store_ms = get_expires(reader, boot_id);
	item->expiration_time = get_number(reader, "expiration_time", true, -SECONDS_MAX, SECONDS_MAX);
	item->acquired_time = get_number(reader, "acquired_time", false, -SECONDS_MAX, SECONDS_MAX);
	item->released = json_object_object_get_ex(reader->json, "released_time", NULL);
	out->released_time = get_number(reader, "released_time", false, -SECONDS_MAX, SECONDS_MAX);
	item->broken_by = get_text(reader, "broken_by", false);
	item->broken_time = get_number(reader, "broken_time", false, -SECONDS_MAX, SECONDS_MAX);
	get_holder(reader, &item->holder);
}

/* After a record only white space may follow, to the end of its block.  Beyond that block stands what was left of a
 * longer record when this one was written in place. */
static bool only_space_follows(const char *text, size_t size, size_t end)
{
	size_t block_end = (end + LOCAL_BLOCK_SIZE - 1) / LOCAL_BLOCK_SIZE * LOCAL_BLOCK_SIZE;

	for (size_t i = end; i < size && i < block_end; i++)
		if (!strchr(" \t\r\n", text[i]) || text[i] == '\0')
			return false;
	return true;
}

/* Sets reader->json, or a fault. */
static void parse_record(struct reader *reader, const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *json;

	if (!tokener) {
		reader->out_of_memory = true;
		return;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, text, (int)size);
	if (json_object_is_type(json, json_type_object) &&
	    only_space_follows(text, size, json_tokener_get_parse_end(tokener))) {
		reader->json = json;
	} else {
		found_fault(reader, "is not one JSON object", "it");
		json_object_put(json);
	}
	json_tokener_free(tokener);
}

static awsflock_code damaged(const char *path, const char *why, awsflock_error *error)
{
	return error_set(error, AWSFLOCK_BAD_ITEM,
			 "%s is damaged (%s); if nobody holds this lock, remove that file", path, why);
}

/* Files lose their contents, or have zeros in their place, when the power fails: see file.c on syncing. */
static bool nothing_written(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] != '\0')
			return false;
	return true;
}

static awsflock_code decode(const char *path, struct reader *reader, const char *lock, const char *boot_id,
			    struct local_record *out, awsflock_error *error)
{
	struct json_object *format = NULL;

	/* First of all, since a newer format may have other types for everything else. */
	if (reader->json && json_object_object_get_ex(reader->json, "format", &format) &&
	    json_object_is_type(format, json_type_int) && json_object_get_int64(format) > FORMAT)
		return error_set(error, AWSFLOCK_BAD_ITEM,
				 "%s was written by a newer awsflock (format %lld); update "
				 "this one",
				 path, (long long)json_object_get_int64(format));
	if (reader->json) {
		get_number(reader, "format", true, FORMAT, FORMAT);
		get_all(reader, boot_id, out);
	}
	if (reader->out_of_memory)
		return error_out_of_memory(error);
	if (reader->fault[0] == '\0' && lock && strcmp(out->item.lock_id, lock) != 0)
		found_fault(reader, "is of another lock", "lock_id");
	if (reader->fault[0] != '\0')
		return damaged(path, reader->fault, error);
	return AWSFLOCK_OK;
}

awsflock_code local_record_decode(const char *path, const char *text, size_t size, const char *lock,
				  const char *boot_id, struct local_record *out, bool *present,
				  awsflock_error *error)
{
	struct reader reader = { 0 };
	awsflock_code code;

	*out = (struct local_record){ 0 };
	*present = false;
	if (nothing_written(text, size))
		return AWSFLOCK_OK;
	if (size > LOCAL_RECORD_MAX)
		return damaged(path, "it is too large", error);
	parse_record(&reader, text, size);
	code = decode(path, &reader, lock, boot_id, out, error);
	json_object_put(reader.json);
	if (code == AWSFLOCK_OK)
		*present = true;
	else
		local_record_clear(out);
	return code;
}
