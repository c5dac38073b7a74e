/* Reading INI files, line by line: our own strict kind, and AWS's kind.  SPDX-License-Identifier: Apache-2.0 */
#include "base/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/null_device.h"
#include "base/text.h"

#define FILE_SIZE_MAX ((size_t)1024 * 1024)

/* Part of the text, not terminated. */
struct span {
	const char *start;
	size_t size;
};

struct parser {
	const char *name;
	const char *rest; /* of the text, and its end */
	const char *end;
	int line;
	enum ini_dialect dialect;
	struct ini *out;
	awsflock_error *error;
	char *section; /* NULL: before the first */
	/* AWS's kind: a key's value goes on as long as lines are indented more than the key was. */
	size_t indent;
	char *key; /* NULL: no value is open */
	int key_line;
	struct buf value;
};

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span span)
{
	while (span.size > 0 && is_space(span.start[0])) {
		span.start++;
		span.size--;
	}
	while (span.size > 0 && is_space(span.start[span.size - 1]))
		span.size--;
	return span;
}

static struct span span_between(const char *start, const char *end)
{
	return (struct span){ start, (size_t)(end - start) };
}

static awsflock_code bad_line(struct parser *parser, int line, const char *why)
{
	return error_set(parser->error, AWSFLOCK_CONFIG, "%s:%d: %s", parser->name, line, why);
}

/* Room for one more entry; the capacity is the count's next power of two. */
static bool reserve_entry(struct ini *ini)
{
	if (ini->count != 0 && (ini->count & (ini->count - 1)) != 0)
		return true;
	size_t capacity = ini->count != 0 ? ini->count * 2 : 1;
	struct ini_entry *entries = reallocarray(ini->entries, capacity, sizeof(*entries));
	if (!entries)
		return false;
	ini->entries = entries;
	return true;
}

/* Takes over KEY and VALUE (each NULL for a section's own line), also on failure. */
static awsflock_code add_entry(struct parser *parser, char *key, char *value, int line)
{
	struct ini *ini = parser->out;
	char *section = strdup(parser->section ? parser->section : "");
	if (!section || !reserve_entry(ini)) {
		free(section);
		free(key);
		wipe_string(&value);
		return error_out_of_memory(parser->error);
	}
	struct ini_entry *entry = &ini->entries[ini->count++];
	entry->section = section;
	entry->key = key;
	entry->value = value;
	entry->fault = NULL;
	entry->line = line;
	return AWSFLOCK_OK;
}

static awsflock_code add_spans(struct parser *parser, struct span key, struct span value, int line)
{
	char *key_copy = strndup(key.start, key.size);
	char *value_copy = strndup(value.start, value.size);
	if (!key_copy || !value_copy) {
		free(key_copy);
		wipe_string(&value_copy);
		return error_out_of_memory(parser->error);
	}
	return add_entry(parser, key_copy, value_copy, line);
}

/* ---- Sections ---- */

/* A copy of NAME, trimmed and with each run of white space inside folded to one space. */
static char *fold_section(struct span name)
{
	name = trim(name);
	char *folded = malloc(name.size + 1);
	if (!folded)
		return NULL;
	size_t used = 0;
	for (size_t i = 0; i < name.size; i++) {
		if (!is_space(name.start[i]))
			folded[used++] = name.start[i];
		else if (!is_space(name.start[i - 1])) /* a trimmed name does not start with white space */
			folded[used++] = ' ';
	}
	folded[used] = '\0';
	return folded;
}

static awsflock_code begin_section(struct parser *parser, struct span name)
{
	if (trim(name).size == 0)
		return bad_line(parser, parser->line, "a section needs a name: write [NAME]");
	char *section = fold_section(name);
	if (!section)
		return error_out_of_memory(parser->error);
	free(parser->section);
	parser->section = section;
	return add_entry(parser, NULL, NULL, parser->line);
}

/* ---- The strict kind ---- */

static bool starts_comment(struct span text)
{
	return text.size > 0 && (text.start[0] == '#' || text.start[0] == ';');
}

/* What stands before a comment: one starts at white space with '#' or ';' after it. */
static struct span cut_comment(struct span text)
{
	for (size_t i = 1; i < text.size; i++)
		if ((text.start[i] == '#' || text.start[i] == ';') && is_space(text.start[i - 1])) {
			text.size = i - 1;
			break;
		}
	return text;
}

