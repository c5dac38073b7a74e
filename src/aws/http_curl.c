/* HTTP through libcurl: one connection kept, every wait cut short by the order to stop.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/http.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "aws/curl_library.h"
#include "aws/http_fault.h"
#include "aws/no_proxy.h"
#include "base/error.h"
#include "base/proxy_url.h"

/* How long to sit in poll(2) where only a callback, or nothing, can tell us to stop. */
#define POLL_CALLBACK_MS 200
#define POLL_LONGEST_MS 1000

struct http_curl {
	struct http_transport transport;
	struct runtime *runtime;
	CURLM *multi;
	CURL *easy;
	char *ca_bundle, *proxy, *user_agent;
	char *ca_directory; /* hashed; looked for at the first https request */
	bool ca_directory_sought;
	char error_text[CURL_ERROR_SIZE];
};

/* One request on its way. */
struct exchange {
	struct http_curl *http;
	const struct http_request *request;
	struct http_reply *reply;
	int issued;      /* how often libcurl began to send it */
	bool whole_head; /* the empty line behind the headers has come */
	bool too_large;
	bool stopped, timed_out;
};

/* ---- What comes back ---------------------------------------------------------------------------------------- */

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;
	struct buf *body = &exchange->reply->body;

	(void)size; /* always 1 */
	if (body->size + count > exchange->request->reply_limit) {
		exchange->too_large = true;
		return 0;
	}
	return buf_append(body, bytes, count) ? count : 0;
}

static void take_text(char *out, size_t out_size, const char *value, size_t size)
{
	if (size >= out_size)
		size = 0;
	memcpy(out, value, size);
	out[size] = '\0';
}

static void take_date(struct http_reply *reply, const char *value, size_t size)
{
	char text[64];
	time_t date;

	take_text(text, sizeof(text), value, size);
	date = text[0] != '\0' ? curl_getdate(text, NULL) : -1;
	reply->has_date = date >= 0;
	reply->date_seconds = reply->has_date ? (int64_t)date : 0;
}

static bool named(const char *line, size_t name_size, const char *name)
{
	return name_size == strlen(name) && strncasecmp(line, name, name_size) == 0;
}

static void take_header_value(struct http_reply *reply, const char *line, size_t name_size, const char *value,
			      size_t size)
{
	if (named(line, name_size, "date"))
		take_date(reply, value, size);
	else if (named(line, name_size, "content-type"))
		take_text(reply->content_type, sizeof(reply->content_type), value, size);
	else if (named(line, name_size, "x-amz-crc32"))
		take_text(reply->crc32, sizeof(reply->crc32), value, size);
	else if (named(line, name_size, "x-amzn-requestid"))
		take_text(reply->request_id, sizeof(reply->request_id), value, size);
	else if (named(line, name_size, "x-amzn-errortype"))
		take_text(reply->error_type, sizeof(reply->error_type), value, size);
}

/* A status line: what came before it belonged to an interim reply. */
static void begin_head(struct exchange *exchange)
{
	struct http_reply *reply = exchange->reply;

	exchange->whole_head = false;
	reply->has_date = false;
	reply->content_type[0] = reply->crc32[0] = reply->request_id[0] = reply->error_type[0] = '\0';
}

static void take_header_line(struct http_reply *reply, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line)), *value;

	if (!colon)
		return;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	take_header_value(reply, line, (size_t)(colon - line), value, (size_t)(end - value));
}

static size_t take_header(char *line, size_t unit, size_t size, void *arg)
{
	struct exchange *exchange = arg;

	(void)unit; /* always 1 */
	if (size >= 5 && strncmp(line, "HTTP/", 5) == 0)
		begin_head(exchange);
	else if (size > 0 && (line[0] == '\r' || line[0] == '\n'))
		exchange->whole_head = true;
	else
		take_header_line(exchange->reply, line, line + size);
	return size;
}

/* Called on a connected and, for https, verified connection, right before the request goes out: also once more
 * where libcurl resends it on another connection, which no other sign betrays. */
static int note_issue(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	(void)peer_ip, (void)local_ip, (void)peer_port, (void)local_port;
	((struct exchange *)arg)->issued++;
	return CURL_PREREQFUNC_OK;
}

/* ---- Setting up --------------------------------------------------------------------------------------------- */

