/* awsflock: one named lock across machines, kept in a DynamoDB table or in a local directory.
 *
 * Copyright 2026 The awsflock authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * How it fits together: a context (awsflock) holds settings and one connection; a lease (awsflock_lease) is one
 * holding of one lock, good until its deadline.  A holder acts only before the deadline.  Neither type is locked
 * inside: use one context, with its leases, from one thread at a time; several contexts in several threads are
 * fine. The exceptions are awsflock_lease_remaining_ms(), awsflock_lease_deadline_boot_ns(),
 * awsflock_lease_fence(), awsflock_lease_seconds(), awsflock_lease_expiration_time() and awsflock_lease_copy_ids(),
 * which any thread may call while another is in awsflock_keepalive().
 *
 * Every function that can fail returns an awsflock_code and, where ERROR is not NULL, fills it in.  Results come
 * through out-parameters and are set only on AWSFLOCK_OK.  The library never prints, exits, installs a signal
 * handler or reads the program's arguments.
 *
 * What stays: a program built with this header works with every later library of the same soname (libawsflock.so.1),
 * without being built anew.  Until the soname changes no function, type, constant or member is removed or gets
 * another meaning, and no struct that a program allocates changes its size or layout but in the ways told here:
 * - awsflock_acquire_options and awsflock_table_options get members at the end.  A program starts from the INIT
 *   macro, whose size member tells the library which ones there are; a member that is zero means what it meant
 *   before there was one.
 * - awsflock_error has room for more members in reserved; 0 in one of those means "not known".
 * - awsflock_status and awsflock_check, which only the library makes, get members at the end: use them by pointer,
 *   without copying or measuring them.
 * - Enumerations and flags get values.  Codes below 16 are answers about the lock, codes from 16 on are faults: a
 *   program treats a code that it does not know as one of its kind, an unknown verdict as AWSFLOCK_CHECK_FAILED and
 *   an unknown log level as AWSFLOCK_LOG_DEBUG.  A flag that the library does not know is AWSFLOCK_INVALID.
 * The words of messages may change with every release.
 *
 * Callbacks get the ARG that was given with them, and run in the thread that is in the library.  They may call the
 * functions that any thread may call, for leases of this context, and whatever they like for another context.
 *
 * A context that has made a request belongs to the process that made it: after fork() the child makes one of its own.
 *
 * All functions: since 1.0.
 */
#ifndef AWSFLOCK_H
#define AWSFLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AWSFLOCK_MUST_CHECK __attribute__((warn_unused_result))
#pragma GCC visibility push(default)
#else
#define AWSFLOCK_MUST_CHECK
#endif

/* The version of this header; awsflock_version() tells the library's.  NUMBER rises with every release and can be
 * compared in #if, as AWSFLOCK_VERSION_AT_LEAST(1, 2, 0) can. */
#define AWSFLOCK_VERSION_MAJOR 1
#define AWSFLOCK_VERSION_MINOR 0
#define AWSFLOCK_VERSION_PATCH 0
#define AWSFLOCK_VERSION_NUMBER                                                                                    \
	(AWSFLOCK_VERSION_MAJOR * 1000000 + AWSFLOCK_VERSION_MINOR * 1000 + AWSFLOCK_VERSION_PATCH)
#define AWSFLOCK_VERSION_AT_LEAST(major, minor, patch)                                                             \
	(AWSFLOCK_VERSION_NUMBER >= (major)*1000000 + (minor)*1000 + (patch))

