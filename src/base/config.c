/* The settings: one table of keys serves the configuration file, the environment, the command line and
 * awsflock_set().  SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/buf.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/home.h"
#include "base/ini.h"
#include "base/proxy_url.h"
#include "base/text.h"
#include "base/text_check.h"

#define LOCAL_DIR_SYSTEM "/var/lib/awsflock"
#define SECTION "awsflock"

#define TABLE_NAME_MIN 3
#define TABLE_NAME_MAX 255

/* ---- What a value may be ---- */

typedef awsflock_code value_check(const char *name, const char *value, awsflock_error *error);

static awsflock_code check_store(const char *name, const char *value, awsflock_error *error)
{
	if (strcmp(value, "dynamodb") == 0 || strcmp(value, "local") == 0)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_INVALID, "%s cannot be '%.80s': write dynamodb or local", name, value);
}

/* A file's name may hold any byte but zero; one with a control character is a mistake, or an attack on a log. */
static awsflock_code check_path(const char *name, const char *value, awsflock_error *error)
{
	if (strlen(value) >= PATH_MAX)
		return error_set(error, AWSFLOCK_INVALID, "%s is longer than a path can be", name);
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			return error_set(error, AWSFLOCK_INVALID, "%s '%s' holds a control character", name, value);
	return AWSFLOCK_OK;
}

static awsflock_code check_table(const char *name, const char *value, awsflock_error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t size = strlen(value);
	if (size >= TABLE_NAME_MIN && size <= TABLE_NAME_MAX && strspn(value, allowed) == size)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_INVALID,
			 "%s cannot be '%.80s': write %d to %d letters, digits, '_', '.' or '-'", name, value,
			 TABLE_NAME_MIN, TABLE_NAME_MAX);
}

static awsflock_code check_bool(const char *name, const char *value, awsflock_error *error)
{
	bool ignored;
	if (text_parse_bool(value, &ignored))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_INVALID, "%s cannot be '%.80s': write yes or no", name, value);
}

/* Puts the key's name before what the reader of durations said. */
static awsflock_code named(const char *name, awsflock_code code, awsflock_error *error)
{
	if (code != AWSFLOCK_OK && error)
		return error_set(error, code, "%s: %s", name, error->message);
	return code;
}

static awsflock_code check_seconds(const char *name, const char *value, awsflock_error *error)
{
	int64_t ignored;
	return named(name, duration_parse(value, &ignored, error), error);
}

static awsflock_code check_ms(const char *name, const char *value, awsflock_error *error)
{
	int64_t ignored;
	return named(name, duration_parse_ms(value, &ignored, error), error);
}

static awsflock_code check_positive_ms(const char *name, const char *value, awsflock_error *error)
{
	int64_t milliseconds;
	awsflock_code code = named(name, duration_parse_ms(value, &milliseconds, error), error);
	if (code == AWSFLOCK_OK && milliseconds == 0)
		return error_set(error, AWSFLOCK_INVALID, "%s cannot be zero: write a duration such as 2s or 0.5",
				 name);
	return code;
}

/* ---- The table of keys ---- */

static const struct rule {
	const char *name;
	const char *fallback; /* NULL: none, or one that has to be found out */
	value_check *check;
} rules[CONFIG_KEY_COUNT] = {
	[CONFIG_STORE] = { "store", "dynamodb", check_store },
	[CONFIG_LOCAL_DIR] = { "local_dir", NULL, check_path },
	[CONFIG_TABLE] = { "table", "awsflock", check_table },
	[CONFIG_REGION] = { "region", NULL, text_check_free },
	[CONFIG_ENDPOINT_URL] = { "endpoint_url", NULL, text_check_free },
	[CONFIG_PROFILE] = { "profile", NULL, text_check_free },
	[CONFIG_CREDENTIALS_FILE] = { "credentials_file", NULL, check_path },
	[CONFIG_CONFIG_FILE] = { "config_file", NULL, check_path },
	[CONFIG_CA_BUNDLE] = { "ca_bundle", NULL, check_path },
	[CONFIG_PROXY] = { "proxy", NULL, proxy_url_check },
	[CONFIG_ALLOW_PLAIN_HTTP] = { "allow_plain_http", "no", check_bool },
	[CONFIG_LEASE_DURATION] = { "lease_duration", "2 hours", check_seconds },
	[CONFIG_WAIT_TIME] = { "wait_time", "60s", check_ms },
	[CONFIG_POLL_INTERVAL] = { "poll_interval", "2s", check_positive_ms },
	[CONFIG_CONNECT_TIMEOUT] = { "connect_timeout", "5s", check_positive_ms },
	[CONFIG_REQUEST_TIMEOUT] = { "request_timeout", "10s", check_positive_ms },
	[CONFIG_OWNER] = { "owner", NULL, text_check_person },
};

