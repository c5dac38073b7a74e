/* SPDX-License-Identifier: Apache-2.0
 *
 * The guardian as a machine, on a clock and with members that the test makes up.  The connections are real. */
#include "cmocka_all.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "keeper/loop.h"
#include "keeper/machine.h"

#define MS NS_PER_MS
#define START_NS (1000 * NS_PER_S)
#define LEASE_MS 30000
#define GRACE_MS 4000
#define END_MS 6000
#define DEADLINE_NS (START_NS + LEASE_MS * MS)
#define RENEWED_MS 10000 /* by what a renewal in these tests moves the deadline */
#define TURNS_MAX 20000

/* ---- A machine of the test's own ------------------------------------------------------------------------- */

enum call {
	CALL_NONE,
	CALL_POLL,
	CALL_SET_TIMER,
	CALL_RECEIVE_NOTHING,
	CALL_RECEIVE_END,
	CALL_FORK,
	CALL_RESTART,
	CALL_COUNT
};

struct fake_world {
	struct world world;
	int64_t now_ns, alarm_ns;
	enum call failing;
	int fails_from, fails_until, calls; /* which calls of that kind fail */
	bool is_copy;                       /* fork() returns in the standby */
	jmp_buf *killed;                    /* where to go with the first message in hand; NULL: nowhere */
	struct guardian *watched;           /* whose guardian makes progress, for a standby to see */
	int64_t works_until_ns;
	int forks, restarts;
	int renewer; /* the other end of the connection to the one that was started again; -1: none */
	char log[65536];
};

static struct fake_world *fake(struct world *world)
{
	return (struct fake_world *)world;
}

static bool fails(struct fake_world *world, enum call call)
{
	if (world->failing != call)
		return false;
	world->calls++;
	return world->calls > world->fails_from && world->calls <= world->fails_until;
}

static int64_t fake_now_ns(struct world *world)
{
	return fake(world)->now_ns;
}

static void fake_log(struct world *world, int priority, const char *line)
{
	size_t used = strlen(fake(world)->log);

	(void)priority;
	snprintf(fake(world)->log + used, sizeof(fake(world)->log) - used, "%s\n", line);
}

static bool fake_send(struct world *world, int fd, const struct wire_message *message)
{
	(void)world;
	return wire_send(fd, message);
}

static enum wire_result fake_receive(struct world *world, int fd, struct wire_message *message, uid_t *sender)
{
	enum wire_result result;

	if (fails(fake(world), CALL_RECEIVE_NOTHING)) {
		fake(world)->now_ns += 20 * MS;
		return WIRE_NOTHING;
	}
	if (fails(fake(world), CALL_RECEIVE_END))
		return WIRE_END;
	result = wire_receive(fd, message, sender);
	if (result == WIRE_GOT && fake(world)->killed)
		longjmp(*fake(world)->killed, 1);
	if (result == WIRE_GOT && sender)
		*sender = 0; /* whoever runs the test: only root is believed */
	return result;
}

/* Time passes where nothing is there to be heard. */
static int fake_poll(struct world *world, struct pollfd *polled, nfds_t count, int timeout_ms)
{
	int ready;

	if (fails(fake(world), CALL_POLL)) {
		fake(world)->now_ns += 20 * MS;
		errno = EINVAL;
		return -1;
	}
	ready = poll(polled, count, 0);
	if (ready == 0 && timeout_ms > 0)
		fake(world)->now_ns += timeout_ms * MS;
	else if (ready == 0 && timeout_ms < 0 && fake(world)->alarm_ns > fake(world)->now_ns)
		fake(world)->now_ns = fake(world)->alarm_ns;
	if (fake(world)->watched && fake(world)->now_ns <= fake(world)->works_until_ns)
		progress_step(fake(world)->watched->progress);
	return ready;
}

static bool fake_set_timer(struct world *world, int fd, int64_t at_ns)
{
	(void)fd;
	if (fails(fake(world), CALL_SET_TIMER))
		return false;
	fake(world)->alarm_ns = at_ns;
	return true;
}

/* A descriptor that is ready, as the pidfd of one that has ended, and through which nobody can be signalled. */
static int ended_pidfd(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	close(ends[1]);
	return ends[0];
}

static pid_t fake_fork(struct world *world, int *pidfd)
{
	if (fails(fake(world), CALL_FORK))
		return -1;
	fake(world)->forks++;
	if (fake(world)->watched)
		*pidfd = dup(fake(world)->watched->host_fd); /* of one that runs */
	else
		*pidfd = fake(world)->is_copy ? ended_pidfd() : -1;
	return fake(world)->is_copy ? 0 : 999999;
}

static awsflock_code fake_restart_renewer(struct world *world, struct guardian *guardian, awsflock_error *error)
{
	int pair[2];

	if (fails(fake(world), CALL_RESTART))
		return error_set(error, AWSFLOCK_INTERNAL, "no process just now");
	if (fake(world)->renewer >= 0)
		close(fake(world)->renewer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	guardian->renewer.fd = pair[0];
	fake(world)->renewer = pair[1];
	fake(world)->restarts++;
	return AWSFLOCK_OK;
}

static void fake_take_precedence(struct world *world)
{
	(void)world;
}

static const struct world_ops fake_world_ops = { .now_ns = fake_now_ns,
						 .log = fake_log,
						 .send = fake_send,
						 .receive = fake_receive,
						 .poll = fake_poll,
						 .set_timer = fake_set_timer,
						 .fork = fake_fork,
						 .restart_renewer = fake_restart_renewer,
						 .take_precedence = fake_take_precedence };

/* ---- Members of its own ---------------------------------------------------------------------------------- */

struct fake_members {
	struct membership members;
	struct fake_members *session; /* whose are among these; NULL: these are the session's */
	struct fake_world *world;
	size_t count, refreshes;
	int event_fd; /* 0: none */
	bool is_deaf, is_immortal, host_runs;
	int64_t look_ns;  /* how long a look takes */
	const char *name; /* of each; NULL: some program's */
	int64_t hangup_ns, terminate_ns, kill_ns, host_ns, warned_ns, moves_ns,
		closes_ns; /* the first of each; 0: none yet */
	char line[1024];
};

static void note_first(int64_t *first_ns, const struct fake_members *members)
{
	if (*first_ns == 0)
		*first_ns = members->world->now_ns;
}

static struct fake_members *fake_of(struct membership *members)
{
	return (struct fake_members *)members;
}

static bool fake_begin(struct membership *members)
{
	(void)members;
	return true;
}

static void fake_host_closes(struct membership *members)
{
	note_first(&fake_of(members)->closes_ns, fake_of(members));
}

static bool fake_refresh(struct membership *members, bool fully)
{
	fake_of(members)->refreshes++;
	fake_of(members)->world->now_ns += fake_of(members)->look_ns;
	(void)fully;
	return true;
}

static size_t fake_count(const struct membership *members)
{
	const struct fake_members *fakes = (const struct fake_members *)members;

	return fakes->count + (fakes->session ? fakes->session->count : 0);
}

static bool fake_is_empty(struct membership *members)
{
	return fake_count(members) == 0;
}

static bool fake_host_runs(const struct membership *members)
{
	const struct fake_members *fakes = (const struct fake_members *)members;

	return fakes->session ? fakes->session->host_runs : fakes->host_runs;
}

static void fake_host_moves(struct membership *members)
{
	note_first(&fake_of(members)->moves_ns, fake_of(members));
}

static void fake_signal(struct membership *members, int signal)
{
	struct fake_members *fakes = fake_of(members);

	if (fakes->session)
		fake_signal(&fakes->session->members, signal);
	note_first(signal == SIGHUP ? &fakes->hangup_ns : &fakes->terminate_ns, fakes);
	if (!fakes->is_deaf)
		fakes->count = 0;
}

static bool fake_kill(struct membership *members)
{
	struct fake_members *fakes = fake_of(members);

	if (fakes->session)
		fake_kill(&fakes->session->members);
	note_first(&fakes->kill_ns, fakes);
	if (!fakes->is_immortal)
		fakes->count = 0;
	return false;
}

static void fake_kill_host(struct membership *members)
{
	if (fake_of(members)->session)
		fake_kill_host(&fake_of(members)->session->members);
	note_first(&fake_of(members)->host_ns, fake_of(members));
	fake_of(members)->host_runs = false;
}

static bool fake_each(const struct membership *members, bool (*each)(void *arg, const struct process *process),
		      void *arg)
{
	const struct fake_members *fake = (const struct fake_members *)members;
	struct process process = { .pid = 1 };

	snprintf(process.name, sizeof(process.name), "%s", fake->name ? fake->name : "sh");
	for (size_t i = 0; i < fake_count(members); i++)
		if (!each(arg, &process))
			return false;
	return true;
}

static void fake_describe(const struct membership *members, char *text, size_t size)
{
	snprintf(text, size, "%zu (members)", fake_count(members));
}

static void fake_notify(struct membership *members, const char *tty, const char *line)
{
	(void)tty;
	note_first(&fake_of(members)->warned_ns, fake_of(members));
	snprintf(fake_of(members)->line, sizeof(fake_of(members)->line), "%s", line);
}

static int fake_event_fd(const struct membership *members)
{
	int fd = ((const struct fake_members *)members)->event_fd;

	return fd > 0 ? fd : -1;
}

/* The real ones look a last time. */
static void fake_free(struct membership *members)
{
	progress_step(members->progress);
}

static const struct membership_ops fake_members_ops = { .begin = fake_begin,
							.host_closes = fake_host_closes,
							.refresh = fake_refresh,
							.count = fake_count,
							.is_empty = fake_is_empty,
							.host_runs = fake_host_runs,
							.host_moves = fake_host_moves,
							.signal = fake_signal,
							.kill = fake_kill,
							.kill_host = fake_kill_host,
							.each = fake_each,
							.describe = fake_describe,
							.notify = fake_notify,
							.event_fd = fake_event_fd,
							.free = fake_free };

/* ---- A guardian with all its ends ------------------------------------------------------------------------- */

struct fixture {
	struct guardian guardian;
	struct fake_world world;
	struct fake_members members, everybody;
	int module, renewer, client, host; /* the other ends; host: what makes its pidfd ready when closed */
	bool was_released;
};

static void make_pair(int *ours, int *theirs)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	*ours = pair[0];
	*theirs = pair[1];
}

