/* A keeper that says what a test wants the PAM module to hear.  SPDX-License-Identifier: Apache-2.0
 *
 * The file that the module names with conf= has one order a line:
 *
 *   accept MS | notice TEXT | granted LOCK | waited MS LOCK | denied REASON TEXT | admitted BECAUSE TEXT | clear
 *   garbage   send what is no message      unknown   send a message of a newer release
 *   hear      wait for the module's next message
 *   released | leftovers TEXT | kept TEXT
 *   end       leave
 *
 * After the last order it waits for the module's end.  Everything heard is in the file's name with ".heard". */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard/wire.h"

enum {
	MODULE = 3,
	HOST = 4,
	LINE_SIZE = 1024,
	PATIENCE_MS = 60000
};

static FILE *heard;

static void write_down(const struct wire_message *message)
{
	static const enum wire_text texts[] = { WIRE_GUARD, WIRE_SERVICE, WIRE_USER, WIRE_RUSER,  WIRE_PERSON,
						WIRE_RHOST, WIRE_TTY,     WIRE_KEY,  WIRE_SESSION };
	static const char *const names[] = { "guard", "service", "user", "ruser",  "person",
					     "rhost", "tty",     "key",  "session" };
	fprintf(heard, "type=%u", wire_type(message));
	if (wire_type(message) == WIRE_OPEN)
		fprintf(heard, " uid=%" PRId64 " flags=%" PRId64, wire_number(message, WIRE_PERSON_UID),
			wire_number(message, WIRE_FLAGS));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (wire_has(message, (int)texts[i]))
			fprintf(heard, " %s=%s", names[i], wire_text(message, texts[i]));
	fprintf(heard, "\n");
	fflush(heard);
}

/* False once the module is gone. */
static bool hear(struct wire_message *message)
{
	bool got = wire_wait(MODULE, message, NULL, PATIENCE_MS) == WIRE_GOT;
	if (got)
		write_down(message);
	return got;
}

static void send_sentence(enum wire_type type, enum wire_number key, int64_t number, const char *sentence)
{
	struct wire_message message;
	wire_begin(&message, type);
	if (key != 0)
		wire_put_number(&message, key, number);
	wire_put_text(&message, WIRE_SENTENCE, sentence);
	wire_send(MODULE, &message);
}

static void send_granted(const char *lock, int64_t waited_ms)
{
	struct wire_message message;
	wire_begin(&message, WIRE_GRANTED);
	wire_put_text(&message, WIRE_LOCK, lock);
	wire_put_number(&message, WIRE_FENCE, 42);
	wire_put_number(&message, WIRE_EXPIRATION_TIME, 2000000000);
	wire_put_number(&message, WIRE_WAITED_MS, waited_ms);
	wire_send(MODULE, &message);
}

static void accept_within(int64_t ms)
{
	struct wire_message message;
	wire_begin(&message, WIRE_ACCEPTED);
	wire_put_number(&message, WIRE_ANSWER_WITHIN_MS, ms);
	wire_send(MODULE, &message);
}

/* "ORDER" or "ORDER NUMBER TEXT" or "ORDER TEXT". */
static void obey(char *line)
{
	struct wire_message message;
	line[strcspn(line, "\n")] = '\0';
	char *rest = line + strcspn(line, " ");
	if (*rest != '\0')
		*rest++ = '\0';
	char *text = rest;
	int64_t number = strtoll(rest, &text, 10);
	text += *text == ' ';
	if (strcmp(line, "accept") == 0)
		accept_within(number);
	else if (strcmp(line, "notice") == 0)
		send_sentence(WIRE_NOTICE, 0, 0, rest);
	else if (strcmp(line, "granted") == 0)
		send_granted(rest, 0);
	else if (strcmp(line, "waited") == 0)
		send_granted(text, number);
	else if (strcmp(line, "denied") == 0)
		send_sentence(WIRE_DENIED, WIRE_REASON, number, text);
	else if (strcmp(line, "admitted") == 0)
		send_sentence(WIRE_ADMITTED, WIRE_BECAUSE, number, text);
	else if (strcmp(line, "clear") == 0)
		wire_send_type(MODULE, WIRE_CLEAR);
	else if (strcmp(line, "garbage") == 0)
		(void)send(MODULE, "what is this?", 13, MSG_NOSIGNAL);
	else if (strcmp(line, "unknown") == 0)
		wire_send_type(MODULE, (enum wire_type)4711);
	else if (strcmp(line, "released") == 0)
		wire_send_type(MODULE, WIRE_RELEASED);
	else if (strcmp(line, "leftovers") == 0)
		send_sentence(WIRE_LEFTOVERS, 0, 0, rest);
	else if (strcmp(line, "kept") == 0)
		send_sentence(WIRE_KEPT, 0, 0, rest);
	else if (strcmp(line, "shared") == 0)
		send_sentence(WIRE_KEPT, WIRE_SHARED, 1, rest);
	else if (strcmp(line, "hear") == 0)
		(void)hear(&message);
	else if (strcmp(line, "end") == 0)
		exit(0);
	else
		abort();
}

/* Before anything else is opened. */
static bool is_host_the_last_descriptor(void)
{
	return fcntl(HOST, F_GETFD) >= 0 && fcntl(HOST + 1, F_GETFD) < 0;
}

static void write_down_surroundings(char **environment, bool descriptors)
{
	fprintf(heard, "environment=%s%s descriptors=%s\n", environment[0] != NULL ? environment[0] : "",
		environment[0] != NULL && environment[1] != NULL ? " and more" : "",
		descriptors ? "right" : "wrong");
}

int main(int argc, char **argv, char **environment)
{
	struct wire_message open;
	char path[WIRE_TEXT_MAX + 8], line[LINE_SIZE];
	bool descriptors = is_host_the_last_descriptor();
	if (argc != 5 || strcmp(argv[1], "--session-fd") != 0 || strcmp(argv[2], "3") != 0 ||
	    wire_wait(MODULE, &open, NULL, PATIENCE_MS) != WIRE_GOT)
		return 2;
	snprintf(path, sizeof(path), "%s.heard", wire_text(&open, WIRE_CONF));
	FILE *orders = fopen(wire_text(&open, WIRE_CONF), "re");
	heard = fopen(path, "ae");
	if (orders == NULL || heard == NULL)
		return 2;
	write_down_surroundings(environment, descriptors);
	write_down(&open);
	while (fgets(line, sizeof(line), orders) != NULL)
		obey(line);
	while (hear(&open))
		;
	fprintf(heard, "end\n");
	return 0;
}
