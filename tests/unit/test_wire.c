/* The messages between the PAM module and the keeper.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/wire.h"

#define FUZZED_MESSAGES 200000

static void fill_open(struct wire_message *message)
{
	wire_begin(message, WIRE_OPEN);
	wire_put_text(message, WIRE_GUARD, "ops");
	wire_put_text(message, WIRE_SERVICE, "sshd");
	wire_put_text(message, WIRE_USER, "alice");
	wire_put_text(message, WIRE_PERSON, "alice");
	wire_put_text(message, WIRE_RHOST, "");
	wire_put_number(message, WIRE_PERSON_UID, 1000);
	wire_put_text(message, WIRE_SESSION, "0123456789abcdef0123456789abcdef");
}

static void what_was_put_is_read_back(void **state)
{
	struct wire_message message;

	(void)state;
	fill_open(&message);
	wire_put_number(&message, WIRE_FENCE, INT64_MIN);
	assert_true(wire_is_valid(&message));
	assert_int_equal(wire_type(&message), WIRE_OPEN);
	assert_int_equal(wire_version(&message), WIRE_VERSION);
	assert_string_equal(wire_text(&message, WIRE_GUARD), "ops");
	assert_int_equal(wire_number(&message, WIRE_PERSON_UID), 1000);
	assert_true(wire_number(&message, WIRE_FENCE) == INT64_MIN);
	assert_false(wire_has(&message, WIRE_RHOST));
	assert_string_equal(wire_text(&message, WIRE_RHOST), "");
	assert_int_equal(wire_number(&message, WIRE_FLAGS), 0);
}

static void every_truncation_is_refused(void **state)
{
	struct wire_message message;
	size_t size;

	(void)state;
	fill_open(&message);
	for (size = message.size - 1; size > 0; size--) {
		message.size = size;
		assert_false(wire_is_valid(&message));
	}
}

static void a_message_without_what_it_needs_is_refused(void **state)
{
	struct wire_message message;

	(void)state;
	wire_begin(&message, WIRE_GRANTED);
	assert_false(wire_is_valid(&message));
	wire_put_text(&message, WIRE_LOCK, "ops");
	wire_put_number(&message, WIRE_FENCE, 1);
	wire_put_number(&message, WIRE_EXPIRATION_TIME, 1);
	assert_false(wire_is_valid(&message));
	wire_put_number(&message, WIRE_WAITED_MS, 0);
	assert_true(wire_is_valid(&message));
}

/* A header and one field of RAW bytes, as KEY and SIZE say. */
static bool accepts(uint16_t key, uint16_t size, const char *raw, size_t raw_size)
{
	struct wire_message message;

	wire_begin(&message, WIRE_RELEASE);
	memcpy(message.bytes + message.size, &key, sizeof(key));
	memcpy(message.bytes + message.size + 2, &size, sizeof(size));
	memcpy(message.bytes + message.size + 4, raw, raw_size);
	message.size += 4 + raw_size;
	return wire_is_valid(&message);
}

static void a_field_of_the_wrong_form_is_refused(void **state)
{
	(void)state;
	assert_true(accepts(WIRE_SENTENCE, 3, "ab", 3));
	assert_false(accepts(WIRE_SENTENCE, 2, "ab", 2));   /* not terminated */
	assert_false(accepts(WIRE_SENTENCE, 4, "a\0b", 4)); /* a zero inside */
	assert_false(accepts(WIRE_SENTENCE, 1, "", 1));     /* empty */
	assert_false(accepts(WIRE_SENTENCE, 0, "", 0));
	assert_false(accepts(WIRE_SENTENCE, 9, "ab", 3)); /* longer than the message */
	assert_false(accepts(WIRE_SENTENCE, 65535, "ab", 3));
	assert_true(accepts(WIRE_FENCE, 8, "12345678", 8));
	assert_false(accepts(WIRE_FENCE, 7, "1234567", 7));
	assert_false(accepts(WIRE_FENCE, 9, "123456789", 9));
	assert_false(accepts(0, 8, "12345678", 8));
}

static void a_key_that_comes_twice_is_refused(void **state)
{
	struct wire_message message;

	(void)state;
	fill_open(&message);
	wire_put_text(&message, WIRE_USER, "root");
	assert_false(wire_is_valid(&message));
}

