/* See confinement.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- System calls ---------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_I386
#elif defined(__arm__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define NATIVE_ARCHITECTURE AUDIT_ARCH_PPC64LE
#endif

/* Numbers that are the same everywhere, for headers that do not know them. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#define SYS_fspick 433
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/* Calls of 32-bit machines alone, and those that newer machines have not: a number that no call has. */
#define NO_CALL (-2)
#ifndef SYS_clock_settime64
#define SYS_clock_settime64 NO_CALL
#endif
#ifndef SYS_clock_adjtime64
#define SYS_clock_adjtime64 NO_CALL
#endif
#ifndef SYS_settimeofday
#define SYS_settimeofday NO_CALL
#endif
#ifndef SYS_clock_settime
#define SYS_clock_settime NO_CALL
#endif
#ifndef SYS_adjtimex
#define SYS_adjtimex NO_CALL
#endif
#ifndef SYS_clock_adjtime
#define SYS_clock_adjtime NO_CALL
#endif
#ifndef SYS_kexec_file_load
#define SYS_kexec_file_load NO_CALL
#endif
#ifndef SYS_fcntl64
#define SYS_fcntl64 NO_CALL
#endif

static const int refused_calls[] = {
	/* Other processes. */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease,
	SYS_kcmp, SYS_pidfd_getfd, SYS_migrate_pages, SYS_move_pages,
	/* Other views of the machine. */
	SYS_unshare, SYS_setns, SYS_chroot, SYS_pivot_root, SYS_mount, SYS_umount2, SYS_open_tree, SYS_move_mount,
	SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	/* The kernel. */
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
	SYS_io_uring_register, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_init_module, SYS_finit_module,
	SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct,
	SYS_quotactl, SYS_syslog, SYS_personality, SYS_settimeofday, SYS_clock_settime, SYS_clock_settime64,
	SYS_adjtimex, SYS_clock_adjtime, SYS_clock_adjtime64, SYS_sethostname, SYS_setdomainname
};

/* A program that gives credentials has to be started, and ended where it takes too long; it may slow itself down. */
static const int calls_for_programs[] = { SYS_execve,
					  SYS_execveat,
					  SYS_kill,
					  SYS_rt_sigqueueinfo,
					  SYS_rt_tgsigqueueinfo,
					  SYS_pidfd_send_signal,
					  SYS_setpriority,
					  SYS_ioprio_set,
					  SYS_sched_setparam,
					  SYS_sched_setscheduler,
					  SYS_sched_setattr,
					  SYS_sched_setaffinity };

/* Whom the kernel signals when a descriptor is ready, and by what: any process of the same user, by SIGKILL. */
static const struct {
	int call;
	uint32_t command; /* its second argument */
} commands_for_programs[] = {
	{ SYS_fcntl, F_SETOWN },   { SYS_fcntl, F_SETOWN_EX },   { SYS_fcntl, F_SETSIG },
	{ SYS_fcntl64, F_SETOWN }, { SYS_fcntl64, F_SETOWN_EX }, { SYS_fcntl64, F_SETSIG },
	{ SYS_ioctl, FIOSETOWN },  { SYS_ioctl, SIOCSPGRP },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FRAME 40 /* what stands around the lists */
#define NEW_NAMESPACES                                                                                             \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

struct program {
	struct sock_filter code[COUNT(refused_calls) * 2 + COUNT(calls_for_programs) * 2 +
				COUNT(commands_for_programs) * 5 + FRAME];
	unsigned short length;
};

static void add(struct program *program, struct sock_filter instruction)
{
	program->code[program->length++] = instruction;
}

static void load(struct program *program, size_t offset)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *program, uint32_t action)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* ANSWER where the number that was loaded is CALL. */
static void answer_call(struct program *program, int call, uint32_t action)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1));
	answer(program, action);
}

static void refuse_calls(struct program *program, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		answer_call(program, calls[i], SECCOMP_RET_ERRNO | EPERM);
}

/* The low half of the argument: all of these machines have it first. */
static void load_argument(struct program *program, unsigned number)
{
	load(program, offsetof(struct seccomp_data, args) + number * sizeof(uint64_t));
}

/* Refuses CALL where its second argument is COMMAND. */
static void refuse_command(struct program *program, int call, uint32_t command)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4));
	load_argument(program, 1);
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, command, 0, 1));
	answer(program, SECCOMP_RET_ERRNO | EPERM);
	load(program, offsetof(struct seccomp_data, nr));
}