static void set_up(struct fixture *fixture)
{
	struct guardian *guardian = &fixture->guardian;
	int module, host;

	memset(fixture, 0, sizeof(*fixture));
	fixture->world.world.ops = &fake_world_ops;
	fixture->world.now_ns = START_NS;
	fixture->world.renewer = -1;
	fixture->members = (struct fake_members){ .members = { &fake_members_ops },
						  .world = &fixture->world,
						  .count = 2,
						  .is_deaf = true,
						  .host_runs = true };
	fixture->everybody = (struct fake_members){ .members = { &fake_members_ops },
						    .session = &fixture->members,
						    .world = &fixture->world,
						    .count = 1,
						    .is_deaf = true };
	make_pair(&fixture->module, &module);
	make_pair(&fixture->host, &host);
	wire_want_sender(module);
	guardian_init(guardian, &fixture->world.world, module, host);
	make_pair(&fixture->renewer, &guardian->renewer.fd);
	guardian->members = &fixture->members.members;
	guardian->everybody = &fixture->everybody.members;
	guardian->guard.lock = strdup("ops");
	guardian->guard.leftovers_end = strdup("");
	guardian->guard.lease_s = (LEASE_MS + RENEWED_MS) / 1000;
	guardian->guard.grace_ms = GRACE_MS;
	guardian->guard.end_ms = END_MS;
	guardian->guard.is_for_person = true;
	guardian->session.person = strdup("alice");
	guardian->session.tty = strdup("");
	guardian->store_name = strdup("store");
	assert_true(guardian_share_memory(guardian));
	fixture->members.members.progress = fixture->everybody.members.progress = guardian->progress;
	guardian->life->deadline_boot_ns = DEADLINE_NS;
	fixture->client = -1;
}

static void tear_down(struct fixture *fixture)
{
	int ends[] = { fixture->module, fixture->renewer,          fixture->world.renewer,      fixture->client,
		       fixture->host,   fixture->guardian.host_fd, fixture->guardian.session_fd };

	guardian_free(&fixture->guardian);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i] >= 0)
			close(ends[i]);
}

static void fill_message(struct wire_message *message, enum wire_type type)
{
	wire_begin(message, type);
	if (type == WIRE_VALID) {
		wire_put_number(message, WIRE_DEADLINE_BOOT_NS, DEADLINE_NS + RENEWED_MS * MS);
		wire_put_number(message, WIRE_EXPIRATION_TIME, 2000000000);
	}
	if (type == WIRE_LOST) {
		wire_put_number(message, WIRE_REFUSED, 1);
		wire_put_text(message, WIRE_SENTENCE, "it was broken");
	}
	if (type == WIRE_KEPT)
		wire_put_text(message, WIRE_SENTENCE, "the store does not answer");
	if (type == WIRE_DENIED) {
		wire_put_number(message, WIRE_REASON, WIRE_REASON_CONFIG);
		wire_put_text(message, WIRE_SENTENCE, "there is no user 'awsflock' on this machine");
	}
	if (type == WIRE_JOIN) {
		wire_put_number(message, WIRE_PERSON_UID, 0);
		wire_put_text(message, WIRE_STORE_NAME, "store");
		wire_put_text(message, WIRE_LOCK, "ops");
		wire_put_number(message, WIRE_STOP_MS, 2000);
		wire_put_text(message, WIRE_SESSION, "0123456789abcdef0123456789abcdef");
	}
}

static bool can_send(int fd, enum wire_type type)
{
	struct wire_message message;

	fill_message(&message, type);
	return wire_send(fd, &message);
}

/* Whether anybody is left there to hear it, or not. */
static void send_message(int fd, enum wire_type type)
{
	(void)can_send(fd, type);
}

static void happen(struct fixture *fixture, enum guardian_event event)
{
	static const struct {
		enum guardian_event event;
		enum wire_type type;
	} messages[] = { { EVENT_VALID, WIRE_VALID },
			 { EVENT_LOST, WIRE_LOST },
			 { EVENT_KEPT, WIRE_KEPT },
			 { EVENT_CLIENT_JOINS, WIRE_JOIN } };
	struct wire_message message;

	wire_begin(&message, WIRE_LOG);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].event == event)
			fill_message(&message, messages[i].type);
	if (event == EVENT_MOVED)
		message.passed = dup(fixture->guardian.host_fd);
	/* Of the last client, where it is one's. */
	machine_event(&fixture->guardian, event, &message,
		      event == EVENT_CLIENT_JOINS ? fixture->guardian.lease_client_count - 1 : 0);
	if (message.passed >= 0)
		close(message.passed);
}

static void add_client(struct fixture *fixture)
{
	struct lease_client *client = &fixture->guardian.lease_clients[fixture->guardian.lease_client_count++];

	*client = (struct lease_client){ .fd = -1 };
	make_pair(&fixture->client, &client->fd);
}

/* What the other end FD got, of TYPE: others are thrown away. */
static bool got(int fd, enum wire_type type)
{
	struct wire_message message;
	bool found = false;

	while (wire_receive(fd, &message, NULL) == WIRE_GOT)
		found = found || wire_type(&message) == (unsigned)type;
	return found;
}

/* A KEPT that says that another session shares it, or one that does not. */
static bool got_kept(int fd, bool is_shared)
{
	struct wire_message message;
	bool found = false;

	while (wire_receive(fd, &message, NULL) == WIRE_GOT)
		found = found || (wire_type(&message) == WIRE_KEPT &&
				  (wire_number(&message, WIRE_SHARED) == 1) == is_shared);
	return found;
}

/* Whatever the keeper does: the lock is never on its way back while a member lives, and somebody always watches. */
static void assert_safe(struct fixture *fixture)
{
	const struct guardian *guardian = &fixture->guardian;

	if (got(fixture->renewer, WIRE_RELEASE))
		fixture->was_released = true;
	if (fixture->was_released || guardian->state == GUARDIAN_OVER)
		assert_true(fixture->members.count == 0 || !guardian->life->is_opened);
	if (fixture->was_released && guardian->life->ends_person && !guardian->is_lost)
		assert_true(fixture->everybody.count == 0 || !guardian->life->is_opened);
	if (guardian->state != GUARDIAN_OVER && guardian->state != GUARDIAN_EMPTY)
		assert_true(machine_next_ns(guardian) != NEVER);
}

static void run_until(struct fixture *fixture, int64_t until_ns)
{
	for (int turns = 0;
	     fixture->guardian.state != GUARDIAN_OVER && machine_next_ns(&fixture->guardian) <= until_ns; turns++) {
		assert_true(turns < TURNS_MAX);
		loop_turn(&fixture->guardian);
		assert_safe(fixture);
	}
	if (fixture->world.now_ns < until_ns)
		fixture->world.now_ns = until_ns;
}

static void run_to_end(struct fixture *fixture)
{
	run_until(fixture, START_NS + 3600 * NS_PER_S);
}

static void bring_to(struct fixture *fixture, enum guardian_state state)
{
	set_up(fixture);
	if (state == GUARDIAN_OPENING)
		return;
	happen(fixture, EVENT_GRANTED);
	if (state == GUARDIAN_GRANTED)
		return;
	happen(fixture, EVENT_OPENED);
	if (state == GUARDIAN_OPEN)
		return;
	fixture->guardian.session.may_move = state == GUARDIAN_MOVING;
	if (state == GUARDIAN_ENDING || state == GUARDIAN_MOVING) {
		happen(fixture, EVENT_HOST_ENDED);
		return;
	}
	if (state == GUARDIAN_EMPTY) {
		add_client(fixture);
		happen(fixture, EVENT_CLIENT_JOINS);
	}
	if (state == GUARDIAN_EMPTY || state == GUARDIAN_RELEASING || state == GUARDIAN_OVER)
		fixture->members.count = 0;
	happen(fixture, EVENT_CLOSED);
	if (state == GUARDIAN_HOLDING)
		run_until(fixture, START_NS + 500 * MS);
	else if (state != GUARDIAN_CLOSING)
		happen(fixture, EVENT_LOOK_DUE);
	if (state == GUARDIAN_OVER)
		happen(fixture, EVENT_RELEASED);
	assert_int_equal(fixture->guardian.state, state);
}

