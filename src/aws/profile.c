/* The profile in force, and its keys in AWS's two shared files.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"

#define PASSWD_BUFFER_SIZE 16384

static const char *environment(const struct profile_options *options, const char *name)
{
	const char *value = options->ignore_environment ? NULL : secure_getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The user's home directory with REST behind it, or NULL. */
static char *under_home(const char *rest)
{
	const char *home = secure_getenv("HOME");
	struct buf path = BUF_INIT;
	struct passwd entry, *found = NULL;
	char *buffer = NULL;

	if (home == NULL || home[0] == '\0') {
		buffer = malloc(PASSWD_BUFFER_SIZE);
		if (buffer == NULL || getpwuid_r(getuid(), &entry, buffer, PASSWD_BUFFER_SIZE, &found) != 0 ||
		    found == NULL) {
			free(buffer);
			return NULL;
		}
		home = entry.pw_dir;
	}
	buf_printf(&path, "%s/%s", home, rest);
	free(buffer);
	return buf_steal(&path);
}

/* PATH, or VARIABLE's value, or REST in the home directory; *OUT stays NULL where none of them is to be had. */
static awsflock_code find_path(const struct profile_options *options, const char *path, const char *variable,
			       const char *rest, char **out, awsflock_error *error)
{
	if (path == NULL || path[0] == '\0')
		path = environment(options, variable);
	if (path == NULL) {
		if (!options->ignore_environment)
			*out = under_home(rest);
		return AWSFLOCK_OK; /* without a home directory there is no such file either */
	}
	/* AWS's tools let these variables start with a tilde, which the shell leaves alone inside quotes. */
	*out = path[0] == '~' && path[1] == '/' && !options->ignore_environment ? under_home(path + 2)
										: strdup(path);
	return *out != NULL ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code choose_name(const struct profile_options *options, struct profile *profile,
				 awsflock_error *error)
{
	const char *name = options->name;

	if (name == NULL || name[0] == '\0')
		name = environment(options, "AWS_PROFILE");
	if (name == NULL)
		name = environment(options, "AWS_DEFAULT_PROFILE");
	profile->named = name != NULL;
	profile->name = strdup(name != NULL ? name : "default");
	return profile->name != NULL ? AWSFLOCK_OK : error_out_of_memory(error);
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

	if (profile->name == NULL) /* an empty profile, as tests and embedders make one */
		return NULL;
	section = find_section(&profile->config, "profile", profile->name);
	if (section == NULL && strcmp(profile->name, "default") == 0 &&
	    ini_has_section(&profile->config, "default"))
		section = "default";
	return section;
}

static awsflock_code read_file(const char *path, struct ini *out, awsflock_error *error)
{
	struct ini file = { 0 };
	bool found;
	awsflock_code code = path != NULL ? ini_read(path, INI_AWS, &file, &found, error) : AWSFLOCK_OK;

	*out = file;
	return code;
}

static awsflock_code check_exists(const struct profile *profile, awsflock_error *error)
{
	if (!profile->named || config_section(profile) != NULL ||
	    ini_has_section(&profile->credentials, profile->name))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG, "there is no AWS profile '%s' in %s or %s", profile->name,
			 profile->config_path != NULL ? profile->config_path : "a config file",
			 profile->credentials_path != NULL ? profile->credentials_path : "a credentials file");
}

static awsflock_code load(const struct profile_options *options, struct profile *profile, awsflock_error *error)
{
	awsflock_code code = choose_name(options, profile, error);

	if (code == AWSFLOCK_OK)
		code = find_path(options, options->config_path, "AWS_CONFIG_FILE", ".aws/config",
				 &profile->config_path, error);
	if (code == AWSFLOCK_OK)
		code = find_path(options, options->credentials_path, "AWS_SHARED_CREDENTIALS_FILE",
				 ".aws/credentials", &profile->credentials_path, error);
	if (code == AWSFLOCK_OK)
		code = read_file(profile->config_path, &profile->config, error);
	if (code == AWSFLOCK_OK)
		code = read_file(profile->credentials_path, &profile->credentials, error);
	return code == AWSFLOCK_OK ? check_exists(profile, error) : code;
}

awsflock_code profile_load(const struct profile_options *options, struct profile *out, awsflock_error *error)
{
	struct profile profile = { 0 };
	awsflock_code code = load(options, &profile, error);

	if (code != AWSFLOCK_OK) {
		profile_clear(&profile);
		return code;
	}
	*out = profile;
	return AWSFLOCK_OK;
}

void profile_clear(struct profile *profile)
{
	free(profile->name);
	free(profile->config_path);
	free(profile->credentials_path);
	ini_free(&profile->config);
	ini_free(&profile->credentials);
	*profile = (struct profile){ 0 };
}

const char *profile_config_get(const struct profile *profile, const char *key)
{
	const char *section = config_section(profile);

	return section != NULL ? ini_get(&profile->config, section, key) : NULL;
}

const char *profile_credentials_get(const struct profile *profile, const char *key)
{
	return profile->name != NULL ? ini_get(&profile->credentials, profile->name, key) : NULL;
}

const char *profile_service_get(const struct profile *profile, const char *service, const char *key)
{
	const char *name = profile_config_get(profile, "services");
	const char *section = name != NULL ? find_section(&profile->config, "services", name) : NULL;
	struct buf path = BUF_INIT;
	const char *value = NULL;

	if (section != NULL && buf_printf(&path, "%s.%s", service, key))
		value = ini_get(&profile->config, section, buf_text(&path));
	buf_free(&path);
	return value;
}
