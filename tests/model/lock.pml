/* A bounded model of the lock: what src/lock/{lease,operation,lease_ids,wait}.c and src/base/servertime.c do over a
 * network that loses, delays and repeats, with clocks that are wrong, checked by spin.  See run.py, which starts it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names are the code's names, so that the two can be held side by side; an inline here is the function of that name
 * there.  What is not of the code: the schedule at the end, which decides what happens next, and the promises.
 *
 * Time: one tick is one second, NOW is the server's true time.  CLOCK_BOOTTIME runs like it (no drift), so that an
 * offset of 0 is always the true one; CLOCK_REALTIME is NOW + clock_error.  A tick also stands for a "millisecond"
 * of a fence, so fences meet in the same tick far more often than they would.
 * A process is paused whenever the schedule does not choose it; a request is delayed until the schedule carries it
 * out, and lost if that never happens. */

#ifndef CLIENTS
#define CLIENTS 2
#endif
#define NEWCOMER CLIENTS /* comes when all others are gone, and must get the lock */
#define EVERYBODY (CLIENTS + 1)
#define NOBODY 255

/* The code's numbers.  The grace is 2 instead of 5 to keep the search small: it only ever protects. */
#define EXPIRY_MARGIN 2
#define RECLAIM_GRACE 2
#define LEASE_LOSS_TOLERATED 1
#define FENCE_LAG_TOLERATED 1
#define WRITES_PER_TRY 5
#define CORRECTIONS_MAX 2
#define TOMBSTONE_KEPT_TIME 1
#define A_DAY_AGO 2 /* a tombstone's expiration_time: in the past by every clock */
#define FIRST_TICK 20

/* A lease id is its client * 8 + the number of its operation: so many operations has a client, the newcomer fewer,
 * whose last numbers are the ids that others write. */
#define OPERATIONS_MAX (me == NEWCOMER -> 4 : 7)
#define owner_of(id) ((id) >> 3)
#define bit(id) (1 << (id))
#define PYTHON_ID(n) (NEWCOMER * 8 + 5 + (n) % 2)
#define BREAKER_ID (NEWCOMER * 8 + 7)

mtype = { STORE_ACQUIRE, STORE_RECLAIM, STORE_RENEW, STORE_RELEASE }; /* enum store_write_kind */

/* Whether a client waits for a reply */
#define NOT 0
#define QUICKLY 1
#define AT_LEISURE 2

/* awsflock_code */
#define OK 0
#define HELD 1
#define LOST 2
#define TIMED_OUT 3
#define UNREACHABLE 4
#define PROTOCOL 5

/* ---- A case: set by run.py in the environment --------------------------------------------------------------- */

hidden byte MUTANT;
hidden byte CHECK;        /* this promise alone; 0: all */
hidden byte SECONDS;      /* of a lease */
hidden byte SHORTER;      /* a renewal may ask for this many; 0: none does */
hidden byte TRIES, RENEWS; /* of each client, at the most */
hidden byte HORIZON;      /* ticks */
hidden byte CLOCK_ERROR;  /* CLOCK_REALTIME is wrong by this, either way, or right */
hidden byte CUT;          /* 1: a Date may be up to a second old */
hidden byte FRESH;        /* 1: each renewal and release is a new process that knows no server time */
hidden byte PYTHON_ERROR; /* its clock is wrong by this, either way, or right */
byte FAULTS;              /* attempts that may time out, in all */
byte SLOW;                /* operations that take time; others have their reply, or none, within the tick */
byte DOUBLED;             /* writes that a proxy delivers twice, which nobody can tell */
byte DUPLICATES, CLOCK_STEPS, TTL, BREAKS, PYTHON; /* how often each may happen; PYTHON: its PutItems */

c_decl {
	static unsigned char from_environment(const char *name)
	{
		const char *text = getenv(name);
		return text ? (unsigned char)atoi(text) : 0;
	}
}

/* The mutants: each undoes one rule.  run.py reads these names. */
#define MUTANT_EXPIRY_FROM_BEFORE_THE_WAIT 1
#define MUTANT_ONE_LEASE_ID 2
#define MUTANT_DEADLINE_FROM_THE_REPLY 3
#define MUTANT_REFUSED_AT_ITS_WORD 4
#define MUTANT_UNKNOWN_CLOCK_TRUSTED 5
#define MUTANT_NO_DEADLINE 6
#define MUTANT_POINT_OF_SERVER_TIME 7
#define MUTANT_NO_EXPIRY_MARGIN 8
#define MUTANT_FRESH_RENEW_NOT_CONFIRMED 9
#define MUTANT_SHORTENS_WHEN_CONFIRMED 10
#define MUTANT_CORRECTION_KEEPS_FENCE 11
#define MUTANT_EARLIER_IDS_FORGOTTEN 12
#define MUTANT_LATE_SUCCESS_REPORTED 13
#define MUTANT_RENEW_IGNORES_RELEASED 14
#define MUTANT_TOMBSTONE_ID_REMEMBERED 15
#define MUTANT_RENEW_REVIVES_TOMBSTONE 16 /* the last two together */
#define MUTANT_RELEASE_DELETES 17
#define MUTANT_NO_DATE_IN_DEADLINE 18
#define MUTANT_ONLY_IF_LONGER_LEFT_OUT 19
#define MUTANT_LATE_EXPIRY_KEPT 20
#define MUTANT_FENCE_FROM_TIME_ALONE 21
#define MUTANT_TOMBSTONE_LEFT_TO_TTL 22
#define MUTANT_GIVES_NOTHING_BACK 24
#define MUTANT_BREAK_AT_ONCE 25
#define MUTANT_FENCE_BELOW_EARLIER_TRY 26
#define MUTANT_GIVEN_BACK_NOT_SETTLED 27
#define MUTANT_OWN_TOMBSTONE_NOT_SETTLED 28
#define MUTANT_GIVEN_BACK_IDS_FORGOTTEN 29
#define MUTANT_DOUBLED_SUCCESS_FORGOTTEN 30
#define MUTANT_REFUSED_TRY_FORGOTTEN 31
#define MUTANT_EVICTION_OF_ANOTHER_FREED 32
#define is(name) (MUTANT == MUTANT_##name)