static bool is_hashed_name(const char *name)
{
	return strlen(name) == 10 && strspn(name, "0123456789abcdef") == 8 && strcmp(name + 8, ".0") == 0;
}

static bool is_hashed_directory(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	bool found = false;

	if (!directory)
		return false;
	while (!found && (entry = readdir(directory)) != NULL)
		found = is_hashed_name(entry->d_name);
	closedir(directory);
	return found;
}

/* OpenSSL reads the few certificates it needs from a hashed directory; to parse the whole bundle is the dearest
 * part of a cold request (30 to 45 ms of CPU against 10 to 13, measured on Debian 12). */
static void seek_ca_directory(struct http_curl *http)
{
	const char *path = curl_version_info(CURLVERSION_NOW)->capath;

	if (http->ca_directory_sought)
		return;
	http->ca_directory_sought = true;
	if (!path)
		path = "/etc/ssl/certs";
	if (is_hashed_directory(path))
		http->ca_directory = strdup(path); /* without memory for it the bundle serves */
}

/* One option; the first that cannot be set is kept in SETTING, and those after it are left alone: without its proxy
 * or its CA bundle, for want of memory, a request must not go out at all. */
#define SET(setting, option, value)                                                                                \
	do {                                                                                                       \
		if ((setting)->result == CURLE_OK)                                                                 \
			(setting)->result = curl_easy_setopt((setting)->easy, option, value);                      \
	} while (0)

struct setting {
	CURL *easy;
	CURLcode result;
};

/* Whether this libcurl knows OPTION, which not every TLS library behind it can do. */
static bool set_if_known(struct setting *setting, CURLoption option, const char *value)
{
	SET(setting, option, value);
	if (setting->result != CURLE_NOT_BUILT_IN && setting->result != CURLE_UNKNOWN_OPTION)
		return true;
	setting->result = CURLE_OK;
	return false;
}

static void set_bundle(struct setting *setting, const char *bundle)
{
	SET(setting, CURLOPT_CAINFO, bundle);
	if (setting->result != CURLE_OK)
		return;
	set_if_known(setting, CURLOPT_CAPATH, NULL);
	/* A libcurl that cannot verify a proxy that speaks TLS refuses to use one. */
	set_if_known(setting, CURLOPT_PROXY_CAINFO, bundle);
	set_if_known(setting, CURLOPT_PROXY_CAPATH, NULL);
}

static void set_directory(struct setting *setting, const char *directory)
{
	if (setting->result != CURLE_OK || !set_if_known(setting, CURLOPT_CAPATH, directory))
		return; /* then the system's bundle serves */
	SET(setting, CURLOPT_CAINFO, NULL);
	if (setting->result == CURLE_OK && set_if_known(setting, CURLOPT_PROXY_CAPATH, directory))
		SET(setting, CURLOPT_PROXY_CAINFO, NULL);
}

static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* A directory that was asked for: no bundle may stand in for it. */
static void set_given_directory(struct setting *setting, const char *directory)
{
	SET(setting, CURLOPT_CAPATH, directory);
	SET(setting, CURLOPT_CAINFO, NULL);
	if (setting->result == CURLE_OK && set_if_known(setting, CURLOPT_PROXY_CAPATH, directory))
		SET(setting, CURLOPT_PROXY_CAINFO, NULL);
}

/* From a pipe or a device OpenSSL would read for ever.  What is not there at all libcurl tells. */
static awsflock_code check_bundle(const struct http_curl *http, awsflock_error *error)
{
	struct stat status;

	if (!http->ca_bundle || stat(http->ca_bundle, &status) != 0 || S_ISREG(status.st_mode) ||
	    S_ISDIR(status.st_mode))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "the CA bundle %s is not a regular file: name a file or a directory", http->ca_bundle);
}

