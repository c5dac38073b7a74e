/* SPDX-License-Identifier: Apache-2.0
 *
 * See outside.h.  For each program it forks a process of its own, which waits for the program, and kills it when whoever
 * asked hangs up. */
#include "base/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/forked_exit.h"
#include "base/spawn.h"
#include "base/write_all.h"

#define PASSED_FDS 4
/* Without a descriptor for that: how often it is looked whether the program has ended. */
#define LOOK_MS 50
#define KILLED_WITHIN_MS 2000

/* How many of the strings in the file are words; the rest is the environment. */
struct request {
	size_t word_count, string_count;
};

static int close_with(int fd, int result)
{
	if (fd >= 0)
		close(fd);
	return result;
}

/* ---- Asking ---- */

static bool write_strings(int fd, char *const *strings, size_t *count)
{
	for (; *strings; strings++, (*count)++)
		if (write_all(fd, *strings, strlen(*strings) + 1) != 0)
			return false;
	return true;
}

/* A file in memory, -1 with errno. */
static int write_request(char *const *words, char *const *environment, struct request *request)
{
	int fd = memfd_create("awsflock", MFD_CLOEXEC);

	*request = (struct request){ 0, 0 };
	if (fd < 0)
		return -1;
	if (write_strings(fd, words, &request->word_count)) {
		request->string_count = request->word_count;
		if (write_strings(fd, environment, &request->string_count))
			return fd;
	}
	return close_with(fd, -1);
}

static bool send_request(int socket, struct request *request, const int fds[PASSED_FDS])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(PASSED_FDS * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { .iov_base = request, .iov_len = sizeof(*request) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(PASSED_FDS * sizeof(int));
	memcpy(CMSG_DATA(header), fds, PASSED_FDS * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*request);
}

/* The next number from the other end of a program's socket; false where that has hung up, or is a flagged call that has
 * nothing to read. */
static bool receive_number(int fd, int flags, int *number)
{
	ssize_t size;

	do {
		errno = 0;
		size = recv(fd, number, sizeof(*number), flags);
	} while (size < 0 && errno == EINTR);
	return size == (ssize_t)sizeof(*number);
}

int outside_run(int socket, char *const *words, char *const *environment, int output_fd, int complaint_fd,
		int *running)
{
	struct request request;
	int pair[2], failed = 0, strings = write_request(words, environment, &request);

	if (strings < 0)
		return errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return close_with(strings, errno);
	if (!send_request(socket, &request, (const int[]){ strings, output_fd, complaint_fd, pair[1] }))
		failed = errno;
	close(strings);
	close(pair[1]);
	if (failed == 0 && !receive_number(pair[0], 0, &failed))
		failed = ECONNRESET;
	if (failed == 0)
		*running = pair[0];
	else
		close(pair[0]);
	return failed;
}

int outside_wait(int running, int *status)
{
	if (receive_number(running, MSG_DONTWAIT, status))
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

void outside_kill(int running)
{
	struct pollfd end = { .fd = running, .events = POLLIN };

	shutdown(running, SHUT_WR);
	poll(&end, 1, KILLED_WITHIN_MS);
}

/* ---- Serving ---- */

static bool receive_request(int socket, struct request *request, int fds[PASSED_FDS])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(PASSED_FDS * sizeof(int))];
	} control;
	struct iovec part = { .iov_base = request, .iov_len = sizeof(*request) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.room,
				  .msg_controllen = sizeof(control.room) };
	const struct cmsghdr *header;
	ssize_t size;

	do {
		size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (size < 0 && errno == EINTR);
	header = size == (ssize_t)sizeof(*request) ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(PASSED_FDS * sizeof(int)))
		return false;
	memcpy(fds, CMSG_DATA(header), PASSED_FDS * sizeof(int));
	return true;
}

/* STRINGS, as an array that ends in NULL, and behind it the environment as another one. */
static char **map_strings(int fd, const struct request *request)
{
	char **strings = calloc(request->string_count + 2, sizeof(*strings));
	struct stat info;
	char *text = MAP_FAILED;

	if (fstat(fd, &info) == 0)
		text = mmap(NULL, (size_t)info.st_size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (!strings || text == MAP_FAILED) {
		free(strings);
		return NULL;
	}
	for (size_t i = 0; i < request->string_count; i++) {
		strings[i < request->word_count ? i : i + 1] = text;
		text += strlen(text) + 1;
	}
	return strings;
}

/* SIGCHLD as a descriptor; before there is a child. */
static int watch_children(void)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t child;

	sigemptyset(&by_default.sa_mask);
	sigaction(SIGCHLD, &by_default, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Waits for the program's end, or kills it when nobody wants that any more. */
static void see_through(pid_t pid, int children, int asker)
{
	struct pollfd fds[] = { { .fd = asker, .events = POLLIN }, { .fd = children, .events = POLLIN } };
	struct signalfd_siginfo told;
	int status;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		poll(fds, 2, children < 0 ? LOOK_MS : -1);
		while (children >= 0 && read(children, &told, sizeof(told)) > 0)
			;
		if (fds[0].revents != 0) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			return;
		}
	}
	if (ended == pid)
		send(asker, &status, sizeof(status), MSG_NOSIGNAL);
}

static void run_program(const struct request *request, const int fds[PASSED_FDS])
{
	char **strings = map_strings(fds[0], request);
	int children = watch_children(), failed = ENOMEM;
	pid_t pid = 0;

	if (strings)
		failed = spawn_program(strings, strings + request->word_count + 1, fds[1], fds[2], &pid);
	free(strings);
	close(fds[1]);
	close(fds[2]);
	send(fds[3], &failed, sizeof(failed), MSG_NOSIGNAL);
	if (failed == 0)
		see_through(pid, children, fds[3]);
}

static void serve(int socket)
{
	struct request request;
	int fds[PASSED_FDS];

	while (receive_request(socket, &request, fds)) {
		if (fork() == 0) {
			close(socket);
			run_program(&request, fds);
			forked_exit(0);
		}
		for (int i = 0; i < PASSED_FDS; i++)
			close(fds[i]);
	}
}

/* The user's terminal, pipes and locks on files are none of its business; the working directory is: programs may be
 * named from there. */
static void become_outside(int socket)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	sigemptyset(&ignored.sa_mask);
	sigaction(SIGCHLD, &ignored, NULL);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	socket = dup2(socket, STDERR_FILENO + 1);
	fcntl(socket, F_SETFD, FD_CLOEXEC);
	descriptors_close_from(socket + 1);
	serve(socket);
	forked_exit(0);
}

/* Above the standard three, whatever is closed of these. */
static int open_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		int raised = fcntl(pair[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

		close(pair[i]);
		pair[i] = raised;
	}
	return 0;
}

int outside_start(void)
{
	int pair[2];
	pid_t child;

	if (open_pair(pair) != 0)
		return -1;
	child = fork();
	if (child == 0) {
		if (fork() == 0)
			become_outside(pair[1]);
		forked_exit(0);
	}
	close(pair[1]);
	if (child < 0)
		return close_with(pair[0], -1);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return pair[0];
}