static awsflock_code strict_section(struct parser *parser, struct span line)
{
	const char *close = memchr(line.start, ']', line.size);
	if (!close || close != line.start + line.size - 1)
		return bad_line(parser, parser->line, "a section is written [NAME], with nothing after it");
	return begin_section(parser, span_between(line.start + 1, close));
}

/* The line on which SECTION begins, 0 where it does not. */
static int line_of_section(const struct ini *ini, const char *section)
{
	for (size_t i = 0; i < ini->count; i++)
		if (!ini->entries[i].key && strcmp(ini->entries[i].section, section) == 0)
			return ini->entries[i].line;
	return 0;
}

/* The line on which SECTION has KEY already, 0 where it has not. */
static int line_of_key(const struct ini *ini, const char *section, struct span key)
{
	for (size_t i = 0; i < ini->count; i++) {
		const struct ini_entry *entry = &ini->entries[i];
		if (entry->key && strlen(entry->key) == key.size && memcmp(entry->key, key.start, key.size) == 0 &&
		    strcmp(entry->section, section) == 0)
			return entry->line;
	}
	return 0;
}

static awsflock_code strict_key(struct parser *parser, struct span line)
{
	const char *equals = memchr(line.start, '=', line.size);
	if (!equals || trim(span_between(line.start, equals)).size == 0)
		return bad_line(parser, parser->line,
				"this line is neither 'key = value', [section] nor a comment (#)");
	struct span key = trim(span_between(line.start, equals));
	int earlier = line_of_key(parser->out, parser->section ? parser->section : "", key);
	if (earlier != 0)
		return error_set(parser->error, AWSFLOCK_CONFIG,
				 "%s:%d: '%.*s' stands on line %d already: remove one of the two", parser->name,
				 parser->line, (int)key.size, key.start, earlier);
	return add_spans(parser, key, trim(span_between(equals + 1, line.start + line.size)), parser->line);
}

static awsflock_code strict_line(struct parser *parser, struct span line)
{
	struct span text = trim(line);
	if (!text_is_utf8(line.start, line.size))
		return bad_line(parser, parser->line, "this is not UTF-8 text");
	if (text.size == 0 || starts_comment(text))
		return AWSFLOCK_OK;
	text = trim(cut_comment(text));
	return text.start[0] == '[' ? strict_section(parser, text) : strict_key(parser, text);
}

static bool may_be_passed_over(const struct parser *parser, struct span line)
{
	struct span text = trim(line);
	return parser->section && strncmp(parser->section, INI_GUARD_PREFIX, strlen(INI_GUARD_PREFIX)) == 0 &&
	       (text.size == 0 || text.start[0] != '[');
}

