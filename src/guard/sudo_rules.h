/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of the line of awsflock_approval in sudo.conf(5), as the plugin reads them and guard-check judges them:
 *
 *     [conf=FILE] [break_glass_group=NAME] [quiet] [debug]
 *     [guard=NAME|none [runas=USER,...] [command=PATH,...] [cwd=DIR]] ... guard=NAME
 *
 * Each guard= begins a rule.  The first one that fits the command decides; the last has no condition and names a guard.
 * So the rules before it can only excuse a command or choose another lock for it: a command can be had by other names
 * (a link, a copy, env(1)), and whatever fits no rule asks for the last one's. */
#ifndef GUARD_SUDO_RULES_H
#define GUARD_SUDO_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SUDO_RULES_MAX 64
/* What stands for an editor that sudo starts on copies, whichever it is. */
#define SUDO_RULES_EDIT "sudoedit"

/* Texts point into the words; NULL: no such condition. */
struct sudo_rule {
	const char *guard; /* NULL: none, no lock is asked for */
	const char *runas, *command, *cwd;
};

struct sudo_rules {
	const char *conf;              /* NULL: the system's file */
	const char *break_glass_group; /* NULL: none */
	bool debug;
	bool quiet;
	size_t count;
	struct sudo_rule rules[SUDO_RULES_MAX];
};

/* What sudo is about to run. */
struct sudo_command {
	const char *path; /* as sudo resolved it, or SUDO_RULES_EDIT */
	const char *cwd;  /* where it will run; NULL: not certain, and no condition of the kind fits */
	uid_t runas_uid;
	gid_t runas_gid;
	bool has_own_root; /* chroot: its paths are others' */
};

/* WORDS, which may be NULL, end in NULL.  False where one is unknown, misplaced, stands twice or has no value, or the
 * last rule is not as it must be; REASON (SIZE bytes) says which.  What came before the fault is set then. */
bool sudo_rules_read(char *const words[], struct sudo_rules *rules, char *reason, size_t size);

/* The first rule that fits; of rules that were read there always is one.  runas= fits a command that runs as that user in
 * that user's own group. */
const struct sudo_rule *sudo_rules_choose(const struct sudo_rules *rules, const struct sudo_command *command);

/* The next part of *LIST, which commas separate: SIZE bytes at *PART.  False at the end. */
bool sudo_rules_next(const char **list, const char **part, size_t *size);

#endif
