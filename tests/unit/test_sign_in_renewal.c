/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of aws/credentials/sign_in*.c: what others do to a sign-in while it is renewed, and what cannot be written down.  Where
 * others come in between is where the fake service, or the fake clock, says so. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/credentials/credentials.h"
#include "aws/credentials/json.h"
#include "aws/credentials/sign_in_file.h"
#include "aws/http.h"
#include "base/error.h"
#include "base/timestamp.h"
#include "fake_store.h"
#include "scratch_directory.h"

#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)

static const char config[] = "[profile s]\nsso_session = n\nsso_account_id = 1\nsso_role_name = r\n"
			     "[sso-session n]\nsso_region = us-east-1\nsso_start_url = u\n";

/* ---- The service -------------------------------------------------------------------------------------------- */

/* It hands out the tokens new-1, new-2..., each for an hour, for the refresh tokens r0, r1...; and keys for any. */
struct service {
	struct http_transport transport; /* first */
	void (*meanwhile)(void);         /* what others do before it answers */
	unsigned renewals;
	bool is_silent;
	char asked_with[64];   /* the last request for a renewal */
	char bearer[64];       /* of the last request for keys */
	bool may_be_cut_short; /* any request for a renewal */
};

static struct service service;
static struct scratch scratch;
static struct fake_runtime runtime;
static struct runtime_ops ops;
static struct profile profile;
static struct sign_in_memory memory;
static struct credentials_context context;
static char *path;
static char notes[1024];

static void note(void *arg, awsflock_log_level level, const char *message)
{
	(void)arg;
	if (level <= AWSFLOCK_LOG_NOTICE)
		snprintf(notes + strlen(notes), sizeof(notes) - strlen(notes), "%s\n", message);
}

static int64_t now(void)
{
	return runtime_real_ns(&runtime.runtime) / NS_PER_S;
}

static awsflock_code answer(struct http_reply *reply, const char *format, unsigned n)
{
	char text[256];

	snprintf(text, sizeof(text), format, n, n);
	reply->status = 200;
	reply->fate = HTTP_ANSWERED;
	buf_puts(&reply->body, text);
	return AWSFLOCK_OK;
}

static void take_refresh_token(const struct http_request *request)
{
	const char *token = strstr(request->body, "\"refreshToken\": \"");

	assert_non_null(token);
	token += strlen("\"refreshToken\": \"");
	snprintf(service.asked_with, sizeof(service.asked_with), "%.*s", (int)strcspn(token, "\""), token);
}

static awsflock_code serve(struct http_transport *transport, const struct http_request *request,
			   struct http_reply *reply, awsflock_error *error)
{
	(void)transport;
	if (strstr(request->url, "/federation/credentials")) {
		snprintf(service.bearer, sizeof(service.bearer), "%s", request->headers[0].value);
		assert_false(request->finish_once_sent);
		return answer(reply,
			      "{\"roleCredentials\": {\"accessKeyId\": \"ASIA%u\", \"secretAccessKey\": \"s%u\", "
			      "\"sessionToken\": \"t\", \"expiration\": 4070908800000}}",
			      service.renewals);
	}
	take_refresh_token(request);
	service.may_be_cut_short = service.may_be_cut_short || !request->finish_once_sent;
	if (service.meanwhile)
		service.meanwhile();
	if (service.is_silent)
		return error_set(error, AWSFLOCK_UNREACHABLE, "the connection was lost");
	service.renewals++;
	return answer(reply, "{\"accessToken\": \"new-%u\", \"expiresIn\": 3600, \"refreshToken\": \"r%u\"}",
		      service.renewals);
}

/* ---- The file ----------------------------------------------------------------------------------------------- */

static void write_sign_in(const char *token, const char *refresh, int64_t lasts_s, size_t padding)
{
	char ends[TIMESTAMP_SIZE], next[300];
	FILE *file;

	timestamp_format(now() + lasts_s, ends);
	snprintf(next, sizeof(next), "%s.next", path);
	file = fopen(next, "w");
	assert_non_null(file);
	fprintf(file,
		"{\"accessToken\": \"%s\", \"refreshToken\": \"%s\", \"expiresAt\": \"%s\", \"clientId\": \"c\", "
		"\"clientSecret\": \"s\", \"registrationExpiresAt\": \"2099-01-01T00:00:00Z\", \"padding\": "
		"\"%0*d\"}",
		token, refresh, ends, (int)padding + 1, 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(next, path), 0);
}

