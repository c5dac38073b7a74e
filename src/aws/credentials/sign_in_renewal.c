/* See sign_in_renewal.h.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sign_in_renewal.h"

#include <string.h>

#include "aws/credentials/json.h"
#include "aws/credentials/json_print.h"
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

awsflock_code sign_in_renew(const struct credentials_context *context, struct sign_in_renewal *renewal,
			    bool *renewed, awsflock_error *error)
{
	struct sign_in_reply reply = { 0 };
	awsflock_error why = { .code = AWSFLOCK_OK };
	char *body = text_of_body(renewal->body);
	awsflock_code code;

	*renewed = false;
	renewal->body = NULL;
	if (!body)
		return error_out_of_memory(error);
	renewal->request.body = body;
	code = sign_in_ask(context, &renewal->request, &reply, &why);
	renewal->request.body = NULL;
	secret_free(&body);
	if (code == AWSFLOCK_CANCELLED || code == AWSFLOCK_MEMORY)
		return error_set(error, code, "%s", why.message);
	if (code == AWSFLOCK_OK)
		*renewed = renewal->use_answer(renewal->arg, &reply);
	else
		text_sanitise(why.message, renewal->why, renewal->why_size);
	sign_in_reply_clear(&reply);
	return AWSFLOCK_OK;
}