static bool is_key(enum config_key key)
{
	return (unsigned)key < CONFIG_KEY_COUNT;
}

const char *config_key_name(enum config_key key)
{
	return is_key(key) ? rules[key].name : NULL;
}

enum config_key config_key_find(const char *name)
{
	unsigned key = 0;
	while (key < CONFIG_KEY_COUNT && strcmp(rules[key].name, name) != 0)
		key++;
	return (enum config_key)key;
}

/* ---- Paths that depend on the user ---- */

/* Base directories that are not absolute are to be ignored (XDG Base Directory Specification). */
static const char *absolute_from_environment(const char *variable)
{
	const char *value = secure_getenv(variable);
	return value && value[0] == '/' ? value : NULL;
}

/* Appends the home directory by the user database; leaves OUT empty where there is none. */
static void append_home_of_account(struct buf *out)
{
	struct account account;
	if (account_find(geteuid(), &account, NULL) != AWSFLOCK_OK)
		out->failed = true;
	else if (account.home && account.home[0] == '/')
		buf_puts(out, account.home);
	account_clear(&account);
}

/* $VARIABLE/TAIL, or HOME/UNDER_HOME/TAIL.  *OUT is NULL, and AWSFLOCK_OK, where there is no home; the caller frees
 * it. */
static awsflock_code user_path(const char *variable, const char *under_home, const char *tail, char **out,
			       awsflock_error *error)
{
	struct buf path = { .limit = PATH_MAX };
	const char *base = absolute_from_environment(variable);
	const char *home = absolute_from_environment("HOME");
	*out = NULL;
	if (base)
		buf_puts(&path, base);
	else if (home)
		buf_puts(&path, home);
	else
		append_home_of_account(&path);
	if (path.size == 0 && !path.failed)
		return AWSFLOCK_OK;
	if (!base)
		buf_printf(&path, "/%s", under_home);
	buf_printf(&path, "/%s", tail);
	*out = buf_steal(&path);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- Values ---- */

/* The default of KEY as a copy of the caller's, NULL where it has none. */
static awsflock_code default_value(enum config_key key, char **out, awsflock_error *error)
{
	const char *fallback = rules[key].fallback;
	if (key == CONFIG_LOCAL_DIR) {
		if (geteuid() != 0)
			return user_path("XDG_STATE_HOME", ".local/state", "awsflock", out, error);
		fallback = LOCAL_DIR_SYSTEM;
	}
	*out = NULL;
	if (!fallback)
		return AWSFLOCK_OK;
	*out = strdup(fallback);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

void config_free(struct config *config)
{
	for (int key = 0; key < CONFIG_KEY_COUNT; key++)
		wipe_string(&config->values[key]); /* a proxy's URL may hold a password */
	free(config->passed_over);
	memset(config, 0, sizeof(*config));
}

awsflock_code config_init(struct config *config, awsflock_error *error)
{
	memset(config, 0, sizeof(*config));
	for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
		awsflock_code code = default_value((enum config_key)key, &config->values[key], error);
		if (code != AWSFLOCK_OK) {
			config_free(config);
			return code;
		}
	}
	return AWSFLOCK_OK;
}

static awsflock_code copy_value(enum config_key key, const char *value, char **out, awsflock_error *error)
{
	if (rules[key].check == check_path)
		return home_expand(value, out, error);
	*out = strdup(value);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

awsflock_code config_set(struct config *config, enum config_key key, const char *value, enum config_origin origin,
			 awsflock_error *error)
{
	if (!is_key(key))
		return error_set(error, AWSFLOCK_INVALID, "unknown setting: see awsflock.conf(5)");
	bool unset = !value || value[0] == '\0';
	char *copy = NULL;
	awsflock_code code;
	if (unset) {
		code = default_value(key, &copy, error);
	} else {
		code = rules[key].check(rules[key].name, value, error);
		if (code == AWSFLOCK_OK)
			code = copy_value(key, value, &copy, error);
	}
	if (code != AWSFLOCK_OK)
		return code;
	wipe_string(&config->values[key]);
	config->values[key] = copy;
	config->origins[key] = unset ? CONFIG_DEFAULT : origin;
	return AWSFLOCK_OK;
}

const char *config_get(const struct config *config, enum config_key key)
{
	return is_key(key) ? config->values[key] : NULL;
}

int64_t config_get_ms(const struct config *config, enum config_key key)
{
	const char *value = config_get(config, key);
	int64_t milliseconds = 0;
	if (!value || duration_parse_ms(value, &milliseconds, NULL) != AWSFLOCK_OK)
		return 0;
	return milliseconds;
}

int64_t config_get_seconds(const struct config *config, enum config_key key)
{
	return config_get_ms(config, key) / 1000;
}

bool config_get_bool(const struct config *config, enum config_key key)
{
	const char *value = config_get(config, key);
	bool truth = false;
	return value && text_parse_bool(value, &truth) && truth;
}

static awsflock_code config_copy(const struct config *config, struct config *out, awsflock_error *error)
{
	memset(out, 0, sizeof(*out));
	for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
		out->origins[key] = config->origins[key];
		if (!config->values[key])
			continue;
		out->values[key] = strdup(config->values[key]);
		if (!out->values[key]) {
			config_free(out);
			return error_out_of_memory(error);
		}
	}
	return AWSFLOCK_OK;
}

/* ---- Files ---- */

/* [guard NAME] is for pam_awsflock and awsflock-keeper, which check it themselves: one broken guard must not break
 * the others, nor the command line. */
static bool is_guard_section(const char *section)
{
	return strncmp(section, INI_GUARD_PREFIX, strlen(INI_GUARD_PREFIX)) == 0;
}

/* A path in a file cannot be meant relative to wherever the program happens to be started.  The system's file serves
 * session guards too, which have no home directory. */
static bool is_relative_path(enum config_key key, const char *value, enum config_origin origin)
{
	return rules[key].check == check_path && value[0] != '\0' && value[0] != '/' &&
	       (origin == CONFIG_FROM_SYSTEM_FILE || !home_is_meant(value));
}

static awsflock_code apply_entry(struct config *config, const char *path, const struct ini_entry *entry,
				 enum config_origin origin, awsflock_error *error)
{
	if (is_guard_section(entry->section))
		return AWSFLOCK_OK;
	if (entry->section[0] == '\0')
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s:%d: write [" SECTION "] on a line before the first key", path, entry->line);
	if (strcmp(entry->section, SECTION) != 0)
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s:%d: unknown section [%.80s]: there are [" SECTION "] and [guard NAME]", path,
				 entry->line, entry->section);
	if (!entry->key)
		return AWSFLOCK_OK;
	enum config_key key = config_key_find(entry->key);
	if (key == CONFIG_KEY_COUNT)
		return error_set(error, AWSFLOCK_CONFIG, "%s:%d: unknown key '%.80s': see awsflock.conf(5)", path,
				 entry->line, entry->key);
	if (is_relative_path(key, entry->value, origin))
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s:%d: %s cannot be '%.80s': write a path that starts with /", path, entry->line,
				 entry->key, entry->value);
	awsflock_error reason;
	awsflock_code code = config_set(config, key, entry->value, origin, &reason);
	if (code == AWSFLOCK_INVALID || code == AWSFLOCK_CONFIG)
		return error_set(error, AWSFLOCK_CONFIG, "%s:%d: %s", path, entry->line, reason.message);
	return code == AWSFLOCK_OK ? code : error_set(error, code, "%s", reason.message);
}

