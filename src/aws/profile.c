/* The profile in force, and its keys in AWS's two shared files.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/home.h"

#define SERVICE_KEY_SIZE 128

static const char *environment(const struct profile_options *options, const char *name)
{
	const char *value = options->ignore_environment ? NULL : secure_getenv(name);

	return value && value[0] != '\0' ? value : NULL;
}

/* PATH where it was given, or VARIABLE's value; NULL: neither. */
static const char *named_path(const struct profile_options *options, const char *path, const char *variable)
{
	return path && path[0] != '\0' ? path : environment(options, variable);
}

/* PATH, or FALLBACK; *OUT stays NULL where that is not to be had. */
static awsflock_code find_path(const struct profile_options *options, const char *path, const char *fallback,
			       char **out, awsflock_error *error)
{
	char *home = NULL;
	awsflock_code code = AWSFLOCK_OK;

	if (!path && !options->ignore_environment) {
		code = home_find(&home, error);
		path = home ? fallback : NULL; /* without a home directory there is no such file either */
		free(home);
	}
	return code == AWSFLOCK_OK && path ? home_copy_path(path, !options->ignore_environment, out, error) : code;
}

static awsflock_code choose_name(const struct profile_options *options, struct profile *profile,
				 awsflock_error *error)
{
	const char *name = options->name;

	if (!name || name[0] == '\0')
		name = environment(options, "AWS_PROFILE");
	if (!name)
		name = environment(options, "AWS_DEFAULT_PROFILE");
	profile->named = name;
	profile->name = strdup(name ? name : "default");
	return profile->name ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* Whether SECTION is "KIND NAME", NAME perhaps in quotes. */
static bool is_section_of(const char *section, const char *kind, const char *name)
{
	size_t kind_size = strlen(kind), name_size = strlen(name);
	const char *rest;

	if (strncmp(section, kind, kind_size) != 0 || section[kind_size] != ' ')
		return false;
	rest = section + kind_size + 1;
	if (strcmp(rest, name) == 0)
		return true;
	return strlen(rest) == name_size + 2 && (rest[0] == '"' || rest[0] == '\'') &&
	       rest[name_size + 1] == rest[0] && strncmp(rest + 1, name, name_size) == 0;
}

/* The section as the file spells it, or NULL. */
static const char *find_section(const struct ini *ini, const char *kind, const char *name)
{
	for (size_t i = 0; i < ini->count; i++) {
		if (is_section_of(ini->entries[i].section, kind, name))
			return ini->entries[i].section;
	}
	return NULL;
}

/* "[profile x]"; "[default]" may go without the word. */
static const char *config_section(const struct profile *profile)
{
	const char *section;

	if (!profile || !profile->name) /* an empty profile, as tests and embedders make one */
		return NULL;
	section = find_section(&profile->config, "profile", profile->name);
	if (!section && strcmp(profile->name, "default") == 0 && ini_has_section(&profile->config, "default"))
		section = "default";
	return section;
}

/* What cannot be read where nobody said that it is, such as the directory that a container's mount leaves, is passed
 * over, as AWS's tools do. */
static awsflock_code read_profile_file(const char *path, bool named, struct ini *out, struct buf *passed_over,
				       awsflock_error *error)
{
	awsflock_error why = { .code = AWSFLOCK_OK };
	bool found = false;
	awsflock_code code = path ? ini_read(path, INI_AWS, out, &found, &why) : AWSFLOCK_OK;

	if (code == AWSFLOCK_OK)
		return code;
	if (code != AWSFLOCK_CONFIG || found || named)
		return error_set(error, code, "%s", why.message);
	buf_printf(passed_over, "%s%s", passed_over->size > 0 ? "; " : "", why.message);
	return passed_over->failed ? error_out_of_memory(error) : AWSFLOCK_OK;
}

static awsflock_code check_exists(const struct profile *profile, awsflock_error *error)
{
	bool passed_over = profile->passed_over.size > 0;

	if (!profile->named || profile_exists(profile))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG, "there is no AWS profile '%s' in %s or %s%s%s%s", profile->name,
			 profile->config_path ? profile->config_path : "a config file",
			 profile->credentials_path ? profile->credentials_path : "a credentials file",
			 passed_over ? " (" : "", buf_text(&profile->passed_over), passed_over ? ")" : "");
}

