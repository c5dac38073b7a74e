/* The talk with awsflock-keeper (see guard/wire.h): what it is told, and what its answers mean here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_DIALOGUE_H
#define DOOR_DIALOGUE_H

#include <stdbool.h>
#include <sys/types.h>

#include "door/notify.h"
#include "guard/wire.h"

#define DIALOGUE_SESSION_SIZE 33 /* 32 hexadecimal digits and the terminating zero */

/* What one call of a host's is about.  Texts that are not known are NULL. */
struct request {
	struct notifier notifier;
	const char *guard;
	const char *conf; /* NULL: the system's file */
	uid_t person_uid; /* who acts */
	const char *person;
	const char *service, *user, *ruser, *rhost, *tty;
	const char *login_info; /* one line for each method that let the person in; a key comes first */
	gid_t tty_group;        /* through which the keeper writes to terminals; 0: none */
	bool may_move;          /* the host may fork and go on as the child: dialogue_move() comes then */
	bool is_probe;          /* an account line: look, never acquire */
	char session[DIALOGUE_SESSION_SIZE];
};

enum dialogue_outcome {
	DIALOGUE_GRANTED,  /* the lock is held; it is given back where OPENED is not sent in time */
	DIALOGUE_CLEAR,    /* of a probe alone: nobody else holds it */
	DIALOGUE_ADMITTED, /* without the lock: break-glass, or fail = safe */
	DIALOGUE_EXEMPT,
	DIALOGUE_REFUSED, /* held by somebody else, interrupted, or the store gives no answer */
	DIALOGUE_FAULT,   /* of the configuration, the keeper or the system */
	DIALOGUE_MEMORY
};

/* Starts a keeper, gives the session an id that nobody can guess, tells the keeper REQUEST and waits for its answer,
 * within the time that it says and none without limit.  What is due has been said and logged then.  DIALOGUE_GRANTED:
 * *ANSWER is the keeper's, and *KEEPER the descriptor to it (the caller closes it). */
enum dialogue_outcome dialogue_ask(struct request *request, struct wire_message *answer, int *keeper);

/* Where there was a wait, that it is over. */
void dialogue_tell_waited(const struct notifier *notifier, const struct wire_message *granted);

/* In a child of the host's that goes on in its place: tells the keeper so.  Returns 0, or an errno. */
int dialogue_move(int keeper);

/* RELEASE, and a short wait for what became of the lock. */
void dialogue_release(const struct notifier *notifier, int keeper);

#endif
