/* The sources that one profile can name by itself; an assumed role has its keys from them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

static const struct credentials_source *const profile_chain[] = {
	&credentials_web_identity, &credentials_sso,     &credentials_shared_file,
	&credentials_login,        &credentials_process, &credentials_config_file,
};

awsflock_code credentials_ask_profile(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	return credentials_ask_in_turn(profile_chain, sizeof(profile_chain) / sizeof(profile_chain[0]), context,
				       out, found, why_not, error);
}
