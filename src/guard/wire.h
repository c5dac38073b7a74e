/* SPDX-License-Identifier: Apache-2.0
 *
 * What pam_awsflock.so (or awsflock_sudo.so, which is a module here too) and the two halves of awsflock-keeper say to
 * each other.
 *
 * One message is one packet of a SOCK_SEQPACKET socket pair, between processes of one machine: a header, then
 * fields. A field is a number or a text under a key, in any order, none twice.  Numbers are in the machine's own
 * byte order. wire.c needs libc alone, so that the PAM module can have it too.
 *
 * Versions.  A keeper lives as long as its session, so the two ends may be of different releases: a guardian that was
 * started before an upgrade starts its next renewer from the new file, and the next session of the same person joins the
 * older keeper.  A newer release may add types and keys, which an older one passes over, and says so once; it never
 * changes the meaning of one that is there.  What a renewer does not know before it has been given its task it cannot
 * have meant to be a notice: it answers DENIED.  A change that cannot be made so gets another WIRE_MAGIC.
 *
 * Module and guardian.  The module starts the keeper with
 *
 *     argv  awsflock-keeper --session-fd 3 --host-fd 4
 *     envp  PATH=/usr/sbin:/usr/bin:/sbin:/bin
 *
 * 3 is the keeper's end of the pair, 4 a pidfd of the host, the process that opens the session; it is started
 * as root and nobody's child, in a session of its own, with standard input, output and error on /dev/null.  Then,
 * M from the module and G from the guardian:
 *
 *     M OPEN        the guardian reads the configuration
 *     G ACCEPTED    an answer comes within ANSWER_WITHIN_MS from now; for this message itself the module waits
 *                   WIRE_ACCEPT_WITHIN_MS, and an answer may come in its place
 *     G NOTICE      any number: a line for the person who waits
 *     G ...         one answer: GRANTED, DENIED, ADMITTED, or (with WIRE_FLAG_PROBE only) CLEAR
 *     M OPENED      after GRANTED: the session is open.  Where it does not come (the end of the pair, of the host,
 *                   of WIRE_OPENED_WITHIN_MS) the lock is given back.  Where it cannot be sent the session must
 *                   not open
 *     M MOVED       at any time after OPENED, where the host said WIRE_FLAG_MAY_MOVE: it has forked, the child goes
 *                   on in its place, and a pidfd of the child comes along.  For this the guardian waits
 *                   WIRE_MOVED_WITHIN_MS from the host's end on, as long as its connection is open
 *     M RELEASE     the session closes
 *     G ...         RELEASED, LEFTOVERS or KEPT; the module waits at most 2 s for it
 *
 * The guardian ends after DENIED, ADMITTED and CLEAR.  It believes only messages whose sender is root: wire_send()
 * adds the sender's effective user, which the kernel checks; the real one is the caller's in sudo.
 *
 * Guardian and renewer.  The renewer R, the network half, has the pair on descriptor 3:
 *
 *     G SETTING     one for each key of [awsflock]
 *     G STORE       R STORE: the store's name; or DENIED
 *     G ACQUIRE     or PROBE
 *     R NOTICE      any number
 *     R ...         ACQUIRED, DENIED, or (after PROBE) CLEAR
 *     R LEASE_ID    before each renewal; VALID, after each; LOG, for the log; and LOST, once, after which it renews no
 *                   more
 *     G LEASE_ID    any number, oldest first, and ADOPT, in place of STORE and ACQUIRE: a lease that another renewer
 *                   held, which has ended; answered by VALID or LOST
 *     G DIAGNOSE    R CHECK, any number, and CLEAR; or DENIED: awsflock guard-check is the guardian then
 *     G OWNER       another text for the table, at any time after ACQUIRED, or before ADOPT
 *     G RELEASE     R RELEASED or KEPT, and it ends
 *
 * The end of the pair without RELEASE: the renewer leaves, and a lease that it holds runs out.
 *
 * Guardian and guardian.  The keeper G that holds a lock listens for its lease clients C, the keepers of further
 * sessions of the same person:
 *
 *     C JOIN        G JOINED or DENIED, as soon as it knows
 *     G VALID       after each renewal; and LOST
 *     C LEAVE       nothing is left of that session
 */
