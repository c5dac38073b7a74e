/* See wire.h.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/wire.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define NUMBER_KEYS_END 256 /* keys below are numbers, the others texts */
/* More descriptors than anybody could send us by mistake; the kernel drops what does not fit. */
#define STRAY_DESCRIPTORS_MAX 16
#define POLL_AGAIN_NS (20 * NS_PER_MS)

struct header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
};

struct field {
	uint16_t key;
	uint16_t size; /* of what follows */
};

/* All types, and what a message must have to mean anything; a list ends in 0. */
static const struct rule {
	uint16_t type;
	uint16_t keys[8];
} rules[] = {
	{ WIRE_OPEN, { WIRE_GUARD, WIRE_SERVICE, WIRE_USER, WIRE_PERSON, WIRE_PERSON_UID, WIRE_SESSION } },
	{ WIRE_ACCEPTED, { WIRE_ANSWER_WITHIN_MS } },
	{ WIRE_NOTICE, { WIRE_SENTENCE } },
	{ WIRE_GRANTED, { WIRE_LOCK, WIRE_FENCE, WIRE_EXPIRATION_TIME, WIRE_WAITED_MS } },
	{ WIRE_DENIED, { WIRE_REASON, WIRE_SENTENCE } },
	{ WIRE_ADMITTED, { WIRE_BECAUSE, WIRE_SENTENCE } },
	{ WIRE_LEFTOVERS, { WIRE_SENTENCE } },
	{ WIRE_KEPT, { WIRE_SENTENCE } },
	{ WIRE_SETTING, { WIRE_NAME, WIRE_VALUE } },
	{ WIRE_ACQUIRE, { WIRE_LOCK, WIRE_LEASE_S, WIRE_WAIT_MS, WIRE_STOP_MS, WIRE_PERSON } },
	{ WIRE_PROBE, { WIRE_LOCK, WIRE_PERSON } },
	{ WIRE_OWNER, { WIRE_OWNER_TEXT } },
	{ WIRE_DIAGNOSE, { WIRE_LOCK } },
	{ WIRE_ADOPT, { WIRE_LOCK, WIRE_LEASE_S, WIRE_STOP_MS, WIRE_DEADLINE_BOOT_NS } },
	{ WIRE_ACQUIRED, { WIRE_FENCE, WIRE_EXPIRATION_TIME, WIRE_DEADLINE_BOOT_NS, WIRE_WAITED_MS } },
	{ WIRE_VALID, { WIRE_DEADLINE_BOOT_NS, WIRE_EXPIRATION_TIME } },
	{ WIRE_LOST, { WIRE_SENTENCE, WIRE_REFUSED } },
	{ WIRE_LOG, { WIRE_PRIORITY, WIRE_SENTENCE } },
	{ WIRE_CHECK, { WIRE_NAME, WIRE_VERDICT, WIRE_SENTENCE } },
	{ WIRE_LEASE_ID, { WIRE_ID } },
	{ WIRE_JOIN, { WIRE_PERSON_UID, WIRE_STORE_NAME, WIRE_LOCK, WIRE_STOP_MS, WIRE_SESSION } },
	{ WIRE_JOINED, { WIRE_FENCE, WIRE_EXPIRATION_TIME, WIRE_DEADLINE_BOOT_NS } },
	{ WIRE_OPENED, { 0 } },
	{ WIRE_RELEASE, { 0 } },
	{ WIRE_CLEAR, { 0 } },
	{ WIRE_RELEASED, { 0 } },
	{ WIRE_STORE, { 0 } },
	{ WIRE_LEAVE, { 0 } },
};

/* ---- Writing --------------------------------------------------------------------------------------------- */

static void append_bytes(struct wire_message *message, const void *bytes, size_t size)
{
	memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

void wire_begin(struct wire_message *message, enum wire_type type)
{
	struct header header = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = (uint16_t)type };

	message->size = 0;
	message->failed = false;
	message->passed = -1;
	append_bytes(message, &header, sizeof(header));
}

static void put_field(struct wire_message *message, int key, const void *bytes, size_t size)
{
	struct field field = { .key = (uint16_t)key, .size = (uint16_t)size };

	if (message->failed || size > WIRE_TEXT_MAX ||
	    sizeof(field) + size > sizeof(message->bytes) - message->size) {
		message->failed = true;
		return;
	}
	append_bytes(message, &field, sizeof(field));
	append_bytes(message, bytes, size);
}