/* Below 16: answers about the lock; from 16 on: faults. */
typedef enum awsflock_code {
	AWSFLOCK_OK = 0,
	AWSFLOCK_HELD = 1,         /* another lease holds the lock, and no wait was asked for */
	AWSFLOCK_LOST = 2,         /* this lease does not hold the lock (any more) */
	AWSFLOCK_TIMED_OUT = 3,    /* the wait ended, or the grant came too late to be used, and was given back */
	AWSFLOCK_CANCELLED = 4,    /* the stop callback or descriptor said so */
	AWSFLOCK_INVALID = 16,     /* an argument that cannot be: name, duration, value */
	AWSFLOCK_CONFIG = 17,      /* configuration: file, key, region, endpoint, profile */
	AWSFLOCK_CREDENTIALS = 18, /* no usable credentials */
	AWSFLOCK_ACCESS = 19,      /* credentials understood, and refused */
	AWSFLOCK_NO_TABLE = 20,    /* the table (or, for the local store, the directory) does not exist */
	AWSFLOCK_BAD_TABLE = 21, /* it exists and cannot serve: other key schema, being deleted, unsafe directory */
	AWSFLOCK_BAD_ITEM = 22,  /* a lock's item or file is damaged, or of a newer format */
	AWSFLOCK_UNREACHABLE = 23, /* no answer: network, name resolution, timeouts, server errors */
	AWSFLOCK_TLS = 24,         /* the server's certificate was not accepted */
	AWSFLOCK_THROTTLED = 25,   /* the table refused for load, after retries */
	AWSFLOCK_CLOCK_SKEW = 26,  /* the server refuses this machine's time, after a correction */
	AWSFLOCK_PROTOCOL = 27,    /* the server answered something that is not DynamoDB */
	AWSFLOCK_STORAGE = 28,     /* the local store: disk full, permission, input or output error */
	AWSFLOCK_MEMORY = 29,
	AWSFLOCK_INTERNAL = 30
} awsflock_code;

#define AWSFLOCK_ERROR_MESSAGE_SIZE 1024
#define AWSFLOCK_LEASE_ID_SIZE 37 /* a UUID and its terminating zero */
#define AWSFLOCK_LOCK_MAX 2048    /* bytes of UTF-8 in a lock's name */

/* Caller-allocated; needs no initialisation and no clean-up.  message is one sentence for a person: what happened
 * and what to do. */
typedef struct awsflock_error {
	awsflock_code code;
	int system_errno; /* 0 where no system call was at fault */
	long http_status; /* 0 where no reply was at fault */
	/* The request may have been carried out although its answer never came. */
	bool outcome_unknown;
	char message[AWSFLOCK_ERROR_MESSAGE_SIZE];
	int64_t detail;      /* finer than code, for what awsflock_diagnose() advises; 0: there is nothing finer */
	int64_t reserved[7]; /* for members to come; 0 */
} awsflock_error;

typedef struct awsflock awsflock;
typedef struct awsflock_lease awsflock_lease;

/* ---- Context ---------------------------------------------------------------------------------------------- */

/* A context with the built-in defaults.  The caller owns *OUT and frees it with awsflock_free(). */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_new(awsflock **out, awsflock_error *error);

/* Frees the context and sets *CONTEXT to NULL.  No lease is released; leases of the context must be freed first.
 * CONTEXT and *CONTEXT may be NULL, as in the other functions that free. */
void awsflock_free(awsflock **context);

/* Reads the configuration: FILE, or where it is NULL $AWSFLOCK_CONFIG, or else the system's awsflock.conf and then
 * the user's awsflock.conf (a missing one of these two is not an error); then the environment, which takes
 * precedence. A set-id process reads the system's alone, and no environment. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_load_config(awsflock *context, const char *file, awsflock_error *error);

/* Sets one key of the [awsflock] section, see awsflock.conf(5); takes precedence over what was loaded before.
 * KEY and VALUE are copied.  AWSFLOCK_INVALID where there is no such key or the value cannot be. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_set(awsflock *context, const char *key, const char *value,
					       awsflock_error *error);

/* The value in force, or NULL where the key is unset or unknown.  Owned by the context; valid until it is
 * changed. */
const char *awsflock_get(const awsflock *context, const char *key);

typedef enum awsflock_log_level {
	AWSFLOCK_LOG_WARNING = 0,
	AWSFLOCK_LOG_NOTICE = 1,
	AWSFLOCK_LOG_DEBUG = 2
} awsflock_log_level;

