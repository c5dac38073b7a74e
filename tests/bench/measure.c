/* measure OUTPUT COMMAND [ARG...]: runs one process with its stdout into the file OUTPUT, and prints what it cost:
 * wall clock and CPU time in nanoseconds, peak memory in KiB, wait status.
 *
 * A program of its own because the kernel counts into a process's peak what its parent had in use at the fork:
 * under a large parent every small process looks as large.  SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t time_ns(const struct timeval *time)
{
	return (int64_t)time->tv_sec * 1000000000 + (int64_t)time->tv_usec * 1000;
}

static void become(const char *output, char **command)
{
	int in = open("/dev/null", O_RDONLY);
	int out = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (in >= 0 && out >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0)
		execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int64_t began_ns;
	int status;
	pid_t child;

	if (argc < 3) {
		fprintf(stderr, "usage: measure OUTPUT COMMAND [ARG...]\n");
		return 2;
	}
	began_ns = now_ns();
	child = fork();
	if (child == 0)
		become(argv[1], argv + 2);
	if (child < 0 || wait4(child, &status, 0, &usage) != child) {
		perror("measure");
		return 1;
	}
	printf("%" PRId64 " %" PRId64 " %ld %d\n", now_ns() - began_ns,
	       time_ns(&usage.ru_utime) + time_ns(&usage.ru_stime), usage.ru_maxrss, status);
	return 0;
}
