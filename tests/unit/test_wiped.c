/* What a sign-in leaves in memory: nothing.  Secrets are told by a mark that they repeat, and once all is given back,
 * the whole memory of this process is searched for it.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/credentials/credentials.h"
#include "aws/credentials/sign_in_file.h"
#include "fake_store.h"
#include "scratch_directory.h"

/* ---- The secrets -------------------------------------------------------------------------------------------- */

/* A secret is "MARKK0000MARKK0001...": any 9 bytes of it hold the mark, K says whose secret it is. */
#define MARK_SIZE 4
#define PIECE_SIZE 9
#define SECRET_MAX 4096
#define KEY_MAX 1024
/* Where the number that is the key stands in the PEM of PKCS#8, as text.  What OpenSSL decodes it to is not looked for:
 * version 3 frees one copy unwiped, which no other function of it avoids. */
#define KEY_PIECE 77
#define KEY_PIECE_SIZE 16
#define CHUNK_SIZE ((size_t)256 * 1024)
/* A memory checker's own, by far. */
#define MAPPING_MAX ((unsigned long)64 * 1024 * 1024)

/* All that the test itself must know is here: these pages are passed over. */
struct hidden {
	char mark[MARK_SIZE];
	char secret[SECRET_MAX];
	char key[KEY_MAX]; /* PEM, as it stands in JSON */
	char found[200];   /* the last piece: of whose secret, and where */
	unsigned char chunk[CHUNK_SIZE];
	char maps[CHUNK_SIZE];
};

static struct hidden *hidden;

static void make_hidden(void)
{
	hidden = mmap(NULL, sizeof(*hidden), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(hidden, MAP_FAILED);
	for (size_t i = 0; i < MARK_SIZE; i++)
		hidden->mark[i] = "zqXv"[i];
}

/* Longer than json-c's and any other's first buffer, and each of another length, so that buffers grow. */
static const char *secret_of(char kind)
{
	size_t pieces = 6 + (size_t)(kind - 'a') * 37 % 300;

	for (size_t i = 0; i < pieces; i++) {
		char *piece = hidden->secret + i * PIECE_SIZE;

		memcpy(piece, hidden->mark, MARK_SIZE);
		snprintf(piece + MARK_SIZE, PIECE_SIZE - MARK_SIZE + 1, "%c%04zu", kind, i);
	}
	return hidden->secret;
}

/* TEXT with a secret for each "@a", "@b", ..., and the key for "@@". */
static void append_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text != '@') {
			buf_append(out, text, 1);
			continue;
		}
		text++;
		buf_puts(out, *text == '@' ? hidden->key : secret_of(*text));
	}
	assert_false(out->failed);
}

/* ---- The search --------------------------------------------------------------------------------------------- */

static size_t count_in_chunk(const char *where, size_t size, const char *what, size_t what_size)
{
	size_t count = 0;
	const unsigned char *next = hidden->chunk, *end = next + size;

	while ((next = memmem(next, (size_t)(end - next), what, what_size)) != NULL) {
		count++;
		snprintf(hidden->found, sizeof(hidden->found), "%c in %s", next[what_size], where);
		next++;
	}
	return count;
}

static size_t count_in_mapping(int memory, unsigned long low, unsigned long high, const char *where)
{
	size_t count = 0;

	for (unsigned long at = low; at < high; at += CHUNK_SIZE - KEY_PIECE_SIZE) {
		size_t wanted = high - at < CHUNK_SIZE ? high - at : CHUNK_SIZE;
		ssize_t got = pread(memory, hidden->chunk, wanted, (off_t)at);

		if (got <= 0)
			break;
		count += count_in_chunk(where, (size_t)got, hidden->mark, MARK_SIZE);
		if (hidden->key[0] != '\0')
			count += count_in_chunk(where, (size_t)got, hidden->key + KEY_PIECE, KEY_PIECE_SIZE);
	}
	return count;
}

