/* See cgroup_mount.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/cgroup_mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fields of a line, by number: proc(5).  After the options come optional fields, "-", and three more. */
enum field {
	FIELD_ROOT = 3,
	FIELD_POINT,
	FIELD_OPTIONS,
	FIELD_COUNT
};

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* A space, a tabulator, a newline, a backslash and '#' are written as \ooo. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && is_octal(text[2]) && is_octal(text[3])) {
			*out++ = (char)(((text[1] - '0') << 6) | ((text[2] - '0') << 3) | (text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

static bool is_writable(const char *options)
{
	size_t size = strcspn(options, ",");

	return size == 2 && memcmp(options, "rw", size) == 0;
}

static bool keep(char *out, size_t size, char *text)
{
	unescape(text);
	if (text[0] != '/' || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

/* In LINE, which is cut into pieces. */
static bool parse(char *line, struct cgroup_mount *mount)
{
	char *fields[FIELD_COUNT], *rest = line, *word;

	for (int i = 0; i < FIELD_COUNT; i++)
		if (!(fields[i] = strsep(&rest, " ")))
			return false;
	while ((word = strsep(&rest, " ")) && strcmp(word, "-") != 0)
		continue;
	word = strsep(&rest, " ");
	if (!word || strcmp(word, "cgroup2") != 0 || !strsep(&rest, " ") || !rest)
		return false;
	return is_writable(fields[FIELD_OPTIONS]) && is_writable(rest) &&
	       keep(mount->root, sizeof(mount->root), fields[FIELD_ROOT]) &&
	       keep(mount->point, sizeof(mount->point), fields[FIELD_POINT]);
}

bool cgroup_mount_parse(const char *line, struct cgroup_mount *mount)
{
	struct cgroup_mount parsed;
	char *copy = strndup(line, strcspn(line, "\n"));
	bool is_one = copy && parse(copy, &parsed);

	free(copy);
	if (is_one)
		*mount = parsed;
	return is_one;
}

/* What follows ROOT in GROUP; NULL where GROUP is not below it.  Above a namespace's own root are groups that begin
 * with "/..": nothing is done there. */
static const char *below(const char *root, const char *group)
{
	size_t size = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (group[0] != '/' || strstr(group, "/..") || strstr(root, "/..") || strncmp(root, group, size) != 0 ||
	    (group[size] != '\0' && group[size] != '/'))
		return NULL;
	return strcmp(group, "/") == 0 ? "" : group + size;
}

bool cgroup_mount_path(const struct cgroup_mount *mount, const char *group, char *path, size_t size)
{
	const char *rest = below(mount->root, group);
	int length = rest ? snprintf(path, size, "%s%s", mount->point, rest) : -1;

	if (length > 0 && (size_t)length < size)
		return true;
	errno = ENAMETOOLONG; /* none of those that say that a group is gone */
	return false;
}

bool cgroup_mount_find(const char *mountinfo, const char *group, bool (*is_usable)(const char *path),
		       struct cgroup_mount *mount)
{
	FILE *file = fopen(mountinfo, "re");
	char *line = NULL, path[PATH_MAX];
	size_t size = 0;
	struct cgroup_mount one;
	bool found = false;

	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0)
		found = cgroup_mount_parse(line, &one) && cgroup_mount_path(&one, group, path, sizeof(path)) &&
			is_usable(path);
	free(line);
	fclose(file);
	if (found)
		*mount = one;
	return found;
}