/* ---- Each state, each event ------------------------------------------------------------------------------- */

/* What follows; -: not permitted.  Letters: the states' own, see below; members are deaf and alive, so that no look
 * finds nobody. */
static const char letters[] = "ogOmchEeRx";
static const char *const outcomes[GUARDIAN_STATE_COUNT] = {
	/* granted OPENED RELEASE MOVED module host | VALID LOST RELEASED KEPT wrong gone | JOIN client standby members |
	 * unrenewed end look step state standby renewer */
	[GUARDIAN_OPENING] = "g----- ------ ---- -------",   [GUARDIAN_GRANTED] = "-OR-RR gx---g gggg R---Rgg",
	[GUARDIAN_OPEN] = "--cOOE OO---O OOOO OEO--OO",      [GUARDIAN_MOVING] = "--cOE- mm---m mmmm mEm-Emm",
	[GUARDIAN_CLOSING] = "----cc cc---c cccc cEc-hcc",   [GUARDIAN_HOLDING] = "----hh hh---h hhhh hEh--hh",
	[GUARDIAN_ENDING] = "--E-EE EE---E EEEE E--E-EE",    [GUARDIAN_EMPTY] = "-Ee-ee ee---e eeee e----ee",
	[GUARDIAN_RELEASING] = "-ER-RR RRxx-x RRRR ----x--", [GUARDIAN_OVER] = "------ ------ ---- -------",
};

static char outcome_of(enum guardian_state state, enum guardian_event event)
{
	const char *row = outcomes[state];
	int passed = 0;

	for (; *row; row++)
		if (*row != ' ' && passed++ == (int)event)
			return *row;
	fail_msg("no outcome for %s in %s", machine_event_name(event), machine_state_name(state));
	return '?';
}

/* Where the renewer says what it must not, it is not relied on: the loss of a grant gives up at once. */
static enum guardian_state after_refusal(enum guardian_state state, enum guardian_event event)
{
	if (event < EVENT_VALID || event > EVENT_SOURCE_WRONG)
		return state;
	return state == GUARDIAN_GRANTED || state == GUARDIAN_RELEASING ? GUARDIAN_OVER : state;
}

static void check_refusal(struct fixture *fixture, enum guardian_state before, enum guardian_event event)
{
	assert_non_null(strstr(fixture->world.log, "is not permitted while"));
	assert_int_equal(fixture->guardian.state, after_refusal(before, event));
	if (event >= EVENT_VALID && event <= EVENT_SOURCE_WRONG && before != GUARDIAN_OPENING &&
	    before != GUARDIAN_OVER) {
		assert_int_equal(fixture->guardian.renewer.fd, -1);
		assert_true(fixture->guardian.is_lost || before == GUARDIAN_RELEASING);
	}
}

static void each_event_in_each_state_does_what_it_must(void **state)
{
	struct fixture *fixture = malloc(sizeof(*fixture));

	(void)state;
	assert_non_null(fixture);
	for (int from = 0; from < GUARDIAN_STATE_COUNT; from++) {
		for (int number = 0; number < EVENT_COUNT; number++) {
			enum guardian_event event = (enum guardian_event)number;
			char outcome = outcome_of((enum guardian_state)from, event);
			bring_to(fixture, (enum guardian_state)from);
			fixture->world.log[0] = '\0';
			if (event == EVENT_CLIENT_JOINS)
				add_client(fixture);
			happen(fixture, event);
			if (outcome == '-') {
				check_refusal(fixture, (enum guardian_state)from, event);
			} else if (letters[fixture->guardian.state] != outcome) {
				fail_msg("%s while %s leads to %s", machine_event_name(event),
					 machine_state_name(from), machine_state_name(fixture->guardian.state));
			}
			assert_int_equal(outcome != '-', machine_permits((enum guardian_state)from, event));
			tear_down(fixture);
		}
	}
	free(fixture);
}

/* ---- Every order ------------------------------------------------------------------------------------------ */

enum mishap {
	MISHAP_LOST,
	MISHAP_HOST_ENDED,
	MISHAP_CLOSED,
	MISHAP_RENEWER_GONE,
	MISHAP_STANDBY,
	MISHAP_COUNT
};

static void strike(struct fixture *fixture, enum mishap mishap)
{
	struct guardian *guardian = &fixture->guardian;

	switch (mishap) {
	case MISHAP_LOST:
		send_message(fixture->renewer, WIRE_LOST);
		break;
	case MISHAP_HOST_ENDED:
		fixture->members.host_runs = false;
		if (fixture->host >= 0)
			close(fixture->host);
		fixture->host = -1;
		break;
	case MISHAP_CLOSED:
		send_message(fixture->module, WIRE_RELEASE);
		break;
	case MISHAP_RENEWER_GONE:
		shutdown(fixture->renewer, SHUT_RDWR);
		break;
	default:
		/* The copy goes on from what the guardian was. */
		fixture->world.is_copy = true;
		if (machine_permits(guardian->state, EVENT_STANDBY_DUE))
			happen(fixture, EVENT_STANDBY_DUE);
		fixture->world.is_copy = false;
	}
	loop_turn(guardian);
	assert_safe(fixture);
}

static void check_order(const enum mishap *order, size_t count, int64_t gap_ns, bool ends_person)
{
	static struct fixture fixture;

	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = ends_person;
	for (size_t i = 0; i < count && fixture.guardian.state != GUARDIAN_OVER; i++) {
		strike(&fixture, order[i]);
		run_until(&fixture, fixture.world.now_ns + gap_ns);
	}
	run_to_end(&fixture);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
	assert_int_equal(fixture.members.count, 0);
	assert_true(fixture.members.kill_ns > 0 && fixture.members.kill_ns < DEADLINE_NS);
	assert_int_equal(fixture.everybody.count, ends_person ? 0 : 1);
	assert_true(fixture.everybody.kill_ns < DEADLINE_NS);
	tear_down(&fixture);
}

static void permute(enum mishap *order, size_t fixed, int64_t gap_ns, int *checked)
{
	if (fixed > 0) {
		check_order(order, fixed, gap_ns, *checked % 2 == 0);
		check_order(order, fixed, gap_ns, *checked % 2 != 0);
		++*checked;
	}
	for (size_t i = fixed; i < MISHAP_COUNT; i++) {
		enum mishap swapped = order[fixed];
		order[fixed] = order[i];
		order[i] = swapped;
		permute(order, fixed + 1, gap_ns, checked);
		order[i] = order[fixed];
		order[fixed] = swapped;
	}
}

/* All orders of all, and of some: 325 of them, with no, a short and a long time in between.  Members that ignore
 * what can be ignored are killed before the deadline, and the lock is not given back before. */
static void in_every_order_of_mishaps_the_session_is_gone_before_the_lock(void **state)
{
	static const int64_t gaps_ns[] = { 0, 10 * MS, 700 * MS };
	enum mishap order[MISHAP_COUNT] = { MISHAP_LOST, MISHAP_HOST_ENDED, MISHAP_CLOSED, MISHAP_RENEWER_GONE,
					    MISHAP_STANDBY };
	int checked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(gaps_ns) / sizeof(gaps_ns[0]); i++)
		permute(order, 0, gaps_ns[i], &checked);
	assert_int_equal(checked, 3 * 325);
}

/* ---- Deadlines -------------------------------------------------------------------------------------------- */

/* In STATE, nothing happens a millisecond before AT_MS after the start, and the state is NEXT then. */
static void check_deadline(struct fixture *fixture, int64_t at_ms, enum guardian_state next)
{
	enum guardian_state before = fixture->guardian.state;

	run_until(fixture, START_NS + (at_ms - 1) * MS);
	assert_int_equal(fixture->guardian.state, before);
	run_until(fixture, START_NS + at_ms * MS);
	assert_int_equal(fixture->guardian.state, next);
}

static void a_grant_that_is_not_confirmed_is_given_back_after_ten_seconds(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	check_deadline(&fixture, WIRE_OPENED_WITHIN_MS, GUARDIAN_RELEASING);
	tear_down(&fixture);
}

static void a_release_without_an_answer_is_over_after_thirty_seconds(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_RELEASING);
	check_deadline(&fixture, 30000, GUARDIAN_OVER);
	assert_non_null(strstr(fixture.world.log, "the store does not answer"));
	tear_down(&fixture);
}

static void what_is_dying_gets_half_a_second(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_CLOSING);
	check_deadline(&fixture, 500, GUARDIAN_HOLDING);
	assert_true(got(fixture.module, WIRE_LEFTOVERS));
	tear_down(&fixture);
}

static void name_agents(struct fixture *fixture, const char *list)
{
	free(fixture->guardian.guard.leftovers_end);
	fixture->guardian.guard.leftovers_end = strdup(list);
	assert_non_null(fixture->guardian.guard.leftovers_end);
}

static void where_only_agents_are_left_that_the_guard_names_they_are_ended(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_CLOSING);
	name_agents(&fixture, "ssh-agent, gpg-agent");
	fixture.members.name = "gpg-agent";
	check_deadline(&fixture, 500, GUARDIAN_ENDING);
	run_until(&fixture, fixture.world.now_ns + END_MS * MS);
	assert_true(fixture.was_released);
	assert_false(got(fixture.module, WIRE_LEFTOVERS));
	tear_down(&fixture);
}

