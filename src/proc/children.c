/* See children.h.
 *
 * A process that starts the next one and ends, over and over, is gone before a look at all of /proc comes to it.
 * But as each one ends, what it started becomes a child of the subreaper, and the list of one's own children is
 * read in microseconds: far less than a fork takes.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/children.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/text.h"

/* Room for some thousand ids.  More than that are killed when those before them have been reaped. */
#define LIST_SIZE ((size_t)65536)
/* As long as this without a new child: a killed process takes a moment to die and leave its children to us. */
#define QUIET_NS (5 * NS_PER_MS)

struct child_list {
	size_t size;
	char text[LIST_SIZE];
};

/* Each thread has a list of its own: children by its own forks, and for one of them also those inherited. */
static void append_children_of_thread(struct child_list *list, const char *thread)
{
	char path[64];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while (list->size < LIST_SIZE - 1 &&
	       (size = read(fd, list->text + list->size, LIST_SIZE - 1 - list->size)) > 0)
		list->size += (size_t)size;
	close(fd);
}

static bool read_children(struct child_list *list)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;

	if (!threads)
		return false;
	list->size = 0;
	while ((entry = readdir(threads)) != NULL)
		if (entry->d_name[0] != '.')
			append_children_of_thread(list, entry->d_name);
	closedir(threads);
	list->text[list->size] = '\0';
	return true;
}

/* Their ids cannot have gone to others: nobody reaps them but the caller.  The last word is left out where the list
 * may have been cut in the middle of it. */
static void kill_listed(const struct child_list *list, pid_t spared)
{
	const char *at = list->text;

	while (*at != '\0') {
		char word[16];
		size_t size = strcspn(at, " ");
		int64_t pid;
		if (at[size] != ' ')
			return;
		if (size > 0 && size < sizeof(word)) {
			memcpy(word, at, size);
			word[size] = '\0';
			if (text_parse_int64(word, 2, INT32_MAX, &pid) && (pid_t)pid != spared)
				kill((pid_t)pid, SIGKILL);
		}
		at += size + 1;
	}
}

void own_children_kill(pid_t spared, int64_t until_boot_ns)
{
	struct child_list *lists = calloc(2, sizeof(*lists));
	struct child_list *now = lists, *before = lists ? lists + 1 : NULL, *other;
	int64_t changed_boot_ns = clock_boot_ns(), now_ns = changed_boot_ns;

	if (!lists)
		return; /* the look at all processes has to do */
	while (now_ns < until_boot_ns && now_ns - changed_boot_ns < QUIET_NS && read_children(now)) {
		if (now->size != before->size || memcmp(now->text, before->text, now->size) != 0) {
			kill_listed(now, spared);
			changed_boot_ns = now_ns;
			other = before;
			before = now;
			now = other;
		}
		sched_yield();
		now_ns = clock_boot_ns();
	}
	free(lists);
}