/* What the file holds as NAME; "" where there is no file, or no such member. */
static const char *held(const char *name)
{
	static char text[64];
	struct json_object *object = NULL;
	awsflock_error error;
	const char *value;

	assert_int_equal(sign_in_file_read(&context, path, &object, &error), AWSFLOCK_OK);
	value = credentials_json_text(object, name);
	snprintf(text, sizeof(text), "%s", value ? value : "");
	credentials_json_put(object);
	return text;
}

static void fill_disk(bool is_full)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_full ? 16 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int set_up(void **state)
{
	awsflock_error error;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	scratch_make(&scratch);
	setenv("HOME", scratch.root, 1);
	fake_runtime_init(&runtime);
	ops = *runtime.runtime.ops;
	runtime.runtime.ops = &ops;
	runtime.runtime.log = note;
	notes[0] = '\0';
	service = (struct service){ .transport = { .send = serve } };
	profile = (struct profile){ .name = (char *)"s" };
	assert_int_equal(ini_parse("config", config, strlen(config), INI_AWS, &profile.config, &error),
			 AWSFLOCK_OK);
	memory = (struct sign_in_memory){ 0 };
	context = (struct credentials_context){ .runtime = &runtime.runtime,
						.transport = &service.transport,
						.profile = &profile,
						.region = "us-east-1",
						.give_up_boot_ns = INT64_MAX,
						.connect_timeout_ms = 1000,
						.request_timeout_ms = 1000,
						.memory = &memory,
						.skip_caches = true };
	assert_int_equal(sign_in_file_name(&context, ".aws/sso/cache", SIGN_IN_SHA1, "n", &path, &error),
			 AWSFLOCK_OK);
	sign_in_file_make_directory(path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fill_disk(false);
	sign_in_memory_clear(&memory);
	ini_free(&profile.config);
	free(path);
	scratch_remove(&scratch);
	return 0;
}

static awsflock_code load(awsflock_error *error)
{
	struct credentials keys = { .expires_time = INT64_MAX };
	struct buf why_not = BUF_INIT;
	bool found = false;
	awsflock_code code = credentials_sso.load(&context, &keys, &found, &why_not, error);

	buf_free(&why_not);
	credentials_clear(&keys);
	return code;
}

/* The keys are had with TOKEN. */
static void assert_served_with(const char *token)
{
	awsflock_error error;

	service.bearer[0] = '\0';
	if (load(&error) != AWSFLOCK_OK)
		fail_msg("%s", error.message);
	assert_string_equal(service.bearer, token);
}

static void assert_only_the_file_is_there(void)
{
	assert_int_equal(scratch_count_entries(&scratch, ".aws/sso/cache"), 1);
}

/* Another process, with nothing in its memory. */
static void begin_anew(void)
{
	sign_in_memory_clear(&memory);
	service.renewals = 0;
	notes[0] = '\0';
}

static void pass(int64_t seconds)
{
	runtime.boot_ns += seconds * NS_PER_S;
}

/* ---- What could not be written ------------------------------------------------------------------------------ */

static void what_could_not_be_written_is_written_once_it_can_be_however_often_it_was_renewed(void **state)
{
	(void)state;
	for (unsigned times = 1; times <= 3; times++) {
		char token[16], refresh[16];

		begin_anew();
		write_sign_in("old", "r0", -MINUTE, 0);
		fill_disk(true);
		for (unsigned i = 1; i <= times; i++) {
			snprintf(token, sizeof(token), "new-%u", i);
			snprintf(refresh, sizeof(refresh), "r%u", i - 1);
			assert_served_with(token);
			assert_string_equal(service.asked_with, refresh);
			assert_string_equal(held("refreshToken"), "r0");
			assert_non_null(strstr(notes, "kept in this process alone"));
			pass(i < times ? 2 * HOUR : 0);
		}
		fill_disk(false);
		assert_served_with(token);
		assert_string_equal(held("accessToken"), token);
		assert_int_equal(service.renewals, times);
		assert_null(memory.text);
		assert_only_the_file_is_there();
	}
}

static void a_person_who_has_signed_in_or_out_since_is_not_overruled(void **state)
{
	(void)state;
	for (int is_out = 0; is_out < 2; is_out++) {
		awsflock_error error;

		begin_anew();
		write_sign_in("old", "r0", -MINUTE, 0);
		fill_disk(true);
		assert_served_with("new-1");
		fill_disk(false);
		if (is_out) {
			assert_int_equal(unlink(path), 0);
			assert_int_equal(load(&error), AWSFLOCK_CREDENTIALS);
			assert_non_null(strstr(error.message, "is not signed in"));
			assert_string_equal(held("accessToken"), "");
		} else {
			write_sign_in("persons", "p0", 30 * MINUTE,
				      0); /* which ends sooner than what is remembered */
			assert_served_with("persons");
			assert_string_equal(held("refreshToken"), "p0");
		}
		assert_null(memory.text);
	}
}

static void what_cannot_be_written_is_not_renewed_while_the_old_one_is_good(void **state)
{
	(void)state;
	write_sign_in("old", "r0", 4 * MINUTE, 0);
	fill_disk(true);
	assert_served_with("old");
	assert_int_equal(service.renewals, 0);
	assert_non_null(strstr(notes, "was not renewed, and serves until it ends: cannot write"));
	assert_only_the_file_is_there();
	fill_disk(false); /* no pause is made: nothing was asked */
	assert_served_with("new-1");
	assert_string_equal(held("refreshToken"), "r1");
	assert_only_the_file_is_there();
}

static void a_file_that_a_renewal_might_make_too_large_is_not_renewed_while_it_is_good(void **state)
{
	(void)state;
	write_sign_in("old", "r0", 4 * MINUTE, (size_t)65 * 1024);
	assert_served_with("old");
	assert_int_equal(service.renewals, 0);
	write_sign_in("old", "r0", 4 * MINUTE, (size_t)63 * 1024);
	assert_served_with("new-1");
	assert_string_equal(held("refreshToken"), "r1");
}

/* ---- Others, meanwhile -------------------------------------------------------------------------------------- */

static void sign_in_anew(void)
{
	write_sign_in("persons", "p0", 8 * HOUR, 0);
}

static void sign_out(void)
{
	assert_int_equal(unlink(path), 0);
}

/* As the AWS CLI does, in place. */
static void begin_to_write(void)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("{\"accessToken\": \"pers", file);
	assert_int_equal(fclose(file), 0);
}

