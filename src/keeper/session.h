/* What the module said of a session.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_SESSION_H
#define KEEPER_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guard/wire.h"

#define SESSION_ID_SIZE 33

/* Texts are owned, "" where the module did not say. */
struct session {
	char *guard, *conf, *service, *user, *ruser, *person, *rhost, *tty, *key;
	char id[SESSION_ID_SIZE];
	uid_t person_uid;
	int64_t host_socket; /* the inode of the host's end of the connection; 0: not known */
	bool is_silent, is_probe, is_debug;
	bool may_move; /* the host may fork, and go on as the child */
};

/* Copies an OPEN.  False where it cannot be one (its id is no id, its user none) or without memory. */
bool session_init(struct session *session, const struct wire_message *open);
void session_free(struct session *session);

/* "ssh from 203.0.113.9 on /dev/pts/1", for the log; sanitised. */
void session_describe_origin(const struct session *session, char *text, size_t size);

#endif
