/* One process as /proc shows it, and signals that can reach no other.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A process id comes back after its process; together with the start time it does not. */
struct process {
	pid_t pid;
	pid_t parent;
	pid_t group;
	uint64_t start_ticks; /* since boot, in clock ticks: as CLOCK_BOOTTIME counts */
	uint64_t environment; /* where it stands in memory, another place after each exec(); 0: not told */
	unsigned terminal;    /* device number of the controlling terminal; 0: none */
	char name[16];        /* cut, and as the process chose it: sanitise it before anybody sees it */
};

#define PROCESS_NO_AUDIT_SESSION UINT32_MAX

/* False where there is none, or it has ended and only waits for its parent. */
bool process_read(pid_t pid, struct process *process);
bool process_is_same(const struct process *a, const struct process *b);
/* It still runs. */
bool process_runs(const struct process *process);
/* Through a pidfd that was checked against both, so that who came after it under its id is never signalled.  False,
 * with errno, where it was not sent: ESRCH (it has ended), EPERM. */
bool process_signal(const struct process *process, int signal);

/* A pidfd, close-on-exec, which the caller closes; -1 with errno: ESRCH, EMFILE.  PID must be a process that is not
 * reaped meanwhile, or be checked afterwards: else it may be another's by now. */
int process_pidfd_open(pid_t pid);
/* False, with errno, where it was not sent. */
bool process_pidfd_signal(int pidfd, int signal);
/* The process that a pidfd stands for; -1 where it has ended. */
pid_t process_of_pidfd(int pidfd);
/* Has ended: a pidfd becomes readable then. */
bool process_pidfd_ended(int pidfd);

/* The audit session of the login that PID comes from. */
uint32_t process_audit_session(pid_t pid);
/* The real user; (uid_t)-1 where there is no such process. */
uid_t process_real_user(pid_t pid);
/* Its user namespace, close-on-exec, which the caller closes; -1 where that is this process's own, or not told. */
int process_other_user_namespace(pid_t pid);
/* Was PID started with ENTRY ("NAME=value") in the first bytes of its environment?  It may have overwritten that
 * since.  This may never return: a process can make its memory one that is not read to the end. */
#define PROCESS_ENVIRONMENT_MAX ((size_t)65536)
bool process_was_started_with(pid_t pid, const char *entry);
/* Another process of this very program, or of the renewer, run by root. */
bool process_is_keeper(pid_t pid);
/* One, or what one has started, whoever's it is: a renewer, and a program that gives it credentials, with what that
 * starts.  Nothing of a session is below a keeper, which leaves its host before it goes on. */
bool process_is_of_keeper(const struct process *process);
/* Does PID run the same program as OTHER? */
bool process_has_program_of(pid_t pid, pid_t other);
/* Has PID that socket open, by the number of its inode?  Where that is not told: no. */
bool process_has_socket(pid_t pid, ino_t socket);
/* The control group of the unified hierarchy, such as "/user.slice/session-1.scope". */
bool process_control_group(pid_t pid, char *path, size_t size);

/* What process_newest_id() reads, close-on-exec; the caller closes it.  -1 with errno. */
int process_ids_open(void);
/* The id that was given out last; -1 where that is not told. */
pid_t process_newest_id(int fd);

/* Calls EACH for every process but this one, in the order of ids; false from it ends the walk.  False where /proc
 * cannot be read or EACH said so. */
bool process_each(bool (*each)(void *arg, const struct process *process), void *arg);
/* The same for those of one audit session alone, which takes a part of the time where there are few. */
bool process_each_of_session(uint32_t audit_session, bool (*each)(void *arg, const struct process *process),
			     void *arg);
/* The same for the children of PID's threads alone, which costs next to nothing; false where this kernel does not
 * tell. */
bool process_each_child(pid_t pid, bool (*each)(void *arg, const struct process *process), void *arg);

#endif