#ifndef GUARD_WIRE_H
#define GUARD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_MAGIC 0x4b465741u /* "AWFK" in the bytes of a little-endian machine */
#define WIRE_VERSION 1
#define WIRE_SIZE_MAX 12288 /* bytes of a message; more is an error at either end */
#define WIRE_TEXT_MAX 4096  /* bytes of a text, its zero included */

#define WIRE_ACCEPT_WITHIN_MS 10000
#define WIRE_OPENED_WITHIN_MS 10000
#define WIRE_MOVED_WITHIN_MS 10000

enum wire_type {
	/* Module to guardian. */
	/* GUARD, SERVICE, USER, PERSON, PERSON_UID, SESSION; HOST_SOCKET, of the other texts what is known */
	WIRE_OPEN = 1,
	WIRE_OPENED = 2,
	WIRE_RELEASE = 3, /* to the renewer too: give the lock back */
	WIRE_MOVED = 4,   /* with a descriptor */
	/* Guardian to module. */
	WIRE_ACCEPTED = 16,  /* ANSWER_WITHIN_MS */
	WIRE_NOTICE = 17,    /* SENTENCE */
	WIRE_GRANTED = 18,   /* LOCK, FENCE (0: none), EXPIRATION_TIME, WAITED_MS */
	WIRE_DENIED = 19,    /* REASON, SENTENCE */
	WIRE_ADMITTED = 20,  /* BECAUSE, SENTENCE: enters without the lock */
	WIRE_CLEAR = 21,     /* a probe alone: nobody else holds the lock */
	WIRE_RELEASED = 22,  /* the lock is free */
	WIRE_LEFTOVERS = 23, /* SENTENCE: it is kept for processes that the session left, which it names */
	WIRE_KEPT = 24,      /* SENTENCE: it is not free: another session shares it, or the store did not answer */
	/* Guardian to renewer. */
	WIRE_SETTING = 32,  /* NAME, VALUE */
	WIRE_STORE = 33,    /* and back with STORE_NAME */
	WIRE_ACQUIRE = 34,  /* LOCK, LEASE_S, WAIT_MS, STOP_MS, PERSON; SERVICE, TTY, RHOST, PURPOSE, KEY */
	WIRE_PROBE = 35,    /* LOCK, PERSON */
	WIRE_OWNER = 36,    /* OWNER_TEXT */
	WIRE_DIAGNOSE = 37, /* LOCK: check everything, and try it where it is free */
	WIRE_ADOPT = 38,    /* LOCK, LEASE_S, STOP_MS, DEADLINE_BOOT_NS */
	/* Renewer to guardian; VALID and LOST also from guardian to guardian. */
	WIRE_ACQUIRED = 48, /* FENCE, EXPIRATION_TIME, DEADLINE_BOOT_NS, WAITED_MS, ID */
	WIRE_VALID = 49,    /* DEADLINE_BOOT_NS, EXPIRATION_TIME; from the renewer ID too */
	WIRE_LOST = 50,     /* SENTENCE, REFUSED */
	WIRE_LOG = 51,      /* PRIORITY (of syslog), SENTENCE */
	WIRE_CHECK = 52,    /* NAME, VERDICT, SENTENCE, MEND */
	WIRE_LEASE_ID = 53, /* ID: the next request may make it the lease's; also from guardian to renewer */
	/* Guardian to guardian. */
	/* PERSON_UID, STORE_NAME, LOCK, STOP_MS, SESSION; ENDS_PERSON, HOST_PID, HOST_SOCKET, HOST_ALONE */
	WIRE_JOIN = 64,
	WIRE_JOINED = 65, /* FENCE, EXPIRATION_TIME, DEADLINE_BOOT_NS */
	WIRE_LEAVE = 66
};

