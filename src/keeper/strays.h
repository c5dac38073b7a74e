/* Processes of a session that stand outside of its control group.  SPDX-License-Identifier: Apache-2.0
 *
 * Nobody without rights can take a process out of the group by himself.  But systemd's service manager for a user asks
 * the one that is process 1 to do it ("systemd-run --user --scope", and tmux since 3.4), which does so for all that runs
 * as that user.  The kernel tells nobody of the move.  So before a session is taken for ended, and before it is ended,
 * all processes are looked through, and who belongs is moved back: then the kernel counts and ends it as the rest.
 *
 * Under sshd and login those belong which have the session's audit session: it is inherited, and only root can change
 * it.  Elsewhere the host has that of the login from which it was called: so of these only what stands in a group that
 * root handed to a user, is younger than the session, and is another user's than the person's, or was started with
 * the session's mark.  Where the kernel keeps no audit sessions there is the mark alone, and all processes have to be
 * looked through: not where nobody runs in a user's group.
 *
 * A guarded sudo in a group that a user may fill has its session beside the one that it was called from, and stays there
 * when its user's manager has ended.  What is of it keeps the login's session, and ends with it; so does the sudo itself,
 * by its mark, with the session of another sudo or su.  It is not moved: its own keepers look for it where it is.
 *
 * A login's host that closes starts helpers of its own where it came from: they are nobody's. */
#ifndef KEEPER_STRAYS_H
#define KEEPER_STRAYS_H

#include "keeper/marks.h"
#include "keeper/session_group.h"

struct strays {
	uid_t person;
	bool host_is_login_service;
	uint32_t others_session; /* the audit session of a login service's parent; the host's own elsewhere */
	uint64_t began_ticks;    /* nothing of the session is older */
	int64_t gathered_ns;     /* CLOCK_MONOTONIC: the last time; 0: never */
	struct process beside;   /* one who stays where it is, in another session's group; pid 0: nobody */
	struct marks marks;
};

struct progress;

/* ID: the session's, PERSON who opened it.  SESSION's record says from then on by what they are known. */
void strays_init(struct strays *strays, struct session_group *session, const char *id, uid_t person,
		 bool host_is_login_service);
/* Those of a session whose keepers were killed, by what its record says. */
void strays_recall(struct strays *strays, const char *id, const struct recorded_call *call);
void strays_free(struct strays *strays);

/* What a login service has been given since: to be called while it runs. */
void strays_learn(const struct strays *strays, struct session_group *session);

/* Moves all of them back, and kills them too once the session's members have been.  True where there was nobody: for
 * certain where nothing was started meanwhile, on a busy machine where several looks met nobody. */
bool strays_gather(struct strays *strays, struct session_group *session, struct progress *progress);
/* The same for a session whose keepers were killed: kills them.  Who cannot be read is left; false, too, where not
 * everybody has been asked by UNTIL_NS (CLOCK_BOOTTIME). */
bool strays_end(struct strays *strays, struct session_group *session, int64_t until_ns);
/* The same, but not again within a second, and not once all are being killed. */
void strays_gather_now_and_then(struct strays *strays, struct session_group *session, struct progress *progress);

#endif
