/* Printing JSON with secrets in it.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/json_print.h"

#include <string.h>

#include "base/text.h"

static void append_escape(struct buf *out, uint32_t code)
{
	static const char *const short_names[] = { ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f",
						   ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\" };

	if (code < sizeof(short_names) / sizeof(short_names[0]) && short_names[code]) {
		buf_puts(out, short_names[code]);
	} else if (code > 0xFFFF) {
		code -= 0x10000;
		buf_printf(out, "\\u%04x\\u%04x", 0xD800 | code >> 10, 0xDC00 | (code & 0x3FF));
	} else {
		buf_printf(out, "\\u%04x", code);
	}
}

static void print_string(struct buf *out, const char *text, size_t left)
{
	uint32_t code;

	buf_puts(out, "\"");
	for (size_t size; left > 0; text += size, left -= size) {
		size = text_decode(text, left, &code);
		if (size == 0) { /* Python would have refused the file that it is from */
			size = 1;
			code = 0xFFFD;
		}
		if (code >= ' ' && code <= '~' && code != '"' && code != '\\')
			buf_append(out, text, 1);
		else
			append_escape(out, code);
	}
	buf_puts(out, "\"");
}

void json_print_text(struct buf *out, const char *text)
{
	print_string(out, text, strlen(text));
}

static void print_value(struct json_object *value, struct buf *out);

static void print_members(struct json_object *object, struct buf *out)
{
	const char *separator = "{";

	json_object_object_foreach(object, key, member)
	{
		buf_puts(out, separator);
		json_print_text(out, key);
		buf_puts(out, ": ");
		print_value(member, out);
		separator = ", ";
	}
	buf_puts(out, separator[0] == '{' ? "{}" : "}");
}

static void print_array(struct json_object *array, struct buf *out)
{
	buf_puts(out, "[");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		buf_puts(out, i > 0 ? ", " : "");
		print_value(json_object_array_get_idx(array, i), out);
	}
	buf_puts(out, "]");
}

/* Only numbers are printed by json-c. */
static void print_value(struct json_object *value, struct buf *out)
{
	const char *text;

	switch (json_object_get_type(value)) {
	case json_type_string:
		print_string(out, json_object_get_string(value), (size_t)json_object_get_string_len(value));
		break;
	case json_type_object:
		print_members(value, out);
		break;
	case json_type_array:
		print_array(value, out);
		break;
	default:
		text = json_object_to_json_string(value); /* of NULL: "null" */
		out->failed = out->failed || !text;
		buf_puts(out, text ? text : "");
	}
}

bool json_print(struct json_object *object, struct buf *out)
{
	print_value(object, out);
	return !out->failed;
}