/* Numbers, int64_t. */
enum wire_number {
	WIRE_PERSON_UID = 1, /* who acts, see docs/session-guard.md: never sudo's target */
	WIRE_FLAGS = 2,      /* WIRE_FLAG_* */
	WIRE_ANSWER_WITHIN_MS = 3,
	WIRE_FENCE = 4,
	WIRE_EXPIRATION_TIME = 5,  /* epoch seconds */
	WIRE_DEADLINE_BOOT_NS = 6, /* CLOCK_BOOTTIME: the session must be gone by then */
	WIRE_WAITED_MS = 7,
	WIRE_REASON = 8,  /* enum wire_reason */
	WIRE_BECAUSE = 9, /* enum wire_because */
	WIRE_LEASE_S = 10,
	WIRE_WAIT_MS = 11,
	WIRE_STOP_MS = 12, /* what ending the session takes, the warning included */
	WIRE_REFUSED = 13, /* 1: lost for certain, another may hold the lock; 0: it runs out */
	WIRE_PRIORITY = 14,
	WIRE_VERDICT = 15,     /* awsflock_verdict */
	WIRE_ENDS_PERSON = 16, /* 1: before the lock is given back, all that the person runs has to end */
	WIRE_HOST_PID = 17,    /* the process that opens the session; its keeper has a pidfd of it */
	WIRE_HOST_ALONE = 18,  /* 1: it joins another guard of its own host, and nobody else */
	/* The inode of the module's end of the pair.  The host has it, and so has a copy that it forks; no program that they
	 * start gets it. */
	WIRE_HOST_SOCKET = 19,
	WIRE_SHARED = 20 /* 1: KEPT as it should be, by another session of the same person: nobody need be told */
};

/* Texts: UTF-8 or not, never with a zero byte inside; whoever shows one sanitises it. */
enum wire_text {
	/* A session. */
	WIRE_GUARD = 256,   /* guard=NAME */
	WIRE_CONF = 257,    /* conf=FILE; left out: /etc/awsflock.conf */
	WIRE_SERVICE = 258, /* PAM_SERVICE */
	WIRE_USER = 259,    /* PAM_USER */
	WIRE_RUSER = 260,   /* PAM_RUSER, where set */
	WIRE_PERSON = 261,  /* the name of PERSON_UID */
	WIRE_RHOST = 262,   /* PAM_RHOST */
	WIRE_TTY = 263,     /* PAM_TTY */
	WIRE_KEY = 264,     /* how sshd let them in, in its own words: "publickey ssh-ed25519 AAAA..." */
	WIRE_SESSION = 265, /* AWSFLOCK_SESSION: 32 lower-case hexadecimal digits that nobody can guess */
	/* The rest. */
	WIRE_LOCK = 266,
	WIRE_SENTENCE = 267, /* one line for a person, already sanitised */
	WIRE_NAME = 268,
	WIRE_VALUE = 269,
	WIRE_STORE_NAME = 270,
	WIRE_OWNER_TEXT = 271,
	WIRE_PURPOSE = 272,
	WIRE_MEND = 273,
	WIRE_ID = 274 /* of the lease: whoever knows it can renew it and give it back */
};

#define WIRE_FLAG_SILENT 1 /* there is nobody to be told: send no NOTICE */
#define WIRE_FLAG_DEBUG 2  /* log more */
/* An account line: look, never acquire.  Errors are DENIED as ever; with fail = safe a store that cannot be reached
 * is ADMITTED. */
#define WIRE_FLAG_PROBE 4
/* The host may fork and go on as the child: MOVED comes then. */
#define WIRE_FLAG_MAY_MOVE 8