void wire_put_number(struct wire_message *message, enum wire_number key, int64_t number)
{
	put_field(message, (int)key, &number, sizeof(number));
}

void wire_put_text(struct wire_message *message, enum wire_text key, const char *text)
{
	if (text && *text)
		put_field(message, (int)key, text, strlen(text) + 1);
}

/* ---- Reading --------------------------------------------------------------------------------------------- */

static struct header header_of(const struct wire_message *message)
{
	struct header header;

	memcpy(&header, message->bytes, sizeof(header));
	return header;
}

/* The field at *OFFSET, whose contents are at *CONTENTS; *OFFSET moves behind it.  False where no whole one is
 * left. */
static bool next_field(const struct wire_message *message, size_t *offset, struct field *field, size_t *contents)
{
	if (message->size - *offset < sizeof(*field))
		return false;
	memcpy(field, message->bytes + *offset, sizeof(*field));
	*contents = *offset + sizeof(*field);
	if (message->size - *contents < field->size)
		return false;
	*offset = *contents + field->size;
	return true;
}

static bool find_field(const struct wire_message *message, int key, size_t *contents)
{
	size_t offset = sizeof(struct header);
	struct field field;

	while (next_field(message, &offset, &field, contents))
		if (field.key == key)
			return true;
	return false;
}

/* A text ends in its only zero and has something before it. */
static bool is_valid_field(const struct field *field, const unsigned char *contents)
{
	if (field->key == 0)
		return false;
	if (field->key < NUMBER_KEYS_END)
		return field->size == sizeof(int64_t);
	return field->size >= 2 && field->size <= WIRE_TEXT_MAX &&
	       memchr(contents, '\0', field->size) == contents + field->size - 1;
}

static bool has_what_it_needs(const struct wire_message *message)
{
	unsigned type = wire_type(message);

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		for (size_t k = 0; rules[i].type == type && rules[i].keys[k]; k++)
			if (!wire_has(message, rules[i].keys[k]))
				return false;
	return true;
}

bool wire_is_valid(const struct wire_message *message)
{
	size_t offset = sizeof(struct header), contents, first;
	struct field field;
	struct header header;

	if (message->failed || message->size < sizeof(header) || message->size > sizeof(message->bytes))
		return false;
	header = header_of(message);
	if (header.magic != WIRE_MAGIC || header.version == 0 || header.type == 0)
		return false;
	while (offset < message->size) {
		if (!next_field(message, &offset, &field, &contents) ||
		    !is_valid_field(&field, message->bytes + contents))
			return false;
		if (!find_field(message, field.key, &first) || first != contents)
			return false; /* it was there before */
	}
	return has_what_it_needs(message);
}

unsigned wire_type(const struct wire_message *message)
{
	return header_of(message).type;
}

unsigned wire_version(const struct wire_message *message)
{
	return header_of(message).version;
}

bool wire_is_known(const struct wire_message *message)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == wire_type(message))
			return true;
	return false;
}

bool wire_has(const struct wire_message *message, int key)
{
	size_t contents;

	return find_field(message, key, &contents);
}

int64_t wire_number(const struct wire_message *message, enum wire_number key)
{
	size_t contents;
	int64_t number = 0;

	if (find_field(message, (int)key, &contents))
		memcpy(&number, message->bytes + contents, sizeof(number));
	return number;
}

const char *wire_text(const struct wire_message *message, enum wire_text key)
{
	size_t contents;

	return find_field(message, (int)key, &contents) ? (const char *)message->bytes + contents : "";
}

/* ---- Sending and receiving ------------------------------------------------------------------------------- */

/* Aligned as a control message must be. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(STRAY_DESCRIPTORS_MAX * sizeof(int))];
};

static void put_control(struct cmsghdr *head, int type, const void *contents, socklen_t size)
{
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = type;
	head->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(head), contents, size);
}

/* PASSED -1: no descriptor goes along. */
static bool send_packet(int fd, const struct wire_message *message, int passed)
{
	/* The kernel takes a user that is the sender's real, effective or saved one.  By itself it would add the
	 * real one, which in a set-user-id program is whoever started it. */
	struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };
	union {
		const unsigned char *read;
		void *base; /* sendmsg() does not write there, and has no other type for it */
	} bytes = { .read = message->bytes };
	struct iovec part = { .iov_base = bytes.base, .iov_len = message->size };
	union control control;
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes };
	ssize_t sent;

	if (message->failed) {
		errno = EMSGSIZE;
		return false;
	}
	memset(&control, 0, sizeof(control));
	packet.msg_controllen = CMSG_SPACE(sizeof(self)) + (passed >= 0 ? CMSG_SPACE(sizeof(passed)) : 0);
	put_control(CMSG_FIRSTHDR(&packet), SCM_CREDENTIALS, &self, sizeof(self));
	if (passed >= 0)
		put_control(CMSG_NXTHDR(&packet, CMSG_FIRSTHDR(&packet)), SCM_RIGHTS, &passed, sizeof(passed));
	do
		sent = sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

