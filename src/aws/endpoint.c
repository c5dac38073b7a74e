/* The region and the URL, from the first place that names them.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/endpoint.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#define HOST_LABEL_MAX 63
#define HOST_MAX 253
#define LOCAL_REGION "local"
#define LOCAL_URL "http://localhost:8000"
#define COMMAND_LINE "the command line"

/* The parts of a URL, pointing into it. */
struct url_parts {
	bool tls;
	const char *host;
	size_t host_size; /* without the brackets of an IPv6 address */
	bool bracketed;
	const char *port; /* digits; NULL: the scheme's */
	size_t port_size;
	const char *path; /* "" or from the slash on */
	size_t path_size;
};

static const char *environment(const struct endpoint_options *options, const char *name)
{
	const char *value = options->ignore_environment || !name ? NULL : secure_getenv(name);

	return value && value[0] != '\0' ? value : NULL;
}

static const char *profile_key(const struct endpoint_options *options, const char *key)
{
	const char *value = profile_config_get(options->profile, key);

	return value && value[0] != '\0' ? value : NULL;
}

static const char *given(const char *value)
{
	return value && value[0] != '\0' ? value : NULL;
}

struct place {
	const char *value, *source;
};

static struct place first_place(const struct place *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (places[i].value)
			return places[i];
	}
	return (struct place){ NULL, NULL };
}

/* ---- Switches ----------------------------------------------------------------------------------------------- */

static awsflock_code read_switch(const struct endpoint_options *options, const char *variable, const char *key,
				 bool *out, awsflock_error *error)
{
	const struct place places[] = { { environment(options, variable), variable },
					{ profile_key(options, key), key } };
	struct place place = first_place(places, 2);

	*out = false;
	if (place.value && !text_parse_bool(place.value, out))
		return error_set(error, AWSFLOCK_CONFIG, "%s must be true or false, not '%s'", place.source,
				 place.value);
	return AWSFLOCK_OK;
}