awsflock_code config_apply(struct config *config, const char *path, const struct ini *ini,
			   enum config_origin origin, awsflock_error *error)
{
	awsflock_code code = AWSFLOCK_OK;
	for (size_t i = 0; code == AWSFLOCK_OK && i < ini->count; i++)
		code = apply_entry(config, path, &ini->entries[i], origin, error);
	return code;
}

static awsflock_code apply_file(struct config *config, const char *path, enum config_origin origin, bool must_exist,
				awsflock_error *error)
{
	struct ini ini;
	bool found;
	awsflock_code code = ini_read(path, INI_STRICT, &ini, &found, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (!found && must_exist)
		code = error_set_errno(error, AWSFLOCK_CONFIG, ENOENT, "cannot open the configuration file %s",
				       path);
	if (code == AWSFLOCK_OK)
		code = config_apply(config, path, &ini, origin, error);
	ini_free(&ini);
	return code;
}

static awsflock_code apply_named_file(struct config *config, const char *path, awsflock_error *error)
{
	char *expanded = NULL;
	awsflock_code code = home_expand(path, &expanded, error);

	if (code == AWSFLOCK_OK)
		code = apply_file(config, expanded, CONFIG_FROM_USER_FILE, true, error);
	free(expanded);
	return code;
}

/* Why PATH holds no configuration for this user; NULL: it may.  HOME is another user's under runuser(1), and a
 * container's mount leaves a directory.  One's own file that cannot be read may name another table, and is not passed
 * over. */
static const char *why_no_file(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0)
		return S_ISDIR(status.st_mode) ? "it is a directory" : NULL;
	return errno == EACCES ? "it is hidden from this user" : NULL;
}