/* MESSAGE is one line without a newline, sanitised for a terminal, never a secret; valid during the call. */
typedef void awsflock_log_fn(void *arg, awsflock_log_level level, const char *message);
void awsflock_set_log(awsflock *context, awsflock_log_fn *log, void *arg);

/* Asked several times a second while a call waits for the lock or the network; true ends the call with
 * AWSFLOCK_CANCELLED.  Must be quick, and may be called from whichever thread is in the library. */
typedef bool awsflock_stop_fn(void *arg);
void awsflock_set_stop(awsflock *context, awsflock_stop_fn *stop, void *arg);

/* The same as a descriptor: readable means stop.  Saves the polling.  It stays the caller's; -1 takes it back. */
void awsflock_set_stop_fd(awsflock *context, int fd);

/* From here on the programs that give credentials (credential_process) are started by a process that this call makes,
 * and which is no descendant of this one; so what they leave running, an agent above all, is none either.  For a program
 * that waits for all that descends from it, or ends it (PR_SET_CHILD_SUBREAPER): call it before becoming one, and before
 * there are threads or secrets.  That process ends with the context.  AWSFLOCK_INTERNAL: there can be none. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_start_programs_outside(awsflock *context, awsflock_error *error);

/* Told each lease id before the first request that could make it the valid one, so that whoever outlives a crash of
 * this process can give the lock back.  Called from whichever thread is in the library; must be quick. */
typedef void awsflock_lease_id_fn(void *arg, const char *lock, const char *lease_id);
void awsflock_set_lease_id_callback(awsflock *context, awsflock_lease_id_fn *on_id, void *arg);

/* Told after each renewal that awsflock_keepalive() has had confirmed, with the lease as it stands now: for whoever
 * must know the new deadline in another process.  Called from the thread that is in awsflock_keepalive(); must be
 * quick. */
typedef void awsflock_renewed_fn(void *arg, const awsflock_lease *lease);
void awsflock_set_renewed_callback(awsflock *context, awsflock_renewed_fn *on_renewed, void *arg);

/* Asks a person for the code of the MFA device SERIAL, which the profile's role needs where no keys for it are cached,
 * and writes it as text into CODE (SIZE bytes).  AWSFLOCK_OK, or AWSFLOCK_CANCELLED or _CREDENTIALS with ERROR filled
 * in.  Called once a context and role, from the thread that is in the library; may take as long as people take. */
typedef awsflock_code awsflock_mfa_fn(void *arg, const char *serial, char *code, size_t size,
				      awsflock_error *error);
void awsflock_set_mfa_callback(awsflock *context, awsflock_mfa_fn *ask, void *arg);

/* Has the MFA callback asked now, where the first request would have it asked: before a fork, or before the terminal
 * is given away.  The keys are cached where the AWS CLI caches them, and other contexts and processes find them there.
 * Makes no request where no code is needed. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_sign_in(awsflock *context, awsflock_error *error);

/* ---- Who holds a lock --------------------------------------------------------------------------------------- */

/* What one lock looks like.  Every string is valid UTF-8, possibly empty, and as the table has it: sanitise it
 * before a terminal sees it.  Owned by the status. */
typedef struct awsflock_status {
	const char *lock;
	bool held;            /* somebody holds it, or may, for all that can be known */
	const char *lease_id; /* empty where the lock is free */
	const char *owner;
	uint64_t fence;            /* 0 = none: written by awsflock 0.2.0 */
	int64_t lease_duration;    /* seconds */
	int64_t expiration_time;   /* epoch seconds */
	int64_t acquired_time;     /* epoch seconds; 0 = unknown */
	int64_t remaining_seconds; /* that the holder may use, by the store's clock: none of the moments that a lease
				    * has to spare; negative once expiration_time has passed */
	const char *user, *host, *tty, *service, *rhost, *purpose; /* of the holder, as it told them */
	int64_t pid;                                               /* 0 = unknown */
	const char *broken_by;                                     /* who evicted the holder; empty = nobody */
	int64_t broken_time;                                       /* epoch seconds */
} awsflock_status;

