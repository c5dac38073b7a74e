/* credential_process: a program of the user's that prints keys.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <string.h>
#include <unistd.h>

#include "aws/credentials/json.h"
#include "base/child.h"
#include "base/error.h"
#include "base/shell_words.h"
#include "base/text.h"

#define OUTPUT_MAX ((size_t)64 * 1024)
#define TIMEOUT_S 60

/* For set-id programs, which must not trust the environment that they were started in. */
static char *const plain_environment[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, (char[]){ "LC_ALL=C" },
					   NULL };

static awsflock_code split(const struct credentials_context *context, const char *line, char ***words,
			   awsflock_error *error)
{
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = shell_words_split(line, words, &why);

	if (code == AWSFLOCK_INVALID)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the credential_process of profile '%s' cannot be read: %s",
				 context->profile->name, why.message);
	if (code != AWSFLOCK_OK)
		return error_out_of_memory(error);
	if (context->ignore_environment && (*words)[0][0] != '/') {
		shell_words_free(words);
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the credential_process of profile '%s' must start with '/' for a set-id program",
				 context->profile->name);
	}
	return AWSFLOCK_OK;
}

/* The last line of what it said on standard error, unless that may hold what is secret. */
static void last_words(const struct child_result *result, char *out, size_t size)
{
	const char *text = buf_text(&result->complaint);
	size_t end = strlen(text), start;

	while (end > 0 && strchr(" \t\r\n", text[end - 1]))
		end--;
	for (start = end; start > 0 && text[start - 1] != '\n';)
		start--;
	out[0] = '\0';
	if (end == start || strcasestr(text, "secret") || strcasestr(text, "token\""))
		return;

	struct buf line = BUF_INIT;

	if (buf_puts(&line, ": ") && buf_append(&line, text + start, end - start))
		text_sanitise_message(buf_text(&line), out, size);
	buf_free(&line);
}

static awsflock_code explain_end(const struct child_result *result, const char *giver, awsflock_error *error)
{
	char said[256];

	last_words(result, said, sizeof(said));
	switch (result->end) {
	case CHILD_SIGNALLED:
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s was killed by signal %d (%s)%s", giver,
				 result->number, strsignal(result->number), said);
	case CHILD_TIMED_OUT:
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "%s did not end in time, and was killed: it must not ask for anything%s", giver,
				 said);
	case CHILD_TOO_LARGE:
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s prints more than the %zu bytes that are allowed",
				 giver, OUTPUT_MAX);
	case CHILD_STOPPED:
		return error_set(error, AWSFLOCK_CANCELLED, "cancelled while %s ran", giver);
	case CHILD_EXITED:
		if (result->number != 0)
			return error_set(error, AWSFLOCK_CREDENTIALS, "%s failed (exit code %d)%s", giver,
					 result->number, said);
		break;
	case CHILD_REAPED_ELSEWHERE: /* what it printed must tell */
		break;
	}
	return AWSFLOCK_OK;
}

static awsflock_code run(const struct credentials_context *context, char *const *words, const char *giver,
			 struct credentials *out, awsflock_error *error)
{
	static const struct credentials_json_form form = { .token_name = "SessionToken", .has_version = true };
	int64_t now_ns = runtime_boot_ns(context->runtime), end_ns = now_ns + TIMEOUT_S * NS_PER_S;
	const struct child_options options = {
		.words = words,
		.environment = context->ignore_environment ? plain_environment : environ,
		.output_limit = OUTPUT_MAX,
		.give_up_boot_ns = end_ns < context->give_up_boot_ns ? end_ns : context->give_up_boot_ns,
	};
	struct child_result result;
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = child_run(context->runtime, &options, &result, &why);

	if (code == AWSFLOCK_CONFIG)
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s cannot be run: %s: %s", giver, words[0],
				 why.message);
	if (code != AWSFLOCK_OK)
		return error_out_of_memory(error);
	runtime_log(context->runtime, AWSFLOCK_LOG_DEBUG, "%s ended after %lld ms", giver,
		    (long long)((runtime_boot_ns(context->runtime) - now_ns) / NS_PER_MS));
	code = explain_end(&result, giver, error);
	if (code == AWSFLOCK_OK)
		code = credentials_from_json(&result.output, &form, giver, out, error);
	if (code == AWSFLOCK_OK)
		code = credentials_check_fresh(out, giver, runtime_real_ns(context->runtime) / NS_PER_S, error);
	child_result_clear(&result);
	return code;
}

static awsflock_code load_process(const struct credentials_context *context, struct credentials *out, bool *found,
				  struct buf *why_not, awsflock_error *error)
{
	const char *line = credentials_profile_key(context, "credential_process");
	struct buf giver = BUF_INIT;
	char **words = NULL;
	awsflock_code code;

	if (!line) {
		buf_printf(why_not, "no credential_process in profile '%s'", context->profile->name);
		return AWSFLOCK_OK;
	}
	code = split(context, line, &words, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (buf_printf(&giver, "the credential_process of profile '%s'", context->profile->name))
		code = run(context, words, buf_text(&giver), out, error);
	else
		code = error_out_of_memory(error);
	*found = code == AWSFLOCK_OK;
	buf_free(&giver);
	shell_words_free(&words);
	return code;
}

const struct credentials_source credentials_process = { "credential process", true, load_process };