static void set_tls_options(struct http_curl *http, struct setting *setting)
{
	SET(setting, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(setting, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(setting, CURLOPT_SSL_VERIFYHOST, 2L);
	if (http->ca_bundle && is_directory(http->ca_bundle)) {
		set_given_directory(setting, http->ca_bundle);
		return;
	}
	if (http->ca_bundle) {
		set_bundle(setting, http->ca_bundle);
		return;
	}
	seek_ca_directory(http);
	if (http->ca_directory)
		set_directory(setting, http->ca_directory);
}

/* Without this the end of a transfer waits for the thread that asks a name server, whether or not that ever answers. */
static void leave_resolver(struct setting *setting)
{
#if LIBCURL_VERSION_NUM >= 0x075700
	if (setting->result != CURLE_OK)
		return;
	SET(setting, CURLOPT_QUICK_EXIT, 1L);
	if (setting->result == CURLE_UNKNOWN_OPTION) /* the libcurl that runs is older than the one at hand */
		setting->result = CURLE_OK;
#else
	(void)setting;
#endif
}

static void set_common_options(struct http_curl *http, struct setting *setting)
{
	SET(setting, CURLOPT_NOSIGNAL, 1L);
	SET(setting, CURLOPT_ERRORBUFFER, http->error_text);
	SET(setting, CURLOPT_FOLLOWLOCATION, 0L);
	SET(setting, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(setting, CURLOPT_TCP_NODELAY, 1L);
	SET(setting, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(setting, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(setting, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	if (http->user_agent)
		SET(setting, CURLOPT_USERAGENT, http->user_agent);
	SET(setting, CURLOPT_WRITEFUNCTION, take_body);
	SET(setting, CURLOPT_HEADERFUNCTION, take_header);
	SET(setting, CURLOPT_PREREQFUNCTION, note_issue);
	leave_resolver(setting);
}

static long timeout_for_libcurl(int64_t timeout_ms)
{
	if (timeout_ms < 1)
		return 1; /* 0 would mean none at all */
	return timeout_ms < 3600 * MS_PER_S ? (long)timeout_ms : (long)(3600 * MS_PER_S);
}

/* Where the variable names ports; libcurl reads it by itself otherwise, the lower case first, as here. */
static void set_no_proxy(const char *url, struct setting *setting)
{
	const char *list = secure_getenv("no_proxy");
	struct buf extended = BUF_INIT;

	if (!list)
		list = secure_getenv("NO_PROXY");
	if (list)
		no_proxy_append(list, url, &extended);
	if (extended.failed)
		setting->result = CURLE_OUT_OF_MEMORY;
	if (extended.size > 0)
		SET(setting, CURLOPT_NOPROXY, buf_text(&extended));
	buf_free(&extended);
}

static void set_request_options(struct http_curl *http, struct exchange *exchange, struct curl_slist *headers,
				struct setting *setting)
{
	const struct http_request *request = exchange->request;

	SET(setting, CURLOPT_HTTPHEADER, headers);
	SET(setting, CURLOPT_WRITEDATA, exchange);
	SET(setting, CURLOPT_HEADERDATA, exchange);
	SET(setting, CURLOPT_PREREQDATA, exchange);
	SET(setting, CURLOPT_CONNECTTIMEOUT_MS, timeout_for_libcurl(request->connect_timeout_ms));
	SET(setting, CURLOPT_TIMEOUT_MS, timeout_for_libcurl(request->total_timeout_ms));
	set_no_proxy(request->url, setting);
	if (request->no_proxy)
		SET(setting, CURLOPT_PROXY, "");
	else if (http->proxy)
		SET(setting, CURLOPT_PROXY, http->proxy);
	if (strcmp(request->method, "GET") != 0) {
		SET(setting, CURLOPT_POST, 1L);
		SET(setting, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
		SET(setting, CURLOPT_POSTFIELDS, request->body ? request->body : "");
		SET(setting, CURLOPT_CUSTOMREQUEST, request->method);
	}
	SET(setting, CURLOPT_URL, request->url);
}

static awsflock_code set_options(struct http_curl *http, struct exchange *exchange, struct curl_slist *headers,
				 awsflock_error *error)
{
	struct setting setting = { .easy = http->easy, .result = CURLE_OK };
	bool is_https = strncmp(exchange->request->url, "https:", 6) == 0;
	awsflock_code code = is_https ? check_bundle(http, error) : AWSFLOCK_OK;

	if (code != AWSFLOCK_OK)
		return code;
	curl_easy_reset(http->easy); /* keeps connections, TLS sessions and resolved names */
	set_common_options(http, &setting);
	if (is_https)
		set_tls_options(http, &setting);
	set_request_options(http, exchange, headers, &setting);
	if (setting.result == CURLE_OK)
		return AWSFLOCK_OK;
	if (setting.result == CURLE_OUT_OF_MEMORY)
		return error_out_of_memory(error);
	return error_set(error, AWSFLOCK_CONFIG,
			 "the installed libcurl cannot do what is needed (%s): install one with TLS support, and "
			 "no older than the one that awsflock was built with",
			 curl_easy_strerror(setting.result));
}

static bool add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return false;
	*list = longer;
	return true;
}

static bool add_header(struct curl_slist **list, const struct http_header *header)
{
	struct buf line = BUF_INIT;
	bool added = buf_printf(&line, "%s: %s", header->name, header->value) && add_line(list, buf_text(&line));

	buf_free(&line);
	return added;
}

/* libcurl's lists are freed without being wiped, and Authorization and the session token are in this one. */
static void free_headers(struct curl_slist *list)
{
	for (struct curl_slist *node = list; node; node = node->next)
		wipe(node->data, strlen(node->data));
	curl_slist_free_all(list);
}

/* A line that ends in its colon takes away what libcurl would add by itself. */
static bool make_headers(const struct http_request *request, struct curl_slist **list)
{
	bool typed = false;

	for (size_t i = 0; i < request->header_count; i++) {
		typed = typed || strcasecmp(request->headers[i].name, "content-type") == 0;
		if (!add_header(list, &request->headers[i]))
			return false;
	}
	return add_line(list, "Expect:") && add_line(list, "Accept:") &&
	       add_line(list, "Accept-Encoding: identity") && (typed || add_line(list, "Content-Type:"));
}

/* ---- Sending ------------------------------------------------------------------------------------------------ */

/* Whether the order to stop counts now. */
static bool may_be_stopped(const struct exchange *exchange)
{
	return !exchange->http->runtime->stop_ignored &&
	       !(exchange->request->finish_once_sent && exchange->issued > 0);
}

static CURLMcode wait_for_something(const struct exchange *exchange)
{
	const struct runtime *runtime = exchange->http->runtime;
	struct curl_waitfd stop = { .fd = runtime->stop_fd, .events = CURL_WAIT_POLLIN };
	bool watch_stop = runtime->stop_fd >= 0 && may_be_stopped(exchange);
	bool ask_stop = runtime->stop && may_be_stopped(exchange);

	return curl_multi_poll(exchange->http->multi, &stop, watch_stop ? 1 : 0,
			       ask_stop ? POLL_CALLBACK_MS : POLL_LONGEST_MS, NULL);
}

/* libcurl's own timeouts stand still while the machine sleeps; CLOCK_BOOTTIME does not. */
static CURLMcode drive(struct exchange *exchange)
{
	struct http_curl *http = exchange->http;
	int64_t end_boot_ns = exchange->reply->sent_boot_ns +
			      timeout_for_libcurl(exchange->request->total_timeout_ms) * NS_PER_MS;
	int running = 1;

	for (;;) {
		CURLMcode result = curl_multi_perform(http->multi, &running);

		if (result != CURLM_OK || running == 0)
			return result;
		exchange->stopped = may_be_stopped(exchange) && runtime_stop_requested(http->runtime);
		exchange->timed_out = runtime_boot_ns(http->runtime) > end_boot_ns + NS_PER_S;
		if (exchange->stopped || exchange->timed_out)
			return CURLM_OK;
		result = wait_for_something(exchange);
		if (result != CURLM_OK)
			return result;
	}
}

static CURLcode take_result(CURLM *multi)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE)
			return message->data.result;
	}
	return CURLE_OPERATION_TIMEDOUT; /* broken off */
}

/* After the transfer: what is in the reply, or why there is none. */
static awsflock_code conclude(struct exchange *exchange, CURLMcode driven, awsflock_error *error)
{
	struct http_curl *http = exchange->http;
	struct http_reply *reply = exchange->reply;
	CURLcode result = take_result(http->multi);
	long connects = 0;

	reply->fate = exchange->issued > 0 ? HTTP_UNKNOWN : HTTP_NOT_SENT;
	reply->resent = exchange->issued > 1;
	if (driven != CURLM_OK)
		return error_set(error, driven == CURLM_OUT_OF_MEMORY ? AWSFLOCK_MEMORY : AWSFLOCK_INTERNAL,
				 "libcurl failed: %s", curl_multi_strerror(driven));
	if (exchange->stopped)
		return error_set(error, AWSFLOCK_CANCELLED, "cancelled while waiting for %s",
				 exchange->request->url);
	if (result != CURLE_OK)
		return http_fault_explain(&(struct http_fault){ .easy = http->easy,
								.result = result,
								.url = exchange->request->url,
								.text = http->error_text,
								.issued = exchange->issued > 0,
								.too_large = exchange->too_large,
								.reply_limit = exchange->request->reply_limit },
					  error);
	if (!exchange->whole_head) /* which libcurl lets pass as a reply without a body */
		return error_set(error, AWSFLOCK_UNREACHABLE, "the answer from %s broke off in its headers",
				 exchange->request->url);
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &reply->status);
	curl_easy_getinfo(http->easy, CURLINFO_NUM_CONNECTS, &connects);
	/* A resend goes over a new connection, so the count of connections alone would hide it. */
	reply->reused_connection = connects == 0 || reply->resent;
	reply->fate = HTTP_ANSWERED;
	return AWSFLOCK_OK;
}

static awsflock_code perform(struct exchange *exchange, awsflock_error *error)
{
	struct http_curl *http = exchange->http;
	CURLMcode driven;
	awsflock_code code;

	http->error_text[0] = '\0';
	exchange->reply->sent_boot_ns = runtime_boot_ns(http->runtime);
	driven = curl_multi_add_handle(http->multi, http->easy);
	if (driven == CURLM_OK)
		driven = drive(exchange);
	exchange->reply->received_boot_ns = runtime_boot_ns(http->runtime);
	code = conclude(exchange, driven, error);
	curl_multi_remove_handle(http->multi, http->easy);
	return code;
}

static awsflock_code http_curl_send(struct http_transport *transport, const struct http_request *request,
				    struct http_reply *reply, awsflock_error *error)
{
	struct http_curl *http = (struct http_curl *)transport;
	struct exchange exchange = { .http = http, .request = request, .reply = reply };
	struct curl_slist *headers = NULL;
	awsflock_code code = AWSFLOCK_OK;

	*reply = (struct http_reply){ .fate = HTTP_NOT_SENT, .body = { .limit = request->reply_limit } };
	reply->sent_boot_ns = reply->received_boot_ns = runtime_boot_ns(http->runtime);
	if (runtime_stop_requested(http->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "cancelled before %s was asked", request->url);
	if (!make_headers(request, &headers))
		code = error_out_of_memory(error);
	if (code == AWSFLOCK_OK)
		code = set_options(http, &exchange, headers, error);
	if (code == AWSFLOCK_OK)
		code = perform(&exchange, error);
	curl_easy_reset(http->easy); /* forgets the pointers that end with this call */
	free_headers(headers);
	return code;
}

static void http_curl_free(struct http_transport *transport)
{
	struct http_curl *http = (struct http_curl *)transport;

	if (!http)
		return;
	if (http->easy)
		curl_easy_cleanup(http->easy);
	if (http->multi)
		curl_multi_cleanup(http->multi);
	free(http->ca_bundle);
	wipe_string(&http->proxy); /* may hold a password */
	free(http->user_agent);
	free(http->ca_directory);
	free(http);
}

static bool copy_option(const char *value, char **out)
{
	*out = value ? strdup(value) : NULL;
	return !value || *out;
}

awsflock_code http_curl_new(struct runtime *runtime, const struct http_curl_options *options,
			    struct http_transport **out, awsflock_error *error)
{
	struct http_curl *http;
	awsflock_code code;

	code = options->proxy ? AWSFLOCK_OK : proxy_url_check_environment(error);
	if (code == AWSFLOCK_OK)
		code = curl_library_load(error);
	if (code != AWSFLOCK_OK)
		return code;
	http = calloc(1, sizeof(*http));
	if (!http)
		return error_out_of_memory(error);
	http->transport = (struct http_transport){ .send = http_curl_send, .free = http_curl_free };
	http->runtime = runtime;
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	if (!http->multi || !http->easy || !copy_option(options->ca_bundle, &http->ca_bundle) ||
	    !copy_option(options->proxy, &http->proxy) || !copy_option(options->user_agent, &http->user_agent)) {
		http_curl_free(&http->transport);
		return error_out_of_memory(error);
	}
	*out = (struct http_transport *)http;
	return AWSFLOCK_OK;
}