static awsflock_code find_files(const struct profile_options *options, struct profile *profile,
				awsflock_error *error)
{
	const char *config = named_path(options, options->config_path, "AWS_CONFIG_FILE");
	const char *credentials = named_path(options, options->credentials_path, "AWS_SHARED_CREDENTIALS_FILE");
	awsflock_code code = find_path(options, config, "~/.aws/config", &profile->config_path, error);

	profile->config_named = config;
	profile->credentials_named = credentials;
	if (code == AWSFLOCK_OK)
		code = find_path(options, credentials, "~/.aws/credentials", &profile->credentials_path, error);
	return code;
}

static awsflock_code read_files(struct profile *profile, awsflock_error *error)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it takes what the profile has for lost, which profile_clear() frees */
	awsflock_code code = read_profile_file(profile->config_path, profile->config_named, &profile->config,
					       &profile->passed_over, error);

	if (code == AWSFLOCK_OK)
		code = read_profile_file(profile->credentials_path, profile->credentials_named,
					 &profile->credentials, &profile->passed_over, error);
	return code;
}

static awsflock_code load_profile(const struct profile_options *options, struct profile *profile,
				  awsflock_error *error)
{
	awsflock_code code = choose_name(options, profile, error);

	if (code == AWSFLOCK_OK)
		code = find_files(options, profile, error);
	if (code == AWSFLOCK_OK)
		code = read_files(profile, error);
	return code == AWSFLOCK_OK ? check_exists(profile, error) : code;
}

awsflock_code profile_load(const struct profile_options *options, struct profile *out, awsflock_error *error)
{
	struct profile profile = { 0 };
	awsflock_code code = load_profile(options, &profile, error);

	if (code != AWSFLOCK_OK) {
		profile_clear(&profile);
		return code;
	}
	*out = profile;
	return AWSFLOCK_OK;
}

static awsflock_code reread(const char *path, bool named, struct ini *ini, awsflock_error *error)
{
	struct ini file = { 0 };
	bool found = false;
	awsflock_code code = path ? ini_read(path, INI_AWS, &file, &found, error) : AWSFLOCK_OK;

	if (code == AWSFLOCK_OK && found) {
		ini_free(ini);
		*ini = file;
	}
	return code == AWSFLOCK_CONFIG && !found && !named ? AWSFLOCK_OK : code;
}

awsflock_code profile_reload(struct profile *profile, awsflock_error *error)
{
	awsflock_code code = reread(profile->config_path, profile->config_named, &profile->config, error);

	return code == AWSFLOCK_OK
		       ? reread(profile->credentials_path, profile->credentials_named, &profile->credentials, error)
		       : code;
}

bool profile_exists(const struct profile *profile)
{
	return profile && (config_section(profile) || ini_has_section(&profile->credentials, profile->name));
}

void profile_clear(struct profile *profile)
{
	free(profile->name);
	free(profile->config_path);
	free(profile->credentials_path);
	buf_free(&profile->passed_over);
	ini_free(&profile->config);
	ini_free(&profile->credentials);
	*profile = (struct profile){ 0 };
}

/* What [DEFAULT] says counts in every section, as Python's reader of such files has it, and so botocore. */
static const char *get_or_default(const struct ini *ini, const char *section, const char *key)
{
	const char *value = ini_get(ini, section, key);

	return value ? value : ini_get(ini, "DEFAULT", key);
}

const char *profile_config_get(const struct profile *profile, const char *key)
{
	const char *section = config_section(profile);

	return section ? get_or_default(&profile->config, section, key) : NULL;
}

const char *profile_credentials_get(const struct profile *profile, const char *key)
{
	if (!profile || !profile->name || !ini_has_section(&profile->credentials, profile->name))
		return NULL;
	return get_or_default(&profile->credentials, profile->name, key);
}

const char *profile_section(const struct profile *profile, const char *kind, const char *name)
{
	return find_section(&profile->config, kind, name);
}

const char *profile_service_get(const struct profile *profile, const char *service, const char *key)
{
	const char *name = profile_config_get(profile, "services");
	const char *section = name ? find_section(&profile->config, "services", name) : NULL;
	char path[SERVICE_KEY_SIZE]; /* no allocation, whose failure would look like a missing key */

	if (!section || snprintf(path, sizeof(path), "%s.%s", service, key) >= (int)sizeof(path))
		return NULL;
	return get_or_default(&profile->config, section, path);
}

const char *profile_missing_services(const struct profile *profile)
{
	const char *name = profile_config_get(profile, "services");

	return name && !find_section(&profile->config, "services", name) ? name : NULL;
}
