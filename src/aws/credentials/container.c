/* The credentials endpoint of a container: ECS, EKS pod identity, and what imitates them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials/json.h"
#include "aws/credentials/metadata.h"
#include "aws/credentials/token_file.h"
#include "base/error.h"

#define RELATIVE_VARIABLE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL_VARIABLE "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN_FILE_VARIABLE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define TOKEN_VARIABLE "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define ECS_ENDPOINT "http://169.254.170.2"

/* As botocore has it. */
#define TIMEOUT_MS (2 * MS_PER_S)
#define TRIES 3
#define PAUSE_NS NS_PER_S

/* ---- Where it may be ---------------------------------------------------------------------------------------- */

/* Plain http does not leave this machine: loopback, or an address that the hosts of ECS and EKS answer
 * themselves. */
static bool is_near(const char *host)
{
	static const char *const near[] = { "localhost", "169.254.170.2", "169.254.170.23" };
	struct in6_addr eks, loopback, v6;
	struct in_addr v4;
	char bare[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		if (strcasecmp(host, near[i]) == 0)
			return true;
	}
	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	if (host[0] != '[' || strlen(host) - 2 >= sizeof(bare))
		return false;
	memcpy(bare, host + 1, strlen(host) - 2);
	bare[strlen(host) - 2] = '\0';
	return inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 && inet_pton(AF_INET6, "::1", &loopback) == 1 &&
	       inet_pton(AF_INET6, bare, &v6) == 1 &&
	       (memcmp(&v6, &eks, sizeof(v6)) == 0 || memcmp(&v6, &loopback, sizeof(v6)) == 0);
}

/* The host of REST, which follows "://", into HOST: brackets kept, port left out.  Whatever else an authority may
 * hold, a user's name above all, is refused. */
static bool take_host(const char *rest, char *host, size_t size)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	size_t length = rest[0] == '[' ? 1 + strspn(rest + 1, "0123456789abcdefABCDEF:.") : strspn(rest, name);

	if (rest[0] == '[' && rest[length++] != ']')
		return false;
	if (length == 0 || length >= size || (rest[0] == '[' && length < 3))
		return false;
	memcpy(host, rest, length);
	host[length] = '\0';
	rest += length;
	if (*rest == ':')
		rest += 1 + strspn(rest + 1, "0123456789");
	return *rest == '/' || *rest == '?' || *rest == '\0';
}

static awsflock_code check_full_url(const char *url, awsflock_error *error)
{
	bool tls = strncasecmp(url, "https://", 8) == 0;
	char host[256];

	if ((!tls && strncasecmp(url, "http://", 7) != 0) || !credentials_fit_header(url) || strpbrk(url, "#@") ||
	    !take_host(url + (tls ? 8 : 7), host, sizeof(host)))
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 FULL_VARIABLE " is not a valid URL, such as http://169.254.170.23/v1/credentials");
	if (!tls && !is_near(host))
		return error_set(
			error, AWSFLOCK_CREDENTIALS,
			FULL_VARIABLE
			" names the host %s, which is not asked without TLS: use https, or one of localhost, "
			"169.254.170.2, 169.254.170.23 and [fd00:ec2::23]",
			host);
	return AWSFLOCK_OK;
}