/* Why a session is not let in, and the return code that it asks of the module. */
enum wire_reason {
	WIRE_REASON_HELD = 1,        /* another holds the lock, or the wait ended: PAM_PERM_DENIED */
	WIRE_REASON_UNREACHABLE = 2, /* the network or the table failed, fail = secure: PAM_PERM_DENIED */
	WIRE_REASON_CONFIG = 3,      /* the configuration: PAM_SERVICE_ERR */
	WIRE_REASON_ACCESS = 4,      /* credentials: none, or refused: PAM_PERM_DENIED */
	WIRE_REASON_TLS = 5,         /* PAM_PERM_DENIED */
	WIRE_REASON_NO_TABLE = 6,    /* no such table, or it cannot serve: PAM_SERVICE_ERR */
	WIRE_REASON_MEMORY = 7,      /* PAM_BUF_ERR */
	WIRE_REASON_INTERNAL = 8     /* PAM_SERVICE_ERR, as for any other number */
};

/* Why one is let in without the lock.  All but EXEMPT ask for a line with LOG_ALERT. */
enum wire_because {
	WIRE_BECAUSE_EXEMPT = 1,      /* exempt_users, exempt_groups: PAM_IGNORE */
	WIRE_BECAUSE_BREAK_GLASS = 2, /* the guard's break_glass_group: PAM_SUCCESS, the person sees SENTENCE */
	WIRE_BECAUSE_FAIL_SAFE = 3    /* fail = safe, on the renewer's own word: PAM_SUCCESS */
};

struct wire_message {
	size_t size;
	bool failed; /* a field did not fit: such a message is not sent */
	int passed;  /* the descriptor that came along with a MOVED: whoever receives it closes it; else -1 */
	unsigned char bytes[WIRE_SIZE_MAX];
};

/* Starts an empty message.  What does not fit makes wire_send() fail, so the puts need no checking. */
void wire_begin(struct wire_message *message, enum wire_type type);
void wire_put_number(struct wire_message *message, enum wire_number key, int64_t number);
/* TEXT NULL or empty: left out, which reads as "". */
void wire_put_text(struct wire_message *message, enum wire_text key, const char *text);

/* Is what stands in bytes[0..size) a message: whole header, whole fields, right sizes, no key twice, for a known
 * type all that it needs?  Nothing below may be asked of one that is not. */
bool wire_is_valid(const struct wire_message *message);

/* 0..65535: types of a newer release are possible. */
unsigned wire_type(const struct wire_message *message);
unsigned wire_version(const struct wire_message *message);
/* Is it of a type that this release has?  Else it is one of a newer release. */
bool wire_is_known(const struct wire_message *message);
bool wire_has(const struct wire_message *message, int key);
int64_t wire_number(const struct wire_message *message, enum wire_number key); /* 0 where left out */
const char *wire_text(const struct wire_message *message, enum wire_text key); /* "" where left out; in MESSAGE */

/* Sends a whole message at once, or not at all: it never waits, raises no SIGPIPE, and carries the sender's process
 * and effective user.  False with errno: EPIPE the other end is gone, EAGAIN it does not read, EMSGSIZE a field did
 * not fit. */
bool wire_send(int fd, const struct wire_message *message);
/* The same with a descriptor, of which the other end gets a copy. */
bool wire_send_passing(int fd, const struct wire_message *message, int passed);
/* The shortest message: a type alone. */
bool wire_send_type(int fd, enum wire_type type);

enum wire_result {
	WIRE_GOT,     /* *MESSAGE is valid */
	WIRE_NOTHING, /* nothing there now, or interrupted */
	WIRE_END,     /* the other end is gone */
	WIRE_BAD      /* what came is no message: thrown away */
};

/* Receives one message without waiting; poll() comes first.  *SENDER_UID (may be NULL) is who sent it, (uid_t)-1
 * where that is not known: the receiver's descriptor needs wire_want_sender() once, before the first message is
 * received.  Descriptors that come along are closed, but for the one of a MOVED. */
enum wire_result wire_receive(int fd, struct wire_message *message, uid_t *sender_uid);
bool wire_want_sender(int fd);

/* poll() for one message, until TIMEOUT_MS have passed (-1: for ever) by CLOCK_BOOTTIME, signals notwithstanding.
 * WIRE_NOTHING: the time is up. */
enum wire_result wire_wait(int fd, struct wire_message *message, uid_t *sender_uid, int64_t timeout_ms);

#endif
