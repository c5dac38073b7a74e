/* See item.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/runtime.h"
#include "base/text.h"

/* DynamoDB's numbers have 38 digits at most. */
#define DIGITS_MAX 48
/* More than 100,000 years: every later sum stays far from overflow, in which a held lock could look expired. */
#define SECONDS_MAX INT64_C(4000000000000)

const char *item_attribute_text(struct json_object *item, const char *name, const char *type)
{
	struct json_object *attribute, *value;
	const char *text;

	if (!json_object_object_get_ex(item, name, &attribute) ||
	    !json_object_is_type(attribute, json_type_object) ||
	    !json_object_object_get_ex(attribute, type, &value) || !json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	/* A zero byte within would make the text look shorter than it is. */
	return text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static bool has_attribute(struct json_object *item, const char *name)
{
	return json_object_object_get_ex(item, name, NULL);
}

/* Takes "[digits][.digits]" off *TEXT: the digits into DIGITS, and how many stood behind the point. */
static bool take_mantissa(const char **text, char digits[DIGITS_MAX], size_t *count, int64_t *behind_point)
{
	bool point = false;

	*count = 0;
	*behind_point = 0;
	for (; (**text >= '0' && **text <= '9') || (**text == '.' && !point); (*text)++) {
		if (**text == '.') {
			point = true;
			continue;
		}
		if (*count == DIGITS_MAX - 1)
			return false;
		digits[(*count)++] = **text;
		*behind_point += point ? 1 : 0;
	}
	return *count > 0;
}

/* A whole number, perhaps as "1.7E9": DynamoDB may give numbers in the form in which they were sent to it. */
static bool parse_number(const char *text, int64_t *out)
{
	char digits[DIGITS_MAX], plain[DIGITS_MAX + 2];
	size_t count;
	int64_t behind_point, exponent = 0;
	bool negative = text[0] == '-';

	text += negative || text[0] == '+' ? 1 : 0;
	if (!take_mantissa(&text, digits, &count, &behind_point))
		return false;
	if ((*text == 'E' || *text == 'e') &&
	    !text_parse_int64(text + (text[1] == '+' ? 2 : 1), -130, 130, &exponent))
		return false;
	if (*text != '\0' && *text != 'E' && *text != 'e')
		return false;
	for (exponent -= behind_point; exponent < 0; exponent++) {
		if (count == 0 || digits[--count] != '0')
			return false;
		if (count == 0)
			digits[count++] = '0';
	}
	for (; exponent > 0; exponent--) {
		if (count == DIGITS_MAX - 1)
			return false;
		digits[count++] = '0';
	}
	snprintf(plain, sizeof(plain), "%s%.*s", negative ? "-" : "", (int)count, digits);
	return text_parse_int64(plain, INT64_MIN, INT64_MAX, out);
}

static bool attribute_number(struct json_object *item, const char *name, int64_t *out)
{
	const char *text = item_attribute_text(item, name, "N");

	return text && parse_number(text, out);
}

/* For what is only told to people: 0 where it is missing or no such number. */
static int64_t positive_number(struct json_object *item, const char *name)
{
	int64_t number;

	return attribute_number(item, name, &number) && number > 0 ? number : 0;
}

/* *OUT stays NULL where the attribute is missing or no string; false without memory. */
static bool copy_text(struct json_object *item, const char *name, char **out)
{
	const char *text = item_attribute_text(item, name, "S");

	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

static bool read_holder(struct json_object *item, struct holder *holder)
{
	struct json_object *attribute, *map;

	if (!json_object_object_get_ex(item, "holder", &attribute) ||
	    !json_object_is_type(attribute, json_type_object) || !json_object_object_get_ex(attribute, "M", &map) ||
	    !json_object_is_type(map, json_type_object))
		return true;
	holder->pid = positive_number(map, "pid");
	return copy_text(map, "user", &holder->user) && copy_text(map, "host", &holder->host) &&
	       copy_text(map, "tty", &holder->tty) && copy_text(map, "service", &holder->service) &&
	       copy_text(map, "rhost", &holder->rhost) && copy_text(map, "purpose", &holder->purpose);
}

static awsflock_code bad_item(const char *where, const char *lock, const char *attribute, const char *expected,
			      awsflock_error *error)
{
	return error_set(
		error, AWSFLOCK_BAD_ITEM,
		"the item of lock '%s' in %s is damaged: its %s is not %s; mend that attribute, or delete the item "
		"once nobody works under the lock",
		lock, where, attribute, expected);
}

static awsflock_code read_required(const char *where, const char *lock, struct json_object *object,
				   struct lock_item *item, awsflock_error *error)
{
	const char *lease_id = item_attribute_text(object, "lease_id", "S");

	if (!lease_id || lease_id[0] == '\0')
		return bad_item(where, lock, "lease_id", "a string", error);
	if (!attribute_number(object, "expiration_time", &item->expiration_time) ||
	    item->expiration_time < -SECONDS_MAX || item->expiration_time > SECONDS_MAX)
		return bad_item(where, lock, "expiration_time", "a whole number of seconds", error);
	item->expires_store_ms = item->expiration_time * MS_PER_S;
	if (has_attribute(object, "lease_duration") &&
	    (!attribute_number(object, "lease_duration", &item->lease_duration) || item->lease_duration < 0 ||
	     item->lease_duration > SECONDS_MAX))
		return bad_item(where, lock, "lease_duration", "a whole number of seconds", error);
	item->lock_id = strdup(lock);
	item->lease_id = strdup(lease_id);
	return item->lock_id && item->lease_id ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code read_optional(struct json_object *object, struct lock_item *item, awsflock_error *error)
{
	item->fence = (uint64_t)positive_number(object, "fence");
	item->acquired_time = positive_number(object, "acquired_time");
	item->broken_time = positive_number(object, "broken_time");
	item->released = has_attribute(object, "released_time");
	if (!copy_text(object, "owner", &item->owner) || !copy_text(object, "broken_by", &item->broken_by) ||
	    !read_holder(object, &item->holder))
		return error_out_of_memory(error);
	return AWSFLOCK_OK;
}

awsflock_code item_from_dynamodb(const char *where, const char *lock, struct json_object *object,
				 struct lock_item *out, awsflock_error *error)
{
	const char *lock_id = item_attribute_text(object, "lock_id", "S");
	struct lock_item item = { 0 };
	awsflock_code code;

	/* DynamoDB takes no empty key, but other servers do. */
	if (!lock_id || lock_id[0] == '\0')
		return bad_item(where, lock ? lock : "?", "lock_id", "a name", error);
	if (lock && strcmp(lock, lock_id) != 0)
		return error_set(error, AWSFLOCK_PROTOCOL, "asked for lock '%s', %s answered with '%s'", lock,
				 where, lock_id);
	code = read_required(where, lock_id, object, &item, error);
	if (code == AWSFLOCK_OK)
		code = read_optional(object, &item, error);
	if (code != AWSFLOCK_OK) {
		lock_item_clear(&item);
		return code;
	}
	*out = item;
	return AWSFLOCK_OK;
}