static void agents_are_left_alone_for_as_long_as_something_else_is_left_and_ended_after_it(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_CLOSING);
	name_agents(&fixture, "gpg-agent");
	fixture.members.name = "gpg-agent2";
	check_deadline(&fixture, 500, GUARDIAN_HOLDING);
	fixture.members.name = "gpg-agent";
	run_until(&fixture, fixture.world.now_ns + 10 * NS_PER_S + END_MS * MS);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

static void a_name_longer_than_the_kernel_keeps_is_compared_as_far_as_it_does(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_CLOSING);
	name_agents(&fixture, "emacs-of-the-distribution");
	fixture.members.name = "emacs-of-the-di";
	check_deadline(&fixture, 500, GUARDIAN_ENDING);
	tear_down(&fixture);
}

/* How often the members are looked at in the first fifteen seconds of a session. */
static size_t count_refreshes(int event_fd)
{
	struct fixture fixture;
	size_t refreshes;

	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.members.event_fd = event_fd;
	fixture.members.refreshes = 0;
	while (fixture.world.now_ns < START_NS + 15000 * MS)
		loop_turn(&fixture.guardian);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	refreshes = fixture.members.refreshes;
	tear_down(&fixture);
	return refreshes;
}

static void where_the_kernel_tells_who_is_there_looks_become_seldom(void **state)
{
	int quiet[2];

	(void)state;
	assert_int_equal(pipe(quiet), 0);
	assert_in_range(count_refreshes(quiet[0]), 1, 13);
	assert_in_range(count_refreshes(-1), 14, 40);
	close(quiet[0]);
	close(quiet[1]);
}

static void a_host_that_closes_is_let_go(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	assert_int_equal(fixture.members.closes_ns, 0);
	machine_event(&fixture.guardian, EVENT_CLOSED, NULL, 0);
	assert_int_not_equal(fixture.members.closes_ns, 0);
	tear_down(&fixture);
}

static void a_host_that_may_move_has_ten_seconds_to_say_where_to(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_MOVING);
	run_until(&fixture, fixture.world.now_ns + 9999 * MS);
	assert_int_equal(fixture.guardian.state, GUARDIAN_MOVING);
	assert_int_equal(fixture.members.hangup_ns, 0);
	run_until(&fixture, fixture.world.now_ns + MS);
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	tear_down(&fixture);
}

static void one_that_has_moved_is_the_host_from_then_on(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_MOVING);
	happen(&fixture, EVENT_MOVED);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	assert_int_not_equal(fixture.members.moves_ns, 0);
	assert_true(fixture.guardian.host_is_watched);
	assert_true(fixture.guardian.timers[TIMER_STATE] == NEVER);
	happen(&fixture, EVENT_MODULE_GONE);
	happen(&fixture, EVENT_HOST_ENDED); /* there is nobody left who could move */
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	tear_down(&fixture);
}

static void a_host_that_may_not_move_is_not_waited_for(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	happen(&fixture, EVENT_HOST_ENDED);
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	tear_down(&fixture);
}

static void without_a_renewal_the_session_is_warned_and_ended_to_the_millisecond(void **state)
{
	struct fixture fixture;
	const struct fake_members *members = &fixture.members;
	int64_t first_ns = DEADLINE_NS - END_MS * MS;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	run_to_end(&fixture);
	assert_int_equal(members->warned_ns, DEADLINE_NS - (GRACE_MS + END_MS) * MS + 100 * MS);
	assert_non_null(strstr(members->line, "no renewal has been confirmed in time. This session ends in 3 s."));
	assert_int_equal(members->hangup_ns, first_ns);
	assert_int_equal(members->terminate_ns, first_ns + 2000 * MS);
	assert_int_equal(members->kill_ns / (50 * MS), (first_ns + 4000 * MS) / (50 * MS));
	assert_true(members->host_ns >= first_ns + 5000 * MS && members->host_ns <= first_ns + 5050 * MS);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

static void a_refused_renewal_leaves_the_line_three_tenths_of_a_second(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	happen(&fixture, EVENT_LOST);
	check_deadline(&fixture, 300, GUARDIAN_ENDING);
	assert_int_equal(fixture.members.hangup_ns, START_NS + 300 * MS);
	tear_down(&fixture);
}

static void a_renewal_moves_all_of_it(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	happen(&fixture, EVENT_VALID);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.hangup_ns, DEADLINE_NS + (RENEWED_MS - END_MS) * MS);
	tear_down(&fixture);
}

static void a_standby_that_takes_over_ends_the_session_after_the_grace(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	strike(&fixture, MISHAP_STANDBY);
	assert_true(fixture.guardian.is_standby);
	check_deadline(&fixture, GRACE_MS, GUARDIAN_ENDING);
	tear_down(&fixture);
}

static void a_standby_that_ended_is_replaced_after_a_second(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	run_until(&fixture, START_NS);
	assert_int_equal(fixture.world.forks, 1);
	happen(&fixture, EVENT_STANDBY_GONE);
	run_until(&fixture, START_NS + 999 * MS);
	assert_int_equal(fixture.world.forks, 1);
	run_until(&fixture, START_NS + 1000 * MS);
	assert_int_equal(fixture.world.forks, 2);
	tear_down(&fixture);
}

static void a_loss_makes_an_end_that_has_begun_hurry(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_ENDING);
	fixture.guardian.life->deadline_boot_ns = START_NS + 1000 * MS;
	run_until(&fixture, START_NS + 10 * MS);
	happen(&fixture, EVENT_LOST);
	loop_turn(&fixture.guardian);
	assert_int_equal(fixture.guardian.ending.kill_ns / MS, (START_NS + 670 * MS) / MS);
	tear_down(&fixture);
}

static void a_refusal_after_an_outage_ends_the_session_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	run_until(&fixture, DEADLINE_NS - (GRACE_MS + END_MS) * MS + 100 * MS);
	assert_true(fixture.guardian.is_lost);
	happen(&fixture, EVENT_LOST);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.hangup_ns, DEADLINE_NS - (GRACE_MS + END_MS) * MS + 400 * MS);
	assert_false(fixture.was_released);
	tear_down(&fixture);
}

static void after_a_renewal_the_next_one_is_waited_for(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	happen(&fixture, EVENT_VALID);
	assert_int_equal(fixture.guardian.timers[TIMER_RENEWAL],
			 DEADLINE_NS + (RENEWED_MS - GRACE_MS - END_MS + 100) * MS);
	tear_down(&fixture);
}

static void send_valid(struct fixture *fixture, int64_t deadline_ns)
{
	struct wire_message message;

	wire_begin(&message, WIRE_VALID);
	wire_put_number(&message, WIRE_DEADLINE_BOOT_NS, deadline_ns);
	wire_put_number(&message, WIRE_EXPIRATION_TIME, 2000000000);
	assert_true(wire_send(fixture->renewer, &message));
	loop_turn(&fixture->guardian);
}

static void no_deadline_is_believed_beyond_a_lease_from_now(void **state)
{
	struct fixture fixture;
	int64_t latest_ns = START_NS + (LEASE_MS + RENEWED_MS) * MS;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	send_valid(&fixture, latest_ns - 1);
	assert_int_equal(fixture.guardian.life->deadline_boot_ns, latest_ns - 1);
	send_valid(&fixture, latest_ns + 1);
	assert_int_equal(fixture.guardian.life->deadline_boot_ns, latest_ns);
	send_valid(&fixture, INT64_MAX);
	assert_int_equal(fixture.guardian.life->deadline_boot_ns, latest_ns);
	tear_down(&fixture);
}

static void a_deadline_before_time_itself_ends_the_session_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	send_valid(&fixture, INT64_MIN);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.kill_ns, START_NS + 300 * MS); /* the line is shown first */
	tear_down(&fixture);
}

static void a_joined_keeper_may_have_a_longer_lease(void **state)
{
	struct fixture fixture;
	int64_t deadline_ns = START_NS + 3600 * NS_PER_S;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.upstream_fd = fixture.guardian.renewer.fd;
	fixture.guardian.renewer.fd = -1;
	send_valid(&fixture, deadline_ns);
	assert_int_equal(fixture.guardian.life->deadline_boot_ns, deadline_ns);
	tear_down(&fixture);
}

static void a_timer_of_one_state_is_off_in_the_next(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	assert_true(fixture.guardian.timers[TIMER_STATE] != NEVER);
	happen(&fixture, EVENT_OPENED);
	assert_true(fixture.guardian.timers[TIMER_STATE] == NEVER);
	tear_down(&fixture);
}

static void a_standby_does_not_give_back_a_lease_that_others_had_joined(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->joined = 1;
	strike(&fixture, MISHAP_STANDBY);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.count, 0);
	assert_false(fixture.was_released);
	tear_down(&fixture);
}

static void a_standby_that_cannot_be_started_is_tried_again_after_a_second(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.world.failing = CALL_FORK;
	fixture.world.fails_until = 1;
	run_until(&fixture, START_NS + 999 * MS);
	assert_int_equal(fixture.world.forks, 0);
	run_until(&fixture, START_NS + 1000 * MS);
	assert_int_equal(fixture.world.forks, 1);
	tear_down(&fixture);
}

