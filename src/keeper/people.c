/* See people.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/people.h"

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "guard/guard.h"
#include "proc/process.h"

#define ANSWER_WITHIN_MS 5000
#define GROUPS_FIRST 64
#define ANSWER_YES 0
#define ANSWER_NO 1

static bool is_in_one(const gid_t *groups, int count, const char *list)
{
	for (int i = 0; i < count; i++) {
		const struct group *entry = getgrgid(groups[i]);
		if (entry && guard_list_has(list, entry->gr_name))
			return true;
	}
	return false;
}

/* Each is answered in a process of its own. */
struct question {
	const char *person;
	const char *groups; /* is PERSON in one of them? */
	uid_t uid;          /* is it PERSON's? */
};

typedef bool answer_fn(const struct question *question);

static bool is_in_groups(const struct question *question)
{
	const char *person = question->person;
	const struct passwd *entry = getpwnam(person);
	int count = GROUPS_FIRST, room;
	gid_t *groups = NULL;
	bool found = false;

	if (!entry)
		return false;
	do {
		gid_t *grown;
		room = count;
		grown = reallocarray(groups, (size_t)room, sizeof(*groups));
		if (!grown)
			goto out;
		groups = grown;
	} while (getgrouplist(person, entry->pw_gid, groups, &count) < 0 && count > room);
	found = is_in_one(groups, count, question->groups);
out:
	free(groups);
	return found;
}

static bool has_uid(const struct question *question)
{
	const struct passwd *entry = getpwnam(question->person);

	return entry && entry->pw_uid == question->uid;
}

static bool ask(answer_fn *answer, const struct question *question)
{
	struct pollfd ended = { .fd = -1, .events = POLLIN };
	int status = 0;
	pid_t child;

	child = fork();
	if (child == 0)
		forked_exit(answer(question) ? ANSWER_YES : ANSWER_NO);
	if (child < 0)
		return false;
	ended.fd = process_pidfd_open(child);
	if (ended.fd < 0 || poll(&ended, 1, ANSWER_WITHIN_MS) != 1)
		kill(child, SIGKILL); /* our own child, not waited for yet: the id is still its */
	if (ended.fd >= 0)
		close(ended.fd);
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_YES;
}

bool people_in_groups(const char *person, const char *list)
{
	return *list && ask(is_in_groups, &(struct question){ .person = person, .groups = list });
}

bool people_have_uid(const char *person, uid_t uid)
{
	return ask(has_uid, &(struct question){ .person = person, .uid = uid });
}
