/* Programs of the system, and what they say of their own settings.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/guard_check/programs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/runtime.h"

#define ANSWER_WITHIN_S 15
#define ANSWER_LIMIT ((size_t)256 * 1024)

bool program_find(const char *program, char path[PROGRAM_PATH_SIZE])
{
	static const char *const directories[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
						   "/usr/bin",        "/sbin",          "/bin" };

	if (strchr(program, '/')) {
		snprintf(path, PROGRAM_PATH_SIZE, "%s", program);
		return access(path, X_OK) == 0;
	}
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, PROGRAM_PATH_SIZE, "%s/%s", directories[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

bool program_ask(const char *program, char *option, struct child_result *result, char why[PROGRAM_WHY_SIZE])
{
	char path[PROGRAM_PATH_SIZE];
	static char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
	char *const words[] = { path, option, NULL };
	char *const environment[] = { search, language, NULL };
	struct runtime runtime;
	awsflock_error error = { .message = "" };
	struct child_options options = { .words = words, .environment = environment, .output_limit = ANSWER_LIMIT };

	runtime_init_system(&runtime);
	options.give_up_boot_ns = runtime_boot_ns(&runtime) + ANSWER_WITHIN_S * NS_PER_S;
	if (!program_find(program, path)) {
		snprintf(why, PROGRAM_WHY_SIZE, "there is no program '%s'", program);
		return false;
	}
	if (child_run(&runtime, &options, result, &error) != AWSFLOCK_OK) {
		snprintf(why, PROGRAM_WHY_SIZE, "'%s %s' cannot be run: %.200s", path, option, error.message);
		return false;
	}
	if (result->end == CHILD_EXITED && result->number == 0)
		return true;
	snprintf(why, PROGRAM_WHY_SIZE, "'%s %s' has failed: %.*s", path, option,
		 (int)strcspn(buf_text(&result->complaint), "\n"), buf_text(&result->complaint));
	child_result_clear(result);
	return false;
}

bool program_says(const struct child_result *result, const char *line)
{
	const char *text = buf_text(&result->output);
	size_t size = strlen(line);

	for (const char *found = text; (found = strstr(found, line)) != NULL; found++)
		if ((found == text || found[-1] == '\n') && (found[size] == '\n' || found[size] == '\0'))
			return true;
	return false;
}

bool program_value(const struct child_result *result, const char *key, char *value, size_t size)
{
	size_t key_size = strlen(key);

	for (const char *line = buf_text(&result->output); *line != '\0';) {
		size_t line_size = strcspn(line, "\n");
		if (line_size > key_size && strncmp(line, key, key_size) == 0 && line[key_size] == ' ') {
			int length =
				snprintf(value, size, "%.*s", (int)(line_size - key_size - 1), line + key_size + 1);
			return length > 0 && (size_t)length < size;
		}
		line += line_size + (line[line_size] == '\n' ? 1 : 0);
	}
	return false;
}
