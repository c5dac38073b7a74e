/* What the sources of people who sign in have in common.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sign_in.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials/json.h"
#include "aws/credentials/json_print.h"
#include "aws/credentials/sign_in_file.h"
#include "base/error.h"
#include "base/secret.h"

/* One of AWS's tools, which know no lock, renews the token at the same time: its answer is on its way to the file. */
#define ELSEWHERE_TRIES 10
#define ELSEWHERE_PAUSE_NS (100 * NS_PER_MS)

/* ---- What to type ------------------------------------------------------------------------------------------- */

static void append_word(struct buf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._@+/:";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		buf_puts(out, word);
		return;
	}
	buf_puts(out, "'");
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			buf_puts(out, "'\\''");
		else
			buf_append(out, word, 1);
	}
	buf_puts(out, "'");
}

char *sign_in_command(const struct credentials_context *context, const char *verb)
{
	struct buf command = BUF_INIT;

	buf_printf(&command, "aws %s --profile ", verb);
	append_word(&command, context->profile->name);
	return buf_steal(&command);
}

awsflock_code sign_in_refuse(const struct credentials_context *context, const char *verb, const char *why,
			     awsflock_error *error)
{
	char *command = sign_in_command(context, verb);

	if (!command)
		return error_out_of_memory(error);
	error_set(error, AWSFLOCK_CREDENTIALS, "%s: %s", why, command);
	free(command);
	return AWSFLOCK_CREDENTIALS;
}

/* ---- What could not be written ------------------------------------------------------------------------------ */

void sign_in_memory_clear(struct sign_in_memory *memory)
{
	free(memory->path);
	secret_free(&memory->text);
	secret_free(&memory->spent);
	*memory = (struct sign_in_memory){ 0 };
}

static void forget_renewal(struct sign_in_memory *memory)
{
	free(memory->path);
	memory->path = NULL;
	secret_free(&memory->text);
	secret_free(&memory->spent);
}