static awsflock_code read_variants(const struct endpoint_options *options, bool *fips, bool *dual_stack,
				   awsflock_error *error)
{
	awsflock_code code = read_switch(options, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", fips, error);

	if (code == AWSFLOCK_OK)
		code = read_switch(options, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", dual_stack,
				   error);
	return code;
}

/* ---- Region ------------------------------------------------------------------------------------------------- */

static bool is_host_label(const char *text)
{
	size_t size = strlen(text);

	if (size == 0 || size > HOST_LABEL_MAX || text[0] == '-' || text[size - 1] == '-')
		return false;
	for (; *text != '\0'; text++) {
		if (!(isascii((unsigned char)*text) && isalnum((unsigned char)*text)) && *text != '-')
			return false;
	}
	return true;
}

/* "us-east-1-fips" and "fips-us-east-1" are old names for a region's FIPS endpoint, which AWS's tools still
 * take. */
static char *real_region(const char *name)
{
	size_t size = strlen(name);

	if (strncmp(name, "fips-", strlen("fips-")) == 0)
		return strdup(name + strlen("fips-"));
	if (size > strlen("-fips") && strcmp(name + size - strlen("-fips"), "-fips") == 0)
		return strndup(name, size - strlen("-fips"));
	return strdup(name);
}

/* A value that the caller gave cannot be; what stands elsewhere is the configuration's fault. */
static awsflock_code code_of_bad_value(struct place place)
{
	return strcmp(place.source, COMMAND_LINE) == 0 ? AWSFLOCK_INVALID : AWSFLOCK_CONFIG;
}

static awsflock_code explain_bad_region(const struct endpoint_options *options, struct place place,
					awsflock_error *error)
{
	const char *sudo = environment(options, "SUDO_USER")
				   ? " (sudo drops the environment of who called it, and AWS_REGION with it)"
				   : "";

	if (!place.value) {
		error_set(error, AWSFLOCK_CONFIG,
			  "no AWS region is set: give --region, set AWS_REGION, or put region = ... into "
			  "awsflock.conf or the AWS profile%s",
			  sudo);
		return AWSFLOCK_CONFIG;
	}
	error_set(error, code_of_bad_value(place), "'%s' (from %s) is not an AWS region: an example is us-east-1",
		  place.value, place.source);
	return code_of_bad_value(place);
}

static awsflock_code resolve_region(const struct endpoint_options *options, struct endpoint *out,
				    bool *fips_by_name, awsflock_error *error)
{
	const struct place places[] = {
		{ given(options->region), COMMAND_LINE },
		{ environment(options, "AWS_REGION"), "AWS_REGION" },
		{ environment(options, "AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION" },
		{ given(options->config_region), "awsflock.conf" },
		{ profile_key(options, "region"), "profile" },
	};
	struct place place = first_place(places, sizeof(places) / sizeof(places[0]));

	if (!place.value && options->instance_region)
		place = (struct place){ options->instance_region(options->instance_region_arg),
					"instance metadata" };
	if (!place.value || !is_host_label(place.value))
		return explain_bad_region(options, place, error);
	out->region_source = place.source;
	out->region = real_region(place.value);
	*fips_by_name = out->region && strcmp(out->region, place.value) != 0;
	return out->region ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- URL: where from ---------------------------------------------------------------------------------------- */

/* AWS's switch to forget what AWS's own variables and profiles say of endpoints; ours stay. */
static awsflock_code ignores_configured_urls(const struct endpoint_options *options, bool *ignores,
					     awsflock_error *error)
{
	return read_switch(options, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls",
			   ignores, error);
}

static struct place configured_url(const struct endpoint_options *options, bool ignore_aws)
{
	const struct profile *profile = ignore_aws ? NULL : options->profile;
	const struct place places[] = {
		{ given(options->url), COMMAND_LINE },
		{ environment(options, "DYNAMO_ENDPOINT_URL"), "DYNAMO_ENDPOINT_URL" },
		{ ignore_aws ? NULL : environment(options, "AWS_ENDPOINT_URL_DYNAMODB"),
		  "AWS_ENDPOINT_URL_DYNAMODB" },
		{ ignore_aws ? NULL : environment(options, "AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL" },
		{ given(options->config_url), "awsflock.conf" },
		{ given(profile_service_get(profile, "dynamodb", "endpoint_url")), "services of the profile" },
		{ given(profile_config_get(profile, "endpoint_url")), "profile" },
	};

	return first_place(places, sizeof(places) / sizeof(places[0]));
}

/* A profile that names a section which is not there would go to another endpoint than its writer meant. */
static awsflock_code check_services(const struct endpoint_options *options, struct place place,
				    awsflock_error *error)
{
	const char *missing = profile_missing_services(options->profile);

	if (!missing || (place.value && strcmp(place.source, "profile") != 0))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "the profile says services = %s, but there is no section [services %s] in %s", missing,
			 missing, options->profile->config_path ? options->profile->config_path : "its file");
}

/* The URL of AWS itself, which the caller frees. */
static awsflock_code aws_url(const struct endpoint_options *options, enum aws_service service, const char *region,
			     bool fips_by_name, char **url, awsflock_error *error)
{
	bool fips, dual_stack;
	awsflock_code code = read_variants(options, &fips, &dual_stack, error);

	return code == AWSFLOCK_OK ? partition_url(service, region, fips || fips_by_name, dual_stack, url, error)
				   : code;
}

/* AWS's tools take the region "local" for a DynamoDB Local on its usual port. */
static awsflock_code become_local(const struct endpoint_options *options, struct endpoint *out,
				  awsflock_error *error)
{
	bool fips, dual_stack;
	awsflock_code code = read_variants(options, &fips, &dual_stack, error);

	if (code != AWSFLOCK_OK)
		return code;
	if (fips || dual_stack)
		return error_set(error, AWSFLOCK_CONFIG,
				 "the region local has no FIPS and no dual-stack endpoint: unset %s",
				 fips ? "AWS_USE_FIPS_ENDPOINT" : "AWS_USE_DUALSTACK_ENDPOINT");
	free(out->region);
	out->region = strdup("us-east-1");
	return out->region ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- URL: its parts ----------------------------------------------------------------------------------------- */

static bool take_scheme(const char **text, struct url_parts *parts)
{
	parts->tls = strncasecmp(*text, "https://", 8) == 0;
	if (!parts->tls && strncasecmp(*text, "http://", 7) != 0)
		return false;
	*text += parts->tls ? 8 : 7;
	return true;
}

static bool take_host(const char **text, struct url_parts *parts)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	static const char address[] = "0123456789abcdefABCDEF:.";

	parts->bracketed = **text == '[';
	parts->host = *text + (parts->bracketed ? 1 : 0);
	parts->host_size = strspn(parts->host, parts->bracketed ? address : name);
	*text = parts->host + parts->host_size;
	if (parts->bracketed && *(*text)++ != ']')
		return false;
	return parts->host_size > 0 && parts->host_size <= HOST_MAX;
}

static bool take_port(const char **text, struct url_parts *parts)
{
	char digits[6];
	int64_t number;

	parts->port = NULL;
	if (**text != ':')
		return true;
	parts->port = *text + 1;
	parts->port_size = strspn(parts->port, "0123456789");
	*text = parts->port + parts->port_size;
	if (parts->port_size == 0 || parts->port_size >= sizeof(digits))
		return false;
	memcpy(digits, parts->port, parts->port_size);
	digits[parts->port_size] = '\0';
	return text_parse_int64(digits, 1, 65535, &number);
}

/* Only paths that no library on the way rewrites, for the signature covers the path. */
static bool take_path(const char **text, struct url_parts *parts)
{
	static const char kept[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/%";
	const char *path = *text;

	parts->path = path;
	parts->path_size = strspn(path, kept);
	*text = path + parts->path_size;
	if (parts->path_size > 0 && path[0] != '/')
		return false;
	if (strstr(path, "//") || strstr(path, "/."))
		return false;
	while (parts->path_size > 0 && path[parts->path_size - 1] == '/')
		parts->path_size--;
	return true;
}

static bool split_url(const char *text, struct url_parts *parts)
{
	return take_scheme(&text, parts) && take_host(&text, parts) && take_port(&text, parts) &&
	       take_path(&text, parts) && *text == '\0';
}

static bool is_host(const struct url_parts *parts, const char *host)
{
	return strlen(host) == parts->host_size && strncasecmp(parts->host, host, parts->host_size) == 0;
}

static bool is_loopback(const struct url_parts *parts)
{
	if (parts->bracketed)
		return is_host(parts, "::1");
	if (is_host(parts, "localhost"))
		return true;
	/* An address, not a name such as 127.0.0.1.example.com. */
	return parts->host_size >= 9 && strncmp(parts->host, "127.", 4) == 0 &&
	       strspn(parts->host, "0123456789.") >= parts->host_size;
}

static bool is_default_port(const struct url_parts *parts)
{
	const char *number = parts->tls ? "443" : "80";

	return !parts->port ||
	       (parts->port_size == strlen(number) && strncmp(parts->port, number, parts->port_size) == 0);
}

static char *make_host(const struct url_parts *parts)
{
	struct buf host = BUF_INIT;

	buf_printf(&host, "%s%.*s%s", parts->bracketed ? "[" : "", (int)parts->host_size, parts->host,
		   parts->bracketed ? "]" : "");
	if (!is_default_port(parts))
		buf_printf(&host, ":%.*s", (int)parts->port_size, parts->port);
	return buf_steal(&host);
}

static char *make_url(const struct url_parts *parts, const char *host)
{
	struct buf url = BUF_INIT;

	buf_printf(&url, "%s://%s%.*s", parts->tls ? "https" : "http", host, (int)parts->path_size, parts->path);
	return buf_steal(&url);
}

static awsflock_code take_url(const struct endpoint_options *options, struct place place, struct endpoint *out,
			      awsflock_error *error)
{
	struct url_parts parts = { 0 };

	/* The text itself is not repeated: someone may have put a password into it. */
	if (!split_url(place.value, &parts))
		return error_set(error, code_of_bad_value(place),
				 "the endpoint URL (from %s) cannot be used: it must look like "
				 "https://dynamodb.us-east-1.amazonaws.com or http://127.0.0.1:8000",
				 place.source);
	if (!parts.tls && !options->allow_plain_http && !is_loopback(&parts))
		return error_set(
			error, code_of_bad_value(place),
			"the endpoint %s (from %s) is not encrypted: use https, or set allow_plain_http = yes",
			place.value, place.source);
	out->url_source = place.source;
	out->host = make_host(&parts);
	out->path = parts.path_size > 0 ? strndup(parts.path, parts.path_size) : strdup("/");
	out->url = out->host ? make_url(&parts, out->host) : NULL;
	return out->url && out->path ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code resolve_url(const struct endpoint_options *options, bool fips_by_name, struct endpoint *out,
				 awsflock_error *error)
{
	struct place place;
	char *own = NULL;
	bool ignore_aws;
	awsflock_code code = ignores_configured_urls(options, &ignore_aws, error);

	if (code != AWSFLOCK_OK)
		return code;
	place = configured_url(options, ignore_aws);
	code = ignore_aws ? AWSFLOCK_OK : check_services(options, place, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (!place.value) {
		out->is_aws = strcmp(out->region, LOCAL_REGION) != 0;
		code = out->is_aws ? aws_url(options, AWS_DYNAMODB, out->region, fips_by_name, &own, error)
				   : become_local(options, out, error);
		if (code != AWSFLOCK_OK)
			return code;
		place = (struct place){ out->is_aws ? own : LOCAL_URL, "region" };
	}
	code = take_url(options, place, out, error);
	free(own);
	return code;
}

awsflock_code endpoint_resolve(const struct endpoint_options *options, struct endpoint *out, awsflock_error *error)
{
	struct endpoint endpoint = { 0 };
	bool fips_by_name = false;
	awsflock_code code = resolve_region(options, &endpoint, &fips_by_name, error);

	if (code == AWSFLOCK_OK)
		code = resolve_url(options, fips_by_name, &endpoint, error);
	if (code != AWSFLOCK_OK) {
		endpoint_clear(&endpoint);
		return code;
	}
	*out = endpoint;
	return AWSFLOCK_OK;
}

/* ---- Services that give credentials -------------------------------------------------------------------------- */

static struct place configured_service_url(const struct endpoint_options *options, enum aws_service service)
{
	static const struct {
		const char *variable, *key;
	} names[] = { [AWS_STS] = { "AWS_ENDPOINT_URL_STS", "sts" },
		      [AWS_SSO] = { "AWS_ENDPOINT_URL_SSO", "sso" },
		      [AWS_SSO_OIDC] = { "AWS_ENDPOINT_URL_SSO_OIDC", "sso_oidc" },
		      [AWS_SIGNIN] = { "AWS_ENDPOINT_URL_SIGNIN", "signin" } };
	const struct profile *profile = options->profile;
	const struct place places[] = {
		{ environment(options, names[service].variable), names[service].variable },
		{ environment(options, "AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL" },
		{ given(profile_service_get(profile, names[service].key, "endpoint_url")),
		  "services of the profile" },
		{ given(profile_config_get(profile, "endpoint_url")), "profile" },
	};

	return first_place(places, sizeof(places) / sizeof(places[0]));
}

/* For STS never the one endpoint for the world (sts.amazonaws.com), as AWS's tools since 2022: it is far, and its
 * tokens are not known in every region. */
static awsflock_code resolve_service(const struct endpoint_options *options, enum aws_service service,
				     struct endpoint *out, awsflock_error *error)
{
	struct place place = { NULL, NULL };
	char *own = NULL;
	bool ignore_aws;
	awsflock_code code = ignores_configured_urls(options, &ignore_aws, error);

	if (code != AWSFLOCK_OK)
		return code;
	if (!ignore_aws)
		place = configured_service_url(options, service);
	if (!place.value) {
		code = aws_url(options, service, out->region, false, &own, error);
		if (code != AWSFLOCK_OK)
			return code;
		place = (struct place){ own, "region" };
		out->is_aws = true;
	}
	code = take_url(options, place, out, error);
	free(own);
	return code;
}

awsflock_code endpoint_resolve_service(const struct endpoint_options *options, enum aws_service service,
				       const char *region, struct endpoint *out, awsflock_error *error)
{
	struct endpoint endpoint = { .region_source = "the command line" };
	awsflock_code code;

	if (!is_host_label(region))
		return error_set(error, AWSFLOCK_CONFIG, "'%s' is not an AWS region: an example is us-east-1",
				 region);
	endpoint.region = strdup(region);
	code = endpoint.region ? resolve_service(options, service, &endpoint, error) : error_out_of_memory(error);
	if (code != AWSFLOCK_OK) {
		endpoint_clear(&endpoint);
		return code;
	}
	*out = endpoint;
	return AWSFLOCK_OK;
}

void endpoint_clear(struct endpoint *endpoint)
{
	free(endpoint->region);
	free(endpoint->url);
	free(endpoint->host);
	free(endpoint->path);
	*endpoint = (struct endpoint){ 0 };
}
