/* Asking for an MFA code on the terminal, never on standard input, which is the user's, and without an echo.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/mfa_prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/interrupt.h"
#include "term/report.h"

struct prompt {
	int terminal_fd, signal_fd;
	struct termios plain; /* as it was, in the foreground */
	sigset_t signals, old_mask;
};

enum answer {
	ANSWER_GIVEN,
	ANSWER_SIGNAL,
	ANSWER_NONE
};

static int open_terminal(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static void show_text(const struct prompt *prompt, const char *text)
{
	if (write(prompt->terminal_fd, text, strlen(text)) < 0) {
		/* A terminal that shows nothing is going to give no code either. */
	}
}

/* Signals that end or stop the program wait until the echo is back: they are seen, and left pending. */
static bool begin_prompt(struct prompt *prompt)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

	sigemptyset(&prompt->signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&prompt->signals, numbers[i]);
	prompt->terminal_fd = open_terminal();
	prompt->signal_fd = signalfd(-1, &prompt->signals, SFD_CLOEXEC);
	if (prompt->terminal_fd >= 0 && prompt->signal_fd >= 0)
		return true;
	if (prompt->terminal_fd >= 0)
		close(prompt->terminal_fd);
	if (prompt->signal_fd >= 0)
		close(prompt->signal_fd);
	return false;
}

static void end_prompt(const struct prompt *prompt)
{
	close(prompt->terminal_fd);
	close(prompt->signal_fd);
}

static enum answer read_line(const struct prompt *prompt, char *out, size_t size)
{
	struct pollfd watched[] = { { .fd = prompt->terminal_fd, .events = POLLIN },
				    { .fd = prompt->signal_fd, .events = POLLIN } };
	ssize_t got;

	while (poll(watched, 2, -1) < 0) {
		if (errno != EINTR)
			return ANSWER_NONE;
	}
	if (watched[1].revents)
		return ANSWER_SIGNAL;
	got = read(prompt->terminal_fd, out, size - 1); /* a whole line, as the terminal edits it */
	if (got <= 0)
		return ANSWER_NONE;
	out[got] = '\0';
	return ANSWER_GIVEN;
}

/* Who is in the background is stopped here until the shell brings it to the front, and not before: until then the terminal
 * has the shell's modes, which are not to be changed, or given back later.  A background that nobody can end, or that
 * does not stop, gives no answer. */
static enum answer wait_for_foreground(const struct prompt *prompt)
{
	if (tcdrain(prompt->terminal_fd) != 0)
		return errno == EINTR ? ANSWER_SIGNAL : ANSWER_NONE;
	return tcgetpgrp(prompt->terminal_fd) == getpgrp() ? ANSWER_GIVEN : ANSWER_NONE;
}

static enum answer ask_once(struct prompt *prompt, const char *question, char *out, size_t size)
{
	struct termios silent;
	enum answer answer = wait_for_foreground(prompt);

	if (answer != ANSWER_GIVEN)
		return answer;
	if (tcgetattr(prompt->terminal_fd, &prompt->plain) != 0)
		return ANSWER_NONE;
	silent = prompt->plain;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	silent.c_lflag |= ICANON | ISIG;
	sigprocmask(SIG_BLOCK, &prompt->signals, &prompt->old_mask);
	tcsetattr(prompt->terminal_fd, TCSAFLUSH, &silent);
	show_text(prompt, question);
	answer = read_line(prompt, out, size);
	tcsetattr(prompt->terminal_fd, TCSAFLUSH, &prompt->plain);
	show_text(prompt, "\n");
	sigprocmask(SIG_SETMASK, &prompt->old_mask, NULL); /* here a signal that came does its work */
	return answer;
}

/* Whether the signal that has been let in was one that only stops for a while. */
static bool was_only_stopped(awsflock_error *error)
{
	struct pollfd interrupted = { .fd = interrupt_fd(), .events = POLLIN };

	if (interrupt_fd() < 0 || poll(&interrupted, 1, 0) == 0)
		return true;
	error_set(error, AWSFLOCK_CANCELLED, "told to stop while asking for an MFA code");
	return false;
}

static void trim_line(char *text)
{
	size_t size = strlen(text);

	while (size > 0 && strchr(" \t\r\n", text[size - 1]))
		text[--size] = '\0';
}

static awsflock_code ask_until_answered(struct prompt *prompt, const char *question, char *code, size_t size,
					awsflock_error *error)
{
	enum answer answer;

	do {
		answer = ask_once(prompt, question, code, size);
		if (answer == ANSWER_SIGNAL && !was_only_stopped(error))
			return AWSFLOCK_CANCELLED;
	} while (answer == ANSWER_SIGNAL);
	if (answer == ANSWER_NONE)
		return error_set(error, AWSFLOCK_CREDENTIALS, "the terminal gave no MFA code");
	trim_line(code);
	return AWSFLOCK_OK;
}

/* The words are botocore's, for who knows them. */
static awsflock_code ask_on_terminal(void *arg, const char *serial, char *code, size_t size, awsflock_error *error)
{
	struct prompt prompt;
	char device[256], question[300];
	awsflock_code result;

	(void)arg;
	if (!begin_prompt(&prompt))
		return error_set(error, AWSFLOCK_CREDENTIALS, "the terminal cannot be asked for an MFA code");
	text_sanitise(serial, device, sizeof(device));
	snprintf(question, sizeof(question), "Enter MFA code for %s: ", device);
	report_live_line(NULL);
	result = ask_until_answered(&prompt, question, code, size, error);
	end_prompt(&prompt);
	return result;
}

void mfa_prompt_offer(awsflock *context)
{
	int fd = open_terminal();

	if (fd < 0)
		return;
	close(fd);
	awsflock_set_mfa_callback(context, ask_on_terminal, NULL);
}
