/* What happens where memory runs out: every allocation of an operation fails once, in turn, and each time it must
 * be reported as that, or have made no difference.  The linker puts the functions below in place of libc's and
 * json-c's
 * (--wrap, see Makemodule.am).  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <errno.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials/json.h"
#include "aws/credentials/sign_in_file.h"
#include "aws/credentials/token_file.h"
#include "aws/endpoint.h"
#include "aws/profile.h"
#include "awsflock.h"
#include "base/account.h"
#include "fake_http.h"
#include "lock/dynamodb/store.h"
#include "lock/local/store.h"
#include "scratch_directory.h"

/* ---- Failing allocations ------------------------------------------------------------------------------------- */

static bool armed;
static int allocations, failing_allocation;

static bool fails(void)
{
	if (!armed || ++allocations != failing_allocation)
		return false;
	errno = ENOMEM;
	return true;
}

/* NAME(ARGUMENTS), which fails with NULL when it is its turn. */
#define FAILING(type, name, parameters, arguments)                                                                 \
	type __real_##name parameters;                                                                             \
	type __wrap_##name parameters;                                                                             \
	type __wrap_##name parameters                                                                              \
	{                                                                                                          \
		return fails() ? NULL : __real_##name arguments;                                                   \
	}

FAILING(void *, malloc, (size_t size), (size))
FAILING(void *, calloc, (size_t count, size_t size), (count, size))
FAILING(void *, realloc, (void *old, size_t size), (old, size))
FAILING(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
FAILING(char *, strdup, (const char *text), (text))
FAILING(char *, strndup, (const char *text, size_t size), (text, size))
FAILING(char *, realpath, (const char *path, char *out), (path, out))
FAILING(struct json_tokener *, json_tokener_new_ex, (int depth), (depth))
FAILING(struct json_object *, json_object_new_object, (void), ())
FAILING(struct json_object *, json_object_new_string, (const char *text), (text))

/* The user database: one entry, which needs as much room as it is told to. */
static size_t entry_needs;
static char entry_home[300];

int __wrap_getpwuid_r(uid_t user, struct passwd *entry, char *room, size_t size, struct passwd **found);
int __wrap_getpwuid_r(uid_t user, struct passwd *entry, char *room, size_t size, struct passwd **found)
{
	static char name[] = "somebody";
	(void)room;
	*found = NULL;
	if (size < entry_needs)
		return ERANGE;
	*entry = (struct passwd){ .pw_name = name, .pw_uid = user, .pw_dir = entry_home };
	*found = entry;
	return 0;
}

/* Runs TRY with each of its allocations failing in turn, then with none.  TRY itself checks what it makes of a
 * success; ends with the test that memory is all that it ever lacked. */
static void lack_memory_everywhere(awsflock_code (*try)(awsflock_error *error))
{
	awsflock_error error;
	awsflock_code code;
	for (failing_allocation = 1;; failing_allocation++) {
		allocations = 0;
		code = try(&error);
		armed = false;
		if (allocations < failing_allocation)
			break;
		if (code != AWSFLOCK_OK && code != AWSFLOCK_MEMORY)
			print_error("allocation %d: %s\n", failing_allocation, error.message);
		assert_true(code == AWSFLOCK_OK || code == AWSFLOCK_MEMORY);
	}
	assert_int_equal(code, AWSFLOCK_OK);
	assert_true(failing_allocation > 1);
}

static int set_up(void **state)
{
	static struct scratch scratch;
	static const char *const variables[] = { "HOME",
						 "AWS_PROFILE",
						 "AWS_DEFAULT_PROFILE",
						 "AWS_CONFIG_FILE",
						 "AWS_SHARED_CREDENTIALS_FILE",
						 "AWSFLOCK_CONFIG" };
	static const char config[] = "[default]\nregion = eu-west-1\nservices = own\n"
				     "[services own]\ndynamodb =\n  endpoint_url = https://ddb.example.com\n";
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	scratch_make(&scratch);
	scratch_make_directory(&scratch, ".aws", 0700);
	scratch_write(&scratch, ".aws/config", config, sizeof(config) - 1);
	snprintf(entry_home, sizeof(entry_home), "%s", scratch.root);
	entry_needs = 0;
	*state = &scratch;
	return 0;
}

static int tear_down(void **state)
{
	armed = false;
	scratch_remove(*state);
	return 0;
}

/* ---- The user database --------------------------------------------------------------------------------------- */

static awsflock_code find_account(awsflock_error *error)
{
	struct account account;
	armed = true;
	awsflock_code code = account_find(getuid(), &account, error);
	armed = false;
	if (code == AWSFLOCK_OK) {
		assert_string_equal(account.name, "somebody");
		assert_string_equal(account.home, entry_home);
	}
	account_clear(&account);
	return code;
}

static void an_account_is_found_whole_or_not_at_all(void **state)
{
	(void)state;
	lack_memory_everywhere(find_account);
}

static void a_long_entry_of_the_user_database_is_given_the_room_it_needs(void **state)
{
	(void)state;
	entry_needs = 50000;
	lack_memory_everywhere(find_account);
}

static void an_entry_that_never_has_enough_room_is_an_unknown_account(void **state)
{
	struct account account;
	awsflock_error error;
	(void)state;
	entry_needs = SIZE_MAX;
	assert_int_equal(account_find(getuid(), &account, &error), AWSFLOCK_OK);
	assert_null(account.name);
	assert_null(account.home);
}

/* ---- Tokens and sign-ins --------------------------------------------------------------------------------------- */

/* Longer than what is read at once. */
static void write_padded(struct scratch *scratch, const char *name, const char *text)
{
	char whole[6000];

	snprintf(whole, sizeof(whole), "%-5999s", text);
	scratch_write(scratch, name, whole, strlen(whole));
}

static const char *file_path;

static awsflock_code read_token(awsflock_error *error)
{
	struct buf token = BUF_INIT;
	awsflock_code code;

	armed = true;
	code = token_file_read(file_path, "the token", &token, error);
	armed = false;
	if (code == AWSFLOCK_OK)
		assert_string_equal(buf_text(&token), "token");
	buf_free(&token);
	return code;
}

static void a_token_that_finds_no_memory_is_not_too_long(void **state)
{
	write_padded(*state, "token", "token");
	file_path = scratch_path(*state, "token");
	lack_memory_everywhere(read_token);
}

static awsflock_code read_sign_in(awsflock_error *error)
{
	struct runtime runtime;
	const struct credentials_context context = { .runtime = &runtime };
	struct json_object *object = NULL;
	awsflock_code code;

	runtime_init_system(&runtime);
	armed = true;
	code = sign_in_file_read(&context, file_path, &object, error);
	armed = false;
	if (code == AWSFLOCK_OK)
		assert_string_equal(credentials_json_text(object, "a"), "b");
	credentials_json_put(object);
	return code;
}

static void a_sign_in_that_finds_no_memory_is_neither_too_large_nor_damaged(void **state)
{
	write_padded(*state, "sign-in", "{\"a\": \"b\"}");
	file_path = scratch_path(*state, "sign-in");
	lack_memory_everywhere(read_sign_in);
}

/* ---- AWS's files --------------------------------------------------------------------------------------------- */

static awsflock_code resolve(awsflock_error *error)
{
	struct profile_options options = { .name = NULL };
	struct endpoint_options where = { .ignore_environment = true };
	struct profile profile = { 0 };
	struct endpoint endpoint = { 0 };
	armed = true;
	awsflock_code code = profile_load(&options, &profile, error);
	where.profile = &profile;
	if (code == AWSFLOCK_OK)
		code = endpoint_resolve(&where, &endpoint, error);
	armed = false;
	if (code == AWSFLOCK_OK) {
		assert_non_null(profile.credentials_path);
		assert_string_equal(endpoint.region, "eu-west-1");
		assert_string_equal(endpoint.url, "https://ddb.example.com");
	}
	endpoint_clear(&endpoint);
	profile_clear(&profile);
	return code;
}

static void no_file_and_no_endpoint_is_passed_over(void **state)
{
	(void)state;
	lack_memory_everywhere(resolve);
}

/* ---- A table ------------------------------------------------------------------------------------------------- */

#define LISTED(name)                                                                                               \
	"{\"lock_id\":{\"S\":\"" name "\"},\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1\"},"          \
	"\"owner\":{\"S\":\"me\"}}"

static awsflock_code (*fake_send)(struct http_transport *transport, const struct http_request *request,
				  struct http_reply *reply, awsflock_error *error);

/* The fake itself never lacks memory. */
static awsflock_code send_disarmed(struct http_transport *transport, const struct http_request *request,
				   struct http_reply *reply, awsflock_error *error)
{
	armed = false;
	awsflock_code code = fake_send(transport, request, reply, error);
	armed = true;
	return code;
}

static bool count_item(void *arg, const struct lock_item *item, const char *damaged)
{
	assert_null(damaged);
	assert_string_equal(item->owner, "me");
	++*(int *)arg;
	return true;
}

/* A listing and a reading, each of which asks only once. */
static awsflock_code read_table(awsflock_error *error)
{
	struct fake_runtime runtime;
	struct fake_http http;
	struct store *store;
	struct store_reply reply = { 0 };
	int count = 0;
	fake_runtime_init(&runtime);
	fake_http_init(&http, &runtime);
	fake_send = http.transport.send;
	http.transport.send = send_disarmed;
	fake_http_plan(&http, 200, "{\"Items\":[" LISTED("a") "," LISTED("b") "]}");
	fake_http_plan(&http, 200, "{\"Item\":" LISTED("a") "}");
	struct dynamodb *client = fake_http_client(&http, NULL);
	assert_int_equal(store_dynamodb_new(&runtime.runtime, client, "awsflock", &store, error), AWSFLOCK_OK);
	armed = true;
	awsflock_code code = store->ops->list(store, "", count_item, &count, error);
	if (code == AWSFLOCK_OK)
		code = store->ops->read(store, "a", true, INT64_MAX, &reply, error);
	armed = false;
	if (code == AWSFLOCK_OK) {
		assert_int_equal(count, 2);
		assert_string_equal(reply.item.owner, "me");
	}
	store_reply_clear(&reply);
	store_free(&store);
	fake_http_clear(&http);
	return code;
}

static void a_tables_items_are_not_taken_for_damaged_ones(void **state)
{
	(void)state;
	lack_memory_everywhere(read_table);
}

static awsflock_code write_table(awsflock_error *error)
{
	struct fake_runtime runtime;
	struct fake_http http;
	struct store *store;
	struct store_reply reply = { 0 };
	const struct store_write write = { .kind = STORE_ACQUIRE,
					   .lock = "a",
					   .lease_id = "x",
					   .lease_duration = 60,
					   .expiration_time = 1,
					   .expires_store_ms = 1000,
					   .fence = 1,
					   .give_up_boot_ns = INT64_MAX };
	fake_runtime_init(&runtime);
	fake_http_init(&http, &runtime);
	fake_send = http.transport.send;
	http.transport.send = send_disarmed;
	fake_http_plan(&http, 200, "{\"Attributes\":" LISTED("a") "}");
	struct dynamodb *client = fake_http_client(&http, NULL);
	assert_int_equal(store_dynamodb_new(&runtime.runtime, client, "awsflock", &store, error), AWSFLOCK_OK);
	armed = true;
	awsflock_code code = store->ops->write(store, &write, &reply, error);
	armed = false;
	if (code == AWSFLOCK_OK)
		assert_true(reply.has_item);
	else if (http.request_count > 0) /* so that it is given back */
		assert_true(reply.maybe_applied);
	store_reply_clear(&reply);
	store_free(&store);
	fake_http_clear(&http);
	return code;
}

static void a_write_whose_answer_finds_no_memory_may_have_been_made(void **state)
{
	(void)state;
	lack_memory_everywhere(write_table);
}

/* ---- The library, on a local store --------------------------------------------------------------------------- */

static const struct scratch *library_scratch;

static bool check_holder(void *arg, const awsflock_status *status)
{
	(void)arg;
	assert_string_equal(status->user, "somebody");
	assert_string_not_equal(status->host, "");
	assert_string_equal(status->tty, "pts/7");
	assert_string_equal(status->service, "sshd");
	assert_string_equal(status->rhost, "192.0.2.1");
	assert_string_equal(status->purpose, "a test");
	return true;
}

/* Each time in a directory of its own: a failed release leaves the lock taken. */
static awsflock_code hold(awsflock_error *error)
{
	awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	awsflock *context = NULL;
	awsflock_lease *lease = NULL;
	char directory[32];
	snprintf(directory, sizeof(directory), "locks-%d", failing_allocation);
	options.tty = "pts/7";
	options.service = "sshd";
	options.rhost = "192.0.2.1";
	options.purpose = "a test";
	assert_int_equal(awsflock_new(&context, error), AWSFLOCK_OK);
	assert_int_equal(awsflock_set(context, "store", "local", error), AWSFLOCK_OK);
	assert_int_equal(awsflock_set(context, "local_dir", scratch_path(library_scratch, directory), error),
			 AWSFLOCK_OK);
	armed = true;
	awsflock_code code = awsflock_acquire(context, "deploy", &options, &lease, error);
	armed = false;
	if (code == AWSFLOCK_OK) {
		assert_int_equal(awsflock_list(context, NULL, check_holder, NULL, error), AWSFLOCK_OK);
		armed = true;
		code = awsflock_list(context, NULL, check_holder, NULL, error);
		armed = false;
	}
	awsflock_lease_free(&lease);
	awsflock_free(&context);
	return code;
}

static void a_lock_is_taken_with_all_that_the_caller_gave_or_not_at_all(void **state)
{
	library_scratch = *state;
	lack_memory_everywhere(hold);
}

/* A check failed for want of memory, and for nothing else. */
static void note_check(void *arg, const awsflock_check *check)
{
	bool *lacked = arg;
	armed = false;
	if (check->verdict != AWSFLOCK_CHECK_OK) {
		assert_non_null(strstr(check->finding, "memory"));
		*lacked = true;
	}
	armed = true;
}

static awsflock_code diagnose(awsflock_error *error)
{
	char directory[32];
	awsflock *context = NULL;
	bool lacked = false;
	snprintf(directory, sizeof(directory), "locks-%d", failing_allocation);
	assert_int_equal(awsflock_new(&context, error), AWSFLOCK_OK);
	assert_int_equal(awsflock_set(context, "store", "local", error), AWSFLOCK_OK);
	assert_int_equal(awsflock_set(context, "local_dir", scratch_path(library_scratch, directory), error),
			 AWSFLOCK_OK);
	armed = true;
	awsflock_code code = awsflock_diagnose(context, NULL, note_check, &lacked, error);
	armed = false;
	awsflock_free(&context);
	return code == AWSFLOCK_OK && lacked ? AWSFLOCK_MEMORY : code;
}

static void a_diagnosis_without_memory_finds_no_other_fault(void **state)
{
	library_scratch = *state;
	lack_memory_everywhere(diagnose);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_account_is_found_whole_or_not_at_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_long_entry_of_the_user_database_is_given_the_room_it_needs,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_entry_that_never_has_enough_room_is_an_unknown_account, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_token_that_finds_no_memory_is_not_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_sign_in_that_finds_no_memory_is_neither_too_large_nor_damaged,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_file_and_no_endpoint_is_passed_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_tables_items_are_not_taken_for_damaged_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_write_whose_answer_finds_no_memory_may_have_been_made, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_lock_is_taken_with_all_that_the_caller_gave_or_not_at_all, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_diagnosis_without_memory_finds_no_other_fault, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("out_of_memory", tests, NULL, NULL);
}