/* ---- The standby ------------------------------------------------------------------------------------------ */

/* When a standby takes over from a guardian that works until WORKS_UNTIL_NS. */
static int64_t taken_over_ns(struct fixture *fixture, int64_t works_until_ns)
{
	fixture->world.watched = &fixture->guardian;
	fixture->world.works_until_ns = works_until_ns;
	fixture->world.is_copy = true;
	happen(fixture, EVENT_STANDBY_DUE);
	assert_true(fixture->guardian.is_standby);
	return fixture->world.now_ns;
}

static void a_standby_takes_over_from_a_stopped_guardian_when_the_end_has_to_begin(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	assert_int_equal(taken_over_ns(&fixture, 0), DEADLINE_NS - END_MS * MS + 500 * MS);
	run_to_end(&fixture);
	assert_true(fixture.members.kill_ns < DEADLINE_NS);
	tear_down(&fixture);
}

static void a_standby_takes_over_from_a_guardian_that_is_stopped_while_it_ends_the_session(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_ENDING);
	assert_int_equal(taken_over_ns(&fixture, 0), DEADLINE_NS - END_MS / 2 * MS + 500 * MS);
	tear_down(&fixture);
}

static void a_guardian_that_ends_the_session_is_left_alone_for_as_long_as_it_makes_progress(void **state)
{
	struct fixture fixture;
	int64_t works_until_ns = DEADLINE_NS + 60 * NS_PER_S, taken_ns;

	(void)state;
	bring_to(&fixture, GUARDIAN_ENDING);
	taken_ns = taken_over_ns(&fixture, works_until_ns);
	assert_true(taken_ns > works_until_ns && taken_ns <= works_until_ns + 4000 * MS);
	tear_down(&fixture);
}

static void a_guardian_that_works_without_ending_the_session_has_until_the_deadline(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	assert_int_equal(taken_over_ns(&fixture, INT64_MAX), DEADLINE_NS);
	tear_down(&fixture);
}

/* ---- Another renewer -------------------------------------------------------------------------------------- */

static void expect_message(int fd, enum wire_type type, int key, const char *text)
{
	struct wire_message message;

	assert_int_equal(wire_receive(fd, &message, NULL), WIRE_GOT);
	assert_int_equal(wire_type(&message), type);
	assert_string_equal(wire_text(&message, (enum wire_text)key), text);
}

static void tell_id(struct fixture *fixture, enum wire_type type, const char *id)
{
	struct wire_message message;

	fill_message(&message, type);
	wire_put_text(&message, WIRE_ID, id);
	assert_true(wire_send(fixture->renewer, &message));
	loop_turn(&fixture->guardian);
}

static void lose_renewer(struct fixture *fixture)
{
	close(fixture->renewer);
	fixture->renewer = -1;
	loop_turn(&fixture->guardian);
}

static void a_renewer_that_ends_is_replaced_at_once_by_one_that_knows_every_id(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	tell_id(&fixture, WIRE_LEASE_ID, "confirmed by the next word");
	tell_id(&fixture, WIRE_VALID, "first");
	tell_id(&fixture, WIRE_LEASE_ID, "second");
	tell_id(&fixture, WIRE_LEASE_ID, "third");
	lose_renewer(&fixture);
	assert_int_equal(fixture.world.restarts, 1);
	assert_int_equal(fixture.world.now_ns, START_NS);
	expect_message(fixture.world.renewer, WIRE_LEASE_ID, WIRE_ID, "first");
	expect_message(fixture.world.renewer, WIRE_LEASE_ID, WIRE_ID, "second");
	expect_message(fixture.world.renewer, WIRE_LEASE_ID, WIRE_ID, "third");
	expect_message(fixture.world.renewer, WIRE_ADOPT, WIRE_LOCK, "ops");
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	assert_false(fixture.guardian.is_lost);
	tear_down(&fixture);
}

static void the_next_renewer_is_believed_as_the_first_was(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	lose_renewer(&fixture);
	send_message(fixture.world.renewer, WIRE_VALID);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.hangup_ns, DEADLINE_NS + (RENEWED_MS - END_MS) * MS);
	tear_down(&fixture);
}

static void renewers_that_end_again_and_again_are_replaced_once_a_second_and_the_session_ends_in_time(void **state)
{
	struct fixture fixture;
	int64_t last_ns = DEADLINE_NS - (GRACE_MS + END_MS) * MS;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	lose_renewer(&fixture);
	for (int second = 1; fixture.world.now_ns < last_ns; second++) {
		assert_int_equal(fixture.world.restarts, second);
		shutdown(fixture.world.renewer, SHUT_RDWR);
		run_until(&fixture, START_NS + second * NS_PER_S - 1);
		assert_int_equal(fixture.world.restarts, second);
		run_until(&fixture, START_NS + second * NS_PER_S);
	}
	run_to_end(&fixture);
	assert_int_equal(fixture.members.hangup_ns, DEADLINE_NS - END_MS * MS);
	assert_true(fixture.members.kill_ns < DEADLINE_NS);
	tear_down(&fixture);
}

static void a_renewer_that_cannot_begin_says_why_and_is_replaced(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	send_message(fixture.renewer, WIRE_DENIED);
	lose_renewer(&fixture);
	run_until(&fixture, START_NS + NS_PER_S);
	assert_int_equal(fixture.world.restarts, 1);
	assert_non_null(strstr(fixture.world.log, "there is no user 'awsflock' on this machine"));
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	assert_false(fixture.guardian.is_lost);
	tear_down(&fixture);
}

static void the_next_renewer_knows_what_the_table_is_to_say(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_HOLDING);
	lose_renewer(&fixture);
	run_until(&fixture, START_NS + NS_PER_S);
	expect_message(fixture.world.renewer, WIRE_OWNER, WIRE_OWNER_TEXT,
		       "session closed, still running: 2 (members)");
	expect_message(fixture.world.renewer, WIRE_ADOPT, WIRE_LOCK, "ops");
	tear_down(&fixture);
}

static void what_a_newer_renewer_says_is_passed_over_and_what_none_may_say_is_not(void **state)
{
	static const char line[] = "messages of type 4000, of a newer release, are passed over";
	struct fixture fixture;
	const char *said;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	for (int i = 0; i < 2; i++) {
		send_message(fixture.renewer, (enum wire_type)4000);
		loop_turn(&fixture.guardian);
	}
	assert_false(fixture.guardian.is_lost);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	said = strstr(fixture.world.log, line);
	assert_non_null(said);
	assert_null(strstr(said + 1, line)); /* once */
	send_message(fixture.renewer, WIRE_STORE);
	loop_turn(&fixture.guardian);
	assert_true(fixture.guardian.is_lost);
	tear_down(&fixture);
}

static void a_renewer_is_shown_a_guardian_that_has_just_begun(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	assert_int_equal(fixture.guardian.progress->boot_ns, START_NS);
	tear_down(&fixture);
}

static void once_the_lease_is_lost_no_renewer_is_started(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	happen(&fixture, EVENT_LOST);
	lose_renewer(&fixture);
	run_to_end(&fixture);
	assert_int_equal(fixture.world.restarts, 0);
	tear_down(&fixture);
}

static void an_idle_guardian_shows_its_renewer_that_it_is_there(void **state)
{
	struct fixture fixture;
	int64_t until_ns = START_NS + 20 * NS_PER_S, allowed_ns;

	(void)state;
	bring_to(&fixture, GUARDIAN_HOLDING);
	allowed_ns = fixture.guardian.guard.lease_s * NS_PER_S / 3; /* after that the renewer renews no more */
	guardian_set_timer(&fixture.guardian, TIMER_LOOK, NEVER);
	loop_turn(&fixture.guardian);
	while (fixture.world.now_ns < until_ns) {
		int64_t shown_ns = fixture.guardian.progress->boot_ns;
		loop_turn(&fixture.guardian);
		assert_true(fixture.guardian.progress->boot_ns > shown_ns);
		assert_true(fixture.guardian.progress->boot_ns - shown_ns <= allowed_ns / 2);
	}
	tear_down(&fixture);
}

static void what_shows_the_progress_cannot_be_written_by_others(void **state)
{
	int fd = -1;
	struct progress *progress = progress_new(&fd);
	const struct progress *shown = progress_open(fd);

	(void)state;
	assert_non_null(progress);
	assert_non_null(shown);
	progress_step(progress);
	assert_int_equal(shown->steps, 1);
	assert_ptr_equal(mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	munmap((void *)(uintptr_t)shown, sizeof(*shown));
	progress_free(progress);
	close(fd);
}

static void the_ids_that_are_handed_over_are_the_confirmed_one_and_the_newest(void **state)
{
	static struct lease_ids ids;
	char id[AWSFLOCK_LEASE_ID_SIZE];

	(void)state;
	lease_ids_set(&ids, "confirmed");
	for (int i = 0; i < 2 * LEASE_IDS_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		lease_ids_add(&ids, id);
	}
	assert_int_equal(ids.count, LEASE_IDS_MAX);
	assert_string_equal(ids.id[0], "confirmed");
	assert_string_equal(ids.id[LEASE_IDS_MAX - 1], id);
	snprintf(id, sizeof(id), "%d", LEASE_IDS_MAX + 1);
	assert_string_equal(ids.id[1], id);
	lease_ids_add(&ids, "");
	lease_ids_add(&ids, "an id that is longer than one can be, by far");
	assert_string_not_equal(ids.id[LEASE_IDS_MAX - 1], "");
	lease_ids_set(&ids, "confirmed later");
	assert_int_equal(ids.count, 1);
}

/* ---- What must not be said -------------------------------------------------------------------------------- */

static void a_renewer_that_says_what_it_must_not_costs_the_session_in_time(void **state)
{
	static const enum wire_type wrong[] = { WIRE_RELEASED, WIRE_KEPT, WIRE_STORE, WIRE_CLEAR, WIRE_RELEASE };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct fixture fixture;
		bring_to(&fixture, GUARDIAN_OPEN);
		send_message(fixture.renewer, wrong[i]);
		run_to_end(&fixture);
		assert_int_equal(fixture.members.hangup_ns, DEADLINE_NS - END_MS * MS);
		assert_true(fixture.members.kill_ns < DEADLINE_NS);
		assert_non_null(strstr(fixture.world.log, "not permitted while open"));
		assert_false(fixture.was_released);
		tear_down(&fixture);
	}
}

