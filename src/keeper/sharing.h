/* Where the keepers of one person's sessions on one lock find each other.  SPDX-License-Identifier: Apache-2.0
 *
 * A socket in a directory that only root may enter.  Its name is made of the store, the lock and the person, so
 * that different persons never meet; what the name stands for is said again in JOIN, in full.  Where sessions stand alone
 * (share = session), whoever holds the lock has another such socket: for other guards of its own host, which must not
 * wait for it.  Those look at both, as another guard may have another `share`. */
#ifndef KEEPER_SHARING_H
#define KEEPER_SHARING_H

#include <stdbool.h>
#include <sys/types.h>

struct sharing {
	char name[48];
	int listener; /* -1: none */
	dev_t device; /* the socket's file, to be told from one that came after it */
	ino_t inode;
	bool is_wanted; /* to be made again where somebody took it away */
};

enum sharing_result {
	SHARING_LISTENING, /* nobody is there: the next one will find us */
	SHARING_CONNECTED, /* *FD is the other keeper's */
	SHARING_NONE       /* not possible (errno): each session has to stand alone */
};

void sharing_init(struct sharing *sharing, const char *store_name, const char *lock, uid_t person,
		  bool is_for_person);
/* Looks for the keeper of the same three, or (unless ONLY_PROBES) takes its place.  The caller closes *FD. */
enum sharing_result sharing_enter(struct sharing *sharing, bool only_probes, int *fd);
/* Takes the place whoever had it before: for one who holds the lock. */
void sharing_take(struct sharing *sharing);
/* A keeper that has connected, root's alone; -1 where there is none. */
int sharing_accept(const struct sharing *sharing);
/* Makes the socket again where /run was wiped. */
void sharing_restore(struct sharing *sharing);
/* Stops listening, and takes the file away where it is still ours. */
void sharing_leave(struct sharing *sharing);

#endif
