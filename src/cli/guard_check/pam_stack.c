/* See pam_stack.h; the syntax is that of pam.conf(5), with Debian's @include.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/guard_check/pam_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/null_device.h"

/* Where distributions keep what an administrator has not written. */
#define VENDOR_DIRECTORY "/usr/lib/pam.d"
#define MODULE_NAME "pam_awsflock.so"
#define DEPTH_LIMIT 16
#define LINES_LIMIT 1000
#define FILE_SIZE_LIMIT ((off_t)1024 * 1024)
#define WORDS_LIMIT 64
#define SPACE " \t\r\n"

/* What is kept in an array that grows gcc's analyzer takes for lost. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct reading {
	const char *kind;
	struct pam_stack *stack;
	awsflock_error *error;
	bool in_substack;
	int depth;
};

/* ---- Files ----------------------------------------------------------------------------------------------- */

static void find_file(const char *name, char path[PATH_MAX])
{
	if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
		return;
	}
	snprintf(path, PATH_MAX, "%s/%s", PAM_DIRECTORY, name);
	if (access(path, F_OK) == 0)
		return;
	snprintf(path, PATH_MAX, "%s/%s", VENDOR_DIRECTORY, name);
	if (access(path, F_OK) != 0)
		snprintf(path, PATH_MAX, "%s/%s", PAM_DIRECTORY, name);
}

bool pam_has_file(const char *service)
{
	char path[PATH_MAX];

	find_file(service, path);
	return access(path, F_OK) == 0;
}

static awsflock_code check_file(int fd, const char *path, awsflock_error *error)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot read %s", path);
	if (!S_ISREG(status.st_mode) && !is_null_device(&status))
		return error_set(error, AWSFLOCK_CONFIG, "%s is not a regular file", path);
	if (status.st_size > FILE_SIZE_LIMIT)
		return error_set(error, AWSFLOCK_CONFIG, "%s: too long to be checked", path);
	return AWSFLOCK_OK;
}