static void read_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;

	assert_true(fd >= 0);
	while ((got = read(fd, hidden->maps + size, sizeof(hidden->maps) - 1 - size)) > 0)
		size += (size_t)got;
	hidden->maps[size] = '\0';
	close(fd);
}

static size_t count_in_line(int memory, const char *line)
{
	char *end;
	unsigned long low = strtoul(line, &end, 16), high = strtoul(end + 1, &end, 16);

	if (strncmp(end, " rw", 3) != 0 || low == (unsigned long)hidden || high - low > MAPPING_MAX)
		return 0;
	return count_in_mapping(memory, low, high, line);
}

/* Pieces of secrets in this process's memory, freed or not. */
static size_t count_left(void)
{
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	size_t count = 0;
	char *end;

	assert_true(memory >= 0);
	read_maps();
	for (char *line = hidden->maps; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		count += count_in_line(memory, line);
	}
	close(memory);
	return count;
}

/* ---- A person and the services ------------------------------------------------------------------------------ */

static const char config[] = "[profile s]\nsso_session = n\nsso_account_id = 123456789012\nsso_role_name = r\n"
			     "[sso-session n]\nsso_start_url = https://example.awsapps.com/start\n"
			     "sso_region = us-east-1\n"
			     "[profile l]\nlogin_session = n\nregion = us-east-1\n"
			     "[profile m]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\n"
			     "mfa_serial = arn:aws:iam::123456789012:mfa/op\n"
			     "[profile b]\naws_access_key_id = AKIABASE\naws_secret_access_key = @b\n";

struct talk {
	struct http_transport transport; /* first */
	struct fake_runtime runtime;
	struct profile profile;
	struct sign_in_memory memory;
	struct credentials_context context;
	struct credentials keys;
	awsflock_error error;
	const char *const *answers; /* in turn; one that starts with '!' is a refusal */
};

static struct scratch scratch;
static struct talk talk;

static awsflock_code say_next(struct http_transport *transport, const struct http_request *request,
			      struct http_reply *reply, awsflock_error *error)
{
	const char *answer = *talk.answers++;

	(void)transport;
	(void)request;
	(void)error;
	assert_non_null(answer);
	reply->fate = HTTP_ANSWERED;
	reply->status = answer[0] == '!' ? 400 : 200;
	append_text(&reply->body, answer + (answer[0] == '!' ? 1 : 0));
	return AWSFLOCK_OK;
}

static awsflock_code type_code(void *arg, const char *serial, char *code, size_t size, awsflock_error *error)
{
	(void)arg;
	(void)serial;
	(void)error;
	snprintf(code, size, "123456");
	return AWSFLOCK_OK;
}

static void meet(const char *profile, const char *const *answers)
{
	struct buf text = BUF_INIT;

	memset(&talk, 0, sizeof(talk));
	fake_runtime_init(&talk.runtime);
	talk.transport.send = say_next;
	talk.answers = answers;
	talk.profile.name = strdup(profile);
	talk.profile.config_path = strdup("config");
	append_text(&text, config);
	assert_int_equal(
		ini_parse("config", buf_text(&text), text.size, INI_AWS, &talk.profile.config, &talk.error),
		AWSFLOCK_OK);
	buf_free(&text);
	talk.context = (struct credentials_context){ .runtime = &talk.runtime.runtime,
						     .transport = &talk.transport,
						     .profile = &talk.profile,
						     .profile_given = true,
						     .region = "us-east-1",
						     .give_up_boot_ns = INT64_MAX,
						     .connect_timeout_ms = 1000,
						     .request_timeout_ms = 1000,
						     .memory = &talk.memory,
						     .ask_mfa = type_code };
}

static void part(void)
{
	credentials_clear(&talk.keys);
	sign_in_memory_clear(&talk.memory);
	profile_clear(&talk.profile);
}

static awsflock_code load(void)
{
	credentials_clear(&talk.keys);
	return credentials_load(&talk.context, &talk.keys, &talk.error);
}

