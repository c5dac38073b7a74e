/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a PAM file.  Slashes are made something else: an include leads to no file of this machine but PAM's. */
#include "cli/guard_check/pam_stack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/fuzz-pam-XXXXXX";
static int file = -1;

static void remove_file(void)
{
	(void)unlink(path);
}

static void write_file(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (file < 0) {
		file = mkstemp(path);
		if (file < 0 || atexit(remove_file) != 0)
			abort();
	}
	if (text == NULL)
		abort();
	for (size_t i = 0; i < size; i++)
		text[i] = data[i] == '/' ? '_' : (char)data[i];
	if (ftruncate(file, 0) != 0 || pwrite(file, text, size, 0) != (ssize_t)size)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	struct pam_stack stack;
	awsflock_code code;

	write_file(data, size);
	code = pam_stack_read(path, "session", &stack, &error);
	if (code != AWSFLOCK_OK && (code != AWSFLOCK_CONFIG || error.message[0] == '\0'))
		abort();
	for (size_t i = 0; i < stack.count; i++) {
		const struct pam_line *line = &stack.lines[i];
		if (line->control[0] == '\0' && line->module[0] == '\0')
			abort();
		for (int j = 0; j < line->argument_count; j++)
			(void)strlen(line->arguments[j]);
		(void)pam_line_is_ours(line);
	}
	pam_stack_free(&stack);
	return 0;
}
