/* Reading STS's XML.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sts_reply.h"

#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 8

static const char white_space[] = " \t\r\n";
static const char name_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-.";

struct name {
	const char *text;
	size_t size;
};

struct reader {
	const char *next; /* the text ends in a zero byte */
	struct name open[DEPTH_MAX];
	size_t depth;
	struct buf text; /* of the innermost element, so far */
	struct sts_reply *reply;
};

static bool is_name(const struct name *name, const char *text)
{
	return name->size == strlen(text) && memcmp(name->text, text, name->size) == 0;
}

/* ---- Text --------------------------------------------------------------------------------------------------- */

static bool append_character(struct buf *out, uint32_t code)
{
	char bytes[2];

	if (code == 0 || code > 0x7FF) /* no key, token or error name has more */
		return false;
	if (code < 0x80) {
		bytes[0] = (char)code;
		return buf_append(out, bytes, 1);
	}
	bytes[0] = (char)(0xC0 | code >> 6);
	bytes[1] = (char)(0x80 | (code & 0x3F));
	return buf_append(out, bytes, 2);
}

/* "#38;" or "#x26;" */
static bool take_number(struct reader *reader)
{
	bool hexadecimal = reader->next[1] == 'x';
	const char *digits = reader->next + (hexadecimal ? 2 : 1), *end = digits;
	uint32_t code = 0;

	for (; *end != ';' && end < digits + 6; end++) {
		const char *place = *end != '\0' ? strchr("0123456789abcdef", *end | 0x20) : NULL;
		uint32_t base = hexadecimal ? 16 : 10;

		if (*end >= '0' && *end <= '9')
			code = code * base + (uint32_t)(*end - '0');
		else if (hexadecimal && place)
			code = code * base + (uint32_t)((*end | 0x20) - 'a' + 10);
		else
			return false;
	}
	if (end == digits || *end != ';')
		return false;
	reader->next = end + 1;
	return append_character(&reader->text, code);
}

/* Behind the "&". */
static bool take_reference(struct reader *reader)
{
	static const struct {
		const char *name;
		char character;
	} known[] = { { "amp;", '&' }, { "lt;", '<' }, { "gt;", '>' }, { "quot;", '"' }, { "apos;", '\'' } };

	if (*reader->next == '#')
		return take_number(reader);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strncmp(reader->next, known[i].name, strlen(known[i].name)) == 0) {
			reader->next += strlen(known[i].name);
			return buf_append(&reader->text, &known[i].character, 1);
		}
	}
	return false;
}

static bool take_text(struct reader *reader)
{
	while (*reader->next != '<' && *reader->next != '\0') {
		size_t plain = strcspn(reader->next, "<&");

		if (reader->depth == 0 && strspn(reader->next, white_space) < plain)
			return false;
		if (!buf_append(&reader->text, reader->next, plain))
			return false;
		reader->next += plain;
		if (*reader->next != '&')
			continue;
		reader->next++;
		if (!take_reference(reader))
			return false;
	}
	return true;
}

/* ---- Elements ----------------------------------------------------------------------------------------------- */

static bool take_name(struct reader *reader, struct name *name)
{
	name->text = reader->next;
	name->size = strspn(reader->next, name_characters);
	reader->next += name->size;
	return name->size > 0;
}

static void skip_space(struct reader *reader)
{
	reader->next += strspn(reader->next, white_space);
}

/* To behind the ">"; what attributes say does not matter. */
static bool skip_attributes(struct reader *reader, bool *is_empty)
{
	struct name name;

	*is_empty = false;
	for (skip_space(reader); *reader->next != '>'; skip_space(reader)) {
		if (reader->next[0] == '/' && reader->next[1] == '>') {
			*is_empty = true;
			reader->next++;
			break;
		}
		if (!take_name(reader, &name))
			return false;
		skip_space(reader);
		if (*reader->next++ != '=')
			return false;
		skip_space(reader);
		if (*reader->next != '"' && *reader->next != '\'')
			return false;
		reader->next = strchr(reader->next + 1, *reader->next);
		if (!reader->next)
			return false;
		reader->next++;
	}
	reader->next++;
	return true;
}