/* ---- Their files, written by another process, as they are by another tool ----------------------------------- */

static void write_file(const char *folder, enum sign_in_digest digest, const char *key, const char *content)
{
	char *path = NULL;
	struct buf text = BUF_INIT;
	int fd;

	assert_int_equal(sign_in_file_name(&talk.context, folder, digest, key, &path, &talk.error), AWSFLOCK_OK);
	sign_in_file_make_directory(path);
	append_text(&text, content);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text.data, text.size), text.size);
	close(fd);
	buf_free(&text);
	free(path);
}

/* In JSON, a line's end is an escape. */
static void make_key(void)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;
	BIO *out = BIO_new(BIO_s_mem());
	char *pem, *next = hidden->key;
	long size;

	assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
	assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1), 1);
	assert_int_equal(EVP_PKEY_keygen(maker, &key), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
	size = BIO_get_mem_data(out, &pem);
	for (long i = 0; i < size; i++) {
		if (pem[i] == '\n')
			*next++ = '\\';
		*next++ = pem[i] == '\n' ? 'n' : pem[i];
	}
	*next = '\0';
	BIO_free(out);
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(maker);
}

static void leave_files(const char *sso, const char *login)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		make_key();
		if (sso)
			write_file(".aws/sso/cache", SIGN_IN_SHA1, "n", sso);
		if (login)
			write_file(".aws/login/cache", SIGN_IN_SHA256, "n", login);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

#define SSO_FILE                                                                                                   \
	"{\"accessToken\": \"@c\", \"expiresAt\": \"2020-01-01T00:00:00Z\", \"refreshToken\": \"@d\", "            \
	"\"clientId\": \"@e\", \"clientSecret\": \"@f\", \"registrationExpiresAt\": \"2099-01-01T00:00:00Z\", "    \
	"\"future\": [\"@g\", {\"deep\": \"\\u00e9@h\\n@i\\n@j\"}, 1.5, null]}"
#define OIDC "{\"accessToken\": \"@k\", \"expiresIn\": 3600, \"refreshToken\": \"@l\", \"other\": [\"@m\"]}"
#define PORTAL                                                                                                     \
	"{\"roleCredentials\": {\"accessKeyId\": \"ASIA1\", \"secretAccessKey\": \"@n\", \"sessionToken\": "       \
	"\"@o\", \"expiration\": 4070908800000}}"
#define LOGIN_FILE                                                                                                 \
	"{\"accessToken\": {\"accessKeyId\": \"ASIA2\", \"secretAccessKey\": \"@c\", \"sessionToken\": \"@d\", "   \
	"\"accountId\": \"1\", \"expiresAt\": \"2020-01-01T00:00:00Z\"}, \"clientId\": \"x\", "                    \
	"\"refreshToken\": \"@e\", \"idToken\": \"@f\", \"dpopKey\": \"@@\"}"
#define SIGNIN                                                                                                     \
	"{\"accessToken\": {\"accessKeyId\": \"ASIA3\", \"secretAccessKey\": \"@g\", \"sessionToken\": \"@h\"}, "  \
	"\"expiresIn\": 900, \"refreshToken\": \"@i\"}"
#define STS                                                                                                        \
	"<R><X><Credentials><AccessKeyId>ASIA4</AccessKeyId><SecretAccessKey>@c</SecretAccessKey>"                 \
	"<SessionToken>@d</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></X></R>"