/* Keeps the fault of a guard's line with that guard. */
static awsflock_code strict_line_or_fault(struct parser *parser, struct span line)
{
	awsflock_error fault, *error = parser->error;
	parser->error = &fault;
	awsflock_code code = strict_line(parser, line);
	parser->error = error;
	if (code == AWSFLOCK_OK)
		return code;
	if (code != AWSFLOCK_CONFIG || !may_be_passed_over(parser, line))
		return error_set(error, code, "%s", fault.message);
	code = add_entry(parser, NULL, NULL, parser->line);
	if (code != AWSFLOCK_OK)
		return code;
	struct ini_entry *entry = &parser->out->entries[parser->out->count - 1];
	entry->fault = strdup(fault.message);
	return entry->fault ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- AWS's kind ---- */

static void lower_case(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* "sub = x" below "key =": an entry "key.sub". */
static awsflock_code aws_nested_line(struct parser *parser, struct span line)
{
	line = trim(line);
	if (line.size == 0)
		return AWSFLOCK_OK;
	const char *equals = memchr(line.start, '=', line.size);
	if (!equals)
		return bad_line(parser, parser->key_line,
				"the indented lines below this key must be 'key = value'");
	struct span sub = trim(span_between(line.start, equals));
	struct buf key = BUF_INIT;
	buf_puts(&key, parser->key);
	buf_puts(&key, ".");
	buf_append(&key, sub.start, sub.size);
	awsflock_code code;
	if (key.failed)
		code = error_out_of_memory(parser->error);
	else
		code = add_spans(parser, (struct span){ key.data, key.size },
				 trim(span_between(equals + 1, line.start + line.size)), parser->key_line);
	buf_free(&key);
	return code;
}

static awsflock_code aws_nested(struct parser *parser, struct span value)
{
	const char *next = value.start;
	const char *end = value.start + value.size;
	awsflock_code code = AWSFLOCK_OK;
	while (code == AWSFLOCK_OK && next < end) {
		const char *newline = memchr(next, '\n', (size_t)(end - next));
		const char *line_end = newline ? newline : end;
		code = aws_nested_line(parser, span_between(next, line_end));
		next = newline ? newline + 1 : end;
	}
	return code;
}

/* The open value has ended: makes its entry, or its entries. */
static awsflock_code aws_close_value(struct parser *parser)
{
	if (!parser->key)
		return AWSFLOCK_OK;
	awsflock_code code;
	struct span value = { buf_text(&parser->value), parser->value.size };
	if (parser->value.failed)
		code = error_out_of_memory(parser->error);
	else if (trim(value).size > 0 && value.start[0] == '\n')
		code = aws_nested(parser, value);
	else
		code = add_spans(parser, (struct span){ parser->key, strlen(parser->key) }, trim(value),
				 parser->key_line);
	free(parser->key);
	parser->key = NULL;
	buf_reset(&parser->value);
	return code;
}

/* botocore gives up, too; which of two is meant nobody can tell. */
static awsflock_code refuse_second(struct parser *parser, const char *what, int earlier)
{
	return error_set(parser->error, AWSFLOCK_CONFIG,
			 "%s:%d: %s stands on line %d already: remove one of the two", parser->name, parser->line,
			 what, earlier);
}

static awsflock_code aws_section(struct parser *parser, struct span name)
{
	char *section = fold_section(name);
	int earlier = section ? line_of_section(parser->out, section) : 0;
	free(section);
	if (earlier != 0)
		return refuse_second(parser, "this section", earlier);
	return begin_section(parser, name);
}

static awsflock_code aws_key(struct parser *parser, struct span text)
{
	size_t name_size = 0;
	while (name_size < text.size && text.start[name_size] != '=' && text.start[name_size] != ':')
		name_size++;
	struct span key = trim((struct span){ text.start, name_size });
	if (name_size == text.size || key.size == 0)
		return bad_line(parser, parser->line, "this line is neither 'key = value' nor a [section]");
	if (!parser->section)
		return bad_line(parser, parser->line, "there is no [section] before this line");
	parser->key = strndup(key.start, key.size);
	if (!parser->key)
		return error_out_of_memory(parser->error);
	lower_case(parser->key);
	int earlier = line_of_key(parser->out, parser->section, (struct span){ parser->key, key.size });
	if (earlier != 0)
		return refuse_second(parser, "this key", earlier);
	parser->key_line = parser->line;
	struct span value = trim(span_between(text.start + name_size + 1, text.start + text.size));
	buf_append(&parser->value, value.start, value.size);
	return AWSFLOCK_OK;
}

static awsflock_code aws_line(struct parser *parser, struct span line)
{
	struct span text = trim(line);
	if (starts_comment(text))
		return AWSFLOCK_OK;
	if (text.size == 0) {
		if (parser->key)
			buf_puts(&parser->value, "\n");
		return AWSFLOCK_OK;
	}
	size_t indent = (size_t)(text.start - line.start);
	if (parser->key && indent > parser->indent) {
		buf_puts(&parser->value, "\n");
		buf_append(&parser->value, text.start, text.size);
		return AWSFLOCK_OK;
	}
	awsflock_code code = aws_close_value(parser);
	if (code != AWSFLOCK_OK)
		return code;
	parser->indent = indent;
	/* botocore takes the last ']' of the line and passes over what follows it. */
	const char *close = memrchr(text.start, ']', text.size);
	if (text.start[0] == '[' && close && close > text.start + 1)
		return aws_section(parser, span_between(text.start + 1, close));
	return aws_key(parser, text);
}

/* ---- Both ---- */

/* The next line without its end, which is LF, CR LF or CR.  False at the end of the text. */
static bool next_line(struct parser *parser, struct span *line)
{
	if (parser->rest == parser->end)
		return false;
	const char *stop = parser->rest;
	while (stop < parser->end && *stop != '\n' && *stop != '\r')
		stop++;
	*line = span_between(parser->rest, stop);
	if (stop < parser->end && *stop == '\r' && stop + 1 < parser->end && stop[1] == '\n')
		stop++;
	parser->rest = stop < parser->end ? stop + 1 : stop;
	parser->line++;
	return true;
}

static awsflock_code parse_line(struct parser *parser, struct span line)
{
	if (line.size > 0 && memchr(line.start, '\0', line.size))
		return bad_line(parser, parser->line, "there is a zero byte: this is not a text file");
	if (parser->dialect == INI_AWS)
		return aws_line(parser, line);
	return strict_line_or_fault(parser, line);
}

static const char *skip_byte_order_mark(const char *text, size_t size)
{
	return size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text;
}

awsflock_code ini_parse(const char *name, const char *text, size_t size, enum ini_dialect dialect, struct ini *out,
			awsflock_error *error)
{
	struct ini parsed = { NULL, 0 };
	struct parser parser = { .name = name, .dialect = dialect, .out = &parsed, .error = error };
	struct span line;
	awsflock_code code = AWSFLOCK_OK;
	/* With the separators a value can be at most as large as the text. */
	parser.value.limit = size + 1;
	if (size > 0) {
		parser.rest = skip_byte_order_mark(text, size);
		parser.end = text + size;
	}
	while (code == AWSFLOCK_OK && next_line(&parser, &line))
		code = parse_line(&parser, line);
	if (code == AWSFLOCK_OK)
		code = aws_close_value(&parser);
	if (code == AWSFLOCK_OK)
		*out = parsed;
	else
		ini_free(&parsed);
	free(parser.section);
	free(parser.key);
	buf_free(&parser.value);
	return code;
}

static awsflock_code read_all(int fd, const char *path, struct buf *text, awsflock_error *error)
{
	char block[4096];
	awsflock_code code = AWSFLOCK_OK;
	for (;;) {
		ssize_t got = read(fd, block, sizeof(block));
		if (got == 0)
			break;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			code = error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot read %s", path);
			break;
		}
		if (text->size + (size_t)got > FILE_SIZE_MAX) {
			code = error_set(error, AWSFLOCK_CONFIG,
					 "%s is larger than 1 MiB: it is not a configuration file", path);
			break;
		}
		if (!buf_append(text, block, (size_t)got)) {
			code = error_out_of_memory(error);
			break;
		}
	}
	wipe(block, sizeof(block));
	return code;
}

static awsflock_code read_open_file(int fd, const char *path, struct buf *text, awsflock_error *error)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot read %s", path);
	if (is_null_device(&status)) /* people write AWS_CONFIG_FILE=/dev/null */
		return AWSFLOCK_OK;
	if (!S_ISREG(status.st_mode))
		return error_set(error, AWSFLOCK_CONFIG, "%s is not a regular file", path);
	return read_all(fd, path, text, error);
}

