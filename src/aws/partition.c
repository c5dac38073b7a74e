/* Names under which AWS serves, as botocore's partitions.json and endpoint rules have them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/partition.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"

struct partition {
	const char *region_prefix; /* the first that fits */
	const char *suffix;
	const char *dual_stack_suffix; /* NULL: none there */
	const char *sign_in_suffix;
	bool plain_is_fips; /* the plain names are FIPS ones already */
};

static const struct partition partitions[] = {
	{ "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "amazonaws.cn", false },
	{ "us-gov-", "amazonaws.com", "api.aws", "amazonaws-us-gov.com", true },
	{ "us-iso-", "c2s.ic.gov", "api.aws.ic.gov", "c2shome.ic.gov", false },
	{ "us-isob-", "sc2s.sgov.gov", "api.aws.scloud", "sc2shome.sgov.gov", false },
	{ "us-isof-", "csp.hci.ic.gov", NULL, "csphome.hci.ic.gov", false },
	{ "eu-isoe-", "cloud.adc-e.uk", NULL, "csphome.adc-e.uk", false },
	{ "eusc-", "amazonaws.eu", "api.amazonwebservices.eu", "amazonaws-eusc.eu", false },
	{ "", "amazonaws.com", "api.aws", "aws.amazon.com", false },
};

static const char *const host_names[] = {
	[AWS_DYNAMODB] = "dynamodb", [AWS_STS] = "sts",       [AWS_SSO] = "portal.sso",
	[AWS_SSO_OIDC] = "oidc",     [AWS_SIGNIN] = "signin",
};

static const struct partition *partition_of(const char *region)
{
	const struct partition *partition = partitions;

	while (strncmp(region, partition->region_prefix, strlen(partition->region_prefix)) != 0)
		partition++;
	return partition;
}

/* The sign-in service has a domain of its own, except for its variants. */
static bool append_sign_in_host(struct buf *url, const struct partition *partition, const char *region, bool fips)
{
	if (!fips)
		return buf_printf(url, "%s.signin.%s", region, partition->sign_in_suffix);
	if (strcmp(region, "us-gov-west-1") == 0) /* the one for the whole partition */
		return buf_printf(url, "signin-fips.%s", partition->sign_in_suffix);
	if (partition->plain_is_fips)
		return buf_printf(url, "%s.signin-fips.%s", region, partition->sign_in_suffix);
	return buf_printf(url, "signin-fips.%s.%s", region, partition->suffix);
}

awsflock_code partition_url(enum aws_service service, const char *region, bool fips, bool dual_stack, char **url,
			    awsflock_error *error)
{
	const struct partition *partition = partition_of(region);
	struct buf text = BUF_INIT;

	/* As AWS's tools do, STS is asked by its other name where it has no dual-stack one. */
	if (service == AWS_STS)
		dual_stack = dual_stack && partition->dual_stack_suffix;
	if (dual_stack && !partition->dual_stack_suffix)
		return error_set(error, AWSFLOCK_CONFIG,
				 "there are no dual-stack endpoints in %s: unset AWS_USE_DUALSTACK_ENDPOINT",
				 region);
	buf_puts(&text, "https://");
	if (service == AWS_SIGNIN && !dual_stack)
		append_sign_in_host(&text, partition, region, fips);
	else
		/* Where a partition's plain name is a FIPS one already, the dual-stack name still tells them apart. */
		buf_printf(&text, "%s%s.%s.%s", host_names[service],
			   fips && (dual_stack || !partition->plain_is_fips) ? "-fips" : "", region,
			   dual_stack ? partition->dual_stack_suffix : partition->suffix);
	*url = buf_steal(&text);
	return *url ? AWSFLOCK_OK : error_out_of_memory(error);
}
