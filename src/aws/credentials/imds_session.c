/* Sessions with the instance metadata service.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/imds_session.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials/metadata.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"

#define BASE_V4 "http://169.254.169.254"
#define BASE_V6 "http://[fd00:ec2::254]"
#define TOKEN_PATH "latest/api/token"
#define TOKEN_SECONDS "21600"
#define REGION_PATH "latest/meta-data/placement/region"

/* ---- Settings ----------------------------------------------------------------------------------------------- */

static const char *setting(const struct credentials_context *context, const char *variable, const char *key)
{
	const char *value = credentials_variable(context, variable);

	return value ? value : credentials_profile_key(context, key);
}

static awsflock_code read_number(const struct credentials_context *context, const char *variable, const char *key,
				 int64_t most, int64_t *out, awsflock_error *error)
{
	const char *text = setting(context, variable, key);

	*out = 1;
	if (!text || text_parse_int64(text, 1, most, out))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "%s (or %s of the profile) must be a number from 1 to %lld, not '%s'", variable, key,
			 (long long)most, text);
}

static awsflock_code read_mode(const struct credentials_context *context, bool *v6, awsflock_error *error)
{
	const char *mode =
		setting(context, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
	const char *old = setting(context, "AWS_IMDS_USE_IPV6", "imds_use_ipv6");

	*v6 = old && strcasecmp(old, "true") == 0;
	if (!mode)
		return AWSFLOCK_OK;
	*v6 = strcasecmp(mode, "ipv6") == 0;
	if (*v6 || strcasecmp(mode, "ipv4") == 0)
		return AWSFLOCK_OK;
	return error_set(
		error, AWSFLOCK_CONFIG,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (or ec2_metadata_service_endpoint_mode of the profile) "
		"must be IPv4 or IPv6, not '%s'",
		mode);
}

static awsflock_code read_base(const struct credentials_context *context, char **out, awsflock_error *error)
{
	const char *given = setting(context, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
	bool v6 = false;
	awsflock_code code = given ? AWSFLOCK_OK : read_mode(context, &v6, error);
	size_t size;

	if (code != AWSFLOCK_OK)
		return code;
	if (!given)
		given = v6 ? BASE_V6 : BASE_V4;
	if ((strncasecmp(given, "http://", 7) != 0 && strncasecmp(given, "https://", 8) != 0) ||
	    !credentials_fit_header(given) || strpbrk(given, "@?#"))
		return error_set(
			error, AWSFLOCK_CONFIG,
			"AWS_EC2_METADATA_SERVICE_ENDPOINT (or ec2_metadata_service_endpoint of the profile) is "
			"no URL such as " BASE_V4);
	size = strlen(given);
	while (given[size - 1] == '/')
		size--;
	*out = strndup(given, size);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- Requests ----------------------------------------------------------------------------------------------- */

/* A failure of the transport is a reason, unless it is one of this program. */
static awsflock_code no_answer(awsflock_code code, const awsflock_error *why, struct buf *why_not,
			       awsflock_error *error)
{
	if (code == AWSFLOCK_CANCELLED || code == AWSFLOCK_MEMORY)
		return error_set(error, code, "%s", why->message);
	buf_puts(why_not, why->message);
	return AWSFLOCK_OK;
}

static awsflock_code send(const struct imds *imds, const char *method, const char *path,
			  const struct http_header *header, struct http_reply *reply, awsflock_error *why)
{
	struct buf url = BUF_INIT;
	awsflock_code code = AWSFLOCK_MEMORY;

	*reply = (struct http_reply){ .fate = HTTP_NOT_SENT };
	if (!buf_printf(&url, "%s/%s", imds->base, path))
		error_out_of_memory(why);
	for (int64_t i = 0; !url.failed && i < imds->tries; i++) {
		buf_free(&reply->body);
		code = metadata_send(imds->context, method, buf_text(&url), header, imds->timeout_ms, reply, why);
		if (code != AWSFLOCK_UNREACHABLE && (code != AWSFLOCK_OK || reply->status < 500))
			break;
	}
	buf_free(&url);
	return code;
}

static void explain_refused_token(long status, struct buf *why_not)
{
	if (status == 403)
		buf_puts(why_not, "the metadata service is switched off for this instance (HTTP 403)");
	else if (status == 404 || status == 405)
		buf_printf(why_not,
			   "the metadata service knows no version 2 (HTTP %ld), and version 1 is never used",
			   status);
	else
		buf_printf(why_not, "the metadata service refuses a session (HTTP %ld)", status);
}

static awsflock_code take_token(struct imds *imds, const struct http_reply *reply, bool *opened,
				struct buf *why_not, awsflock_error *error)
{
	const char *text = buf_text(&reply->body);

	if (reply->status != 200) {
		explain_refused_token(reply->status, why_not);
		return AWSFLOCK_OK;
	}
	if (text[0] == '\0' || strlen(text) != reply->body.size || !credentials_fit_header(text)) {
		buf_puts(why_not, "the metadata service gives a session token that cannot be one");
		return AWSFLOCK_OK;
	}
	imds->token = secret_copy(text);
	*opened = imds->token != NULL;
	return *opened ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code open_session(struct imds *imds, bool *opened, struct buf *why_not, awsflock_error *error)
{
	static const struct http_header seconds = { "X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS };
	struct http_reply reply;
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = send(imds, "PUT", TOKEN_PATH, &seconds, &reply, &why);

	if (code == AWSFLOCK_OK) {
		code = take_token(imds, &reply, opened, why_not, error);
	} else {
		code = no_answer(code, &why, why_not, error);
		/* Connected, and no answer: such a reply dies on the way into a container. */
		if (code == AWSFLOCK_OK && reply.fate == HTTP_UNKNOWN)
			buf_puts(why_not, " (in a container, the instance's metadata hop limit must be 2 or more)");
	}
	buf_free(&reply.body);
	return code;
}

awsflock_code imds_open(const struct credentials_context *context, struct imds *imds, bool *opened,
			struct buf *why_not, awsflock_error *error)
{
	const char *disabled = credentials_variable(context, "AWS_EC2_METADATA_DISABLED");
	int64_t seconds = 1;
	awsflock_code code;

	*imds = (struct imds){ .context = context };
	*opened = false;
	if (disabled && strcasecmp(disabled, "true") == 0) {
		buf_puts(why_not, "AWS_EC2_METADATA_DISABLED is set");
		return AWSFLOCK_OK;
	}
	code = read_number(context, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", 60, &seconds,
			   error);
	if (code == AWSFLOCK_OK)
		code = read_number(context, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts",
				   10, &imds->tries, error);
	imds->timeout_ms = seconds * MS_PER_S;
	if (code == AWSFLOCK_OK)
		code = read_base(context, &imds->base, error);
	if (code == AWSFLOCK_OK)
		code = open_session(imds, opened, why_not, error);
	if (code != AWSFLOCK_OK || !*opened)
		imds_close(imds);
	return code;
}

awsflock_code imds_get(const struct imds *imds, const char *path, struct http_reply *reply, bool *found,
		       struct buf *why_not, awsflock_error *error)
{
	const struct http_header token = { "X-aws-ec2-metadata-token", imds->token };
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = send(imds, "GET", path, &token, reply, &why);

	*found = code == AWSFLOCK_OK && reply->status == 200;
	if (code != AWSFLOCK_OK)
		return no_answer(code, &why, why_not, error);
	if (!*found && reply->status != 404)
		buf_printf(why_not, "the metadata service answers HTTP %ld", reply->status);
	return AWSFLOCK_OK;
}

void imds_close(struct imds *imds)
{
	free(imds->base);
	imds->base = NULL;
	secret_free(&imds->token);
}

/* ---- The region --------------------------------------------------------------------------------------------- */

static bool is_region(const char *text)
{
	size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return size > 0 && size < 64 && text[size] == '\0' && text[0] != '-' && text[size - 1] != '-';
}

awsflock_code imds_region(const struct credentials_context *context, char **region, struct buf *why_not,
			  awsflock_error *error)
{
	struct imds imds;
	struct http_reply reply = { .fate = HTTP_NOT_SENT };
	bool found = false;
	awsflock_code code = imds_open(context, &imds, &found, why_not, error);

	if (code != AWSFLOCK_OK || !found)
		return code;
	code = imds_get(&imds, REGION_PATH, &reply, &found, why_not, error);
	if (code == AWSFLOCK_OK && found && is_region(buf_text(&reply.body))) {
		*region = strdup(buf_text(&reply.body));
		if (!*region)
			code = error_out_of_memory(error);
	} else if (code == AWSFLOCK_OK && why_not->size == 0) {
		buf_puts(why_not, "the metadata service names no region");
	}
	buf_free(&reply.body);
	imds_close(&imds);
	return code;
}
