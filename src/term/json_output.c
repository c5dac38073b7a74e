/* Results as JSON.  SPDX-License-Identifier: Apache-2.0 */
#include "term/json_output.h"

#include "term/output.h"
#include "term/report.h"

/* Takes over VALUE. */
static bool add_member(struct json_object *object, const char *name, struct json_object *value)
{
	if (value && json_object_object_add(object, name, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static bool add_null(struct json_object *object, const char *name)
{
	return json_object_object_add(object, name, NULL) == 0;
}

bool json_add_text(struct json_object *object, const char *name, const char *text)
{
	if (!text || text[0] == '\0')
		return add_null(object, name);
	return add_member(object, name, json_object_new_string(text));
}

bool json_add_number(struct json_object *object, const char *name, int64_t number)
{
	return add_member(object, name, json_object_new_int64(number));
}

bool json_add_known(struct json_object *object, const char *name, int64_t number)
{
	return number != 0 ? json_add_number(object, name, number) : add_null(object, name);
}

bool json_add_bool(struct json_object *object, const char *name, bool value)
{
	return add_member(object, name, json_object_new_boolean(value));
}

static bool add_fence(struct json_object *object, uint64_t fence)
{
	return fence != 0 ? add_member(object, "fence", json_object_new_uint64(fence)) : add_null(object, "fence");
}

static bool add_holder(struct json_object *object, const awsflock_status *status)
{
	const struct {
		const char *name, *text;
	} members[] = {
		{ "user", status->user },       { "host", status->host },   { "tty", status->tty },
		{ "service", status->service }, { "rhost", status->rhost }, { "purpose", status->purpose },
	};
	struct json_object *holder = json_object_new_object();

	if (!add_member(object, "holder", holder))
		return false;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (members[i].text[0] != '\0' && !json_add_text(holder, members[i].name, members[i].text))
			return false;
	}
	return status->pid == 0 || json_add_number(holder, "pid", status->pid);
}

static bool add_broken(struct json_object *object, const awsflock_status *status)
{
	return status->broken_by[0] == '\0' || (json_add_text(object, "broken_by", status->broken_by) &&
						json_add_known(object, "broken_time", status->broken_time));
}

static bool fill_status(struct json_object *object, const awsflock_status *status)
{
	if (!json_add_text(object, "lock_id", status->lock) || !json_add_bool(object, "held", status->held))
		return false;
	if (!status->held)
		return add_broken(object, status);
	return json_add_text(object, "lease_id", status->lease_id) &&
	       json_add_text(object, "owner", status->owner) && add_fence(object, status->fence) &&
	       json_add_number(object, "lease_duration", status->lease_duration) &&
	       json_add_number(object, "expiration_time", status->expiration_time) &&
	       json_add_known(object, "acquired_time", status->acquired_time) &&
	       json_add_number(object, "remaining_seconds", status->remaining_seconds) &&
	       add_holder(object, status) && add_broken(object, status);
}

struct json_object *json_from_status(const awsflock_status *status)
{
	struct json_object *object = json_object_new_object();

	if (object && !fill_status(object, status)) {
		json_object_put(object);
		object = NULL;
	}
	return object;
}

static bool fill_lease(struct json_object *object, const awsflock_lease *lease, const char *owner)
{
	return json_add_text(object, "lock_id", awsflock_lease_lock(lease)) &&
	       json_add_text(object, "lease_id", awsflock_lease_id(lease)) &&
	       add_fence(object, awsflock_lease_fence(lease)) && json_add_text(object, "owner", owner) &&
	       json_add_number(object, "lease_duration", awsflock_lease_seconds(lease)) &&
	       json_add_known(object, "expiration_time", awsflock_lease_expiration_time(lease)) &&
	       json_add_number(object, "remaining_seconds", awsflock_lease_remaining_ms(lease) / 1000);
}

struct json_object *json_from_lease(const awsflock_lease *lease, const char *owner)
{
	struct json_object *object = json_object_new_object();

	if (object && !fill_lease(object, lease, owner)) {
		json_object_put(object);
		object = NULL;
	}
	return object;
}

/* The code point at *TEXT, which is valid UTF-8 (anything else becomes U+FFFD); moves *TEXT behind it. */
static unsigned long next_code_point(const unsigned char **text)
{
	unsigned char first = *(*text)++;
	unsigned long point;
	int more;

	if (first < 0x80)
		return first;
	if (first < 0xc2 || first > 0xf4)
		return 0xfffd;
	more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	point = first & (0x3fu >> more);
	for (; more > 0; more--) {
		if ((**text & 0xc0) != 0x80)
			return 0xfffd;
		point = point << 6 | (*(*text)++ & 0x3fu);
	}
	return point;
}

static void append_ascii(struct buf *out, const char *json)
{
	const unsigned char *text = (const unsigned char *)json;

	while (*text != '\0') {
		unsigned long point = next_code_point(&text);
		char plain = (char)point;

		if (point < 0x7f)
			buf_append(out, &plain, 1);
		else if (point < 0x10000)
			buf_printf(out, "\\u%04lx", point);
		else
			buf_printf(out, "\\u%04lx\\u%04lx", 0xd800 + ((point - 0x10000) >> 10),
				   0xdc00 + ((point - 0x10000) & 0x3ff));
	}
}

bool json_append(struct buf *out, struct json_object *object)
{
	const char *text = object ? json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
										   JSON_C_TO_STRING_NOSLASHESCAPE)
				  : NULL;

	if (!text)
		return false;
	append_ascii(out, text);
	buf_puts(out, "\n");
	return !out->failed;
}

int json_result(struct json_object *object)
{
	struct buf out = BUF_INIT;
	int result = CLI_FAILED;

	out.limit = (size_t)1024 * 1024 * 1024;
	if (json_append(&out, object))
		result = output_text(&out);
	else
		report_error("out of memory");
	json_object_put(object);
	buf_free(&out);
	return result;
}