static awsflock_code find_url(const struct credentials_context *context, struct buf *url, awsflock_error *error)
{
	const char *relative = credentials_variable(context, RELATIVE_VARIABLE);
	const char *full = credentials_variable(context, FULL_VARIABLE);
	awsflock_code code = AWSFLOCK_OK;

	if (!relative)
		code = check_full_url(full, error);
	else if (relative[0] != '/' || !credentials_fit_header(relative) || strchr(relative, '#'))
		code = error_set(error, AWSFLOCK_CREDENTIALS,
				 RELATIVE_VARIABLE
				 " is not a path, such as /v2/credentials/...: it must start with '/'");
	if (code != AWSFLOCK_OK)
		return code;
	buf_printf(url, "%s%s", relative ? ECS_ENDPOINT : "", relative ? relative : full);
	return url->failed ? error_out_of_memory(error) : AWSFLOCK_OK;
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

static awsflock_code read_token(const struct credentials_context *context, const char *path, struct buf *token,
				awsflock_error *error)
{
	char *file = NULL;
	awsflock_code code = credentials_path(context, path, &file, error);

	if (code == AWSFLOCK_OK)
		code = token_file_read(file, "the container's authorization token", token, error);
	free(file);
	return code;
}

/* Stays empty where there is none. */
static awsflock_code find_token(const struct credentials_context *context, struct buf *token, awsflock_error *error)
{
	const char *path = credentials_variable(context, TOKEN_FILE_VARIABLE);
	const char *text = credentials_variable(context, TOKEN_VARIABLE);
	awsflock_code code = AWSFLOCK_OK;

	if (path)
		code = read_token(context, path, token, error);
	else if (text && !buf_puts(token, text))
		code = error_out_of_memory(error);
	if (code != AWSFLOCK_OK)
		return code;
	/* "Basic ..." and the like have a blank; a line's end would begin another header. */
	for (const char *c = buf_text(token); *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			return error_set(
				error, AWSFLOCK_CREDENTIALS,
				"the container's authorization token (from %s) has characters that cannot be "
				"part of one, such as a line's end",
				path ? path : TOKEN_VARIABLE);
	}
	return AWSFLOCK_OK;
}

static awsflock_code judge_container_reply(const struct credentials_context *context,
					   const struct http_reply *reply, const char *url, struct credentials *out,
					   awsflock_error *error)
{
	static const struct credentials_json_form form = { .token_name = "Token",
							   .is_temporary = true,
							   .has_code = true };
	static const char giver[] = "the container's credentials endpoint";
	char refusal[200];
	awsflock_code code;

	if (reply->status != 200) {
		credentials_json_refusal(&reply->body, refusal, sizeof(refusal));
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s refuses (HTTP %ld from %s)%s%s", giver,
				 reply->status, url, refusal[0] != '\0' ? ": " : "", refusal);
	}
	code = credentials_from_json(&reply->body, &form, giver, out, error);
	if (code == AWSFLOCK_OK)
		code = credentials_check_fresh(out, giver, metadata_now_seconds(context, reply), error);
	return code;
}

/* *AGAIN: another try may do better. */
static awsflock_code send_container_request(const struct credentials_context *context, const char *url,
					    const struct http_header *header, struct credentials *out, bool *again,
					    awsflock_error *error)
{
	struct http_reply reply;
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = metadata_send(context, "GET", url, header, TIMEOUT_MS, &reply, &why);

	*again = code == AWSFLOCK_UNREACHABLE ||
		 (code == AWSFLOCK_OK && (reply.status >= 500 || reply.status == 429));
	if (code == AWSFLOCK_OK)
		code = judge_container_reply(context, &reply, url, out, error);
	else if (code == AWSFLOCK_CANCELLED || code == AWSFLOCK_MEMORY)
		error_set(error, code, "%s", why.message);
	else
		code = error_set(error, AWSFLOCK_CREDENTIALS, "the container's credentials endpoint fails: %s",
				 why.message);
	buf_free(&reply.body);
	return code;
}

static awsflock_code ask_container(const struct credentials_context *context, const char *url, const char *token,
				   struct credentials *out, awsflock_error *error)
{
	const struct http_header header = { "Authorization", token };
	bool again = true;
	awsflock_code code = AWSFLOCK_OK;

	for (int try = 1; again; try++) {
		code = send_container_request(context, url, token[0] != '\0' ? &header : NULL, out, &again, error);
		again = again && try < TRIES &&
			runtime_boot_ns(context->runtime) + PAUSE_NS < context->give_up_boot_ns &&
			runtime_sleep_until(context->runtime, runtime_boot_ns(context->runtime) + PAUSE_NS);
	}
	return code;
}

static awsflock_code load_container(const struct credentials_context *context, struct credentials *out, bool *found,
				    struct buf *why_not, awsflock_error *error)
{
	struct buf url = BUF_INIT, token = BUF_INIT;
	awsflock_code code;

	if (!credentials_variable(context, RELATIVE_VARIABLE) && !credentials_variable(context, FULL_VARIABLE)) {
		buf_puts(why_not, context->ignore_environment ? "not looked at" : RELATIVE_VARIABLE " is not set");
		return AWSFLOCK_OK;
	}
	code = find_url(context, &url, error);
	if (code == AWSFLOCK_OK)
		code = find_token(context, &token, error);
	if (code == AWSFLOCK_OK)
		code = ask_container(context, buf_text(&url), buf_text(&token), out, error);
	*found = code == AWSFLOCK_OK;
	buf_free(&url);
	buf_free(&token);
	return code;
}

const struct credentials_source credentials_container = { "container", false, load_container };
