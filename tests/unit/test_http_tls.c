/* Tests of aws/http_curl.c against TLS servers on the loopback, good and bad (needs libssl, for the server).
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aws/http.h"

#define DAY 86400L

/* A certificate that signs itself, and the server that shows it. */
struct identity {
	const char *address; /* subjectAltName */
	long from_s, to_s;   /* validity, from now */
	int newest_version;  /* of TLS; 0: whatever there is */
};

struct server {
	SSL_CTX *context;
	int listener, port;
	pthread_t thread;
	bool answered;
};

static X509 *make_certificate(EVP_PKEY *key, const struct identity *identity)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, identity->address);

	assert_non_null(extension);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), identity->from_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), identity->to_s);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"awsflock test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	return certificate;
}

static void write_bundle(X509 *certificate, const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	assert_int_equal(fclose(file), 0);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	char request[4096];
	int fd = accept(server->listener, NULL, NULL);
	SSL *ssl = SSL_new(server->context);

	if (fd >= 0 && ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
	    SSL_read(ssl, request, sizeof(request)) > 0)
		server->answered = SSL_write(ssl, answer, sizeof(answer) - 1) > 0;
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void server_start(struct server *server, const struct identity *identity, const char *bundle_path)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make_certificate(key, identity);

	memset(server, 0, sizeof(*server));
	server->context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(server->context, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server->context, key), 1);
	if (identity->newest_version != 0) {
		SSL_CTX_set_security_level(server->context, 0);
		SSL_CTX_set_min_proto_version(server->context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(server->context, identity->newest_version);
	}
	write_bundle(certificate, bundle_path);
	X509_free(certificate);
	EVP_PKEY_free(key);
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listener, 1), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_end(struct server *server)
{
	pthread_join(server->thread, NULL);
	close(server->listener);
	SSL_CTX_free(server->context);
}

/* What a client with BUNDLED trust in the certificate (or only the system's) meets; how far it got into *FATE. */
static awsflock_code meet(const struct identity *identity, bool bundled, enum http_fate *fate,
			  awsflock_error *error)
{
	const char *parent = getenv("TMPDIR");
	char path[256], url[64];
	struct server server;
	struct runtime runtime;
	struct http_transport *http;
	struct http_reply reply;

	snprintf(path, sizeof(path), "%s/awsflock-tls-XXXXXX", parent != NULL ? parent : "/tmp");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	server_start(&server, identity, path);
	runtime_init_system(&runtime);
	const struct http_curl_options options = { .ca_bundle = bundled ? path : NULL, .proxy = "" };
	assert_int_equal(http_curl_new(&runtime, &options, &http, error), AWSFLOCK_OK);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
	const struct http_request request = { .method = "POST",
					      .url = url,
					      .body = "{}",
					      .body_size = 2,
					      .connect_timeout_ms = 10000,
					      .total_timeout_ms = 10000,
					      .reply_limit = 100 };
	awsflock_code code = http->send(http, &request, &reply, error);
	*fate = reply.fate;
	buf_free(&reply.body);
	http->free(http);
	server_end(&server);
	assert_int_equal(server.answered, code == AWSFLOCK_OK);
	unlink(path);
	return code;
}

static void assert_not_accepted(const struct identity *identity, bool bundled, const char *part_of_sentence)
{
	enum http_fate fate;
	awsflock_error error;
	assert_int_equal(meet(identity, bundled, &fate, &error), AWSFLOCK_TLS);
	assert_int_equal(fate, HTTP_NOT_SENT);
	if (strstr(error.message, part_of_sentence) == NULL)
		print_error("%s\n", error.message);
	assert_non_null(strstr(error.message, part_of_sentence));
}

static void a_certificate_of_the_given_bundle_is_accepted(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.1", -DAY, DAY, 0 };
	enum http_fate fate;
	awsflock_error error;
	assert_int_equal(meet(&identity, true, &fate, &error), AWSFLOCK_OK);
	assert_int_equal(fate, HTTP_ANSWERED);
}

static void a_certificate_that_nobody_vouches_for_is_not(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.1", -DAY, DAY, 0 };
	assert_not_accepted(&identity, false, "no trusted connection");
}

static void a_certificate_of_another_host_is_not(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.2", -DAY, DAY, 0 };
	assert_not_accepted(&identity, true, "no trusted connection");
}

static void an_expired_certificate_is_not(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.1", -2 * DAY, -DAY, 0 };
	assert_not_accepted(&identity, true, "expired");
}

static void a_certificate_not_yet_valid_makes_us_ask_for_the_clock(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.1", DAY, 2 * DAY, 0 };
	assert_not_accepted(&identity, true, "is this machine's clock right?");
}

/* What the system's configuration of OpenSSL may allow, so that our own minimum decides. */
static void let_openssl_speak_old_versions(void)
{
	static const char settings[] = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = old\n"
				       "[old]\nMinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n";
	const char *parent = getenv("TMPDIR");
	char path[256];

	snprintf(path, sizeof(path), "%s/awsflock-openssl-XXXXXX", parent != NULL ? parent : "/tmp");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, settings, sizeof(settings) - 1), sizeof(settings) - 1);
	close(fd);
	assert_int_equal(setenv("OPENSSL_CONF", path, 1), 0);
	assert_int_equal(OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL), 1);
	unlink(path);
}

/* A client that has no minimum of its own. */
static bool any_client_gets_an_answer(const struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)server->port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer[64];

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	bool answered = SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 && SSL_write(ssl, "x", 1) == 1 &&
			SSL_read(ssl, answer, sizeof(answer)) > 0;
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	return answered;
}

static void openssl_itself_would_speak_tls_1_1(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.1", -DAY, DAY, TLS1_1_VERSION };
	struct server server;
	char path[] = "/dev/null";

	server_start(&server, &identity, path);
	assert_true(any_client_gets_an_answer(&server));
	server_end(&server);
}

static void tls_older_than_1_2_is_refused(void **state)
{
	(void)state;
	const struct identity identity = { "IP:127.0.0.1", -DAY, DAY, TLS1_1_VERSION };
	assert_not_accepted(&identity, true, "no trusted connection");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_of_the_given_bundle_is_accepted),
		cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_not),
		cmocka_unit_test(a_certificate_of_another_host_is_not),
		cmocka_unit_test(an_expired_certificate_is_not),
		cmocka_unit_test(a_certificate_not_yet_valid_makes_us_ask_for_the_clock),
		cmocka_unit_test(openssl_itself_would_speak_tls_1_1),
		cmocka_unit_test(tls_older_than_1_2_is_refused),
	};
	let_openssl_speak_old_versions();
	signal(SIGPIPE, SIG_IGN); /* the server writes to clients that have gone */
	return cmocka_run_group_tests_name("http_tls", tests, NULL, NULL);
}