static void who_signs_in_or_out_while_it_is_renewed_has_the_last_word(void **state)
{
	(void)state;
	static const struct {
		void (*meanwhile)(void);
		const char *content;
	} rows[] = { { sign_in_anew, "\"refreshToken\": \"p0\"" },
		     { sign_out, NULL },
		     { begin_to_write, "{\"accessToken\": \"pers" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char content[512] = "";
		FILE *file;

		begin_anew();
		write_sign_in("old", "r0", -MINUTE, 0);
		service.meanwhile = rows[i].meanwhile;
		assert_served_with("new-1");
		assert_non_null(strstr(notes, "somebody signed in or out"));
		file = fopen(path, "r");
		assert_int_equal(file != NULL, rows[i].content != NULL);
		if (file) {
			assert_true(fread(content, 1, sizeof(content) - 1, file) > 0);
			fclose(file);
			assert_non_null(strstr(content, rows[i].content ? rows[i].content : ""));
			assert_only_the_file_is_there();
		}
		assert_null(memory.text);
	}
}

static void whose_connection_is_lost_takes_what_another_one_has_renewed(void **state)
{
	(void)state;
	awsflock_error error;

	write_sign_in("old", "r0", -MINUTE, 0);
	service.is_silent = true;
	assert_int_equal(load(&error), AWSFLOCK_CREDENTIALS);
	assert_non_null(strstr(error.message, "the connection was lost"));
	pass(2 * MINUTE);
	service.meanwhile = sign_in_anew;
	assert_served_with("persons");
}

static void a_request_that_uses_a_token_up_is_not_cut_short(void **state)
{
	(void)state;
	write_sign_in("old", "r0", -MINUTE, 0);
	assert_served_with("new-1");
	assert_false(service.may_be_cut_short);
}

/* ---- The lock ----------------------------------------------------------------------------------------------- */

static int lock_fd;

static void lock_file(void)
{
	lock_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(lock_fd >= 0);
	assert_int_equal(flock(lock_fd, LOCK_EX), 0);
}

/* The other process writes what it was given, and lets go. */
static bool finish_elsewhere(struct runtime *self, int64_t until_boot_ns)
{
	((struct fake_runtime *)self)->boot_ns = until_boot_ns;
	if (++((struct fake_runtime *)self)->sleeps == 40) {
		write_sign_in("others", "o1", HOUR, 0);
		close(lock_fd);
	}
	return true;
}

static void who_renews_elsewhere_is_waited_for_and_his_token_taken(void **state)
{
	(void)state;
	write_sign_in("old", "r0", -MINUTE, 0);
	lock_file();
	ops.sleep_until = finish_elsewhere;
	assert_served_with("others");
	assert_int_equal(service.renewals, 0);
	assert_int_equal(runtime.sleeps, 40);
	assert_string_equal(held("refreshToken"), "o1");
}

/* The file that was locked has been replaced, and a third process has locked the new one. */
static bool hand_over_elsewhere(struct runtime *self, int64_t until_boot_ns)
{
	bool go_on = finish_elsewhere(self, until_boot_ns);

	if (((struct fake_runtime *)self)->sleeps == 40)
		lock_file();
	if (((struct fake_runtime *)self)->sleeps == 80)
		close(lock_fd);
	return go_on;
}

static void a_lock_on_a_file_that_was_replaced_is_none(void **state)
{
	(void)state;
	write_sign_in("old", "r0", -MINUTE, 0);
	lock_file();
	ops.sleep_until = hand_over_elsewhere;
	assert_served_with("others");
	assert_int_equal(runtime.sleeps, 80);
}

static void who_holds_the_lock_for_too_long_is_not_waited_for(void **state)
{
	(void)state;
	static const struct {
		int64_t give_up_s, waits_s;
	} rows[] = { { 3600, 30 }, { 5, 5 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t began = runtime.boot_ns;

		begin_anew();
		write_sign_in("old", "r0", -MINUTE, 0);
		lock_file();
		context.give_up_boot_ns = began + rows[i].give_up_s * NS_PER_S + NS_PER_S / 20;
		assert_served_with("new-1");
		assert_in_range((runtime.boot_ns - began) / NS_PER_S, rows[i].waits_s - 1, rows[i].waits_s);
		close(lock_fd);
	}
}

static void find_it_locked(void)
{
	assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), -1);
}