static bool remembers(const struct sign_in_memory *memory, const char *path)
{
	return memory && memory->path && strcmp(memory->path, path) == 0;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* the caller owns what it hands to be filled in */
#endif

/* OBJECT may be the second that cannot be written: SPENT is what PATH holds, whatever has been used since. */
static void remember_renewal(struct sign_in_memory *memory, const char *path, const char *spent,
			     struct json_object *object)
{
	struct buf text = BUF_INIT;
	char *copy = secret_copy(spent); /* of what may be the memory's own */

	forget_renewal(memory);
	memory->spent = copy;
	if (json_print(object, &text))
		memory->text = secret_copy(buf_text(&text));
	buf_free(&text);
	memory->path = strdup(path);
	if (!memory->text || !memory->spent || !memory->path)
		forget_renewal(memory);
}

static struct json_object *recall_renewal(const struct sign_in_memory *memory, const char *path)
{
	struct buf text = BUF_INIT;
	struct json_object *object = NULL;

	if (!remembers(memory, path))
		return NULL;
	if (buf_puts(&text, memory->text))
		object = credentials_json_parse(&text);
	buf_free(&text);
	return object;
}

/* ---- Files -------------------------------------------------------------------------------------------------- */

/* Whether FILE is still what was there when SPENT was used: nobody has signed in or out since. */
static bool holds(struct json_object *file, const char *spent)
{
	const char *token = credentials_json_text(file, "refreshToken");

	return token && strcmp(token, spent) == 0;
}

/* Of a file that is about to be replaced. */
struct watch {
	const struct credentials_context *context;
	const char *path, *spent;
	bool changed; /* out */
};

/* One that cannot be read may be one that the AWS CLI is writing. */
static bool is_unchanged(void *arg)
{
	struct watch *watch = arg;
	struct json_object *file = NULL;
	awsflock_error ignored;
	awsflock_code code = sign_in_file_read(watch->context, watch->path, &file, &ignored);

	watch->changed = code != AWSFLOCK_OK || !holds(file, watch->spent);
	credentials_json_put(file);
	return !watch->changed;
}

/* Whether the one that is REMEMBERED is good for longer than the file's. */
static bool is_newer(struct json_object *remembered, struct json_object *file, sign_in_expires_fn *expires)
{
	int64_t remembered_time, file_time;

	if (!remembered || !expires(remembered, &remembered_time))
		return false;
	return !file || !expires(file, &file_time) || file_time < remembered_time;
}

/* What is remembered for PATH, unless FILE, which could be read, is of somebody who has signed in or out since. */
static struct json_object *recall_unless_outdated(const struct credentials_context *context, const char *path,
						  awsflock_code read, struct json_object *file)
{
	if (read == AWSFLOCK_OK && remembers(context->memory, path) && !holds(file, context->memory->spent))
		forget_renewal(context->memory);
	return recall_renewal(context->memory, path);
}

awsflock_code sign_in_load(const struct credentials_context *context, const char *path, sign_in_expires_fn *expires,
			   struct json_object **out, awsflock_error *error)
{
	struct json_object *file = NULL, *remembered;
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = sign_in_file_read(context, path, &file, &why);
	struct watch watch = { .context = context, .path = path };

	remembered = recall_unless_outdated(context, path, code, file);
	if (!is_newer(remembered, file, expires)) {
		credentials_json_put(remembered);
		*out = file;
		return code == AWSFLOCK_OK ? code : error_set(error, code, "%s", why.message);
	}
	credentials_json_put(file);
	*out = remembered;
	watch.spent = context->memory->spent;
	if (sign_in_file_replace(path, remembered, is_unchanged, &watch, &why) == AWSFLOCK_OK)
		forget_renewal(context->memory);
	return AWSFLOCK_OK;
}

void sign_in_save(const struct credentials_context *context, const char *path, const char *spent,
		  struct json_object *object)
{
	bool again = remembers(context->memory, path);
	struct watch watch = { .context = context, .path = path, .spent = again ? context->memory->spent : spent };
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = sign_in_file_replace(path, object, is_unchanged, &watch, &why);

	if (code == AWSFLOCK_OK && again)
		forget_renewal(context->memory);
	if (code == AWSFLOCK_OK)
		return;
	if (watch.changed) {
		runtime_log(context->runtime, AWSFLOCK_LOG_NOTICE,
			    "somebody signed in or out while the sign-in was renewed: %s stays as it is", path);
		return;
	}
	if (context->memory)
		remember_renewal(context->memory, path, watch.spent, object);
	runtime_log(
		context->runtime, AWSFLOCK_LOG_WARNING,
		"the sign-in was renewed and is kept in this process alone, so that other tools may have to sign "
		"in again: %s",
		why.message);
}

static bool member_differs(struct json_object *a, struct json_object *b, const char *name)
{
	const char *text_a = credentials_json_text(a, name), *text_b = credentials_json_text(b, name);

	return text_a && text_b && strcmp(text_a, text_b) != 0;
}

bool sign_in_look_again(const struct credentials_context *context, const struct sign_in_place *place)
{
	struct json_object *found = NULL;
	awsflock_error ignored;
	int64_t found_time;

	if (sign_in_load(context, place->path, place->expires, &found, &ignored) != AWSFLOCK_OK || !found ||
	    !member_differs(*place->object, found, place->name) || !place->expires(found, &found_time) ||
	    found_time <= sign_in_now(context)) {
		credentials_json_put(found);
		return false;
	}
	credentials_json_put(*place->object);
	*place->object = found;
	*place->expires_time = found_time;
	return true;
}

bool sign_in_renewed_elsewhere(const struct credentials_context *context, const struct sign_in_place *place)
{
	struct runtime *runtime = context->runtime;

	for (int i = 0; i < ELSEWHERE_TRIES; i++) {
		if (sign_in_look_again(context, place))
			return true;
		if (runtime_boot_ns(runtime) + ELSEWHERE_PAUSE_NS >= context->give_up_boot_ns ||
		    !runtime_sleep_until(runtime, runtime_boot_ns(runtime) + ELSEWHERE_PAUSE_NS))
			break;
	}
	return false;
}

/* ---- Small things ------------------------------------------------------------------------------------------- */

int64_t sign_in_now(const struct credentials_context *context)
{
	return runtime_real_ns(context->runtime) / NS_PER_S;
}

bool sign_in_set(struct json_object *object, const char *name, const char *value)
{
	struct json_object *text = json_object_new_string(value), *old;

	if (!text)
		return false;
	if (json_object_object_get_ex(object, name, &old) && json_object_is_type(old, json_type_string))
		wipe((char *)json_object_get_string(old), (size_t)json_object_get_string_len(old));
	if (json_object_object_add(object, name, text) == 0)
		return true;
	credentials_json_put(text);
	return false;
}