static void a_session_that_opens_after_the_lock_was_given_back_is_ended_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	run_until(&fixture, START_NS + WIRE_OPENED_WITHIN_MS * MS);
	assert_int_equal(fixture.guardian.state, GUARDIAN_RELEASING);
	fixture.was_released = false;
	happen(&fixture, EVENT_OPENED);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.count, 0);
	assert_false(fixture.members.host_runs);
	tear_down(&fixture);
}

static void once_the_lock_is_on_its_way_back_the_session_cannot_be_opened(void **state)
{
	static const enum guardian_event ends[] = { EVENT_HOST_ENDED, EVENT_LOST, EVENT_UNRENEWED,
						    EVENT_STATE_OVER };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct fixture fixture;
		bring_to(&fixture, GUARDIAN_GRANTED);
		happen(&fixture, ends[i]);
		assert_false(can_send(fixture.module, WIRE_OPENED));
		run_to_end(&fixture);
		assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
		tear_down(&fixture);
	}
}

static void once_a_shared_lease_is_left_the_session_cannot_be_opened(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	fixture.guardian.upstream_fd = fixture.guardian.renewer.fd;
	fixture.guardian.renewer.fd = -1;
	happen(&fixture, EVENT_STATE_OVER);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
	assert_true(got(fixture.renewer, WIRE_LEAVE));
	assert_false(can_send(fixture.module, WIRE_OPENED));
	tear_down(&fixture);
}

static void a_shared_leases_keeper_that_is_gone_is_left_and_the_session_guarded_on(void **state)
{
	struct fixture fixture;
	struct pollfd keeper = { .fd = -1 };

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.upstream_fd = fixture.guardian.renewer.fd;
	fixture.guardian.renewer.fd = -1;
	happen(&fixture, EVENT_SOURCE_GONE);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	assert_int_equal(fixture.guardian.upstream_fd, -1);
	keeper.fd = fixture.renewer;
	assert_int_equal(poll(&keeper, 1, 0), 1);
	assert_true(keeper.revents & POLLHUP);
	tear_down(&fixture);
}

/* What nobody has read yet counts, behind whatever else it stands. */
static void a_session_that_opens_at_the_last_moment_is_ended_before_the_lock_is_given_back(void **state)
{
	static const enum guardian_event ends[] = { EVENT_HOST_ENDED, EVENT_UNRENEWED, EVENT_STATE_OVER };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct fixture fixture;
		bring_to(&fixture, GUARDIAN_GRANTED);
		assert_int_equal(send(fixture.module, "nonsense", 8, 0), 8);
		send_message(fixture.module, WIRE_LEAVE);
		send_message(fixture.module, WIRE_OPENED);
		happen(&fixture, ends[i]);
		assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
		run_to_end(&fixture);
		assert_int_equal(fixture.members.count, 0);
		assert_false(fixture.members.host_runs);
		assert_true(fixture.was_released);
		tear_down(&fixture);
	}
}

static void a_guardian_that_is_killed_with_OPENED_in_its_hands_leaves_a_standby_that_ends_the_session(void **state)
{
	static struct fixture fixture;
	static jmp_buf killed;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	send_message(fixture.module, WIRE_OPENED);
	fixture.world.killed = &killed;
	if (setjmp(killed) == 0) {
		loop_turn(&fixture.guardian);
		fail_msg("it was not killed");
	}
	fixture.world.killed = NULL;
	assert_int_equal(fixture.guardian.state, GUARDIAN_GRANTED);
	strike(&fixture, MISHAP_STANDBY);
	assert_true(fixture.guardian.is_standby);
	run_to_end(&fixture);
	assert_int_equal(fixture.members.count, 0);
	assert_false(fixture.members.host_runs);
	tear_down(&fixture);
}

static void another_word_than_OPENED_does_not_make_a_session_open(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	send_message(fixture.module, WIRE_LEAVE);
	loop_turn(&fixture.guardian);
	assert_non_null(strstr(fixture.world.log, "from the module is passed over"));
	assert_false(fixture.guardian.life->is_opened);
	tear_down(&fixture);
}

static void nobody_joins_a_lease_that_is_being_given_back(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_RELEASING);
	add_client(&fixture);
	happen(&fixture, EVENT_CLIENT_JOINS);
	assert_true(got(fixture.client, WIRE_DENIED));
	assert_int_equal(fixture.guardian.lease_client_count, 0);
	tear_down(&fixture);
}

static void the_lock_is_given_back_once_the_last_one_who_asked_to_join_is_turned_away(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	add_client(&fixture);
	fixture.members.count = 0;
	happen(&fixture, EVENT_CLOSED);
	happen(&fixture, EVENT_LOOK_DUE);
	assert_int_equal(fixture.guardian.state, GUARDIAN_EMPTY);
	fixture.guardian.session.person_uid = 1; /* another's */
	happen(&fixture, EVENT_CLIENT_JOINS);
	assert_int_equal(fixture.guardian.lease_client_count, 0);
	assert_int_equal(fixture.guardian.state, GUARDIAN_RELEASING);
	tear_down(&fixture);
}

static void join(struct guardian *guardian, size_t number, pid_t host, int64_t socket, bool is_alone)
{
	struct wire_message message;

	fill_message(&message, WIRE_JOIN);
	wire_put_number(&message, WIRE_HOST_PID, host);
	wire_put_number(&message, WIRE_HOST_SOCKET, socket);
	wire_put_number(&message, WIRE_HOST_ALONE, is_alone);
	machine_event(guardian, EVENT_CLIENT_JOINS, &message, number);
}

static int64_t inode_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return (int64_t)status.st_ino;
}

/* This process has the socket, its parent has not. */
static void sessions_that_stand_alone_let_in_their_own_host_and_what_it_has_forked(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	const struct {
		int64_t socket;
		pid_t host;
		bool joins;
	} cases[] = { { inode_of(ends[0]), getpid(), true },
		      { inode_of(ends[0]), getppid(), false },
		      { inode_of(ends[0]), 0, false },
		      { 0, getpid(), false } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture fixture;
		bring_to(&fixture, GUARDIAN_OPEN);
		fixture.guardian.guard.is_for_person = false;
		fixture.guardian.session.host_socket = cases[i].socket;
		add_client(&fixture);
		join(&fixture.guardian, 0, cases[i].host, 0, true);
		assert_int_equal(fixture.guardian.lease_client_count, cases[i].joins ? 1 : 0);
		tear_down(&fixture);
	}
	close(ends[0]);
	close(ends[1]);
}

static void who_stands_alone_joins_a_shared_lease_only_from_a_host_that_has_it(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	const struct {
		pid_t host;
		int64_t socket;
		bool is_alone, joins;
	} cases[] = { { 88, 0, true, false },
		      { 88, inode_of(pair[0]), false, true },
		      { 88, 0, true, true },
		      { getppid(), 0, true, false },
		      { getpid(), 0, true, true } }; /* as a copy of 88 */
	int ends[sizeof(cases) / sizeof(cases[0])];
	struct fixture fixture;
	size_t joined = 0;

	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.guard.is_for_person = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		add_client(&fixture);
		ends[i] = fixture.client;
		join(&fixture.guardian, joined, cases[i].host, cases[i].socket, cases[i].is_alone);
		joined += cases[i].joins;
		assert_int_equal(fixture.guardian.lease_client_count, joined);
	}
	fixture.client = -1;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		close(ends[i]);
	close(pair[0]);
	close(pair[1]);
	tear_down(&fixture);
}

static void a_close_says_whether_the_lock_is_shared_or_kept_for_another_reason(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_EMPTY);
	assert_true(got_kept(fixture.module, true));
	tear_down(&fixture);

	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.upstream_fd = dup(fixture.guardian.host_fd);
	fixture.members.count = 0;
	happen(&fixture, EVENT_CLOSED);
	happen(&fixture, EVENT_LOOK_DUE);
	assert_true(got_kept(fixture.module, true));
	tear_down(&fixture);

	bring_to(&fixture, GUARDIAN_RELEASING);
	happen(&fixture, EVENT_KEPT);
	assert_true(got_kept(fixture.module, false));
	tear_down(&fixture);
}