static void what_is_renewed_is_locked_meanwhile_and_then_no_more(void **state)
{
	(void)state;
	write_sign_in("old", "r0", -MINUTE, 0);
	lock_fd = open(path, O_RDONLY | O_CLOEXEC);
	service.meanwhile = find_it_locked;
	assert_served_with("new-1");
	assert_int_equal(service.renewals, 1);
	assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
	close(lock_fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_could_not_be_written_is_written_once_it_can_be_however_often_it_was_renewed),
		TEST(a_person_who_has_signed_in_or_out_since_is_not_overruled),
		TEST(what_cannot_be_written_is_not_renewed_while_the_old_one_is_good),
		TEST(a_file_that_a_renewal_might_make_too_large_is_not_renewed_while_it_is_good),
		TEST(who_signs_in_or_out_while_it_is_renewed_has_the_last_word),
		TEST(whose_connection_is_lost_takes_what_another_one_has_renewed),
		TEST(a_request_that_uses_a_token_up_is_not_cut_short),
		TEST(who_renews_elsewhere_is_waited_for_and_his_token_taken),
		TEST(a_lock_on_a_file_that_was_replaced_is_none),
		TEST(who_holds_the_lock_for_too_long_is_not_waited_for),
		TEST(what_is_renewed_is_locked_meanwhile_and_then_no_more),
	};

	return cmocka_run_group_tests_name("sign_in_renewal", tests, NULL, NULL);
}
