/* Reading credentials from JSON.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "base/timestamp.h"

#define JSON_DEPTH 8
/* json-c counts in ints, and adds a few to them. */
#define TEXT_SIZE_MAX ((size_t)INT32_MAX / 2)

/* ---- Parsing and giving back -------------------------------------------------------------------------------- */

static void wipe_texts(struct json_object *object);

static void wipe_members(struct json_object *object)
{
	json_object_object_foreach(object, key, member)
	{
		(void)key;
		wipe_texts(member);
	}
}

static void wipe_texts(struct json_object *object)
{
	if (json_object_is_type(object, json_type_string))
		wipe((char *)json_object_get_string(object), (size_t)json_object_get_string_len(object));
	else if (json_object_is_type(object, json_type_object))
		wipe_members(object);
	else if (json_object_is_type(object, json_type_array))
		for (size_t i = 0; i < json_object_array_length(object); i++)
			wipe_texts(json_object_array_get_idx(object, i));
}

void credentials_json_put(struct json_object *object)
{
	wipe_texts(object);
	json_object_put(object);
}

/* What a text that breaks off has made so far hangs on the tokener, and the last string is in its buffer. */
static void free_tokener(struct json_tokener *tokener)
{
	for (int i = 0; i <= tokener->depth; i++)
		wipe_texts(tokener->stack[i].current);
	wipe(tokener->pb->buf, (size_t)tokener->pb->size);
	json_tokener_free(tokener);
}

/* Its buffer would grow by realloc(), which leaves the old one behind unwiped: it gets its size at once. */
static struct json_tokener *make_tokener(size_t text_size)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);

	if (!tokener) {
		errno = ENOMEM;
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (printbuf_memset(tokener->pb, 0, 0, (int)text_size + 1) != 0) {
		json_tokener_free(tokener);
		errno = ENOMEM;
		return NULL;
	}
	printbuf_reset(tokener->pb);
	return tokener;
}

struct json_object *credentials_json_parse(const struct buf *text)
{
	struct json_tokener *tokener = NULL;
	struct json_object *object = NULL;

	errno = 0;
	if (text->size > 0 && text->size <= TEXT_SIZE_MAX && !memchr(text->data, '\0', text->size))
		tokener = make_tokener(text->size); /* else errno says so */
	if (!tokener)
		return NULL;
	object = json_tokener_parse_ex(tokener, text->data, (int)text->size);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    !json_object_is_type(object, json_type_object)) {
		credentials_json_put(object);
		object = NULL;
	}
	free_tokener(tokener);
	return object;
}

/* ---- Members ------------------------------------------------------------------------------------------------ */

const char *credentials_json_text(struct json_object *object, const char *name)
{
	struct json_object *member;
	const char *text;

	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return NULL;
	text = json_object_get_string(member);
	if (strlen(text) != (size_t)json_object_get_string_len(member) || text[0] == '\0')
		return NULL;
	return text;
}

struct json_object *credentials_json_object(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_object))
		return NULL;
	return member;
}

bool credentials_json_time(struct json_object *object, const char *name, int64_t *epoch_seconds)
{
	const char *text = credentials_json_text(object, name);

	return text && timestamp_parse(text, epoch_seconds);
}

/* ---- Credentials -------------------------------------------------------------------------------------------- */

static const char *first_text(struct json_object *object, const char *a, const char *b)
{
	const char *text = credentials_json_text(object, a);

	return text ? text : credentials_json_text(object, b);
}

static void describe_refusal(struct json_object *object, char *out, size_t size)
{
	const char *code = first_text(object, "Code", "code"), *message = first_text(object, "Message", "message");
	struct buf whole = BUF_INIT;

	buf_printf(&whole, "%s%s%s", code ? code : "", code && message ? ": " : "", message ? message : "");
	text_sanitise_message(buf_text(&whole), out, size);
	buf_free(&whole);
}

void credentials_json_refusal(const struct buf *text, char *out, size_t size)
{
	struct json_object *object = credentials_json_parse(text);

	out[0] = '\0';
	if (object)
		describe_refusal(object, out, size);
	credentials_json_put(object);
}

static awsflock_code check_version(struct json_object *object, const char *giver, awsflock_error *error)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, "Version", &member))
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s gives no \"Version\": 1", giver);
	if (!json_object_is_type(member, json_type_int) || json_object_get_int64(member) != 1)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "%s gives another Version than 1, the only one there is", giver);
	return AWSFLOCK_OK;
}

/* null is as good as none. */
static awsflock_code take_expiration(struct json_object *object, const struct credentials_json_form *form,
				     const char *giver, struct credentials *out, awsflock_error *error)
{
	struct json_object *member;
	const char *text = credentials_json_text(object, "Expiration");

	if (!form->is_temporary && (!json_object_object_get_ex(object, "Expiration", &member) || !member))
		return AWSFLOCK_OK;
	if (text && timestamp_parse(text, &out->expires_time))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CREDENTIALS, "%s gives no Expiration such as \"2026-11-23T14:02:11Z\"",
			 giver);
}

static awsflock_code take_json_credentials(struct json_object *object, const struct credentials_json_form *form,
					   const char *giver, struct credentials *out, awsflock_error *error)
{
	const char *id = credentials_json_text(object, "AccessKeyId"),
		   *secret = credentials_json_text(object, "SecretAccessKey");
	const char *token = credentials_json_text(object, form->token_name);
	const char *result = form->has_code ? credentials_json_text(object, "Code") : NULL;
	char refusal[200];
	awsflock_code code = form->has_version ? check_version(object, giver, error) : AWSFLOCK_OK;

	if (code != AWSFLOCK_OK)
		return code;
	if (result && strcmp(result, "Success") != 0) {
		describe_refusal(object, refusal, sizeof(refusal));
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s gives no credentials: %s", giver, refusal);
	}
	if (!id || !secret || (form->is_temporary && !token))
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s gives no %s", giver,
				 !id       ? "AccessKeyId"
				 : !secret ? "SecretAccessKey"
					   : form->token_name);
	code = take_expiration(object, form, giver, out, error);
	return code == AWSFLOCK_OK ? credentials_fill(out, id, secret, token, error) : code;
}

awsflock_code credentials_from_json(const struct buf *text, const struct credentials_json_form *form,
				    const char *giver, struct credentials *out, awsflock_error *error)
{
	struct json_object *object = credentials_json_parse(text);
	awsflock_code code;

	if (!object)
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s gives no JSON object", giver);
	code = take_json_credentials(object, form, giver, out, error);
	credentials_json_put(object);
	return code;
}
