/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of aws/http_curl.c against a server on the loopback, which plays a script. */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/curl_library.h"
#include "aws/http.h"

#define STEPS_MAX 8
#define REQUEST_MAX 4096

/* What the server does once it has read one request. */
struct step {
	const char *answer;  /* NULL: nothing */
	bool close_listener; /* nobody can connect any more */
	bool close;          /* this connection ends */
	bool stall;          /* keeps the connection, never answers */
	int stop_fd;         /* 0: none; one byte is written to it */
};

struct server {
	int listener, port;
	pthread_t thread;
	struct step steps[STEPS_MAX];
	size_t step_count;
	char requests[STEPS_MAX][REQUEST_MAX];
	atomic_int request_count, connection_count;
};

/* One request with its body into TEXT; false at the end of the connection. */
static bool read_request(int fd, char *text)
{
	size_t size = 0;
	const char *end = NULL;
	while (size < REQUEST_MAX - 1) {
		ssize_t got = recv(fd, text + size, REQUEST_MAX - 1 - size, 0);
		if (got <= 0)
			return false;
		size += (size_t)got;
		text[size] = '\0';
		end = strstr(text, "\r\n\r\n");
		const char *length = strcasestr(text, "content-length:");
		if (end != NULL &&
		    (length == NULL || length > end || strlen(end + 4) >= strtoul(length + 15, NULL, 10)))
			return true;
	}
	return false;
}

/* False: the connection is over. */
static bool play(struct server *server, int fd, const struct step *step)
{
	if (step->close_listener) {
		close(server->listener);
		server->listener = -1;
	}
	if (step->stop_fd != 0 && write(step->stop_fd, "x", 1) != 1)
		return false;
	if (step->answer != NULL && send(fd, step->answer, strlen(step->answer), MSG_NOSIGNAL) < 0)
		return false;
	if (step->stall) {
		char byte;
		while (recv(fd, &byte, 1, 0) > 0)
			;
	}
	return !step->close && !step->stall;
}

static void serve_connection(struct server *server, int fd, size_t *next)
{
	bool open = true;
	while (open && *next < server->step_count && read_request(fd, server->requests[*next])) {
		atomic_fetch_add(&server->request_count, 1);
		open = play(server, fd, &server->steps[(*next)++]);
	}
	close(fd);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	size_t next = 0;
	while (next < server->step_count && server->listener >= 0) {
		int fd = accept(server->listener, NULL, NULL);
		if (fd < 0)
			break;
		atomic_fetch_add(&server->connection_count, 1);
		serve_connection(server, fd, &next);
	}
	return NULL;
}

