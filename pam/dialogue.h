/* The talk with awsflock-keeper (see guard/wire.h): what it is told, and what its answers mean here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PAM_DIALOGUE_H
#define PAM_DIALOGUE_H

#include <stdbool.h>

#include "guard/module_options.h"
#include "guard/wire.h"
#include "notify.h"
#include "person.h"

#define DIALOGUE_SESSION_SIZE 33 /* 32 hexadecimal digits and the terminating zero */

/* What one call of a host's is about. */
struct request {
	struct notifier notifier;
	const struct module_options *options;
	const struct person *person;
	bool is_probe; /* an account line */
	char session[DIALOGUE_SESSION_SIZE];
};

/* What nobody can guess.  False where the system has no randomness to give. */
bool dialogue_make_session_id(char id[DIALOGUE_SESSION_SIZE]);

/* Starts a keeper, tells it REQUEST and waits for its answer, within the time that it says and none without limit.
 * PAM_SUCCESS: *ANSWER is one, and *KEEPER the descriptor to it (the caller closes it).  Anything else is what the
 * host gets, and has been said and logged. */
int dialogue_ask(const struct request *request, struct wire_message *answer, int *keeper);

/* The return code that an answer other than WIRE_GRANTED is to the host; says and logs what is due. */
int dialogue_judge(const struct request *request, const struct wire_message *answer);

/* RELEASE, and a short wait for what became of the lock. */
void dialogue_release(const struct notifier *notifier, int keeper);

#endif