static awsflock_code open_file(const char *path, FILE **file, awsflock_error *error)
{
	/* Without O_NONBLOCK a named pipe would keep us waiting for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	awsflock_code code;

	if (fd < 0)
		return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot read %s", path);
	code = check_file(fd, path, error);
	if (code == AWSFLOCK_OK) {
		*file = fdopen(fd, "re");
		code = *file ? AWSFLOCK_OK : error_out_of_memory(error);
	}
	if (code != AWSFLOCK_OK)
		close(fd);
	return code;
}

/* ---- Lines ----------------------------------------------------------------------------------------------- */

/* The next word of *TEXT, which is cut there; what stands in brackets is one.  NULL: there is none. */
static char *next_word(char **text, bool *bracketed)
{
	char *word = *text + strspn(*text, SPACE), *end;

	*bracketed = word[0] == '[';
	if (word[0] == '\0')
		return NULL;
	if (*bracketed) {
		word++;
		end = word;
		while (end[0] != '\0' && end[0] != ']')
			end += end[0] == '\\' && end[1] == ']' ? 2 : 1;
	} else {
		end = word + strcspn(word, SPACE);
	}
	*text = end[0] != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

static void line_free(struct pam_line *line)
{
	free(line->file);
	free(line->control);
	free(line->module);
	for (int i = 0; i < line->argument_count; i++)
		free(line->arguments[i]);
	free(line->arguments);
	*line = (struct pam_line){ .file = NULL };
}

static bool keep_arguments(struct pam_line *line, char *rest)
{
	bool bracketed;
	char *word;

	line->arguments = calloc(WORDS_LIMIT + 1, sizeof(line->arguments[0]));
	if (!line->arguments)
		return false;
	while (line->argument_count < WORDS_LIMIT && (word = next_word(&rest, &bracketed)) != NULL) {
		line->arguments[line->argument_count] = strdup(word);
		if (!line->arguments[line->argument_count])
			return false;
		line->argument_count++;
	}
	return true;
}

static bool grow(struct pam_stack *stack)
{
	size_t capacity = stack->capacity * 2 + 16;
	struct pam_line *lines;

	if (stack->count < stack->capacity)
		return true;
	lines = realloc(stack->lines, capacity * sizeof(lines[0]));
	if (!lines)
		return false;
	stack->lines = lines;
	stack->capacity = capacity;
	return true;
}

static awsflock_code read_pam_file(struct reading *reading, const char *name);

static awsflock_code keep_line(struct reading *reading, const char *file, int number, const char *control,
			       bool bracketed, char *rest, bool may_be_missing)
{
	struct pam_line line = { .number = number,
				 .may_be_missing = may_be_missing,
				 .in_substack = reading->in_substack };
	bool unused, done;
	char *module = next_word(&rest, &unused);
	char marked[256];

	if (!module)
		return AWSFLOCK_OK; /* libpam refuses such a service; its log says so */
	snprintf(marked, sizeof(marked), bracketed ? "[%s]" : "%s", control);
	line.file = strdup(file);
	line.control = strdup(marked);
	line.module = strdup(module);
	done = line.file && line.control && line.module && keep_arguments(&line, rest) && grow(reading->stack);
	if (done)
		reading->stack->lines[reading->stack->count++] = line;
	else
		line_free(&line);
	return done ? AWSFLOCK_OK : error_out_of_memory(reading->error);
}

static awsflock_code include(struct reading *reading, char *rest, bool is_substack)
{
	struct reading inner = *reading;
	bool unused;
	const char *name = next_word(&rest, &unused);

	inner.in_substack = reading->in_substack || is_substack;
	inner.depth++;
	return name ? read_pam_file(&inner, name) : AWSFLOCK_OK;
}

static awsflock_code take_line(struct reading *reading, const char *file, int number, char *text)
{
	bool bracketed, may_be_missing;
	char *kind, *control;

	text[strcspn(text, "#")] = '\0';
	kind = next_word(&text, &bracketed);
	if (!kind)
		return AWSFLOCK_OK;
	if (strcasecmp(kind, "@include") == 0)
		return include(reading, text, false);
	may_be_missing = kind[0] == '-';
	if (strcasecmp(kind + (may_be_missing ? 1 : 0), reading->kind) != 0)
		return AWSFLOCK_OK;
	control = next_word(&text, &bracketed);
	if (!control)
		return AWSFLOCK_OK;
	if (!bracketed && (strcasecmp(control, "include") == 0 || strcasecmp(control, "substack") == 0))
		return include(reading, text, strcasecmp(control, "substack") == 0);
	return keep_line(reading, file, number, control, bracketed, text, may_be_missing);
}

/* A line goes on behind a backslash at its end. */
static awsflock_code read_lines(struct reading *reading, const char *path, FILE *file)
{
	struct buf whole = BUF_INIT;
	awsflock_code code = AWSFLOCK_OK;
	char *part = NULL;
	size_t room = 0;
	int number = 0;

	while (code == AWSFLOCK_OK && getline(&part, &room, file) >= 0) {
		size_t size = strcspn(part, "\r\n");
		bool goes_on = size > 0 && part[size - 1] == '\\';
		number++;
		buf_append(&whole, part, goes_on ? size - 1 : size);
		buf_append(&whole, " ", 1);
		if (goes_on)
			continue;
		if (whole.failed || reading->stack->count >= LINES_LIMIT)
			code = error_set(reading->error, AWSFLOCK_CONFIG, "%s: too long to be checked", path);
		else
			code = take_line(reading, path, number, whole.data);
		buf_reset(&whole);
	}
	free(part);
	buf_free(&whole);
	return code;
}

static awsflock_code read_pam_file(struct reading *reading, const char *name)
{
	char path[PATH_MAX];
	awsflock_code code;
	FILE *file = NULL;

	if (reading->depth > DEPTH_LIMIT)
		return error_set(reading->error, AWSFLOCK_CONFIG, "PAM file %.200s includes itself", name);
	find_file(name, path);
	code = open_file(path, &file, reading->error);
	if (code != AWSFLOCK_OK)
		return code;
	code = read_lines(reading, path, file);
	fclose(file);
	return code;
}

awsflock_code pam_stack_read(const char *service, const char *kind, struct pam_stack *out, awsflock_error *error)
{
	struct reading reading = { .kind = kind, .stack = out, .error = error };

	*out = (struct pam_stack){ .lines = NULL };
	return read_pam_file(&reading, pam_has_file(service) ? service : "other");
}

void pam_stack_free(struct pam_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		line_free(&stack->lines[i]);
	free(stack->lines);
	*stack = (struct pam_stack){ .lines = NULL };
}

bool pam_line_is_of(const struct pam_line *line, const char *module)
{
	const char *slash = strrchr(line->module, '/');

	return strcmp(slash ? slash + 1 : line->module, module) == 0;
}

bool pam_line_is_ours(const struct pam_line *line)
{
	return pam_line_is_of(line, MODULE_NAME);
}