awsflock_code ini_read_fd(int fd, const char *path, enum ini_dialect dialect, struct ini *out,
			  awsflock_error *error)
{
	struct buf text = { .limit = FILE_SIZE_MAX };
	awsflock_code code = read_open_file(fd, path, &text, error);
	if (code == AWSFLOCK_OK)
		code = ini_parse(path, buf_text(&text), text.size, dialect, out, error);
	buf_free(&text);
	return code;
}

awsflock_code ini_read(const char *path, enum ini_dialect dialect, struct ini *out, bool *found,
		       awsflock_error *error)
{
	/* Without O_NONBLOCK a named pipe would keep us waiting for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	*found = false;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		*out = (struct ini){ NULL, 0 };
		return AWSFLOCK_OK;
	}
	if (fd < 0)
		return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot open %s", path);
	*found = fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || is_null_device(&status));
	awsflock_code code = ini_read_fd(fd, path, dialect, out, error);
	close(fd);
	return code;
}

bool ini_has_section(const struct ini *ini, const char *section)
{
	return line_of_section(ini, section) != 0;
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
	for (size_t i = ini->count; i > 0; i--) {
		const struct ini_entry *entry = &ini->entries[i - 1];
		if (entry->key && strcmp(entry->key, key) == 0 && strcmp(entry->section, section) == 0)
			return entry->value;
	}
	return NULL;
}

void ini_free(struct ini *ini)
{
	for (size_t i = 0; i < ini->count; i++) {
		free(ini->entries[i].section);
		free(ini->entries[i].key);
		free(ini->entries[i].fault);
		wipe_string(&ini->entries[i].value);
	}
	free(ini->entries);
	*ini = (struct ini){ NULL, 0 };
}