static void server_start(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(server->listener >= 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listener, 4), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_end(struct server *server)
{
	if (server->listener >= 0)
		shutdown(server->listener, SHUT_RDWR); /* wakes accept() */
	pthread_join(server->thread, NULL);
	if (server->listener >= 0)
		close(server->listener);
}

struct bench {
	struct server server;
	struct runtime runtime;
	struct http_transport *http;
	struct http_request request;
	struct http_reply reply;
	awsflock_error error;
	char url[64];
};

static const struct http_header headers[] = { { "Host", "dynamodb.example.com:8000" },
					      { "Content-Type", "application/x-amz-json-1.0" },
					      { "X-Amz-Target", "T" } };

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

static void bench_init(struct bench *bench, const struct step *steps, size_t count)
{
	const struct http_curl_options options = { .proxy = "", .user_agent = "awsflock/test" };
	memset(bench, 0, sizeof(*bench));
	for (size_t i = 0; i < count; i++)
		bench->server.steps[i] = steps[i];
	bench->server.step_count = count;
	server_start(&bench->server);
	runtime_init_system(&bench->runtime);
	assert_int_equal(http_curl_new(&bench->runtime, &options, &bench->http, &bench->error), AWSFLOCK_OK);
	snprintf(bench->url, sizeof(bench->url), "http://127.0.0.1:%d/", bench->server.port);
	bench->request = (struct http_request){ .method = "POST",
						.url = bench->url,
						.headers = headers,
						.header_count = 3,
						.body = "{\"a\":1}",
						.body_size = 7,
						.connect_timeout_ms = 10000,
						.total_timeout_ms = 20000,
						.reply_limit = 1000 };
}

static awsflock_code send_once(struct bench *bench)
{
	buf_free(&bench->reply.body);
	return bench->http->send(bench->http, &bench->request, &bench->reply, &bench->error);
}

static void bench_clear(struct bench *bench)
{
	buf_free(&bench->reply.body);
	bench->http->free(bench->http);
	server_end(&bench->server);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_reply_comes_with_its_headers_and_times(void **state)
{
	(void)state;
	const struct step steps[] = {
		{ .answer = "HTTP/1.1 400 Bad Request\r\ndate: Mon, 21 Sep 2026 14:13:20 GMT\r\n"
			    "Content-Type:  application/x-amz-json-1.0 \r\nX-AMZ-CRC32: 2745614147\r\n"
			    "x-amzn-RequestId: ABC\r\nContent-Length: 2\r\n\r\n{}" }
	};
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	int64_t before = runtime_boot_ns(&bench.runtime);
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.reply.fate, HTTP_ANSWERED);
	assert_int_equal(bench.reply.status, 400);
	assert_string_equal(buf_text(&bench.reply.body), "{}");
	assert_string_equal(bench.reply.content_type, "application/x-amz-json-1.0");
	assert_string_equal(bench.reply.crc32, "2745614147");
	assert_string_equal(bench.reply.request_id, "ABC");
	assert_true(bench.reply.has_date);
	assert_int_equal(bench.reply.date_seconds, 1790000000);
	assert_false(bench.reply.reused_connection);
	assert_false(bench.reply.resent);
	assert_true(before <= bench.reply.sent_boot_ns && bench.reply.sent_boot_ns <= bench.reply.received_boot_ns);
	assert_true(bench.reply.received_boot_ns <= runtime_boot_ns(&bench.runtime));
	bench_clear(&bench);
}

static void the_request_has_our_headers_and_none_that_libcurl_would_add(void **state)
{
	(void)state;
	const struct step steps[] = { { .answer = OK_REPLY } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_string_equal(bench.server.requests[0], "POST / HTTP/1.1\r\n"
						      "Host: dynamodb.example.com:8000\r\n"
						      "User-Agent: awsflock/test\r\n"
						      "Content-Type: application/x-amz-json-1.0\r\n"
						      "X-Amz-Target: T\r\n"
						      "Accept-Encoding: identity\r\n"
						      "Content-Length: 7\r\n\r\n{\"a\":1}");
	bench_clear(&bench);
}

static void get_and_put_go_out_as_such(void **state)
{
	(void)state;
	const struct step steps[] = { { .answer = OK_REPLY }, { .answer = OK_REPLY } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	bench.request.method = "PUT";
	bench.request.header_count = 1;
	bench.request.body = NULL;
	bench.request.body_size = 0;
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	bench.request.method = "GET";
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_non_null(strstr(bench.server.requests[0], "PUT / HTTP/1.1\r\n"));
	assert_non_null(strstr(bench.server.requests[0], "Content-Length: 0\r\n"));
	assert_null(strcasestr(bench.server.requests[0], "Content-Type"));
	assert_non_null(strstr(bench.server.requests[1], "GET / HTTP/1.1\r\n"));
	assert_null(strcasestr(bench.server.requests[1], "Content-"));
	bench_clear(&bench);
}

static void the_connection_is_kept_and_said_to_be(void **state)
{
	(void)state;
	const struct step steps[] = { { .answer = OK_REPLY }, { .answer = OK_REPLY } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_false(bench.reply.reused_connection);
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_true(bench.reply.reused_connection);
	assert_false(bench.reply.resent);
	assert_int_equal(atomic_load(&bench.server.connection_count), 1);
	bench_clear(&bench);
}

/* libcurl does it by itself; a new connection alone would look as if nothing had happened. */
static void a_silent_resend_on_a_new_connection_is_noticed(void **state)
{
	(void)state;
	const struct step steps[] = { { .answer = OK_REPLY }, { .close = true }, { .answer = OK_REPLY } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(atomic_load(&bench.server.request_count), 3);
	assert_true(bench.reply.resent);
	assert_true(bench.reply.reused_connection);
	bench_clear(&bench);
}

static void a_resend_that_finds_no_connection_leaves_the_first_sending_unknown(void **state)
{
	(void)state;
	const struct step steps[] = { { .answer = OK_REPLY }, { .close_listener = true, .close = true } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(send_once(&bench), AWSFLOCK_UNREACHABLE);
	assert_int_equal(bench.reply.fate, HTTP_UNKNOWN);
	bench_clear(&bench);
}

static void a_connection_refused_means_that_nothing_was_sent(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench, NULL, 0);
	pthread_join(bench.server.thread, NULL);
	close(bench.server.listener);
	bench.server.listener = -1;
	assert_int_equal(send_once(&bench), AWSFLOCK_UNREACHABLE);
	assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
	assert_non_null(strstr(bench.error.message, bench.url));
	buf_free(&bench.reply.body);
	bench.http->free(bench.http);
}

static void answers_that_break_off_leave_the_outcome_unknown(void **state)
{
	(void)state;
	static const char *const answers[] = {
		NULL, "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n"
	};
	for (size_t i = 0; i < COUNT(answers); i++) {
		const struct step steps[] = { { .answer = answers[i], .close = true } };
		struct bench bench;
		bench_init(&bench, steps, COUNT(steps));
		assert_int_equal(send_once(&bench), AWSFLOCK_UNREACHABLE);
		assert_int_equal(bench.reply.fate, HTTP_UNKNOWN);
		assert_int_equal(atomic_load(&bench.server.request_count), 1);
		bench_clear(&bench);
	}
}

static void what_is_no_http_is_a_protocol_error(void **state)
{
	(void)state;
	static const char *const answers[] = { "SSH-2.0-OpenSSH_9.2\r\n", "{}\n" };
	for (size_t i = 0; i < COUNT(answers); i++) {
		const struct step steps[] = { { .answer = answers[i], .close = true } };
		struct bench bench;
		bench_init(&bench, steps, COUNT(steps));
		assert_int_equal(send_once(&bench), AWSFLOCK_PROTOCOL);
		assert_int_equal(bench.reply.fate, HTTP_UNKNOWN);
		bench_clear(&bench);
	}
}

static void a_body_beyond_the_limit_is_a_protocol_error(void **state)
{
	(void)state;
	static const struct {
		size_t limit;
		awsflock_code code;
	} rows[] = { { 2, AWSFLOCK_OK }, { 1, AWSFLOCK_PROTOCOL } };
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct step steps[] = { { .answer = OK_REPLY } };
		struct bench bench;
		bench_init(&bench, steps, COUNT(steps));
		bench.request.reply_limit = rows[i].limit;
		assert_int_equal(send_once(&bench), rows[i].code);
		assert_int_equal(bench.reply.fate, rows[i].code == AWSFLOCK_OK ? HTTP_ANSWERED : HTTP_UNKNOWN);
		bench_clear(&bench);
	}
}

static void redirects_are_not_followed(void **state)
{
	(void)state;
	const struct step steps[] = {
		{ .answer = "HTTP/1.1 307 Away\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n" }
	};
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.reply.status, 307);
	assert_int_equal(atomic_load(&bench.server.request_count), 1);
	bench_clear(&bench);
}

static void headers_of_an_interim_reply_do_not_count(void **state)
{
	(void)state;
	const struct step steps[] = {
		{ .answer = "HTTP/1.1 103 Early Hints\r\nDate: Mon, 21 Sep 2026 14:13:20 GMT\r\n"
			    "x-amz-crc32: 1\r\n\r\n" OK_REPLY }
	};
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.reply.status, 200);
	assert_false(bench.reply.has_date);
	assert_string_equal(bench.reply.crc32, "");
	bench_clear(&bench);
}

static void dates_and_headers_that_cannot_be_are_as_good_as_none(void **state)
{
	(void)state;
	const struct step steps[] = {
		{ .answer = "HTTP/1.1 200 OK\r\nDate: soon\r\nx-amz-crc32: 12345678901234567890\r\n"
			    "Content-Length: 2\r\n\r\n{}" }
	};
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_false(bench.reply.has_date);
	assert_string_equal(bench.reply.crc32, "");
	bench_clear(&bench);
}

static void a_silent_server_meets_the_timeout_with_the_outcome_unknown(void **state)
{
	(void)state;
	const struct step steps[] = { { .stall = true } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	bench.request.total_timeout_ms = 100;
	assert_int_equal(send_once(&bench), AWSFLOCK_UNREACHABLE);
	assert_int_equal(bench.reply.fate, HTTP_UNKNOWN);
	assert_true(bench.reply.received_boot_ns - bench.reply.sent_boot_ns >= 100 * NS_PER_MS);
	bench_clear(&bench);
}

static void the_stop_descriptor_ends_the_wait_for_an_answer(void **state)
{
	(void)state;
	int pipe_fds[2];
	struct bench bench;
	assert_int_equal(pipe(pipe_fds), 0);
	const struct step steps[] = { { .stop_fd = pipe_fds[1], .stall = true } };
	bench_init(&bench, steps, COUNT(steps));
	bench.runtime.stop_fd = pipe_fds[0];
	assert_int_equal(send_once(&bench), AWSFLOCK_CANCELLED);
	assert_int_equal(bench.reply.fate, HTTP_UNKNOWN);
	/* Told already: nothing goes out. */
	assert_int_equal(send_once(&bench), AWSFLOCK_CANCELLED);
	assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
	assert_int_equal(atomic_load(&bench.server.request_count), 1);
	bench_clear(&bench);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void a_stop_that_is_to_be_ignored_is(void **state)
{
	(void)state;
	int pipe_fds[2];
	struct bench bench;
	const struct step steps[] = { { .answer = OK_REPLY } };
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	bench_init(&bench, steps, COUNT(steps));
	bench.runtime.stop_fd = pipe_fds[0];
	bench.runtime.stop_ignored = true;
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	bench_clear(&bench);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static bool stop_once_asked(void *arg)
{
	return atomic_load((atomic_int *)arg) > 0;
}

static void who_wants_to_stop_waits_for_the_answer_to_what_is_not_to_be_lost(void **state)
{
	(void)state;
	int pipe_fds[2];
	struct bench bench;
	assert_int_equal(pipe(pipe_fds), 0);
	const struct step steps[] = { { .stop_fd = pipe_fds[1], .answer = OK_REPLY } };
	bench_init(&bench, steps, COUNT(steps));
	bench.runtime.stop_fd = pipe_fds[0];
	bench.runtime.stop = stop_once_asked;
	bench.runtime.stop_arg = &bench.server.request_count;
	bench.request.finish_once_sent = true;
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.reply.status, 200);
	/* Not before it is sent. */
	assert_int_equal(send_once(&bench), AWSFLOCK_CANCELLED);
	assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
	assert_int_equal(atomic_load(&bench.server.request_count), 1);
	bench_clear(&bench);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void the_stop_callback_ends_the_wait_for_an_answer(void **state)
{
	(void)state;
	const struct step steps[] = { { .stall = true } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	bench.runtime.stop = stop_once_asked;
	bench.runtime.stop_arg = &bench.server.request_count;
	assert_int_equal(send_once(&bench), AWSFLOCK_CANCELLED);
	assert_int_equal(bench.reply.fate, HTTP_UNKNOWN);
	bench_clear(&bench);
}

static void after_a_broken_off_request_the_next_one_gets_a_connection_of_its_own(void **state)
{
	(void)state;
	const struct step steps[] = { { .stall = true }, { .answer = OK_REPLY } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	bench.request.total_timeout_ms = 100;
	assert_int_equal(send_once(&bench), AWSFLOCK_UNREACHABLE);
	bench.request.total_timeout_ms = 20000;
	assert_int_equal(send_once(&bench), AWSFLOCK_OK);
	assert_false(bench.reply.reused_connection);
	assert_int_equal(atomic_load(&bench.server.connection_count), 2);
	bench_clear(&bench);
}

static void a_server_without_tls_is_not_taken_for_one_with(void **state)
{
	(void)state;
	const struct step steps[] = { { .answer = OK_REPLY } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	snprintf(bench.url, sizeof(bench.url), "https://127.0.0.1:%d/", bench.server.port);
	bench.request.total_timeout_ms = 200; /* the server waits for the end of a request that never comes */
	assert_int_not_equal(send_once(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
	bench_clear(&bench);
}

static void other_protocols_are_refused(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench, NULL, 0);
	bench.request.url = "file:///etc/passwd";
	bench.request.method = "GET";
	assert_int_equal(send_once(&bench), AWSFLOCK_CONFIG);
	assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
	bench_clear(&bench);
}

static void a_bundle_that_cannot_be_read_is_a_configuration_error(void **state)
{
	(void)state;
	const struct http_curl_options options = { .proxy = "", .ca_bundle = "/nonexistent/bundle.pem" };
	struct bench bench;
	const struct step steps[] = { { .close = true } };
	bench_init(&bench, steps, COUNT(steps));
	bench.http->free(bench.http);
	assert_int_equal(http_curl_new(&bench.runtime, &options, &bench.http, &bench.error), AWSFLOCK_OK);
	snprintf(bench.url, sizeof(bench.url), "https://127.0.0.1:%d/", bench.server.port);
	assert_int_equal(send_once(&bench), AWSFLOCK_CONFIG);
	assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
	bench_clear(&bench);
}

/* OpenSSL would wait for a pipe's writer and read a device for ever. */
static void a_bundle_that_is_a_pipe_or_a_device_is_refused_at_once(void **state)
{
	(void)state;
	char pipe[] = "/tmp/awsflock-test-XXXXXX/pipe";
	char *slash = strrchr(pipe, '/');
	const char *paths[] = { pipe, "/dev/zero" };
	*slash = '\0';
	assert_non_null(mkdtemp(pipe));
	*slash = '/';
	assert_int_equal(mkfifo(pipe, 0600), 0);
	for (size_t i = 0; i < COUNT(paths); i++) {
		const struct http_curl_options options = { .proxy = "", .ca_bundle = paths[i] };
		struct bench bench;
		bench_init(&bench, NULL, 0);
		bench.http->free(bench.http);
		assert_int_equal(http_curl_new(&bench.runtime, &options, &bench.http, &bench.error), AWSFLOCK_OK);
		bench.request.url = "https://127.0.0.1:1/";
		assert_int_equal(send_once(&bench), AWSFLOCK_CONFIG);
		assert_int_equal(bench.reply.fate, HTTP_NOT_SENT);
		assert_non_null(strstr(bench.error.message, paths[i]));
		assert_non_null(strstr(bench.error.message, "is not a regular file"));
		bench_clear(&bench);
	}
	assert_int_equal(unlink(pipe), 0);
	*slash = '\0';
	assert_int_equal(rmdir(pipe), 0);
}

/* libcurl's curl_easy_setopt(), and its setting that fails (counted from 1; 0: none) with what. */
static __typeof__(curl_library.easy_setopt) real_setopt;
static int failing_setting, settings;
static CURLcode failure;

static CURLcode failing_setopt(CURL *easy, CURLoption option, ...)
{
	va_list arguments;
	CURLcode result;
	va_start(arguments, option);
	if (++settings == failing_setting)
		result = failure;
	else if (option < CURLOPTTYPE_OBJECTPOINT) /* as libcurl's own documentation has it */
		result = real_setopt(easy, option, va_arg(arguments, long));
	else if (option < CURLOPTTYPE_FUNCTIONPOINT)
		result = real_setopt(easy, option, va_arg(arguments, void *));
	else if (option < CURLOPTTYPE_OFF_T)
		result = real_setopt(easy, option, va_arg(arguments, void (*)(void)));
	else
		result = real_setopt(easy, option, va_arg(arguments, curl_off_t));
	va_end(arguments);
	return result;
}

/* A request with all that can be set: over https, through a proxy, with a bundle. */
static awsflock_code send_with_failing_setting(int number, CURLcode with, struct http_reply *reply)
{
	const struct http_curl_options options = { .proxy = "http://127.0.0.1:1",
						   .ca_bundle = "/nonexistent/bundle.pem",
						   .user_agent = "awsflock/test" };
	struct bench bench;
	bench_init(&bench, NULL, 0);
	bench.http->free(bench.http);
	assert_int_equal(http_curl_new(&bench.runtime, &options, &bench.http, &bench.error), AWSFLOCK_OK);
	snprintf(bench.url, sizeof(bench.url), "https://127.0.0.1:%d/", bench.server.port);
	real_setopt = curl_library.easy_setopt;
	curl_library.easy_setopt = failing_setopt;
	failing_setting = number;
	failure = with;
	settings = 0;
	awsflock_code code = send_once(&bench);
	curl_library.easy_setopt = real_setopt;
	*reply = bench.reply;
	bench_clear(&bench);
	return code;
}

static void no_request_goes_out_without_an_option_that_memory_was_lacking_for(void **state)
{
	(void)state;
	struct http_reply reply;
	int number = 1;
	awsflock_code code;
	while (code = send_with_failing_setting(number, CURLE_OUT_OF_MEMORY, &reply), settings >= number) {
		assert_int_equal(code, AWSFLOCK_MEMORY);
		assert_int_equal(reply.fate, HTTP_NOT_SENT);
		number++;
	}
	assert_true(number > 25);
	assert_int_not_equal(code, AWSFLOCK_MEMORY);
}

static void a_libcurl_that_lacks_what_is_needed_is_a_configuration_error(void **state)
{
	(void)state;
	struct http_reply reply;
	assert_int_equal(send_with_failing_setting(1, CURLE_UNKNOWN_OPTION, &reply), AWSFLOCK_CONFIG);
	assert_int_equal(reply.fate, HTTP_NOT_SENT);
}

static CURLMcode failing_poll(CURLM *multi, struct curl_waitfd extra[], unsigned count, int timeout_ms, int *ready)
{
	(void)multi, (void)extra, (void)count, (void)timeout_ms, (void)ready;
	return CURLM_OUT_OF_MEMORY;
}

static void a_wait_that_fails_ends_the_request(void **state)
{
	(void)state;
	const struct step steps[] = { { .stall = true } };
	struct bench bench;
	bench_init(&bench, steps, COUNT(steps));
	__typeof__(curl_library.multi_poll) real_poll = curl_library.multi_poll;
	curl_library.multi_poll = failing_poll;
	assert_int_equal(send_once(&bench), AWSFLOCK_MEMORY);
	curl_library.multi_poll = real_poll;
	bench_clear(&bench);
}

/* The server plays the proxy here, and nobody listens at the URL itself. */
static void the_environments_proxy_serves_only_where_none_is_set(void **state)
{
	(void)state;
	static const struct {
		const char *proxy;
		bool no_proxy;
		awsflock_code code;
	} rows[] = { { NULL, false, AWSFLOCK_OK },
		     { NULL, true, AWSFLOCK_UNREACHABLE },
		     { "", false, AWSFLOCK_UNREACHABLE } };
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct http_curl_options options = { .proxy = rows[i].proxy };
		const struct step steps[] = { { .answer = OK_REPLY } };
		struct bench bench;
		bench_init(&bench, steps, COUNT(steps));
		bench.http->free(bench.http);
		assert_int_equal(http_curl_new(&bench.runtime, &options, &bench.http, &bench.error), AWSFLOCK_OK);
		setenv("http_proxy", bench.url, 1);
		bench.request.url = "http://127.0.0.1:1/";
		bench.request.no_proxy = rows[i].no_proxy;
		assert_int_equal(send_once(&bench), rows[i].code);
		if (rows[i].code == AWSFLOCK_OK)
			assert_non_null(strstr(bench.server.requests[0], "POST http://127.0.0.1:1/ HTTP/1.1\r\n"));
		unsetenv("http_proxy");
		bench_clear(&bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_comes_with_its_headers_and_times),
		cmocka_unit_test(the_request_has_our_headers_and_none_that_libcurl_would_add),
		cmocka_unit_test(get_and_put_go_out_as_such),
		cmocka_unit_test(the_connection_is_kept_and_said_to_be),
		cmocka_unit_test(a_silent_resend_on_a_new_connection_is_noticed),
		cmocka_unit_test(a_resend_that_finds_no_connection_leaves_the_first_sending_unknown),
		cmocka_unit_test(a_connection_refused_means_that_nothing_was_sent),
		cmocka_unit_test(answers_that_break_off_leave_the_outcome_unknown),
		cmocka_unit_test(what_is_no_http_is_a_protocol_error),
		cmocka_unit_test(a_body_beyond_the_limit_is_a_protocol_error),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(headers_of_an_interim_reply_do_not_count),
		cmocka_unit_test(dates_and_headers_that_cannot_be_are_as_good_as_none),
		cmocka_unit_test(a_silent_server_meets_the_timeout_with_the_outcome_unknown),
		cmocka_unit_test(the_stop_descriptor_ends_the_wait_for_an_answer),
		cmocka_unit_test(a_stop_that_is_to_be_ignored_is),
		cmocka_unit_test(who_wants_to_stop_waits_for_the_answer_to_what_is_not_to_be_lost),
		cmocka_unit_test(the_stop_callback_ends_the_wait_for_an_answer),
		cmocka_unit_test(after_a_broken_off_request_the_next_one_gets_a_connection_of_its_own),
		cmocka_unit_test(a_server_without_tls_is_not_taken_for_one_with),
		cmocka_unit_test(other_protocols_are_refused),
		cmocka_unit_test(a_bundle_that_cannot_be_read_is_a_configuration_error),
		cmocka_unit_test(a_bundle_that_is_a_pipe_or_a_device_is_refused_at_once),
		cmocka_unit_test(no_request_goes_out_without_an_option_that_memory_was_lacking_for),
		cmocka_unit_test(a_libcurl_that_lacks_what_is_needed_is_a_configuration_error),
		cmocka_unit_test(a_wait_that_fails_ends_the_request),
		cmocka_unit_test(the_environments_proxy_serves_only_where_none_is_set),
	};
	return cmocka_run_group_tests_name("http_curl", tests, NULL, NULL);
}
