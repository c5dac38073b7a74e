/* SPDX-License-Identifier: Apache-2.0
 *
 * Any file that a sign-in may have left, and any replies of its services: the file, a line of "--", and the replies, with
 * such a line between them, each beginning with 'e' (HTTP 400) or anything else (200).  The first byte says whose file
 * it is: 'l' aws login's, anything else IAM Identity Center's.  Nothing is sent; files are written to a directory of the
 * target's own. */
#include "aws/credentials/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aws/credentials/sign_in_file.h"
#include "aws/http.h"

#define SEPARATOR "\n--\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] = "[profile s]\nsso_session = n\nsso_account_id = 1\nsso_role_name = r\n"
			     "[sso-session n]\nsso_region = us-east-1\nsso_start_url = u\n"
			     "[profile l]\nlogin_session = n\nregion = us-east-1\n";

struct script {
	struct http_transport transport; /* first */
	const char *rest;
	size_t left;
};

/* Cuts the next part off. */
static size_t cut(struct script *script, const char **part)
{
	const char *end = memmem(script->rest, script->left, SEPARATOR, strlen(SEPARATOR));
	size_t size = end ? (size_t)(end - script->rest) : script->left;
	size_t gone = size + (end ? strlen(SEPARATOR) : 0);

	*part = script->rest;
	script->rest += gone;
	script->left -= gone;
	return size;
}

static awsflock_code say_next(struct http_transport *transport, const struct http_request *request,
			      struct http_reply *reply, awsflock_error *error)
{
	const char *part;
	size_t size = cut((struct script *)transport, &part);
	size_t skip = size > 0 ? 1 : 0;

	(void)request;
	(void)error;
	reply->fate = HTTP_ANSWERED;
	reply->status = skip == 1 && part[0] == 'e' ? 400 : 200;
	buf_append(&reply->body, part + skip, size - skip);
	return AWSFLOCK_OK;
}

/* Nothing waits. */
static bool sleep_not(struct runtime *runtime, int64_t until_boot_ns)
{
	(void)runtime;
	(void)until_boot_ns;
	return false;
}

static void make_home(void)
{
	static char home[] = "/tmp/awsflock-fuzz-XXXXXX";
	static bool made;

	if (made)
		return;
	if (!mkdtemp(home) || setenv("HOME", home, 1) != 0)
		abort();
	made = true;
}

static void put_file(const struct credentials_context *context, bool is_login, const char *text, size_t size)
{
	char *path = NULL;
	awsflock_error error;
	FILE *file;

	if (sign_in_file_name(context, is_login ? ".aws/login/cache" : ".aws/sso/cache",
			      is_login ? SIGN_IN_SHA256 : SIGN_IN_SHA1, "n", &path, &error) != AWSFLOCK_OK)
		abort();
	sign_in_file_make_directory(path);
	file = fopen(path, "w");
	if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
		abort();
	free(path);
}

static void judge(awsflock_code code, bool found, const struct credentials *keys, const awsflock_error *error)
{
	if (code != AWSFLOCK_OK) {
		if (error->message[0] == '\0')
			abort();
		for (const char *c = error->message; *c != '\0'; c++)
			if ((unsigned char)*c < ' ')
				abort();
	} else if (!found || !keys->access_key_id || !keys->secret_access_key || !keys->session_token) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool is_login = size > 0 && data[0] == 'l', found = false;
	struct script script = { .transport = { .send = say_next } };
	struct runtime runtime;
	struct runtime_ops ops;
	struct profile profile = { .name = (char *)(is_login ? "l" : "s") };
	struct sign_in_memory memory = { 0 };
	const struct credentials_context context = { .runtime = &runtime,
						     .transport = &script.transport,
						     .profile = &profile,
						     .region = "us-east-1",
						     .give_up_boot_ns = INT64_MAX,
						     .connect_timeout_ms = 1000,
						     .request_timeout_ms = 1000,
						     .memory = &memory,
						     .skip_caches = true };
	struct credentials keys = { .expires_time = INT64_MAX };
	awsflock_error error = { .code = AWSFLOCK_OK };
	const char *file;
	size_t file_size;
	awsflock_code code;

	make_home();
	runtime_init_system(&runtime);
	ops = *runtime.ops;
	ops.sleep_until = sleep_not;
	runtime.ops = &ops;
	if (ini_parse("config", config, strlen(config), INI_AWS, &profile.config, &error) != AWSFLOCK_OK)
		abort();
	script.rest = (const char *)data + (size > 0 ? 1 : 0);
	script.left = size - (size > 0 ? 1 : 0);
	file_size = cut(&script, &file);
	put_file(&context, is_login, file, file_size);
	struct buf why_not = BUF_INIT;
	code = (is_login ? credentials_login : credentials_sso).load(&context, &keys, &found, &why_not, &error);
	judge(code, found, &keys, &error);
	buf_free(&why_not);
	credentials_clear(&keys);
	sign_in_memory_clear(&memory);
	ini_free(&profile.config);
	return 0;
}