static void the_lock_is_not_given_back_under_a_client_whose_keeper_was_killed(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_EMPTY);
	close(fixture.client);
	fixture.client = -1;
	loop_turn(&fixture.guardian);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
	assert_false(got(fixture.renewer, WIRE_RELEASE));
	tear_down(&fixture);
}

/* It waits in the kernel for an hour. */
static void a_look_breaks_off_when_the_lease_must_be_seen_to(void **state)
{
	struct fixture fixture;
	const struct guardian *guardian = &fixture.guardian;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	run_until(&fixture, START_NS + 5 * NS_PER_S);
	assert_true(guardian->timers[TIMER_RENEWAL] != NEVER);
	assert_int_equal(fixture.members.members.until_ns, guardian->timers[TIMER_RENEWAL]);
	happen(&fixture, EVENT_UNRENEWED);
	happen(&fixture, EVENT_LOOK_DUE);
	assert_true(guardian->timers[TIMER_END] != NEVER);
	assert_int_equal(fixture.members.members.until_ns, guardian->timers[TIMER_END]);
	happen(&fixture, EVENT_END_DUE);
	happen(&fixture, EVENT_STEP_DUE);
	assert_int_equal(fixture.members.members.until_ns, 0); /* an end takes what it takes */
	tear_down(&fixture);
}

/* Else one session of many processes would use up a processor. */
static void after_a_look_that_took_long_the_guardian_rests(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	run_until(&fixture, START_NS + 5 * NS_PER_S);
	fixture.members.look_ns = 700 * MS;
	happen(&fixture, EVENT_LOOK_DUE);
	assert_int_equal(fixture.guardian.timers[TIMER_LOOK], fixture.world.now_ns + 4 * 700 * MS);
	tear_down(&fixture);
}

static void what_cannot_be_ended_keeps_its_guardian_and_the_lock_until_it_can(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.members.is_immortal = true;
	happen(&fixture, EVENT_HOST_ENDED);
	run_to_end(&fixture);
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	assert_false(fixture.was_released);
	assert_non_null(strstr(fixture.world.log, "cannot be ended so far: 2 (members); 'ops' is not released"));
	fixture.members.is_immortal = false;
	run_until(&fixture, fixture.world.now_ns + NS_PER_S);
	assert_int_equal(fixture.members.count, 0);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

static void a_close_is_answered_when_the_end_takes_too_long(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.guard.leftovers = LEFTOVERS_END;
	fixture.members.is_immortal = true;
	happen(&fixture, EVENT_CLOSED);
	run_until(&fixture, START_NS + 2 * END_MS * MS);
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	assert_true(got(fixture.module, WIRE_KEPT));
	tear_down(&fixture);
}

/* As where the whole machine shuts down: all of it comes in one turn. */
static void once_it_is_over_nothing_else_is_logged(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_RELEASING);
	fixture.guardian.standby_fd = ended_pidfd();
	add_client(&fixture);
	send_message(fixture.renewer, WIRE_RELEASED);
	send_message(fixture.module, WIRE_RELEASE);
	send_message(fixture.client, WIRE_JOIN);
	close(fixture.host);
	fixture.host = -1;
	loop_turn(&fixture.guardian);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
	assert_null(strstr(fixture.world.log, "not permitted"));
	tear_down(&fixture);
}

/* ---- All that the person runs ----------------------------------------------------------------------------- */

