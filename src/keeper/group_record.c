/* See group_record.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/group_record.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "keeper/run_directory.h"
#include "proc/process.h"

#define RECORD_MODE 0600
#define BOOT_ID_SIZE 37

static const char call_kind[] = "call";
static const char *const fates[] = { [GROUP_IS_ENDED] = "end", [GROUP_IS_REMOVED] = "remove" };

void group_record_init(struct group_record *record, const char *session, int64_t until_ns)
{
	record->fd = -1;
	record->until_ns = until_ns;
	snprintf(record->session, sizeof(record->session), "%s", session);
}

void group_record_close(struct group_record *record)
{
	if (record->fd >= 0)
		close(record->fd);
	record->fd = -1;
}

bool group_record_is_missing(const struct group_record *record)
{
	struct stat status;

	return record->fd < 0 || fstat(record->fd, &status) != 0 || status.st_nlink == 0;
}

/* Locked before a sweep can see that it is not: that has the directory to itself. */
static bool open_record(struct group_record *record)
{
	int directory = run_directory_open_below(GROUP_RECORD_DIRECTORY);

	group_record_close(record);
	if (directory < 0)
		return false;
	if (run_directory_lock(directory, record->until_ns))
		record->fd =
			openat(directory, record->session, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, RECORD_MODE);
	if (record->fd >= 0 && flock(record->fd, LOCK_EX | LOCK_NB) != 0)
		group_record_close(record);
	close(directory);
	return record->fd >= 0;
}

static int format_line(char *text, size_t size, enum group_fate fate, const struct recorded_group *recorded)
{
	if (recorded->number == 0)
		return snprintf(text, size, "%s %s\n", fates[fate], recorded->group);
	return snprintf(text, size, "%s %" PRIu64 " %s\n", fates[fate], recorded->number, recorded->group);
}

static bool read_boot_id(char boot_id[BOOT_ID_SIZE])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, boot_id, BOOT_ID_SIZE - 1);

	if (fd >= 0)
		close(fd);
	boot_id[size > 0 ? size : 0] = '\0';
	return size == BOOT_ID_SIZE - 1;
}

/* Adds a line to TEXT. */
static void append_people(char *text, const char *kind, uint32_t number, const char *boot_id)
{
	size_t used = strlen(text);

	if (number != UINT32_MAX)
		snprintf(text + used, GROUP_RECORD_TEXT_SIZE - used, "%s %" PRIu32 " %s\n", kind, number, boot_id);
}

static void append_call(char *text, const struct recorded_call *call, const char *boot_id)
{
	size_t used = strlen(text);

	if (call->is_known)
		snprintf(text + used, GROUP_RECORD_TEXT_SIZE - used, "%s %" PRIu32 " %" PRIu32 " %" PRIu64 " %s\n",
			 call_kind, (uint32_t)call->person, call->audit_session, call->began_ticks, boot_id);
}

bool group_record_write(struct group_record *record, enum group_fate fate, const struct recorded_group *groups,
			size_t count, const struct recorded_people *people)
{
	char text[GROUP_RECORD_TEXT_SIZE] = "", boot_id[BOOT_ID_SIZE];
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		int length = format_line(text + size, sizeof(text) - size, fate, &groups[i]);
		if (length < 0 || (size_t)length >= sizeof(text) - size)
			return false;
		size += (size_t)length;
	}
	if (fate == GROUP_IS_ENDED && read_boot_id(boot_id)) {
		append_people(text, "audit", people->audit_session, boot_id);
		append_people(text, "user", people->person, boot_id);
		append_call(text, &people->call, boot_id);
		size = strlen(text);
	}
	if (group_record_is_missing(record) && !open_record(record))
		return false;
	return pwrite(record->fd, text, size, 0) == (ssize_t)size && ftruncate(record->fd, (off_t)size) == 0;
}

void group_record_remove(struct group_record *record)
{
	int directory = group_record_is_missing(record) ? -1 : run_directory_open_below(GROUP_RECORD_DIRECTORY);

	if (directory >= 0) {
		unlinkat(directory, record->session, 0);
		close(directory);
	}
	group_record_close(record);
}

bool group_record_next(char **rest, enum group_fate *fate, struct recorded_group *recorded)
{
	char *line, *word;
	int64_t number;

	while ((line = strsep(rest, "\n"))) {
		word = strsep(&line, " ");
		number = 0;
		if (line && line[0] != '/' && !text_parse_int64(strsep(&line, " "), 1, INT64_MAX, &number))
			continue;
		if (!line || line[0] != '/')
			continue;
		*fate = strcmp(word, fates[GROUP_IS_ENDED]) == 0 ? GROUP_IS_ENDED : GROUP_IS_REMOVED;
		*recorded = (struct recorded_group){ .group = line, .number = (uint64_t)number };
		return true;
	}
	return false;
}

/* UINT32_MAX where there is no line of that KIND. */
static uint32_t find_people(const char *text, const char *kind, const char *boot_id)
{
	const char *line = text, *next;
	size_t size = strlen(kind);

	for (; (next = strchr(line, '\n')); line = next + 1) {
		char number[24];
		int64_t parsed;
		const char *words = line + size + 1, *space;
		if (strncmp(line, kind, size) != 0 || line[size] != ' ' || !(space = strchr(words, ' ')) ||
		    (size_t)(space - words) >= sizeof(number) || (size_t)(next - space - 1) != BOOT_ID_SIZE - 1 ||
		    memcmp(space + 1, boot_id, BOOT_ID_SIZE - 1) != 0)
			continue;
		snprintf(number, sizeof(number), "%.*s", (int)(space - words), words);
		if (text_parse_int64(number, 0, UINT32_MAX - 1, &parsed))
			return (uint32_t)parsed;
	}
	return UINT32_MAX;
}

/* The line after its first word; cuts it into pieces. */
static bool parse_call(char *line, const char *boot_id, struct recorded_call *call)
{
	int64_t person, audit_session, began_ticks;

	if (!text_parse_int64(strsep(&line, " "), 0, UINT32_MAX - 1, &person) || !line ||
	    !text_parse_int64(strsep(&line, " "), 0, UINT32_MAX, &audit_session) || !line ||
	    !text_parse_int64(strsep(&line, " "), 0, INT64_MAX, &began_ticks) || !line ||
	    strcmp(line, boot_id) != 0)
		return false;
	*call = (struct recorded_call){ .is_known = true,
					.person = (uid_t)person,
					.audit_session = (uint32_t)audit_session,
					.began_ticks = (uint64_t)began_ticks };
	return true;
}

static struct recorded_call find_call(const char *text, const char *boot_id)
{
	struct recorded_call call = { .is_known = false };
	const size_t size = sizeof(call_kind) - 1;
	char line[128];

	for (const char *next; !call.is_known && (next = strchr(text, '\n')); text = next + 1) {
		size_t length = (size_t)(next - text);
		if (length <= size || length >= sizeof(line) || memcmp(text, call_kind, size) != 0 ||
		    text[size] != ' ')
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)(length - size - 1), text + size + 1);
		parse_call(line, boot_id, &call);
	}
	return call;
}

struct recorded_people group_record_people(const char *text)
{
	struct recorded_people people = { .audit_session = PROCESS_NO_AUDIT_SESSION, .person = (uid_t)-1 };
	char boot_id[BOOT_ID_SIZE];

	if (read_boot_id(boot_id)) {
		people.audit_session = find_people(text, "audit", boot_id);
		people.person = find_people(text, "user", boot_id);
		people.call = find_call(text, boot_id);
	}
	return people;
}
