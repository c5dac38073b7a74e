/* awsflock_sudo.so: a command of sudo's runs only while its caller holds the guard's lock.  The two plugins' tables; the
 * rest is in session.c.  SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <sudo_plugin.h>

#include "session.h"

/* Given by the build. */
#ifndef AWSFLOCK_VERSION
#define AWSFLOCK_VERSION "unknown"
#endif
#define ENTRY __attribute__((visibility("default")))
/* The first one that gives a plugin events, see event_alloc. */
#define API_VERSION SUDO_API_MKVERSION(1, 17)

extern struct approval_plugin awsflock_approval;
extern struct audit_plugin awsflock_audit;

static sudo_printf_t print;

static int open_approval(unsigned version, sudo_conv_t converse, sudo_printf_t sudo_print, char *const settings[],
			 char *const user_info[], int submit_optind, char *const submit_argv[],
			 char *const submit_envp[], char *const words[], const char **reason)
{
	(void)version, (void)settings, (void)submit_optind, (void)submit_argv, (void)submit_envp, (void)reason;
	print = sudo_print;
	session_open_approval(converse, user_info, words);
	return 1;
}

static int check(char *const command_info[], char *const run_argv[], char *const run_envp[], const char **reason)
{
	(void)run_argv, (void)run_envp;
	return session_check(command_info, reason);
}

static int open_audit(unsigned version, sudo_conv_t converse, sudo_printf_t sudo_print, char *const settings[],
		      char *const user_info[], int submit_optind, char *const submit_argv[],
		      char *const submit_envp[], char *const words[], const char **reason)
{
	(void)version, (void)settings, (void)submit_optind, (void)submit_argv, (void)submit_envp, (void)words;
	(void)reason;
	print = sudo_print;
	session_open_audit(converse, user_info, awsflock_audit.event_alloc);
	return 1;
}

static void close_audit(int status_type, int status)
{
	(void)status_type, (void)status;
	session_close();
}

static int accept_command(const char *plugin, unsigned type, char *const command_info[], char *const run_argv[],
			  char *const run_envp[], const char **reason)
{
	(void)plugin, (void)run_argv, (void)run_envp;
	return type == SUDO_FRONT_END ? (int)session_accept(command_info, reason) : 1;
}

static int reject_command(const char *plugin, unsigned type, const char *message, char *const command_info[],
			  const char **reason)
{
	(void)plugin, (void)type, (void)message, (void)command_info, (void)reason;
	session_reject();
	return 1;
}

static int show_version(int verbose)
{
	(void)verbose;
	print(SUDO_CONV_INFO_MSG, "awsflock plugin version %s\n", AWSFLOCK_VERSION);
	return 1;
}

/* exit() calls it, after sudoedit has copied the files back. */
__attribute__((destructor)) static void end(void)
{
	session_end();
}

/* sudo writes to them. */
ENTRY struct approval_plugin awsflock_approval = { .type = SUDO_APPROVAL_PLUGIN,
						   .version = API_VERSION,
						   .open = open_approval,
						   .check = check,
						   .show_version = show_version };
ENTRY struct audit_plugin awsflock_audit = { .type = SUDO_AUDIT_PLUGIN,
					     .version = API_VERSION,
					     .open = open_audit,
					     .close = close_audit,
					     .accept = accept_command,
					     .reject = reject_command,
					     .error = reject_command,
					     .show_version = show_version };
