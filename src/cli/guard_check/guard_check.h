/* The parts of "awsflock guard-check", each of which tells what it found.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GUARD_CHECK_GUARD_CHECK_H
#define CLI_GUARD_CHECK_GUARD_CHECK_H

#include <stdbool.h>

#include "guard/guard.h"
#include "term/findings.h"

#define GUARD_TEXT_SIZE 512

/* What the PAM files say of one guard. */
struct guard_lines {
	char conf[GUARD_TEXT_SIZE];              /* conf= of its lines; "": none */
	char break_glass_group[GUARD_TEXT_SIZE]; /* that of its first line; "": none */
	char service[GUARD_TEXT_SIZE];           /* the first that it guards; "": none */
	char login[GUARD_TEXT_SIZE]; /* one by which people log in, if need be one without a login uid */
	bool sets_login_uid;         /* it has pam_loginuid.so */
};

/* pam.c: where the guard stands, and whether it can do its work there; the module itself.  IN_PLUGIN: sudo's plugin asks
 * for it, and LINES are known as far as that says. */
void guard_check_pam(struct findings *findings, const char *guard, bool in_plugin, struct guard_lines *lines);
/* What SERVICE's first session line of ours says: its guard, and in CONF its conf=, "" where it has none.  False: there
 * is no such line. */
bool guard_of_service(const char *service, char guard[GUARD_TEXT_SIZE], char conf[GUARD_TEXT_SIZE]);
/* sudo_plugin.c: sudo's plugin, where sudo.conf has it.  True where one of its rules has GUARD, and LINES is set then.
 * CONFIG NULL: the system's file. */
bool guard_check_plugin(struct findings *findings, const char *guard, const char *config,
			struct guard_lines *lines);
/* The guard of its last rule, which all commands ask for that fit no other.  False: it is not there. */
bool guard_of_plugin(char guard[GUARD_TEXT_SIZE], char conf[GUARD_TEXT_SIZE]);
/* module.c: can libpam load the module that a PAM line names? */
void guard_check_module(struct findings *findings, const char *named);

/* persons.c: whom the guard of SERVICE takes for the person there. */
void guard_check_person(struct findings *findings, const char *service);
/* Is SERVICE known for one of those that start what a user has left for later? */
bool guard_check_is_for_jobs(const char *service);
/* Is SERVICE known for one of those by which people log in? */
bool guard_check_is_login(const char *service);

/* What sshd says of itself. */
struct sshd_settings {
	bool is_known;
	char why[GUARD_TEXT_SIZE];     /* it is not */
	char service[GUARD_TEXT_SIZE]; /* whose PAM file it reads; where it is not known, the usual one */
	bool uses_pam;
	bool takes_environment; /* of the user's own ~/.ssh/environment */
	bool misses_clients;    /* notices that one is gone without a word */
};

/* sshd.c */
void guard_check_ask_sshd(struct sshd_settings *settings);
void guard_check_sshd(struct findings *findings, const struct sshd_settings *settings);
/* sudo.c: sudo's settings, or those of sudo-rs, where one of its services is guarded. */
void guard_check_sudo(struct findings *findings);

/* login_services.c: ways in that are not guarded, and what their programs must be told for a guard to hold. */
void guard_check_services(struct findings *findings, const struct sshd_settings *sshd);
/* Services with another guard than NAME: would that one load?  Those without conf= are judged by CONFIG, NULL: the
 * system's file. */
void guard_check_other_guards(struct findings *findings, const struct sshd_settings *sshd, const char *name,
			      const char *config);
/* sharing.c: would a session be refused by the lock that the session around it holds?  CONFIG as above. */
void guard_check_sharing(struct findings *findings, const struct sshd_settings *sshd, const struct guard *guard,
			 const char *config);

/* host.c: what this machine lacks for a guard to hold all that it can. */
void guard_check_host(struct findings *findings, const struct guard *guard);
/* Do logins get a login uid?  By it the keeper finds a session's processes where there is no control group. */
void guard_check_login_uid(struct findings *findings, const struct guard_lines *lines);

/* people.c: who shares an account, whom the guard is not for, and who gets in whatever happens. */
void guard_check_people(struct findings *findings, const struct guard *guard, const struct guard_lines *lines);

/* membership.c: does the kernel keep who belongs to a session, or must the keeper look?  And does more end with it? */
bool guard_check_membership(struct findings *findings, const struct guard *guard);

/* grant.c: the keeper's network half, with what a session's would have: credentials, table, clock, a
 * grant. */
void guard_check_grant(struct findings *findings, const struct guard *guard);

#endif
