/* See session.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool is_session_id(const char *text)
{
	return strlen(text) == SESSION_ID_SIZE - 1 && strspn(text, "0123456789abcdef") == SESSION_ID_SIZE - 1;
}

/* Text from outside, made fit for a lock's name, a log and a table at once. */
static char *copy_text(const struct wire_message *open, enum wire_text key)
{
	char safe[WIRE_TEXT_MAX];

	text_sanitise(wire_text(open, key), safe, sizeof(safe));
	return strdup(safe);
}

bool session_init(struct session *session, const struct wire_message *open)
{
	int64_t uid = wire_number(open, WIRE_PERSON_UID), flags = wire_number(open, WIRE_FLAGS);

	*session = (struct session){ .is_silent = flags & WIRE_FLAG_SILENT,
				     .is_probe = flags & WIRE_FLAG_PROBE,
				     .is_debug = flags & WIRE_FLAG_DEBUG,
				     .may_move = flags & WIRE_FLAG_MAY_MOVE };
	if (uid < 0 || uid >= UINT32_MAX || !is_session_id(wire_text(open, WIRE_SESSION)))
		return false;
	session->person_uid = (uid_t)uid;
	session->host_socket = wire_number(open, WIRE_HOST_SOCKET);
	memcpy(session->id, wire_text(open, WIRE_SESSION), SESSION_ID_SIZE);
	session->guard = copy_text(open, WIRE_GUARD);
	session->conf = strdup(wire_text(open, WIRE_CONF));
	session->service = copy_text(open, WIRE_SERVICE);
	session->user = copy_text(open, WIRE_USER);
	session->ruser = copy_text(open, WIRE_RUSER);
	session->person = copy_text(open, WIRE_PERSON);
	session->rhost = copy_text(open, WIRE_RHOST);
	session->tty = copy_text(open, WIRE_TTY);
	session->key = copy_text(open, WIRE_KEY);
	if (session->guard && session->conf && session->service && session->user && session->ruser &&
	    session->person && session->rhost && session->tty && session->key)
		return true;
	session_free(session);
	return false;
}

void session_free(struct session *session)
{
	free(session->guard);
	free(session->conf);
	free(session->service);
	free(session->user);
	free(session->ruser);
	free(session->person);
	free(session->rhost);
	free(session->tty);
	free(session->key);
	*session = (struct session){ .guard = NULL };
}

void session_describe_origin(const struct session *session, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s%s%s", session->service, *session->rhost ? " from " : "", session->rhost,
		 *session->tty ? " on " : "", session->tty);
}