static const struct {
	const char *name, *profile;
	const char *sso, *login; /* the files before */
	const char *answers[3];
	awsflock_code code;
	int loads;
	bool disk_is_full;
} rows[] = {
	{ "single sign-on, renewed, then from the CLI's cache",
	  "s",
	  SSO_FILE,
	  NULL,
	  { OIDC, PORTAL },
	  AWSFLOCK_OK,
	  2,
	  false },
	{ "single sign-on, renewed, with a full disk",
	  "s",
	  SSO_FILE,
	  NULL,
	  { OIDC, PORTAL, PORTAL },
	  AWSFLOCK_OK,
	  2,
	  true },
	{ "a refused renewal",
	  "s",
	  SSO_FILE,
	  NULL,
	  { "!{\"error\": \"invalid_grant\", \"refreshToken\": \"@k\"}" },
	  AWSFLOCK_CREDENTIALS,
	  1,
	  false },
	{ "a file that breaks off",
	  "s",
	  "{\"accessToken\": \"@c\", \"a\": {\"b\": [\"@d\", \"@e",
	  NULL,
	  { NULL },
	  AWSFLOCK_CREDENTIALS,
	  1,
	  false },
	{ "a file that is none", "s", "[\"@c\"]", NULL, { NULL }, AWSFLOCK_CREDENTIALS, 1, false },
	{ "a file with something behind it",
	  "s",
	  SSO_FILE "\"@k\"",
	  NULL,
	  { NULL },
	  AWSFLOCK_CREDENTIALS,
	  1,
	  false },
	{ "an answer that breaks off",
	  "s",
	  SSO_FILE,
	  NULL,
	  { "{\"accessToken\": \"@k\", \"refreshToken\": \"@l" },
	  AWSFLOCK_CREDENTIALS,
	  1,
	  false },
	{ "a login, renewed", "l", NULL, LOGIN_FILE, { SIGNIN }, AWSFLOCK_OK, 2, false },
	{ "a login, renewed, with a full disk", "l", NULL, LOGIN_FILE, { SIGNIN }, AWSFLOCK_OK, 2, true },
	{ "MFA, then from the CLI's cache", "m", NULL, NULL, { STS }, AWSFLOCK_OK, 2, false },
	{ "MFA, refused",
	  "m",
	  NULL,
	  NULL,
	  { "!<E><Error><Code>AccessDenied</Code><Message>no</Message></Error></E>" },
	  AWSFLOCK_CREDENTIALS,
	  1,
	  false },
};

static void fill_disk(bool is_full)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_full ? 16 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void go_through(size_t i)
{
	scratch_make(&scratch);
	setenv("HOME", scratch.root, 1);
	meet(rows[i].profile, rows[i].answers);
	leave_files(rows[i].sso, rows[i].login);
	fill_disk(rows[i].disk_is_full);
	for (int n = 0; n < rows[i].loads; n++) {
		awsflock_code code = load();

		if (code != rows[i].code)
			fail_msg("%s: %d %s", rows[i].name, code, talk.error.message);
	}
	fill_disk(false);
	part();
	scratch_remove(&scratch);
}

static void no_sign_in_leaves_a_secret_in_memory(void **state)
{
	size_t left = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t found;

		go_through(i);
		found = count_left();
		if (found > 0)
			print_error("%s leaves %zu pieces, the last of %s\n", rows[i].name, found, hidden->found);
		left += found;
	}
	assert_int_equal(left, 0);
}

/* In a process of its own, since what it leaves stays. */
static void the_search_finds_what_was_freed_without_being_wiped(void **state)
{
	(void)state;
	for (size_t size = 100; size <= 10000; size *= 10) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			char *volatile block = malloc(size);

			snprintf(block + size / 2, size / 2, "%s", secret_of('a'));
			free(block);
			_exit(count_left() > 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	make_hidden();
	return 0;
}

/* A loader that binds a function at its first call saves all registers on the stack then, with what the last copy has
 * left in them. */
static void bind_at_once(char **argv)
{
	if (getenv("LD_BIND_NOW"))
		return;
	setenv("LD_BIND_NOW", "1", 1);
	execv(argv[0], argv);
	_exit(127);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_search_finds_what_was_freed_without_being_wiped),
		cmocka_unit_test(no_sign_in_leaves_a_secret_in_memory),
	};

	(void)argc;
	bind_at_once(argv);
	return cmocka_run_group_tests_name("wiped", tests, set_up, NULL);
}