/* ---- The promises ------------------------------------------------------------------------------------------- */

bool exclusion = true;     /* no two believe that they hold the lock */
bool rising_fences = true; /* a grant's fence is above every earlier one's */
bool told_rightly = true;  /* no lost or late reply makes a wrong answer */
bool no_zombie = true;     /* what was released does not come back */
bool free_again = true;    /* a lock that nobody holds can be had */

/* A mutant is only asked for the promise that stands beside it in run.py. */
#define CHECK_exclusion 1
#define CHECK_rising_fences 2
#define CHECK_told_rightly 3
#define CHECK_no_zombie 4
#define CHECK_free_again 5
#define promise(what, holds) \
	what = (CHECK != 0 && CHECK != CHECK_##what) || (holds); \
	assert(what); \
	what = true

/* ---- The state ---------------------------------------------------------------------------------------------- */

typedef Item { /* struct lock_item; lease_id 0: there is none */
	byte lease_id, expires, fence;
	bool released
};

typedef Request { /* struct store_write, on its way; kind 0: none */
	mtype kind;
	byte lease_id, expires, fence;
	int accepted;
	bool only_if_longer;
	bool answerable /* its attempt is still waited for */
};

typedef Client {
	/* the process */
	bool began, gone;
	short clock_error;
	/* struct server_time: an interval of offsets */
	bool known;
	short low, high;
	/* struct pending_writes, struct acquisition */
	byte operations; /* lease ids used up */
	int ids;
	bool may_hold;
	byte highest_fence;
	bool has_seen;
	Item seen;
	byte started; /* only for a mutant */
	/* struct operation, struct store_write */
	mtype kind;
	byte lease_id, seconds, sent, attempt_sent, expires, fence;
	int accepted;
	bool is_grant, only_if_longer;
	byte waits; /* for a reply */
	/* struct store_reply */
	bool replied, applied, attempt_unknown;
	byte store_time;
	Item item;
	/* struct lease, or what the user of several processes believes */
	bool held;
	bool release_unknown;
	byte deadline, lease_fence, lease_seconds;
	/* for the promises alone */
	bool release_applied, release_doubled, release_told
};

byte now = FIRST_TICK;
byte running = NOBODY;
Item table;
Request wire[2 * EVERYBODY]; /* two for each client, the older first */
Client client[EVERYBODY];

byte highest_granted;  /* fence */
bool python_held, python_sees;
byte python_until, python_seen, python_lease_id;
short python_clock_error;
byte from, another; /* of store_write() */
bool applied, comes_again;
bool newcomer_came;
bool tombstone_deleted; /* by TTL or Python: a known limit of "no zombie" */

#define my client[me]
#define believes(who) (client[who].held && now < client[who].deadline)

#define item_copy(to, from) \
	to.lease_id = from.lease_id; \
	to.expires = from.expires; \
	to.fence = from.fence; \
	to.released = from.released

#define item_clear(it) \
	it.lease_id = 0; \
	it.expires = 0; \
	it.fence = 0; \
	it.released = false

/* Whatever may happen in between happens here. */
inline yield()
{
	running = NOBODY;
	running == me
}

/* ---- src/base/servertime.c ---------------------------------------------------------------------------------- */

#define server_time_earliest(at) ((at) + my.low)
#define server_time_latest(at) ((at) + my.high)
/* The point of the interval nearest to CLOCK_REALTIME. */
#define guessed_offset \
	(!my.known -> my.clock_error : \
		(my.clock_error < my.low -> my.low : (my.clock_error > my.high -> my.high : my.clock_error)))
#define server_time_guess(at) ((at) + guessed_offset)

inline server_time_observe()
{
	if
	:: !my.known || my.store_time - now > my.low -> my.low = my.store_time - now
	:: else
	fi;
	if
	:: !my.known || my.store_time + 1 - my.attempt_sent < my.high -> my.high = my.store_time + 1 - my.attempt_sent
	:: else
	fi;
	my.known = true;
	/* The model's own check: the true offset is in it. */
	assert(my.low <= 0 && my.high >= 0)
}

/* ---- src/lock/operation.c ----------------------------------------------------------------------------------- */

#define expiry_margin (is(NO_EXPIRY_MARGIN) -> 0 : EXPIRY_MARGIN)

inline operation_begin(Seconds)
{
	if
	:: my.operations == OPERATIONS_MAX -> goto gone
	:: else
	fi;
	my.operations++;
	my.lease_id = me * 8 + (is(ONE_LEASE_ID) && my.ids != 0 -> 1 : my.operations);
	my.seconds = Seconds;
	my.sent = now;
	my.is_grant = false;
	my.only_if_longer = false;
	my.expires = server_time_guess(is(EXPIRY_FROM_BEFORE_THE_WAIT) && my.started != 0 -> my.started : now) +
		     my.seconds + expiry_margin
}

/* Into my.fence. */
inline operation_fence(Above)
{
	my.fence = server_time_guess(my.sent);
	if
	:: my.fence <= (Above) && !is(FENCE_FROM_TIME_ALONE) -> my.fence = (Above) + 1
	:: else
	fi
}

inline operation_make_tombstone(Fence)
{
	my.fence = (Fence);
	my.expires = ((Fence) > server_time_guess(now) + 1 && !is(TOMBSTONE_LEFT_TO_TTL) -> TOMBSTONE_KEPT_TIME : A_DAY_AGO)
}

#define wire_copy(to, from) \
	to.kind = from.kind; \
	to.lease_id = from.lease_id; \
	to.expires = from.expires; \
	to.fence = from.fence; \
	to.accepted = from.accepted; \
	to.only_if_longer = from.only_if_longer; \
	to.answerable = from.answerable

#define wire_clear(it) \
	it.kind = 0; \
	it.lease_id = 0; \
	it.expires = 0; \
	it.fence = 0; \
	it.accepted = 0; \
	it.only_if_longer = false; \
	it.answerable = false

/* The older of three is lost. */
inline put_on_wire()
{
	if
	:: wire[2 * me].kind == 0 -> slot = 2 * me
	:: wire[2 * me].kind != 0 && wire[2 * me + 1].kind == 0 -> slot = 2 * me + 1
	:: else ->
		wire_copy(wire[2 * me], wire[2 * me + 1]);
		slot = 2 * me + 1
	fi;
	wire[slot].kind = my.kind;
	wire[slot].lease_id = my.lease_id;
	wire[slot].expires = my.expires;
	wire[slot].fence = my.fence;
	wire[slot].accepted = my.accepted;
	wire[slot].only_if_longer = my.only_if_longer;
	wire[slot].answerable = true;
	slot = 0;
	my.attempt_sent = now
}



/* Nobody waits for its reply any more. */
inline attempt_is_over()
{
	wire[2 * me].answerable = false;
	wire[2 * me + 1].answerable = false;
	my.replied = false
}

/* Of a refused write, whatever copy of it may still come. */
#define cannot_take_effect \
	(is(DOUBLED_SUCCESS_FORGOTTEN) || \
	 ((my.kind != STORE_ACQUIRE || is(REFUSED_TRY_FORGOTTEN)) && my.item.lease_id != my.lease_id))

/* One write with the store's own retries: every attempt is the same write. */
inline operation_send(Kind, Accepted, Remember)
{
	my.kind = Kind;
	my.accepted = Accepted;
	if
	:: Remember -> my.ids = my.ids | bit(my.lease_id)
	:: else
	fi;
	if
	:: my.fence > my.highest_fence -> my.highest_fence = my.fence
	:: else
	fi;
	my.attempt_unknown = false;
	if
	:: SLOW > 0 -> SLOW--; my.waits = AT_LEISURE
	:: my.waits = QUICKLY
	fi;
	printf("%d: client %d sends write_kind_%d lease_id=%d expires=%d fence=%d accepted=%x\n", now, me, my.kind, my.lease_id, my.expires, my.fence, my.accepted);
	resend = true;
	do
	:: resend ->
		put_on_wire();
		resend = false
	:: !resend ->
		yield();
		if
		:: my.replied ->
			code = OK;
			break
		:: FAULTS > 0 ->
			FAULTS--;
			my.attempt_unknown = true;
			item_clear(my.item);
			my.applied = false;
			my.store_time = 0;
			attempt_is_over();
			if
			:: printf("%d: client %d hears nothing and sends it again\n", now, me);
			   resend = true
			:: printf("%d: client %d hears nothing and gives that up\n", now, me);
			   code = UNREACHABLE;
			   break
			fi
		:: else
		fi
	od;
	my.waits = NOT;
	attempt_is_over();
	my.accepted = 0;
	my.only_if_longer = false;
	if
	:: code == OK ->
		server_time_observe();
		printf("%d: client %d hears: %d (1 applied, 0 refused), Date %d, lease_id=%d expires=%d fence=%d released=%d\n", now, me,
		       my.applied, my.store_time, my.item.lease_id, my.item.expires, my.item.fence, my.item.released)
	:: else
	fi;
	if /* note_outcome() */
	:: Remember && (code != OK || my.attempt_unknown || my.item.lease_id == my.lease_id) -> my.may_hold = true
	:: else
	fi;
	if
	:: Remember && ((code == OK && !my.applied && !my.attempt_unknown && cannot_take_effect) ||
			is(EARLIER_IDS_FORGOTTEN)) &&
	   !(is(ONE_LEASE_ID) && (my.lease_id & 7) == 1 && my.held) ->
		my.ids = my.ids & ~bit(my.lease_id)
	:: else
	fi
}

#define operation_took_effect \
	(my.item.lease_id == my.lease_id && !my.item.released && (my.applied || !is(REFUSED_AT_ITS_WORD)))
#define granted \
	(is(NO_DATE_IN_DEADLINE) || my.item.expires - expiry_margin - my.store_time > my.seconds -> my.seconds : \
		my.item.expires - expiry_margin - my.store_time)
#define expiry_is_wrong \
	(my.item.expires < server_time_earliest(my.sent) + my.seconds + expiry_margin || \
	 (my.item.expires > server_time_latest(my.sent) + my.seconds + expiry_margin + 1 && !is(LATE_EXPIRY_KEPT)))
#define fence_lags \
	(!is(CORRECTION_KEEPS_FENCE) && \
	 (my.item.fence == 0 || \
	  (my.is_grant && my.item.fence < server_time_earliest(my.sent) - FENCE_LAG_TOLERATED)))
#define unconfirmed \
	(is(EXPIRY_FROM_BEFORE_THE_WAIT) || (is(FRESH_RENEW_NOT_CONFIRMED) && FRESH && !my.is_grant))

/* Into code; grant_from() into my.deadline is left to the callers. */
inline operation_confirm()
{
	corrections = 0;
	do
	:: unconfirmed -> break
	:: !unconfirmed && !expiry_is_wrong && !fence_lags &&
	   (granted >= my.seconds - LEASE_LOSS_TOLERATED || corrections > 0) -> break
	:: else ->
		if
		:: corrections == CORRECTIONS_MAX -> code = PROTOCOL; break
		:: else
		fi;
		corrections++;
		/* correct() */
		lags = fence_lags;
		above = (my.item.fence > my.highest_fence -> my.item.fence : my.highest_fence);
		was_grant = my.is_grant;
		operation_begin(my.seconds);
		my.is_grant = was_grant;
		was_grant = false;
		if
		:: lags -> operation_fence(above)
		:: else -> my.fence = 0
		fi;
		lags = false;
		above = 0;
		operation_send(STORE_RENEW, my.ids, true);
		if
		:: code != OK -> break
		:: code == OK && !operation_took_effect -> code = LOST; break
		:: else
		fi
	od;
	corrections = 0;
	if
	:: code == OK ->
		new_deadline = (unconfirmed -> my.sent + my.seconds : (granted > 0 -> my.sent + granted : my.sent));
		if
		:: is(DEADLINE_FROM_THE_REPLY) -> new_deadline = new_deadline - my.sent + now
		:: else
		fi;
		if
		:: now >= new_deadline && !is(LATE_SUCCESS_REPORTED) -> code = TIMED_OUT
		:: else
		fi;
		if
		:: is(NO_DEADLINE) -> new_deadline = 255
		:: else
		fi
	:: else
	fi
}

/* The write of STORE_SETTLE, as if it came at once and always did: where it does not, that is only logged. */
inline conversation_settle()
{
	if
	:: code == OK && my.item.lease_id == my.lease_id && table.lease_id == my.lease_id &&
	   my.item.fence > server_time_guess(now) + 1 && (my.applied || !is(OWN_TOMBSTONE_NOT_SETTLED)) &&
	   !is(TOMBSTONE_LEFT_TO_TTL) ->
		table.expires = TOMBSTONE_KEPT_TIME
	:: else
	fi
}

/* Into nothing: a failure is only logged. */
inline conversation_give_back()
{
	if
	:: my.may_hold && !is(GIVES_NOTHING_BACK) ->
		operation_begin(0);
		above = my.highest_fence;
		operation_fence(above);
		above = my.fence;
		operation_make_tombstone(above);
		above = 0;
		operation_send(STORE_RELEASE, my.ids, false);
		if
		:: !is(GIVEN_BACK_NOT_SETTLED) -> conversation_settle()
		:: else
		fi;
		my.release_unknown = my.release_unknown || code == UNREACHABLE;
		my.ids = (code == OK || is(GIVEN_BACK_IDS_FORGOTTEN) -> 0 : my.ids);
		my.may_hold = my.ids != 0
	:: else
	fi
}

/* ---- src/lock/lease.c: acquire ------------------------------------------------------------------------------ */

#define lease_is_over(it) \
	(it.released || \
	 (is(UNKNOWN_CLOCK_TRUSTED) -> now + my.clock_error > it.expires + RECLAIM_GRACE : \
	 (is(POINT_OF_SERVER_TIME) -> my.known && server_time_guess(now) > it.expires + RECLAIM_GRACE : \
		my.known && server_time_earliest(now) > it.expires + RECLAIM_GRACE)))
#define contains(set, id) ((set & bit(id)) != 0)
#define seen_is_ours (my.has_seen && !my.seen.released && my.seen.lease_id != 0 && contains(my.ids, my.seen.lease_id))

inline acquisition_see()
{
	my.has_seen = my.item.lease_id != 0;
	item_copy(my.seen, my.item);
	my.may_hold = my.may_hold || seen_is_ours
}

inline lease_take_grant()
{
	printf("%d: client %d IS GRANTED lease_id=%d fence=%d deadline=%d\n", now, me, my.lease_id, my.item.fence, new_deadline);
	my.ids = bit(my.lease_id);
	my.may_hold = false;
	my.held = true;
	my.release_unknown = false;
	my.deadline = new_deadline;
	my.lease_fence = my.item.fence;
	my.lease_seconds = my.seconds;
	promise(told_rightly, now < new_deadline);
	for (other : 0 .. CLIENTS) {
		promise(exclusion, other == me || !believes(other))
	}
	other = 0;
	promise(exclusion, !(python_held && now < python_until));
	/* Whoever crashes now keeps the lock no longer than was asked for. */
	promise(free_again, my.item.expires <= now + my.seconds + EXPIRY_MARGIN + 2);
	if
	:: my.is_grant ->
		promise(rising_fences, my.item.fence > highest_granted);
		highest_granted = my.item.fence
	:: else
	fi;
	new_deadline = 0
}

/* granted_now, or refused with code OK, or what went wrong in code. */
inline try_one_write()
{
	granted_now = false;
	operation_begin(SECONDS);
	/* choose_write() */
	above = (my.has_seen -> my.seen.fence : 0);
	if
	:: my.highest_fence > above && (my.ids & ~bit(my.lease_id)) != 0 &&
	   (seen_is_ours || !is(FENCE_BELOW_EARLIER_TRY)) -> above = my.highest_fence
	:: else
	fi;
	if
	:: seen_is_ours ->
		kind = STORE_RENEW;
		accepted = my.ids
	:: !seen_is_ours && my.has_seen && (!my.seen.released || my.seen.fence == 0) && lease_is_over(my.seen) ->
		kind = STORE_RECLAIM;
		accepted = bit(my.seen.lease_id)
	:: else ->
		kind = STORE_ACQUIRE;
		accepted = 0
	fi;
	operation_fence(above);
	above = 0;
	my.is_grant = true;
	operation_send(kind, accepted, true);
	kind = 0;
	accepted = 0;
	if
	:: code == OK && operation_took_effect ->
		/* grant_to_lease() */
		operation_confirm();
		if
		:: code == OK ->
			lease_take_grant();
			granted_now = true
		:: else ->
			kept_code = code;
			conversation_give_back();
			code = (kept_code == LOST -> HELD : kept_code);
			kept_code = 0;
			if
			:: code == HELD -> my.has_seen = false
			:: else
			fi
		fi
	:: code == OK && !operation_took_effect -> acquisition_see()
	:: else
	fi;
	operation_forget()
}

/* What no later step looks at must not make states differ. */
inline operation_forget()
{
	my.kind = 0;
	my.seconds = 0;
	my.sent = 0;
	my.attempt_sent = 0;
	my.expires = 0;
	my.fence = 0;
	my.is_grant = false;
	my.applied = false;
	my.attempt_unknown = false;
	my.store_time = 0;
	item_clear(my.item)
}

inline acquisition_try()
{
	writes = 0;
	do
	:: writes == WRITES_PER_TRY -> code = HELD; break
	:: else ->
		writes++;
		try_one_write();
		if
		:: code != OK || granted_now -> break
		:: code == OK && !granted_now && my.has_seen && !seen_is_ours && !lease_is_over(my.seen) ->
			code = HELD;
			break
		:: else
		fi
	od;
	writes = 0
}

/* note_eviction() */
#define shows_own_eviction \
	(my.item.lease_id == BREAKER_ID && !my.item.released && !FRESH && \
	 (my.item.fence == my.lease_fence || is(EVICTION_OF_ANOTHER_FREED)))

/* ---- src/lock/lease.c: renew and release -------------------------------------------------------------------- */

inline lease_renew(Seconds)
{
	writes = 0;
	granted_now = false;
	code = OK;
	my.highest_fence = my.lease_fence;
	do
	:: code != OK || granted_now -> break
	:: code == OK && !granted_now && writes == WRITES_PER_TRY -> code = PROTOCOL; break
	:: else ->
		/* renew_once() */
		writes++;
		operation_begin(Seconds);
		my.only_if_longer = !my.known && !is(ONLY_IF_LONGER_LEFT_OUT);
		my.fence = 0;
		if /* shorten_deadline() */
		:: !FRESH && my.sent + my.seconds < my.deadline && !is(SHORTENS_WHEN_CONFIRMED) ->
			my.deadline = my.sent + my.seconds
		:: else
		fi;
		operation_send(STORE_RENEW, my.ids, true);
		if
		:: code == OK && operation_took_effect ->
			operation_confirm();
			granted_now = code == OK
		:: code == OK && !operation_took_effect &&
		   (my.item.lease_id == 0 || my.item.released || !contains(my.ids, my.item.lease_id) ||
		    is(REFUSED_AT_ITS_WORD)) ->
			code = LOST
		:: else
		fi
	od;
	writes = 0;
	if
	:: code == OK && (FRESH || now < my.deadline) -> lease_take_grant()
	:: code == OK && !(FRESH || now < my.deadline) ->
		new_deadline = 0;
		code = TIMED_OUT
	:: code == LOST ->
		printf("%d: client %d is told LOST\n", now, me);
		promise(told_rightly, my.item.lease_id == 0 || my.item.released || owner_of(my.item.lease_id) != me);
		evicted = shows_own_eviction
	:: else
	fi;
	granted_now = false;
	operation_forget()
}

inline lease_release()
{
	my.held = false;
	my.release_applied = my.release_unknown && my.release_applied;
	operation_begin(0);
	my.highest_fence = my.lease_fence;
	above = my.lease_fence;
	operation_fence(above);
	above = (my.lease_fence != 0 -> my.lease_fence : my.fence);
	operation_make_tombstone(above);
	above = 0;
	operation_send(STORE_RELEASE, my.ids, is(TOMBSTONE_ID_REMEMBERED) || is(RENEW_REVIVES_TOMBSTONE));
	conversation_settle();
	if /* judge_release() */
	:: code == OK && !my.applied && !((my.attempt_unknown || my.release_unknown || my.item.lease_id == my.lease_id) &&
					  !is(REFUSED_AT_ITS_WORD)) ->
		code = LOST
	:: code == UNREACHABLE -> my.release_unknown = true
	:: else
	fi;
	if
	:: code == LOST ->
		printf("%d: client %d is told that it had LOST the lock it released\n", now, me);
		/* Two copies by a proxy, and somebody else between them: a known limit. */
		promise(told_rightly, !my.release_applied || my.release_doubled);
		evicted = shows_own_eviction
	:: code == OK ->
		printf("%d: client %d is told that the lock is released\n", now, me);
		promise(told_rightly, table.released || table.lease_id == 0 || owner_of(table.lease_id) != me || tombstone_deleted);
		my.release_told = true
	:: else
	fi;
	operation_forget()
}

/* The release that follows once the work is gone: of what an eviction of this very lease left. */
inline lease_release_evicted()
{
	if
	:: evicted ->
		evicted = false;
		operation_begin(0);
		above = my.lease_fence;
		operation_make_tombstone(above);
		above = 0;
		operation_send(STORE_RELEASE, bit(BREAKER_ID), false);
		conversation_settle();
		code = LOST;
		operation_forget()
	:: else
	fi
}

/* ---- One user of the lock ----------------------------------------------------------------------------------- */

proctype user(byte me)
{
	mtype kind;
	byte code, kept_code, writes, corrections, above, slot, new_deadline, tries, renews, asked, other;
	int accepted;
	bool granted_now, lags, was_grant, resend, evicted;

	atomic {
		running == me;
		my.began = true;
		my.started = (is(EXPIRY_FROM_BEFORE_THE_WAIT) -> now : 0);
		/* wait_acquire(): looks, which change nothing, are left out. */
		do
		:: tries++;
		   acquisition_try();
		   if
		   :: granted_now -> break
		   :: !granted_now && code == HELD ->
			printf("%d: client %d is told HELD\n", now, me);
			promise(told_rightly, !my.has_seen || my.seen.released || owner_of(my.seen.lease_id) != me)
		   :: else
		   fi;
		   promise(free_again, me != NEWCOMER);
		   if
		   :: tries < TRIES && code != PROTOCOL -> yield()
		   :: conversation_give_back();
		      goto gone
		   fi
		od;
		code = OK;
		tries = 0;
		my.started = 0;
		my.has_seen = false;
		item_clear(my.seen);
		granted_now = false;
		/* heartbeat_keep(), or somebody at a terminal */
		do
		:: me == NEWCOMER -> goto gone
		:: else ->
			yield();
			if
			:: FRESH -> my.known = false; my.low = 0; my.high = 0
			:: else
			fi;
			if
			:: !FRESH && now >= my.deadline -> my.held = false; goto gone
			:: renews < RENEWS && (FRESH || now < my.deadline) ->
				renews++;
				if
				:: asked = SECONDS
				:: SHORTER != 0 -> asked = SHORTER
				fi;
				lease_renew(asked);
				asked = 0;
				if
				:: code == LOST || code == TIMED_OUT ->
					my.held = false;
					lease_release_evicted();
					goto gone
				:: else -> code = OK
				fi
			:: renews == RENEWS || RENEWS > 1 || now >= my.deadline || SHORTER != 0 ->
				lease_release();
				lease_release_evicted();
				/* Where nothing was heard, the user may also go on with the lease. */
				if
				:: code == UNREACHABLE && renews < RENEWS
				:: goto gone
				fi
			fi
		od;
gone:
		printf("%d: client %d is gone\n", now, me);
		attempt_is_over();
		operation_forget();
		my.gone = true;
		my.held = false;
		my.deadline = 0;
		my.lease_fence = 0;
		my.lease_seconds = 0;
		my.lease_id = 0;
		my.ids = 0;
		my.may_hold = false;
		my.highest_fence = 0;
		my.known = false;
		my.low = 0;
		my.high = 0;
		my.clock_error = 0;
		my.accepted = 0;
		my.waits = NOT;
		my.only_if_longer = false;
		my.has_seen = false;
		my.started = 0;
		my.operations = 0;
		item_clear(my.seen);
		code = 0; writes = 0; corrections = 0; tries = 0; renews = 0; asked = 0; above = 0; kind = 0; accepted = 0;
		kept_code = 0; new_deadline = 0; granted_now = false; lags = false; was_grant = false; evicted = false; other = 0;
		running = NOBODY
	}
}

/* ---- The store: src/lock/dynamodb/expression.c ----------------------------------------------------------------- */

#define ours(k) (table.lease_id != 0 && (wire[k].accepted & bit(table.lease_id)) != 0)
#define condition(k) \
	(wire[k].kind == STORE_ACQUIRE -> table.lease_id == 0 || (table.released && table.fence < wire[k].fence) : \
	(wire[k].kind == STORE_RECLAIM -> ours(k) : \
	(wire[k].kind == STORE_RENEW -> ours(k) && (!table.released || is(RENEW_IGNORES_RELEASED) || is(RENEW_REVIVES_TOMBSTONE)) && \
		(!wire[k].only_if_longer || table.expires <= wire[k].expires) : \
		ours(k) && !table.released)))

/* Carries out wire[k], and answers where somebody waits. */
inline store_write(k)
{
	from = (k) / 2;
	applied = condition(k);
	if
	:: applied && wire[k].kind == STORE_RELEASE ->
		client[from].release_applied = true;
		for (another : 0 .. CLIENTS) {
			promise(exclusion, another == from || !believes(another))
		}
		another = 0;
		if
		:: is(RELEASE_DELETES) -> item_clear(table)
		:: else ->
			table.lease_id = wire[k].lease_id;
			table.expires = wire[k].expires;
			table.fence = (table.fence != 0 -> table.fence : wire[k].fence) + 1;
			table.released = true
		fi
	:: applied && wire[k].kind != STORE_RELEASE ->
		promise(no_zombie, !client[from].release_told || tombstone_deleted);
		table.lease_id = wire[k].lease_id;
		table.expires = wire[k].expires;
		table.fence = (wire[k].fence != 0 -> wire[k].fence : table.fence);
		table.released = false
	:: else
	fi;
	printf("%d: the store takes client %d's lease_id=%d: applied=%d; now lease_id=%d expires=%d fence=%d released=%d\n", now, from,
	       wire[k].lease_id, applied, table.lease_id, table.expires, table.fence, table.released);
	if
	:: DOUBLED > 0 ->
		DOUBLED--;
		comes_again = true;
		client[from].release_doubled = client[from].release_doubled || wire[k].kind == STORE_RELEASE
	:: true
	fi;
	if
	:: wire[k].answerable && !client[from].replied ->
		if
		:: client[from].replied = true;
		   client[from].applied = applied;
		   item_copy(client[from].item, table);
		   if
		   :: client[from].store_time = now
		   :: CUT -> client[from].store_time = now - 1
		   fi;
		   wire[k].answerable = !comes_again
		:: comes_again /* the other copy is the one that is answered */
		fi
	:: else
	fi;
	if
	:: comes_again
	:: !comes_again;
	   wire_clear(wire[k]);
	   if
	   :: (k) % 2 == 0 -> /* the older first */
		wire_copy(wire[k], wire[(k) + 1]);
		wire_clear(wire[(k) + 1])
	   :: else
	   fi
	:: !comes_again && DUPLICATES > 0 ->
		/* libcurl's silent resend on a kept connection, which is known to be one. */
		DUPLICATES--;
		client[from].attempt_unknown = client[from].attempt_unknown || wire[k].answerable;
		wire[k].answerable = false
	fi;
	from = 0;
	applied = false;
	comes_again = false
}

/* TTL cleans up what has expired by the true time, no grace.  A known limit is left out: within a clock's error of a
 * grant its fence may be forgotten so.  In a tombstone it must not be while it lies ahead of the server's time. */
#define FENCE_IS_PAST 3
/* Nor may TTL come within one request, or a release that knows no server time stay unheard for good: a known limit. */
#define its_release_was_heard \
	(client[owner_of(table.lease_id)].waits == NOT && !client[owner_of(table.lease_id)].release_unknown)

inline time_to_live()
{
	printf("%d: TTL deletes lease_id=%d\n", now, table.lease_id);
	item_clear(table);
	tombstone_deleted = true;
	TTL--
}

inline lease_break()
{
	printf("%d: lease_id=%d is broken\n", now, table.lease_id);
	table.lease_id = BREAKER_ID;
	if
	:: is(BREAK_AT_ONCE) -> table.expires = A_DAY_AGO
	:: else
	fi;
	BREAKS--
}

/* ---- A peer that runs Python 0.2.0 -------------------------------------------------------------------------- */

#define python_now (now + python_clock_error)

inline python_looks()
{
	python_sees = true;
	python_seen = table.lease_id;
	printf("%d: Python sees lease_id=%d expires=%d, its clock says %d\n", now, table.lease_id, table.expires, python_now)
}

/* PutItem, under the lease id that it saw or has. */
inline python_puts(Seen)
{
	PYTHON--;
	if
	:: table.lease_id == (Seen) ->
		python_lease_id = PYTHON_ID(PYTHON);
		table.lease_id = python_lease_id;
		table.expires = python_now + SECONDS;
		table.fence = 0;
		table.released = false;
		python_held = true;
		python_until = now + SECONDS;
		highest_granted = 0; /* a known limit: the fence is lost */
		printf("%d: Python has it: lease_id=%d expires=%d\n", now, table.lease_id, table.expires);
		for (from : 0 .. CLIENTS) {
			promise(exclusion, !believes(from))
		}
		from = 0
	:: else -> python_held = false; python_until = 0; python_lease_id = 0
	fi;
	python_sees = false;
	python_seen = 0
}

inline python_releases()
{
	printf("%d: Python releases\n", now);
	if
	:: table.lease_id == python_lease_id -> item_clear(table); tombstone_deleted = true
	:: else
	fi;
	python_held = false;
	python_until = 0;
	python_lease_id = 0
}

/* ---- What happens next -------------------------------------------------------------------------------------- */

#define everybody_is_gone (client[0].gone && client[1].gone && (CLIENTS < 3 || client[CLIENTS - 1].gone) && !python_held)
#define open (now < FIRST_TICK + HORIZON && !newcomer_came)
#define nobody_hurries (client[0].waits != QUICKLY && client[1].waits != QUICKLY && client[CLIENTS - 1].waits != QUICKLY)

#define any_clock_error(it) \
	if \
	:: it = 0 \
	:: CLOCK_ERROR > 0 -> it = CLOCK_ERROR \
	:: CLOCK_ERROR > 0 -> it = -CLOCK_ERROR \
	fi

/* All that is under way is lost, and the lease, if one stands, has run out, with a second for the cut of Date. */
inline newcomer_comes()
{
	for (from : 0 .. 2 * CLIENTS + 1) {
		wire_clear(wire[from])
	}
	from = 0;
	newcomer_came = true;
	any_clock_error(client[NEWCOMER].clock_error);
	FAULTS = 0; DOUBLED = 0; DUPLICATES = 0; CLOCK_STEPS = 0; TTL = 0; BREAKS = 0; PYTHON = 0;
	if
	:: table.lease_id != 0 && !table.released && table.expires + RECLAIM_GRACE + 2 > now ->
		now = table.expires + RECLAIM_GRACE + 2
	:: else
	fi;
	printf("%d: everybody is gone; a newcomer tries\n", now)
}

inline select_client(it)
{
	for (it : 0 .. CLIENTS - 1) {
		if
		:: !client[it].gone && (it == 0 || client[it - 1].began) -> running = it; break
		:: true
		fi
	}
}

inline select_wire(it)
{
	for (it : 0 .. 2 * CLIENTS + 1) {
		if
		:: wire[it].kind != 0 -> store_write(it); break
		:: true
		fi
	}
}

proctype schedule()
{
	byte who;

	do
	:: atomic {
		running == NOBODY ->
		if
		:: open && nobody_hurries && client[0].began ->
			now++;
			if
			:: python_held && now >= python_until -> python_until = 0
			:: else
			fi
		:: open -> select_client(who)
		:: open || newcomer_came -> select_wire(who)
		:: open && TTL > 0 && table.lease_id != 0 && table.expires != TOMBSTONE_KEPT_TIME && now >= table.expires &&
		   (now > highest_granted + FENCE_IS_PAST ||
		    (table.released && highest_granted > now + FENCE_IS_PAST && its_release_was_heard)) -> time_to_live()
		:: open && BREAKS > 0 && table.lease_id != 0 && !table.released -> lease_break()
		:: open && CLOCK_STEPS > 0 && !client[0].gone -> CLOCK_STEPS--; any_clock_error(client[0].clock_error)
		:: open && PYTHON > 0 && !python_sees && !python_held &&
		   (table.lease_id == 0 || python_now - table.expires > RECLAIM_GRACE) -> python_looks()
		:: open && PYTHON > 0 && python_sees -> python_puts(python_seen)
		:: open && PYTHON > 0 && python_held -> python_puts(python_lease_id)
		:: open && python_held -> python_releases()
		:: !newcomer_came && everybody_is_gone -> newcomer_comes()
		:: newcomer_came && !client[NEWCOMER].gone -> running = NEWCOMER
		fi;
		who = 0
	   }
	od
}

init {
	atomic {
		c_code {
			MUTANT = from_environment("MUTANT");
			CHECK = from_environment("CHECK");
			SECONDS = from_environment("SECONDS");
			SHORTER = from_environment("SHORTER");
			TRIES = from_environment("TRIES");
			RENEWS = from_environment("RENEWS");
			HORIZON = from_environment("HORIZON");
			CLOCK_ERROR = from_environment("CLOCK_ERROR");
			CUT = from_environment("CUT");
			FRESH = from_environment("FRESH");
			PYTHON_ERROR = from_environment("PYTHON_ERROR");
			now.FAULTS = from_environment("FAULTS");
			now.SLOW = from_environment("SLOW");
			now.DOUBLED = from_environment("DOUBLED");
			now.DUPLICATES = from_environment("DUPLICATES");
			now.CLOCK_STEPS = from_environment("CLOCK_STEPS");
			now.TTL = from_environment("TTL");
			now.BREAKS = from_environment("BREAKS");
			now.PYTHON = from_environment("PYTHON");
		};
		byte each;
		for (each : 0 .. CLIENTS) {
			run user(each)
		}
		for (each : 0 .. CLIENTS - 1) {
			any_clock_error(client[each].clock_error)
		}
		each = 0;
		if
		:: true
		:: PYTHON_ERROR > 0 -> python_clock_error = PYTHON_ERROR
		:: PYTHON_ERROR > 0 -> python_clock_error = -PYTHON_ERROR
		fi;
		run schedule()
	}
}
