/* Processes that do not mean to end:
 *
 *   crowd COUNT FILE          COUNT that ignore all that can be ignored
 *   crowd --bomb COUNT FILE   as many as may run, up to some COUNT, each starting the next all the time
 *
 * FILE gets the id of the first one, as a line, once they are there.  SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BROKEN 101

static void write_id(const char *path)
{
	char hidden[4096];
	FILE *file;

	snprintf(hidden, sizeof(hidden), "%s.new", path);
	file = fopen(hidden, "w");
	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0 || rename(hidden, path) != 0)
		exit(BROKEN);
}

static void start_all(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		pid_t child = fork();
		if (child < 0)
			exit(BROKEN);
		if (child == 0)
			return;
	}
}

/* About how many the user has on this machine: the kernel's limit counts those in other namespaces too. */
static rlim_t count_users(void)
{
	struct rlimit limit;
	pid_t child = -1;

	if (getrlimit(RLIMIT_NPROC, &limit) != 0)
		exit(BROKEN);
	for (limit.rlim_cur = 0; child < 0; limit.rlim_cur += 10) {
		if (setrlimit(RLIMIT_NPROC, &limit) != 0)
			exit(BROKEN);
		child = fork();
		if (child == 0)
			_exit(0);
	}
	waitpid(child, NULL, 0);
	return limit.rlim_cur;
}

/* Who cannot start another ends, or tries again: so that room comes and goes all the time. */
static void explode(unsigned long count, const char *path)
{
	const struct timespec moment = { .tv_nsec = 5000000 };
	struct rlimit limit;
	bool is_told = false;

	limit.rlim_cur = limit.rlim_max = count_users() + count;
	if (setrlimit(RLIMIT_NPROC, &limit) != 0)
		exit(BROKEN);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		pid_t child = fork();
		if (child == 0)
			is_told = true;
		if (child >= 0)
			continue;
		if (!is_told)
			write_id(path);
		else if (getpid() % 2)
			exit(0);
		is_told = true;
		nanosleep(&moment, NULL);
	}
}

int main(int argc, char **argv)
{
	bool is_bomb = argc > 1 && strcmp(argv[1], "--bomb") == 0;
	pid_t first = getpid();

	if (argc != 3 + is_bomb)
		return BROKEN;
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	if (is_bomb)
		explode(strtoul(argv[2], NULL, 10), argv[3]);
	start_all(strtoul(argv[1], NULL, 10));
	if (getpid() == first)
		write_id(argv[2]);
	for (;;)
		pause();
}