static awsflock_code apply_default_file(struct config *config, const char *path, awsflock_error *error)
{
	const char *why = why_no_file(path);
	struct buf sentence = BUF_INIT;

	if (!why)
		return apply_file(config, path, CONFIG_FROM_USER_FILE, false, error);
	buf_printf(&sentence, "cannot read %s: %s", path, why);
	free(config->passed_over);
	config->passed_over = buf_steal(&sentence);
	return config->passed_over ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code apply_standard_files(struct config *config, awsflock_error *error)
{
	awsflock_code code = apply_file(config, CONFIG_PATH_SYSTEM, CONFIG_FROM_SYSTEM_FILE, false, error);
	if (code != AWSFLOCK_OK)
		return code;
	char *path;
	code = user_path("XDG_CONFIG_HOME", ".config", "awsflock.conf", &path, error);
	if (code == AWSFLOCK_OK && path)
		code = apply_default_file(config, path, error);
	free(path);
	return code;
}

static const char *nonempty_from_environment(const char *variable)
{
	const char *value = secure_getenv(variable);
	return value && value[0] != '\0' ? value : NULL;
}

static awsflock_code apply_variable(struct config *config, const char *variable, enum config_key key,
				    awsflock_error *error)
{
	const char *value = nonempty_from_environment(variable);
	if (!value)
		return AWSFLOCK_OK;
	awsflock_error reason;
	awsflock_code code = config_set(config, key, value, CONFIG_FROM_ENVIRONMENT, &reason);
	if (code == AWSFLOCK_INVALID)
		return error_set(error, AWSFLOCK_CONFIG, "%s: %s", variable, reason.message);
	return code == AWSFLOCK_OK ? code : error_set(error, code, "%s", reason.message);
}

/* Only awsflock's own variables: what AWS's mean is for aws/ to know. */
static awsflock_code apply_environment(struct config *config, awsflock_error *error)
{
	awsflock_code code = apply_variable(config, "AWSFLOCK_TABLE", CONFIG_TABLE, error);
	return code == AWSFLOCK_OK ? apply_variable(config, "AWSFLOCK_OWNER", CONFIG_OWNER, error) : code;
}

/* A set-id process must not be led by whoever started it. */
static awsflock_code load_set_id(struct config *config, const char *file, awsflock_error *error)
{
	if (file && strcmp(file, CONFIG_PATH_SYSTEM) != 0)
		return error_set(error, AWSFLOCK_CONFIG,
				 "a set-id program reads " CONFIG_PATH_SYSTEM
				 " alone: name no other configuration file");
	return apply_file(config, CONFIG_PATH_SYSTEM, CONFIG_FROM_SYSTEM_FILE, false, error);
}

static awsflock_code load_config(struct config *config, const char *file, awsflock_error *error)
{
	if (getauxval(AT_SECURE) != 0)
		return load_set_id(config, file, error);
	if (!file)
		file = nonempty_from_environment("AWSFLOCK_CONFIG");
	awsflock_code code;
	if (file)
		code = apply_named_file(config, file, error);
	else
		code = apply_standard_files(config, error);
	return code == AWSFLOCK_OK ? apply_environment(config, error) : code;
}

/* Whatever is wrong with it is for who opens it to say: whom it was made for must get no store apart. */
static awsflock_code prefer_shared_store(struct config *config, awsflock_error *error)
{
	struct stat status;

	if (config->origins[CONFIG_LOCAL_DIR] != CONFIG_DEFAULT ||
	    (lstat(LOCAL_DIR_SHARED, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)))
		return AWSFLOCK_OK;
	return config_set(config, CONFIG_LOCAL_DIR, LOCAL_DIR_SHARED, CONFIG_FROM_MACHINE, error);
}

awsflock_code config_load(struct config *config, const char *file, awsflock_error *error)
{
	struct config loaded; /* so that a broken file leaves CONFIG as it was */
	awsflock_code code = config_copy(config, &loaded, error);
	if (code != AWSFLOCK_OK)
		return code;
	code = load_config(&loaded, file, error);
	if (code == AWSFLOCK_OK)
		code = prefer_shared_store(&loaded, error);
	if (code != AWSFLOCK_OK) {
		config_free(&loaded);
		return code;
	}
	config_free(config);
	*config = loaded;
	return AWSFLOCK_OK;
}
