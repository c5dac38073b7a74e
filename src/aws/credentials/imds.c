/* The role of the EC2 instance.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <stdio.h>
#include <string.h>

#include "aws/credentials/imds_session.h"
#include "aws/credentials/json.h"
#include "aws/credentials/metadata.h"
#include "base/error.h"
#include "base/text.h"

#define ROLE_PATH "latest/meta-data/iam/security-credentials/"
#define ROLE_SIZE 129

/* As IAM allows them. */
static const char role_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";

static awsflock_code find_role(const struct imds *imds, char role[ROLE_SIZE], bool *found, struct buf *why_not,
			       awsflock_error *error)
{
	struct http_reply reply;
	awsflock_code code = imds_get(imds, ROLE_PATH, &reply, found, why_not, error);
	const char *text = buf_text(&reply.body);
	size_t size = strspn(text, role_characters);

	if (code == AWSFLOCK_OK && reply.fate == HTTP_ANSWERED &&
	    (reply.status == 404 || (*found && text[0] == '\0'))) {
		*found = false;
		buf_puts(why_not, "the instance has no role");
	} else if (*found && (size == 0 || size >= ROLE_SIZE || !strchr("\r\n", text[size]))) {
		*found = false;
		buf_puts(why_not, "the metadata service names a role that cannot be one");
	} else if (*found) {
		snprintf(role, ROLE_SIZE, "%.*s", (int)size, text);
	}
	buf_free(&reply.body);
	return code;
}

/* While its service cannot renew them, the instance hands out expired keys; AWS's own services go on taking them
 * for a while in such a case, so all SDKs go on using them. */
static awsflock_code take_imds_credentials(const struct imds *imds, const struct http_reply *reply,
					   struct credentials *out, bool *found, struct buf *why_not,
					   awsflock_error *error)
{
	static const struct credentials_json_form form = { .token_name = "Token",
							   .is_temporary = true,
							   .has_code = true };
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = credentials_from_json(&reply->body, &form, "the metadata service", out, &why);

	*found = code == AWSFLOCK_OK;
	if (code == AWSFLOCK_MEMORY)
		return error_out_of_memory(error);
	if (code != AWSFLOCK_OK)
		buf_puts(why_not, why.message);
	else if (credentials_check_fresh(out, "the metadata service", metadata_now_seconds(imds->context, reply),
					 &why) != AWSFLOCK_OK)
		runtime_log(imds->context->runtime, AWSFLOCK_LOG_WARNING, "%s; they are used all the same",
			    why.message);
	out->outlive_expiry = true;
	return AWSFLOCK_OK;
}

static awsflock_code ask_role(const struct imds *imds, const char *role, struct credentials *out, bool *found,
			      struct buf *why_not, awsflock_error *error)
{
	char path[sizeof(ROLE_PATH) + ROLE_SIZE];
	struct http_reply reply;
	awsflock_code code;

	snprintf(path, sizeof(path), ROLE_PATH "%s", role);
	code = imds_get(imds, path, &reply, found, why_not, error);
	if (code == AWSFLOCK_OK && *found)
		code = take_imds_credentials(imds, &reply, out, found, why_not, error);
	else if (code == AWSFLOCK_OK && reply.status == 404)
		buf_printf(why_not, "the metadata service has no credentials for the role %s (HTTP 404)", role);
	buf_free(&reply.body);
	return code;
}

static awsflock_code load_instance(const struct credentials_context *context, struct credentials *out, bool *found,
				   struct buf *why_not, awsflock_error *error)
{
	char role[ROLE_SIZE];
	struct imds imds;
	bool opened;
	awsflock_code code = imds_open(context, &imds, &opened, why_not, error);

	if (code != AWSFLOCK_OK || !opened)
		return code;
	code = find_role(&imds, role, found, why_not, error);
	if (code == AWSFLOCK_OK && *found)
		code = ask_role(&imds, role, out, found, why_not, error);
	*found = *found && code == AWSFLOCK_OK;
	imds_close(&imds);
	return code;
}

const struct credentials_source credentials_instance = { "instance metadata", false, load_instance };