/* Looks at one lock; changes nothing.  The caller frees *OUT with awsflock_status_free(). */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_inspect(awsflock *context, const char *lock, awsflock_status **out,
						   awsflock_error *error);
void awsflock_status_free(awsflock_status **status);

/* Called for each lock that was ever taken and not deleted or cleaned up, in no order; false ends the listing.
 * STATUS is valid during the call. */
typedef bool awsflock_list_fn(void *arg, const awsflock_status *status);

/* All locks whose name starts with PREFIX (NULL: all).  A damaged entry is logged, the others are listed all the
 * same, and AWSFLOCK_BAD_ITEM is returned at the end. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_list(awsflock *context, const char *prefix, awsflock_list_fn *each,
						void *arg, awsflock_error *error);

#define AWSFLOCK_BREAK_NOW 1u /* free the lock at once: only the fencing token protects until the holder notices */

/* Evicts the lease LEASE_ID (as awsflock_inspect() showed it) from LOCK, which becomes free when that lease would
 * have ended.  FLAGS: 0 or AWSFLOCK_BREAK_NOW.  BY is recorded.  AWSFLOCK_LOST where that lease does not hold the
 * lock any more. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_break(awsflock *context, const char *lock, const char *lease_id,
						 const char *by, unsigned flags, awsflock_error *error);

/* ---- Leases ------------------------------------------------------------------------------------------------- */

/* While the caller waits: HOLDER is who holds the lock, WAITED_MS how long this call has waited. */
typedef void awsflock_waiting_fn(void *arg, const awsflock_status *holder, int64_t waited_ms);

#define AWSFLOCK_WAIT_FOREVER (-1)

/* Start from AWSFLOCK_ACQUIRE_OPTIONS_INIT. */
typedef struct awsflock_acquire_options {
	size_t size;
	int64_t lease_seconds;                    /* 0: the configuration's lease_duration */
	int64_t wait_ms;                          /* 0: one try; AWSFLOCK_WAIT_FOREVER */
	const char *owner;                        /* NULL: the configuration's, else the host's name */
	const char *purpose;                      /* for people to read; may be NULL, as the four below */
	const char *user, *tty, *service, *rhost; /* NULL: user and tty are found out, service and rhost left out */
	awsflock_waiting_fn *waiting;
	void *waiting_arg;
	int64_t pid; /* the process that people are to look for; 0: this one */
	/* How long the lock is going to be held at the most, with renewals: of credentials that end before, a warning is
	 * logged.  0: not known; then of those that end before the lease or within the hour. */
	int64_t hold_seconds;
} awsflock_acquire_options;

#define AWSFLOCK_ACQUIRE_OPTIONS_INIT                                                                              \
	{                                                                                                          \
		sizeof(awsflock_acquire_options), 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0       \
	}

/* Takes LOCK (1 to AWSFLOCK_LOCK_MAX bytes of UTF-8 without control characters).  The lease counts from the grant,
 * not from the start of the wait.  AWSFLOCK_HELD (wait_ms 0) or AWSFLOCK_TIMED_OUT: error->message says who holds
 * it and until when.  Whatever a failed call may have taken is given back; only where error->outcome_unknown is set
 * may a request that was lost on the way still take the lock, which then remains held without a holder until its
 * lease expires.  Whatever the store does, a wait is answered within six seconds of its end, and one try within
 * fifteen, but for what is given back (awsflock_set_give_back_later()).  OPTIONS may be NULL.  The caller owns *OUT, releases it with awsflock_release() and frees it. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_acquire(awsflock *context, const char *lock,
						   const awsflock_acquire_options *options, awsflock_lease **out,
						   awsflock_error *error);

/* What a failed awsflock_acquire() may have taken is usually given back before it returns, which takes up to ten
 * seconds where the store does not answer.  With LATER the answer does not wait for that: the lock may then remain held
 * until its lease expires, unless awsflock_give_back() is called. */