bool wire_send(int fd, const struct wire_message *message)
{
	return send_packet(fd, message, -1);
}

bool wire_send_passing(int fd, const struct wire_message *message, int passed)
{
	return send_packet(fd, message, passed);
}

bool wire_send_type(int fd, enum wire_type type)
{
	struct wire_message message;

	wire_begin(&message, type);
	return wire_send(fd, &message);
}

/* Keeps the first one in *PASSED, where there is none yet. */
static void take_descriptors(const struct cmsghdr *head, int *passed)
{
	size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(head) + i * sizeof(fd), sizeof(fd));
		if (*passed < 0)
			*passed = fd;
		else
			close(fd);
	}
}

static uid_t take_control(struct msghdr *packet, int *passed)
{
	uid_t sender = (uid_t)-1;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(packet); head; head = CMSG_NXTHDR(packet, head)) {
		if (head->cmsg_level != SOL_SOCKET)
			continue;
		if (head->cmsg_type == SCM_RIGHTS)
			take_descriptors(head, passed);
		if (head->cmsg_type == SCM_CREDENTIALS && head->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
			struct ucred credentials;
			memcpy(&credentials, CMSG_DATA(head), sizeof(credentials));
			sender = credentials.uid;
		}
	}
	return sender;
}

bool wire_want_sender(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0;
}

/* A machine that is short of memory has not ended the other end. */
static bool is_passing(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOMEM || error == ENOBUFS;
}

/* As wire_receive(), but that *PASSED is a descriptor of any message's, even of none. */
static enum wire_result receive_packet(int fd, struct wire_message *message, uid_t *sender_uid, int *passed)
{
	/* cppcheck-suppress ctuuninitvar ; it is written here */
	struct iovec part = { .iov_base = message->bytes, .iov_len = sizeof(message->bytes) };
	union control control;
	struct msghdr packet = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	ssize_t size = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	uid_t sender;

	/* The other end left without reading all that we sent.  That is told once, before its own last words. */
	if (size < 0 && errno == ECONNRESET)
		size = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return is_passing(errno) ? WIRE_NOTHING : WIRE_END;
	sender = take_control(&packet, passed);
	/* An empty packet has a sender, the end has none. */
	if (size == 0)
		return sender == (uid_t)-1 ? WIRE_END : WIRE_BAD;
	message->size = (size_t)size;
	message->failed = false;
	if ((packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !wire_is_valid(message))
		return WIRE_BAD;
	if (sender_uid)
		*sender_uid = sender;
	return WIRE_GOT;
}

enum wire_result wire_receive(int fd, struct wire_message *message, uid_t *sender_uid)
{
	int passed = -1;
	enum wire_result result = receive_packet(fd, message, sender_uid, &passed);

	message->passed = -1;
	if (result == WIRE_GOT && wire_type(message) == WIRE_MOVED)
		message->passed = passed;
	else if (passed >= 0)
		close(passed);
	return result;
}

enum wire_result wire_wait(int fd, struct wire_message *message, uid_t *sender_uid, int64_t timeout_ms)
{
	int64_t end_ms = clock_boot_ms() + timeout_ms;

	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		int64_t left_ms = timeout_ms < 0 ? -1 : end_ms - clock_boot_ms();
		enum wire_result result = WIRE_NOTHING;

		if (timeout_ms >= 0 && left_ms < 0)
			left_ms = 0;
		int count = poll(&ready, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
		if (count < 0 && errno != EINTR)
			clock_pause_ns(POLL_AGAIN_NS);
		if (count != 0)
			result = wire_receive(fd, message, sender_uid); /* which does not wait */
		if (result != WIRE_NOTHING || left_ms == 0)
			return result;
	}
}