static void what_a_newer_release_adds_is_passed_over(void **state)
{
	struct wire_message message;
	uint16_t version = WIRE_VERSION + 7, type = 999;

	(void)state;
	assert_true(accepts(200, 8, "12345678", 8));
	assert_true(accepts(9999, 4, "new", 4));
	wire_begin(&message, WIRE_RELEASE);
	memcpy(message.bytes + 4, &version, sizeof(version));
	memcpy(message.bytes + 6, &type, sizeof(type));
	assert_true(wire_is_valid(&message));
	assert_int_equal(wire_version(&message), version);
	assert_int_equal(wire_type(&message), type);
}

static void another_kind_of_message_is_refused(void **state)
{
	struct wire_message message;
	uint16_t zero = 0;

	(void)state;
	wire_begin(&message, WIRE_RELEASE);
	message.bytes[0] ^= 1;
	assert_false(wire_is_valid(&message));
	wire_begin(&message, WIRE_RELEASE);
	memcpy(message.bytes + 4, &zero, sizeof(zero));
	assert_false(wire_is_valid(&message));
	wire_begin(&message, (enum wire_type)0);
	assert_false(wire_is_valid(&message));
}

static void a_message_that_a_field_did_not_fit_is_not_sent(void **state)
{
	struct wire_message message;
	char large[WIRE_TEXT_MAX + 1];

	(void)state;
	memset(large, 'x', sizeof(large));
	large[WIRE_TEXT_MAX] = '\0';
	wire_begin(&message, WIRE_NOTICE);
	wire_put_text(&message, WIRE_SENTENCE, large);
	assert_false(wire_send(-1, &message));
	assert_int_equal(errno, EMSGSIZE);
	large[WIRE_TEXT_MAX - 1] = '\0';
	wire_begin(&message, WIRE_NOTICE);
	wire_put_text(&message, WIRE_SENTENCE, large);
	assert_true(wire_is_valid(&message));
	for (int i = 0; i < 4; i++)
		wire_put_text(&message, (enum wire_text)(WIRE_SENTENCE + 1 + i), large);
	assert_true(message.failed);
	assert_true(message.size <= sizeof(message.bytes));
}

/* Nothing that anybody sends may lead past the message's end: the sanitizers watch. */
static void changed_messages_are_valid_or_not_but_never_read_past_their_end(void **state)
{
	struct wire_message *message = malloc(sizeof(*message));
	unsigned seed = 1, valid_count = 0;

	(void)state;
	assert_non_null(message);
	for (unsigned i = 0; i < FUZZED_MESSAGES; i++) {
		fill_open(message);
		for (unsigned changes = (unsigned)rand_r(&seed) % 4 + 1; changes > 0; changes--)
			message->bytes[(unsigned)rand_r(&seed) % message->size] = (unsigned char)rand_r(&seed);
		if (rand_r(&seed) % 4 == 0)
			message->size -= (unsigned)rand_r(&seed) % message->size;
		if (!wire_is_valid(message))
			continue;
		valid_count++;
		for (int key = WIRE_GUARD; key <= WIRE_PURPOSE; key++)
			assert_true(strlen(wire_text(message, (enum wire_text)key)) < WIRE_TEXT_MAX);
	}
	assert_in_range(valid_count, 1, FUZZED_MESSAGES - 1);
	free(message);
}

struct pair {
	int ours, theirs;
};

static struct pair open_pair(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ fds[0], fds[1] };
}

static void a_message_arrives_with_its_senders_effective_user(void **state)
{
	struct pair pair = open_pair();
	struct wire_message message;
	uid_t sender = (uid_t)-1;

	(void)state;
	fill_open(&message);
	/* Also one that was sent before anybody asked for it. */
	assert_true(wire_send(pair.theirs, &message));
	assert_true(wire_want_sender(pair.ours));
	assert_int_equal(wire_receive(pair.ours, &message, &sender), WIRE_GOT);
	assert_int_equal(sender, geteuid());
	assert_int_equal(wire_receive(pair.ours, &message, &sender), WIRE_NOTHING);
	close(pair.theirs);
	assert_int_equal(wire_receive(pair.ours, &message, &sender), WIRE_END);
	close(pair.ours);
}

static void nonsense_is_thrown_away_and_the_next_message_read(void **state)
{
	struct pair pair = open_pair();
	struct wire_message message;
	char large[WIRE_SIZE_MAX + 100] = { 0 };

	(void)state;
	assert_true(wire_want_sender(pair.ours));
	assert_int_equal(send(pair.theirs, "x", 1, 0), 1);
	assert_int_equal(send(pair.theirs, "", 0, 0), 0);
	assert_int_equal(send(pair.theirs, large, sizeof(large), 0), sizeof(large));
	assert_true(wire_send_type(pair.theirs, WIRE_RELEASE));
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_BAD);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_BAD);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_BAD);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_GOT);
	close(pair.ours);
	close(pair.theirs);
}