/* Permits CALL where its first argument is PID, else refuses it. */
static void restrict_to(struct program *program, int call, pid_t pid)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4));
	load_argument(program, 0);
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)pid, 0, 1));
	answer(program, SECCOMP_RET_ALLOW);
	answer(program, SECCOMP_RET_ERRNO | EPERM);
}

/* Libraries signal their threads, and musl's raise() itself, but no other process.  Who is named to tkill() by a thread's
 * number alone may be anybody: there it is the first thread. */
static void restrict_signals(struct program *program)
{
	restrict_to(program, SYS_tgkill, getpid());
	restrict_to(program, SYS_tkill, getpid());
	for (size_t i = 0; i < COUNT(commands_for_programs); i++)
		refuse_command(program, commands_for_programs[i].call, commands_for_programs[i].command);
}

static void restrict_clone(struct program *program)
{
	/* Its flags stand in memory: the C library then takes the older one, whose flags can be seen. */
	answer_call(program, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)SYS_clone, 0, 4));
	load_argument(program, 0);
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)NEW_NAMESPACES, 0, 1));
	answer(program, SECCOMP_RET_ERRNO | EPERM);
	answer(program, SECCOMP_RET_ALLOW);
}

#ifdef NATIVE_ARCHITECTURE
static void refuse_other_architectures(struct program *program)
{
	load(program, offsetof(struct seccomp_data, arch));
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0));
	answer(program, SECCOMP_RET_KILL_PROCESS);
	load(program, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	/* The numbers of x32. */
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1));
	answer(program, SECCOMP_RET_ERRNO | ENOSYS);
#endif
}
#endif

bool confinement_filter_calls(bool may_start_programs)
{
#ifdef NATIVE_ARCHITECTURE
	struct program program = { .length = 0 };
	struct sock_fprog filter;

	refuse_other_architectures(&program);
	refuse_calls(&program, refused_calls, COUNT(refused_calls));
	if (!may_start_programs)
		refuse_calls(&program, calls_for_programs, COUNT(calls_for_programs));
	restrict_clone(&program);
	restrict_to(&program, SYS_prlimit64, 0); /* its own: the C library's way to set and read a limit */
	if (!may_start_programs)
		restrict_signals(&program);
	answer(&program, SECCOMP_RET_ALLOW);
	filter = (struct sock_fprog){ .len = program.length, .filter = program.code };
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0 || errno == EINVAL || errno == ENOSYS;
#else
	(void)may_start_programs;
	return true; /* a machine whose calls' numbers are not known here */
#endif
}

/* ---- Files ----------------------------------------------------------------------------------------------- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* As <linux/landlock.h> has them, which is younger than some systems that this is built on. */
struct ruleset {
	uint64_t handled_files;
};

struct path_rule {
	uint64_t allowed;
	int32_t directory;
} __attribute__((packed));

#define GET_VERSION 1u
#define RULE_PATH 1
#define FILE_EXECUTE (UINT64_C(1) << 0)
#define FILE_WRITE (UINT64_C(1) << 1)
#define FILE_REMOVE_AND_MAKE (UINT64_C(0x1FF) << 4)
#define FILE_REFER (UINT64_C(1) << 13)    /* version 2 */
#define FILE_TRUNCATE (UINT64_C(1) << 14) /* version 3 */

static uint64_t changes_known_to(long version)
{
	return FILE_WRITE | FILE_REMOVE_AND_MAKE | (version >= 2 ? FILE_REFER : 0) |
	       (version >= 3 ? FILE_TRUNCATE : 0);
}

/* DIRECTORY, or what is nearest above it where it has yet to be made. */
static int open_nearest(const char *directory)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s", directory);
	while ((fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 && errno == ENOENT) {
		char *slash = strrchr(path, '/');
		if (!slash || slash == path)
			return -1;
		*slash = '\0';
	}
	return fd;
}

static bool allow_below(int ruleset, const char *directory, uint64_t changes)
{
	struct path_rule rule = { .allowed = changes, .directory = open_nearest(directory) };
	bool is_added;

	if (rule.directory < 0)
		return false;
	is_added = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule, 0) == 0;
	close(rule.directory);
	return is_added;
}

bool confinement_close_files(const char *writable_directory)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
	uint64_t changes = changes_known_to(version);
	struct ruleset handled = { .handled_files = changes | FILE_EXECUTE };
	bool is_closed;
	int ruleset;

	if (version < 1)
		return true;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (ruleset < 0)
		return false;
	is_closed = (!writable_directory || allow_below(ruleset, writable_directory, changes)) &&
		    syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return is_closed;
}
