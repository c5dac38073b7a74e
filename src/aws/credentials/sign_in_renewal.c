/* See sign_in_renewal.h.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sign_in_renewal.h"

#include <string.h>

#include "aws/credentials/json.h"
#include "aws/credentials/json_print.h"
#include "aws/credentials/sign_in_file.h"
#include "aws/credentials/sign_in_lock.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"

/* The text of BODY, as the caller's own; NULL without memory. */
static char *text_of_body(struct json_object *body)
{
	struct buf text = BUF_INIT;
	char *copy = body && json_print(body, &text) ? secret_copy(buf_text(&text)) : NULL;

	buf_free(&text);
	credentials_json_put(body);
	return copy;
}

static bool may_ask(struct sign_in_renewal *renewal)
{
	awsflock_error why = { .code = AWSFLOCK_OK };

	if (sign_in_file_try(renewal->place.path, *renewal->place.object, &why) == AWSFLOCK_OK || renewal->needed)
		return true;
	text_sanitise(why.message, renewal->why, renewal->why_size);
	return false;
}

static awsflock_code ask_service(const struct credentials_context *context, struct sign_in_renewal *renewal,
				 bool *renewed, awsflock_error *error)
{
	struct sign_in_reply reply = { 0 };
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code;

	renewal->asked = true;
	renewal->request.spends = true;
	code = sign_in_ask(context, &renewal->request, &reply, &why);
	if (code == AWSFLOCK_CANCELLED || code == AWSFLOCK_MEMORY)
		return error_set(error, code, "%s", why.message);
	if (code == AWSFLOCK_OK)
		*renewed = renewal->use_answer(renewal->arg, &reply);
	else
		*renewed = sign_in_look_again(context, &renewal->place);
	if (code != AWSFLOCK_OK && !*renewed)
		text_sanitise(why.message, renewal->why, renewal->why_size);
	sign_in_reply_clear(&reply);
	return AWSFLOCK_OK;
}

awsflock_code sign_in_renew(const struct credentials_context *context, struct sign_in_renewal *renewal,
			    bool *renewed, awsflock_error *error)
{
	char *body = text_of_body(renewal->body);
	awsflock_code code = AWSFLOCK_OK;
	int lock_fd;

	*renewed = false;
	renewal->body = NULL;
	if (!body)
		return error_out_of_memory(error);
	renewal->request.body = body;
	lock_fd = sign_in_lock(context, renewal->place.path);
	*renewed = sign_in_look_again(context, &renewal->place);
	if (!*renewed && may_ask(renewal))
		code = ask_service(context, renewal, renewed, error);
	sign_in_unlock(lock_fd);
	renewal->request.body = NULL;
	secret_free(&body);
	return code;
}