/* The place for the innermost element's text, or NULL. */
static struct buf *place_of(struct reader *reader)
{
	struct sts_reply *reply = reader->reply;
	const struct {
		size_t depth;
		const char *parent, *name;
		struct buf *place;
	} places[] = {
		{ 4, "Credentials", "AccessKeyId", &reply->access_key_id },
		{ 4, "Credentials", "SecretAccessKey", &reply->secret_access_key },
		{ 4, "Credentials", "SessionToken", &reply->session_token },
		{ 4, "Credentials", "Expiration", &reply->expiration },
		{ 4, "AssumedRoleUser", "Arn", &reply->arn },
		{ 3, "Error", "Code", &reply->error_code },
		{ 3, "Error", "Message", &reply->error_message },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (reader->depth == places[i].depth && is_name(&reader->open[reader->depth - 1], places[i].name) &&
		    is_name(&reader->open[reader->depth - 2], places[i].parent))
			return places[i].place;
	}
	return NULL;
}

static bool close_element(struct reader *reader)
{
	struct buf *place = place_of(reader);
	bool taken = true;

	if (place) /* one that comes twice is none of STS's */
		taken = place->size == 0 && buf_append(place, buf_text(&reader->text), reader->text.size);
	reader->depth--;
	buf_reset(&reader->text);
	return taken;
}

/* Behind the "<". */
static bool take_start(struct reader *reader)
{
	bool is_empty;

	if (reader->depth == DEPTH_MAX || !take_name(reader, &reader->open[reader->depth]))
		return false;
	reader->depth++;
	buf_reset(&reader->text);
	return skip_attributes(reader, &is_empty) && (!is_empty || close_element(reader));
}

/* Behind the "</". */
static bool take_end(struct reader *reader)
{
	struct name name;

	if (reader->depth == 0 || !take_name(reader, &name))
		return false;
	skip_space(reader);
	if (*reader->next != '>' || name.size != reader->open[reader->depth - 1].size ||
	    memcmp(name.text, reader->open[reader->depth - 1].text, name.size) != 0)
		return false;
	reader->next++;
	return close_element(reader);
}

static bool skip_declaration(struct reader *reader)
{
	const char *end;

	skip_space(reader);
	if (strncmp(reader->next, "<?xml ", 6) != 0)
		return true;
	end = strstr(reader->next, "?>");
	if (!end)
		return false;
	reader->next = end + 2;
	return true;
}

/* One root element, and white space around it. */
static bool read_document(struct reader *reader)
{
	bool good = skip_declaration(reader);

	skip_space(reader);
	good = good && *reader->next == '<';
	while (good && *reader->next == '<') {
		bool is_end = reader->next[1] == '/';

		reader->next += is_end ? 2 : 1;
		good = (is_end ? take_end(reader) : take_start(reader)) && take_text(reader);
		if (reader->depth == 0)
			break;
	}
	return good && reader->depth == 0 && *reader->next == '\0';
}

bool sts_reply_parse(const struct buf *text, struct sts_reply *out)
{
	struct reader reader = { .next = buf_text(text), .reply = out };
	bool good;

	*out = (struct sts_reply){ .access_key_id = BUF_INIT };
	good = strlen(buf_text(text)) == text->size && read_document(&reader);
	buf_free(&reader.text);
	return good;
}

void sts_reply_clear(struct sts_reply *reply)
{
	buf_free(&reply->access_key_id);
	buf_free(&reply->secret_access_key);
	buf_free(&reply->session_token);
	buf_free(&reply->expiration);
	buf_free(&reply->arn);
	buf_free(&reply->error_code);
	buf_free(&reply->error_message);
}