static void after_a_close_all_that_the_person_runs_ends_before_the_lock_is_given_back(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	happen(&fixture, EVENT_CLOSED);
	run_until(&fixture, START_NS + 2 * NS_PER_S);
	assert_int_equal(fixture.guardian.state, GUARDIAN_HOLDING); /* for what the session left, as ever */
	assert_int_equal(fixture.everybody.hangup_ns, 0);
	fixture.members.count = 0;
	happen(&fixture, EVENT_LOOK_DUE);
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	run_until(&fixture, fixture.world.now_ns + END_MS * MS);
	assert_true(fixture.everybody.hangup_ns > 0 && fixture.everybody.kill_ns > 0);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

static void where_the_person_runs_nothing_else_the_lock_is_given_back_at_once(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	fixture.members.count = fixture.everybody.count = 0;
	happen(&fixture, EVENT_CLOSED);
	happen(&fixture, EVENT_LOOK_DUE);
	assert_int_equal(fixture.guardian.state, GUARDIAN_RELEASING);
	tear_down(&fixture);
}

static void leftovers_and_all_else_of_the_person_end_together(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	fixture.guardian.guard.leftovers = LEFTOVERS_END;
	happen(&fixture, EVENT_CLOSED);
	run_until(&fixture, START_NS + 500 * MS + END_MS * MS);
	assert_int_equal(fixture.everybody.hangup_ns, fixture.members.hangup_ns);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

static void what_a_killed_host_and_its_person_left_ends_together(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	happen(&fixture, EVENT_HOST_ENDED);
	run_until(&fixture, START_NS + END_MS * MS);
	assert_int_equal(fixture.everybody.kill_ns, fixture.members.kill_ns);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

/* The last of those who share the lease ends it, whichever guard has asked for that. */
static void while_others_rely_on_the_lease_the_person_goes_on(void **state)
{
	struct wire_message join;
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	add_client(&fixture);
	fill_message(&join, WIRE_JOIN);
	wire_put_number(&join, WIRE_ENDS_PERSON, 1);
	machine_event(&fixture.guardian, EVENT_CLIENT_JOINS, &join, 0);
	assert_true(fixture.guardian.life->ends_person);
	happen(&fixture, EVENT_HOST_ENDED);
	run_until(&fixture, START_NS + END_MS * MS);
	assert_int_equal(fixture.guardian.state, GUARDIAN_EMPTY);
	assert_int_equal(fixture.everybody.hangup_ns, 0);
	send_message(fixture.client, WIRE_LEAVE);
	loop_turn(&fixture.guardian);
	assert_int_equal(fixture.guardian.state, GUARDIAN_ENDING);
	assert_false(fixture.guardian.life->is_gone);
	run_until(&fixture, fixture.world.now_ns + END_MS * MS);
	assert_true(fixture.was_released);
	tear_down(&fixture);
}

static void a_client_leaves_the_person_to_who_holds_the_lock(void **state)
{
	struct fixture fixture;
	int holder;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	make_pair(&holder, &fixture.guardian.upstream_fd);
	fixture.members.count = 0;
	happen(&fixture, EVENT_CLOSED);
	happen(&fixture, EVENT_LOOK_DUE);
	assert_true(got(holder, WIRE_LEAVE));
	assert_int_equal(fixture.everybody.hangup_ns, 0);
	close(holder);
	tear_down(&fixture);
}

static void when_the_lock_is_lost_the_person_ends_with_each_session(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	add_client(&fixture);
	happen(&fixture, EVENT_CLIENT_JOINS);
	run_until(&fixture, DEADLINE_NS);
	assert_int_equal(fixture.everybody.hangup_ns, fixture.members.hangup_ns);
	assert_int_equal(fixture.everybody.kill_ns, fixture.members.kill_ns);
	assert_true(fixture.everybody.kill_ns < DEADLINE_NS);
	assert_int_equal(fixture.everybody.count, 0);
	tear_down(&fixture);
}

/* Its host may be what starts anew. */
static void nobody_joins_while_all_that_the_person_runs_is_ended(void **state)
{
	struct wire_message denied;
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	happen(&fixture, EVENT_HOST_ENDED);
	add_client(&fixture);
	happen(&fixture, EVENT_CLIENT_JOINS);
	assert_int_equal(wire_receive(fixture.client, &denied, NULL), WIRE_GOT);
	assert_int_equal(wire_type(&denied), WIRE_DENIED);
	assert_non_null(strstr(wire_text(&denied, WIRE_SENTENCE), "is being ended"));
	assert_int_equal(fixture.guardian.life->joined, 0);
	tear_down(&fixture);
}

static void a_standby_ends_all_that_the_person_runs_too(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = true;
	fixture.world.is_copy = true;
	happen(&fixture, EVENT_STANDBY_DUE);
	fixture.world.is_copy = false;
	run_until(&fixture, START_NS + (GRACE_MS + END_MS) * MS);
	assert_int_equal(fixture.everybody.kill_ns, fixture.members.kill_ns);
	assert_int_equal(fixture.everybody.count, 0);
	tear_down(&fixture);
}

static void a_session_that_never_opened_or_is_only_warned_ends_nobody_else(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	fixture.guardian.life->ends_person = true;
	happen(&fixture, EVENT_MODULE_GONE);
	assert_int_equal(fixture.guardian.state, GUARDIAN_RELEASING);
	assert_int_equal(fixture.everybody.hangup_ns, 0);
	tear_down(&fixture);

	bring_to(&fixture, GUARDIAN_OPEN);
	fixture.guardian.life->ends_person = fixture.guardian.guard.only_warns = true;
	happen(&fixture, EVENT_LOST);
	happen(&fixture, EVENT_CLOSED);
	happen(&fixture, EVENT_LOOK_DUE);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
	assert_int_equal(fixture.everybody.hangup_ns, 0);
	tear_down(&fixture);
}

/* ---- A machine that fails --------------------------------------------------------------------------------- */

/* A session opens, is renewed once and then no more, and calls FROM..UNTIL of one kind fail. */
static void check_failures(enum call call, int from, int until)
{
	static struct fixture fixture;

	set_up(&fixture);
	fixture.world.failing = call;
	fixture.world.fails_from = from;
	fixture.world.fails_until = until;
	happen(&fixture, EVENT_GRANTED);
	send_message(fixture.module, WIRE_OPENED);
	send_message(fixture.renewer, WIRE_VALID);
	for (int turns = 0; turns < 3; turns++) {
		loop_turn(&fixture.guardian);
		assert_safe(&fixture);
	}
	run_to_end(&fixture);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OVER);
	if (fixture.guardian.life->is_opened) {
		assert_int_equal(fixture.members.count, 0);
		assert_true(fixture.members.kill_ns < fixture.guardian.life->deadline_boot_ns);
	}
	tear_down(&fixture);
}

static void a_call_that_fails_at_any_moment_leaves_no_session_unwatched(void **state)
{
	(void)state;
	for (int call = CALL_POLL; call < CALL_COUNT; call++)
		for (int from = 0; from < 40; from++)
			check_failures((enum call)call, from, from + 1);
}

static void a_call_that_fails_from_some_moment_on_leaves_no_session_unwatched(void **state)
{
	(void)state;
	for (int call = CALL_SET_TIMER; call < CALL_COUNT; call++)
		for (int from = 0; from < 8; from++)
			check_failures((enum call)call, from, INT32_MAX);
}

/* As where the limit of descriptors is below what is polled. */
static void where_poll_always_fails_the_guardian_still_hears(void **state)
{
	struct fixture fixture;

	(void)state;
	bring_to(&fixture, GUARDIAN_GRANTED);
	fixture.world.failing = CALL_POLL;
	fixture.world.fails_until = INT32_MAX;
	send_message(fixture.module, WIRE_OPENED);
	loop_turn(&fixture.guardian);
	assert_int_equal(fixture.guardian.state, GUARDIAN_OPEN);
	send_message(fixture.renewer, WIRE_LOST);
	loop_turn(&fixture.guardian);
	assert_true(fixture.guardian.is_lost);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_in_each_state_does_what_it_must),
		cmocka_unit_test(in_every_order_of_mishaps_the_session_is_gone_before_the_lock),
		cmocka_unit_test(a_grant_that_is_not_confirmed_is_given_back_after_ten_seconds),
		cmocka_unit_test(a_release_without_an_answer_is_over_after_thirty_seconds),
		cmocka_unit_test(what_is_dying_gets_half_a_second),
		cmocka_unit_test(where_only_agents_are_left_that_the_guard_names_they_are_ended),
		cmocka_unit_test(agents_are_left_alone_for_as_long_as_something_else_is_left_and_ended_after_it),
		cmocka_unit_test(a_name_longer_than_the_kernel_keeps_is_compared_as_far_as_it_does),
		cmocka_unit_test(where_the_kernel_tells_who_is_there_looks_become_seldom),
		cmocka_unit_test(a_host_that_closes_is_let_go),
		cmocka_unit_test(a_host_that_may_move_has_ten_seconds_to_say_where_to),
		cmocka_unit_test(one_that_has_moved_is_the_host_from_then_on),
		cmocka_unit_test(a_host_that_may_not_move_is_not_waited_for),
		cmocka_unit_test(without_a_renewal_the_session_is_warned_and_ended_to_the_millisecond),
		cmocka_unit_test(a_refused_renewal_leaves_the_line_three_tenths_of_a_second),
		cmocka_unit_test(a_renewal_moves_all_of_it),
		cmocka_unit_test(a_standby_that_takes_over_ends_the_session_after_the_grace),
		cmocka_unit_test(a_standby_that_ended_is_replaced_after_a_second),
		cmocka_unit_test(a_loss_makes_an_end_that_has_begun_hurry),
		cmocka_unit_test(a_refusal_after_an_outage_ends_the_session_at_once),
		cmocka_unit_test(after_a_renewal_the_next_one_is_waited_for),
		cmocka_unit_test(no_deadline_is_believed_beyond_a_lease_from_now),
		cmocka_unit_test(a_deadline_before_time_itself_ends_the_session_at_once),
		cmocka_unit_test(a_joined_keeper_may_have_a_longer_lease),
		cmocka_unit_test(a_timer_of_one_state_is_off_in_the_next),
		cmocka_unit_test(a_standby_does_not_give_back_a_lease_that_others_had_joined),
		cmocka_unit_test(a_standby_that_cannot_be_started_is_tried_again_after_a_second),
		cmocka_unit_test(a_guardian_that_works_without_ending_the_session_has_until_the_deadline),
		cmocka_unit_test(a_guardian_that_ends_the_session_is_left_alone_for_as_long_as_it_makes_progress),
		cmocka_unit_test(a_standby_takes_over_from_a_guardian_that_is_stopped_while_it_ends_the_session),
		cmocka_unit_test(a_standby_takes_over_from_a_stopped_guardian_when_the_end_has_to_begin),
		cmocka_unit_test(a_renewer_that_ends_is_replaced_at_once_by_one_that_knows_every_id),
		cmocka_unit_test(the_next_renewer_is_believed_as_the_first_was),
		cmocka_unit_test(
			renewers_that_end_again_and_again_are_replaced_once_a_second_and_the_session_ends_in_time),
		cmocka_unit_test(a_renewer_that_cannot_begin_says_why_and_is_replaced),
		cmocka_unit_test(the_next_renewer_knows_what_the_table_is_to_say),
		cmocka_unit_test(what_a_newer_renewer_says_is_passed_over_and_what_none_may_say_is_not),
		cmocka_unit_test(a_renewer_is_shown_a_guardian_that_has_just_begun),
		cmocka_unit_test(once_the_lease_is_lost_no_renewer_is_started),
		cmocka_unit_test(an_idle_guardian_shows_its_renewer_that_it_is_there),
		cmocka_unit_test(what_shows_the_progress_cannot_be_written_by_others),
		cmocka_unit_test(the_ids_that_are_handed_over_are_the_confirmed_one_and_the_newest),
		cmocka_unit_test(a_renewer_that_says_what_it_must_not_costs_the_session_in_time),
		cmocka_unit_test(a_session_that_opens_after_the_lock_was_given_back_is_ended_at_once),
		cmocka_unit_test(once_the_lock_is_on_its_way_back_the_session_cannot_be_opened),
		cmocka_unit_test(once_a_shared_lease_is_left_the_session_cannot_be_opened),
		cmocka_unit_test(a_shared_leases_keeper_that_is_gone_is_left_and_the_session_guarded_on),
		cmocka_unit_test(a_session_that_opens_at_the_last_moment_is_ended_before_the_lock_is_given_back),
		cmocka_unit_test(
			a_guardian_that_is_killed_with_OPENED_in_its_hands_leaves_a_standby_that_ends_the_session),
		cmocka_unit_test(another_word_than_OPENED_does_not_make_a_session_open),
		cmocka_unit_test(nobody_joins_a_lease_that_is_being_given_back),
		cmocka_unit_test(the_lock_is_given_back_once_the_last_one_who_asked_to_join_is_turned_away),
		cmocka_unit_test(sessions_that_stand_alone_let_in_their_own_host_and_what_it_has_forked),
		cmocka_unit_test(who_stands_alone_joins_a_shared_lease_only_from_a_host_that_has_it),
		cmocka_unit_test(a_close_says_whether_the_lock_is_shared_or_kept_for_another_reason),
		cmocka_unit_test(the_lock_is_not_given_back_under_a_client_whose_keeper_was_killed),
		cmocka_unit_test(a_look_breaks_off_when_the_lease_must_be_seen_to),
		cmocka_unit_test(after_a_look_that_took_long_the_guardian_rests),
		cmocka_unit_test(what_cannot_be_ended_keeps_its_guardian_and_the_lock_until_it_can),
		cmocka_unit_test(a_close_is_answered_when_the_end_takes_too_long),
		cmocka_unit_test(once_it_is_over_nothing_else_is_logged),
		cmocka_unit_test(after_a_close_all_that_the_person_runs_ends_before_the_lock_is_given_back),
		cmocka_unit_test(where_the_person_runs_nothing_else_the_lock_is_given_back_at_once),
		cmocka_unit_test(leftovers_and_all_else_of_the_person_end_together),
		cmocka_unit_test(what_a_killed_host_and_its_person_left_ends_together),
		cmocka_unit_test(while_others_rely_on_the_lease_the_person_goes_on),
		cmocka_unit_test(a_client_leaves_the_person_to_who_holds_the_lock),
		cmocka_unit_test(when_the_lock_is_lost_the_person_ends_with_each_session),
		cmocka_unit_test(nobody_joins_while_all_that_the_person_runs_is_ended),
		cmocka_unit_test(a_standby_ends_all_that_the_person_runs_too),
		cmocka_unit_test(a_session_that_never_opened_or_is_only_warned_ends_nobody_else),
		cmocka_unit_test(a_call_that_fails_at_any_moment_leaves_no_session_unwatched),
		cmocka_unit_test(a_call_that_fails_from_some_moment_on_leaves_no_session_unwatched),
		cmocka_unit_test(where_poll_always_fails_the_guardian_still_hears),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