static void the_last_words_of_one_that_left_without_reading_are_heard(void **state)
{
	struct pair pair = open_pair();
	struct wire_message message;

	(void)state;
	assert_true(wire_send_type(pair.ours, WIRE_STORE));
	assert_true(wire_send_type(pair.theirs, WIRE_RELEASED));
	close(pair.theirs);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_GOT);
	assert_int_equal(wire_type(&message), WIRE_RELEASED);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_END);
	assert_false(wire_send_type(pair.ours, WIRE_STORE)); /* and no SIGPIPE */
	close(pair.ours);
}

static void descriptors_that_come_along_are_closed(void **state)
{
	struct pair pair = open_pair();
	struct wire_message message;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec part;
	struct msghdr packet = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
	int ends[2], next;
	char byte;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	wire_begin(&message, WIRE_RELEASE);
	part = (struct iovec){ .iov_base = message.bytes, .iov_len = message.size };
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &ends[1], sizeof(int));
	assert_true(sendmsg(pair.theirs, &packet, 0) > 0);
	close(ends[1]);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_GOT);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody has the other end any more */
	next = dup(ends[0]);
	assert_int_equal(next, ends[1]);
	close(next);
	close(ends[0]);
	close(pair.ours);
	close(pair.theirs);
}

static void the_descriptor_of_a_move_comes_along_and_no_other(void **state)
{
	struct pair pair = open_pair();
	struct wire_message message;
	int ends[2];
	char byte = 'x';

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	wire_begin(&message, WIRE_MOVED);
	assert_true(wire_send_passing(pair.theirs, &message, ends[1]));
	wire_begin(&message, WIRE_RELEASE);
	assert_true(wire_send_passing(pair.theirs, &message, ends[1]));
	wire_begin(&message, WIRE_MOVED);
	assert_true(wire_send(pair.theirs, &message));
	close(ends[1]);
	assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_GOT);
	assert_true(message.passed >= 0);
	assert_int_equal(fcntl(message.passed, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(message.passed, &byte, 1), 1);
	close(message.passed);
	for (int others = 0; others < 2; others++) {
		assert_int_equal(wire_receive(pair.ours, &message, NULL), WIRE_GOT);
		assert_int_equal(message.passed, -1);
	}
	/* Nobody has the pipe's other end any more. */
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	close(pair.ours);
	close(pair.theirs);
}

static void one_that_does_not_read_makes_nobody_wait(void **state)
{
	struct pair pair = open_pair();
	unsigned sent = 0;

	(void)state;
	while (sent < 1000000 && wire_send_type(pair.ours, WIRE_RELEASE))
		sent++;
	assert_int_equal(errno, EAGAIN);
	assert_in_range(sent, 1, 999999);
	close(pair.ours);
	close(pair.theirs);
}

static void a_wait_ends_with_its_time(void **state)
{
	struct pair pair = open_pair();
	struct wire_message message;

	(void)state;
	assert_int_equal(wire_wait(pair.ours, &message, NULL, 0), WIRE_NOTHING);
	assert_int_equal(wire_wait(pair.ours, &message, NULL, 20), WIRE_NOTHING);
	assert_true(wire_send_type(pair.theirs, WIRE_RELEASE));
	assert_int_equal(wire_wait(pair.ours, &message, NULL, -1), WIRE_GOT);
	close(pair.theirs);
	assert_int_equal(wire_wait(pair.ours, &message, NULL, -1), WIRE_END);
	close(pair.ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_read_back),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(a_message_without_what_it_needs_is_refused),
		cmocka_unit_test(a_field_of_the_wrong_form_is_refused),
		cmocka_unit_test(a_key_that_comes_twice_is_refused),
		cmocka_unit_test(what_a_newer_release_adds_is_passed_over),
		cmocka_unit_test(another_kind_of_message_is_refused),
		cmocka_unit_test(a_message_that_a_field_did_not_fit_is_not_sent),
		cmocka_unit_test(changed_messages_are_valid_or_not_but_never_read_past_their_end),
		cmocka_unit_test(a_message_arrives_with_its_senders_effective_user),
		cmocka_unit_test(nonsense_is_thrown_away_and_the_next_message_read),
		cmocka_unit_test(the_last_words_of_one_that_left_without_reading_are_heard),
		cmocka_unit_test(descriptors_that_come_along_are_closed),
		cmocka_unit_test(the_descriptor_of_a_move_comes_along_and_no_other),
		cmocka_unit_test(one_that_does_not_read_makes_nobody_wait),
		cmocka_unit_test(a_wait_ends_with_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