void awsflock_set_give_back_later(awsflock *context, bool later);
/* CLOCK_BOOTTIME in nanoseconds at which everything that is still to be given back has expired; 0: there is nothing. */
int64_t awsflock_owed_until_boot_ns(const awsflock *context);
/* Gives back what is still to be given back, within ten seconds a lock, even if told to stop.  A child process may call
 * it in the place of its parent, and makes connections of its own.  On failure it may be called again. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_give_back(awsflock *context, awsflock_error *error);

/* A lease whose id came from elsewhere (another process, a person).  No request is made; its deadline is unknown
 * until the first renewal. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_adopt(awsflock *context, const char *lock, const char *lease_id,
						 awsflock_lease **out, awsflock_error *error);

/* Extends the lease to LEASE_SECONDS from now (0: as long as before, or the configuration's) under a new lease id;
 * OWNER replaces the recorded owner unless NULL.  AWSFLOCK_LOST: it is gone, and error->message says to whom.  On
 * any other failure the lease is as good as it was until its deadline; where error->outcome_unknown is set, either
 * of the ids of awsflock_lease_copy_ids() may be the valid one.  It is answered within fifteen seconds, whatever the store
 * does, as are awsflock_release(), awsflock_inspect() and awsflock_break(). */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_renew(awsflock_lease *lease, int64_t lease_seconds, const char *owner,
						 awsflock_error *error);

#define AWSFLOCK_RELEASE_DELETE 1u /* remove all trace: gives up the fencing token's memory */

/* Gives the lock back.  FLAGS: 0 or AWSFLOCK_RELEASE_DELETE.  AWSFLOCK_LOST: this lease did not hold it.  Where an
 * administrator has evicted the holder, the lock, which would become free when the evicted lease would have ended, is
 * free at once: so call it only when the work has ended.  On another
 * failure it may be called again.  The lease is still to be freed. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_release(awsflock_lease *lease, unsigned flags, awsflock_error *error);

/* True where the lease is known to be lost to an administrator's eviction (awsflock_break()). */
bool awsflock_lease_is_evicted(const awsflock_lease *lease);

/* Frees the memory, sets *LEASE to NULL; makes no request. */
void awsflock_lease_free(awsflock_lease **lease);

/* Renews every third of the lease until told to stop; returns AWSFLOCK_CANCELLED then, the lease still held.
 * AWSFLOCK_LOST: the lease is lost, or will be in STOP_MS milliseconds, the time the caller needs to stop its work;
 * error->message says why.  A lease shorter than three times STOP_MS is AWSFLOCK_INVALID. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_keepalive(awsflock_lease *lease, int64_t stop_ms, awsflock_error *error);

/* The lock's name.  Owned by the lease. */
const char *awsflock_lease_lock(const awsflock_lease *lease);
/* The id that proves ownership, to be kept by whoever renews or releases next.  Owned by the lease; changes with
 * every renewal. */
const char *awsflock_lease_id(const awsflock_lease *lease);
/* The fencing token: greater than every earlier grant's of this lock.  0: not known (an adopted lease). */
uint64_t awsflock_lease_fence(const awsflock_lease *lease);
/* How long the lease lasts from its grant or last renewal. */
int64_t awsflock_lease_seconds(const awsflock_lease *lease);
/* Epoch seconds by the store's clock at which the lease as last written ends.  0: not known. */
int64_t awsflock_lease_expiration_time(const awsflock_lease *lease);
/* CLOCK_BOOTTIME in nanoseconds by which the holder must have stopped.  INT64_MAX: not known (an adopted lease). */
int64_t awsflock_lease_deadline_boot_ns(const awsflock_lease *lease);
/* Milliseconds to that deadline, 0 once it has passed or the lease is known to be lost.  INT64_MAX: not known. */
int64_t awsflock_lease_remaining_ms(const awsflock_lease *lease);
/* Every id under which the lease may stand in the store, newest first, each of AWSFLOCK_LEASE_ID_SIZE bytes with
 * its zero, into IDS, at most CAPACITY of them.  Returns how many there are. */
