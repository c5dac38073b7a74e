/* What libcurl's failures mean, and what to do about them.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/http_fault.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

/* X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL, which CURLINFO_SSL_VERIFYRESULT hands through. */
#define VERIFY_NOT_YET_VALID 9

static bool is_lost_connection(const char *text)
{
	return strstr(text, "SSL_ERROR_SYSCALL") || strstr(text, "reset") || strstr(text, "unexpected eof") ||
	       strstr(text, "Broken pipe");
}

static awsflock_code code_of(const struct http_fault *fault)
{
	switch (fault->result) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return AWSFLOCK_TLS;
	case CURLE_SSL_CONNECT_ERROR:
		return is_lost_connection(fault->text) ? AWSFLOCK_UNREACHABLE : AWSFLOCK_TLS;
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_URL_MALFORMAT:
		return AWSFLOCK_CONFIG;
	case CURLE_UNSUPPORTED_PROTOCOL:
		return fault->issued ? AWSFLOCK_PROTOCOL : AWSFLOCK_CONFIG;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return AWSFLOCK_PROTOCOL;
	case CURLE_WRITE_ERROR:
		return fault->too_large ? AWSFLOCK_PROTOCOL : AWSFLOCK_MEMORY;
	case CURLE_OUT_OF_MEMORY:
		return AWSFLOCK_MEMORY;
	default:
		return AWSFLOCK_UNREACHABLE;
	}
}

static bool is_not_yet_valid(const struct http_fault *fault)
{
	long verify_result = 0;

	curl_easy_getinfo(fault->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
	return verify_result == VERIFY_NOT_YET_VALID || strstr(fault->text, "not yet valid");
}

/* Whether a certificate is good but for nobody here vouching for it. */
static bool lacks_trust(const struct http_fault *fault)
{
	return strstr(fault->text, "local issuer") || strstr(fault->text, "self-signed certificate") ||
	       strstr(fault->text, "self signed certificate");
}

/* Whether libcurl could not reach another place than URL names: a proxy. */
static bool is_proxy_unreachable(const char *text, const char *url)
{
	static const char sign[] = "Failed to connect to ";
	const char *host = strstr(url, "://"), *port;
	size_t host_size;
	struct buf place = BUF_INIT;
	bool other;

	if (strncmp(text, sign, sizeof(sign) - 1) != 0 || !host || host[3] == '[')
		return false;
	host += 3;
	host_size = strcspn(host, ":/");
	port = host[host_size] == ':' ? host + host_size + 1 : url[4] == 's' ? "443" : "80";
	buf_printf(&place, "%s%.*s port %.*s ", sign, (int)host_size, host, (int)strcspn(port, "/"), port);
	other = !place.failed && strncmp(text, buf_text(&place), place.size) != 0;
	buf_free(&place);
	return other;
}

static const char *what_to_check(const struct http_fault *fault, const char *text)
{
	if (fault->result == CURLE_COULDNT_RESOLVE_HOST)
		return ": check the region or endpoint URL, and the network";
	if (is_proxy_unreachable(text, fault->url))
		return ": check the proxy (HTTPS_PROXY, or proxy = in awsflock.conf)";
	return "";
}

/* What the proxy answered to CONNECT, where it refused; else 0. */
static long tunnel_refusal(const struct http_fault *fault)
{
	long status = 0;

	curl_easy_getinfo(fault->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return status >= 400 ? status : 0;
}

/* A proxy's "no" stays one, whereas a 502 may pass. */
static awsflock_code explain_tunnel(const struct http_fault *fault, long status, awsflock_error *error)
{
	return error_set(error, status < 500 ? AWSFLOCK_CONFIG : AWSFLOCK_UNREACHABLE,
			 "the proxy does not let us through to %s (HTTP %ld): check HTTPS_PROXY or proxy = in "
			 "awsflock.conf, %s",
			 fault->url, status,
			 status == 407 || status == 401 ? "and the name and password in it"
							: "and whether NO_PROXY should name this host");
}

awsflock_code http_fault_explain(const struct http_fault *fault, awsflock_error *error)
{
	const char *url = fault->url;
	char text[CURL_ERROR_SIZE];
	awsflock_code code = code_of(fault);

	text_sanitise_message(fault->text[0] != '\0' ? fault->text : curl_easy_strerror(fault->result), text,
			      sizeof(text));

	if (fault->too_large)
		return error_set(error, code, "%s answered with more than the %zu bytes that are allowed", url,
				 fault->reply_limit);
	if (tunnel_refusal(fault) != 0)
		return explain_tunnel(fault, tunnel_refusal(fault), error);
	switch (code) {
	case AWSFLOCK_TLS:
		if (is_not_yet_valid(fault))
			return error_set(error, code,
					 "the certificate of %s is not yet valid: is this machine's clock right?",
					 url);
		return error_set(error, code, "no trusted connection to %s: %s%s", url, text,
				 lacks_trust(fault) ? ": if it is the right server, name its certificates with "
						      "AWS_CA_BUNDLE or ca_bundle"
						    : "");
	case AWSFLOCK_CONFIG:
		return error_set(error, code, "%s cannot be asked: %s: check the endpoint URL, proxy and CA bundle",
				 url, text);
	case AWSFLOCK_PROTOCOL:
		return error_set(error, code, "what answers at %s does not speak HTTP: %s", url, text);
	case AWSFLOCK_MEMORY:
		return error_out_of_memory(error);
	default:
		return error_set(error, code, "no answer from %s: %s%s", url, text, what_to_check(fault, text));
	}
}
