/* The one session of a sudo: from the question whether its command may run to the end of it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The approval plugin decides, the audit plugin is told of the end: each is nothing without the other.  Both are here, as
 * one object is loaded for both. */
#ifndef SUDO_SESSION_H
#define SUDO_SESSION_H

#include <sudo_plugin.h>

/* What an approval plugin's check() and an audit plugin's accept() return; with both others sudo runs nothing. */
enum session_answer {
	SESSION_ERROR = -1,
	SESSION_REFUSED = 0,
	SESSION_GRANTED = 1
};

/* The audit plugin is there.  EVENT_ALLOC: sudo's, NULL before API 1.17. */
void session_open_audit(sudo_conv_t converse, char *const user_info[],
			struct sudo_plugin_event *(*event_alloc)(void));
/* The approval plugin is there, with the words of its line.  They are judged when a command is to run: a fault in them
 * must not keep root out. */
void session_open_approval(sudo_conv_t converse, char *const user_info[], char *const words[]);

/* May this command run?  Asks for the lock, and waits for it, where the words say so; *REASON is set otherwise. */
enum session_answer session_check(char *const command_info[], const char **reason);
/* sudo has heard all its plugins, and runs the command next. */
enum session_answer session_accept(char *const command_info[], const char **reason);
/* It does not run it. */
void session_reject(void);
/* The command has ended, or could not be run. */
void session_close(void);
/* This process ends. */
void session_end(void);

#endif