size_t awsflock_lease_copy_ids(const awsflock_lease *lease, char (*ids)[AWSFLOCK_LEASE_ID_SIZE], size_t capacity);

/* ---- The table ---------------------------------------------------------------------------------------------- */

/* One line of progress, without its newline; valid during the call. */
typedef void awsflock_progress_fn(void *arg, const char *line);

/* Stays as it is: programs make arrays of it. */
typedef struct awsflock_tag {
	const char *key, *value;
} awsflock_tag;

/* Start from AWSFLOCK_TABLE_OPTIONS_INIT. */
typedef struct awsflock_table_options {
	size_t size;
	int64_t read_units, write_units; /* both 0: on-demand billing */
	bool deletion_protection;
	const awsflock_tag *tags;
	size_t tag_count;
	awsflock_progress_fn *progress; /* may be NULL */
	void *progress_arg;
} awsflock_table_options;

#define AWSFLOCK_TABLE_OPTIONS_INIT                                                                                \
	{                                                                                                          \
		sizeof(awsflock_table_options), 0, 0, false, NULL, 0, NULL, NULL                                   \
	}

/* Makes the table (or the local store's directory) and waits until it can be used.  One that exists is checked, and
 * what is missing is added; AWSFLOCK_BAD_TABLE where it cannot serve.  OPTIONS may be NULL. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_create_table(awsflock *context, const awsflock_table_options *options,
							awsflock_error *error);

/* ---- Diagnosis ---------------------------------------------------------------------------------------------- */

typedef enum awsflock_verdict {
	AWSFLOCK_CHECK_OK = 0,
	AWSFLOCK_CHECK_WARNING = 1, /* locks work; something else deserves a look */
	AWSFLOCK_CHECK_FAILED = 2   /* locks do not work before this is mended */
} awsflock_verdict;

/* One thing that was looked at.  Valid during the call; text as the log's: sanitised, never a secret. */
typedef struct awsflock_check {
	const char *name; /* "credentials", "table", ...: for scripts */
	awsflock_verdict verdict;
	const char *finding; /* one sentence: what was found */
	const char *mend;    /* what to do about it; empty where there is nothing to do */
} awsflock_check;

typedef void awsflock_check_fn(void *arg, const awsflock_check *check);

/* Checks, in the order in which a request needs them: settings, endpoint, credentials, connection, clock, table,
 * TTL and replicas (for the local store: settings, directory, boot), and at last takes, renews and releases the
 * lock SCRATCH (NULL: one of a random name, deleted afterwards).  Each is told to EACH; what cannot be checked
 * because of an earlier failure is left out.  AWSFLOCK_OK whatever the verdicts are; else the diagnosis itself
 * broke off. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_diagnose(awsflock *context, const char *scratch, awsflock_check_fn *each,
						    void *arg, awsflock_error *error);

/* ---- Small things ------------------------------------------------------------------------------------------- */

/* "15m", "3 minutes", "100hrs", "1 day", "1h30m", "90" (seconds) as seconds.  Zero, negative numbers, fractions and
 * overflow are AWSFLOCK_INVALID. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_parse_duration(const char *text, int64_t *seconds,
							  awsflock_error *error);

/* A name for the store in use that is the same in every process that works on the same one (kind, endpoint, region
 * and table; or directory).  Owned by the context. */
AWSFLOCK_MUST_CHECK awsflock_code awsflock_store_name(awsflock *context, const char **name, awsflock_error *error);

const char *awsflock_code_name(awsflock_code code); /* "held", "no-table", ...: for scripts and logs */
const char *awsflock_version(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
