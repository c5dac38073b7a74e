/* SPDX-License-Identifier: Apache-2.0
 *
 * The PAM module, as libpam will look for it and load it; and the keeper that it starts. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pidfd.h"
#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/programs.h"
#include "guard/trusted_file.h"

#define MODULE "module"
#define KEEPER "keeper"

#ifndef PAM_MODULE_DIR
#define PAM_MODULE_DIR "/usr/lib/security"
#endif
#ifndef LIBEXEC_DIR
#define LIBEXEC_DIR "/usr/libexec"
#endif

/* libpam looks in "security" beside itself; it tells nobody. */
static void find_module(const char *named, char path[PATH_MAX])
{
	const struct link_map *map;
	const char *slash;
	void *libpam;

	if (named[0] == '/') {
		snprintf(path, PATH_MAX, "%s", named);
		return;
	}
	libpam = dlopen("libpam.so.0", RTLD_LAZY | RTLD_LOCAL);
	slash = libpam && dlinfo(libpam, RTLD_DI_LINKMAP, &map) == 0 ? strrchr(map->l_name, '/') : NULL;
	if (!slash)
		snprintf(path, PATH_MAX, "%s/%s", PAM_MODULE_DIR, named);
	else if ((size_t)snprintf(path, PATH_MAX, "%.*s/security/%s", (int)(slash - map->l_name), map->l_name,
				  named) >= PATH_MAX)
		path[0] = '\0';
	if (libpam)
		dlclose(libpam);
}

/* Whether it is root's, and nobody else can write it; it may be reached over symbolic links. */
static bool is_trusted(const char *what, const char *path, awsflock_error *error)
{
	char real[PATH_MAX];
	int fd;

	if (trusted_file_open(what, realpath(path, real) ? real : path, &fd, error) != AWSFLOCK_OK)
		return false;
	close(fd);
	return true;
}

static void load_module(struct findings *findings, const char *path)
{
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const char *why = !module ? dlerror() : NULL;

	if (!module)
		findings_add(findings, MODULE, AWSFLOCK_CHECK_FAILED,
			     "install the module that belongs to this machine", "%s cannot be loaded: %s", path,
			     why ? why : "the reason is not told");
	else if (!dlsym(module, "pam_sm_open_session"))
		findings_add(findings, MODULE, AWSFLOCK_CHECK_FAILED, "install pam_awsflock.so there",
			     "%s opens no sessions: it is another file", path);
	else
		findings_add(findings, MODULE, AWSFLOCK_CHECK_OK, "", "%s is there, and can be loaded", path);
	if (module)
		dlclose(module);
}

/* It starts without the administrator's LD_LIBRARY_PATH.  Without a title it does nothing else than start. */
static bool finds_libraries(struct findings *findings, const char *renewer)
{
	static char option[] = "--version";
	char why[PROGRAM_WHY_SIZE];
	struct child_result result;

	if (program_ask(renewer, option, &result, why)) {
		child_result_clear(&result);
		return true;
	}
	if (!strstr(why, "shared librar"))
		return true;
	findings_add(findings, KEEPER, AWSFLOCK_CHECK_FAILED,
		     "ldconfig; where that does not help, name the library's directory in a file in "
		     "/etc/ld.so.conf.d first",
		     "nobody gets in: %s", why);
	return false;
}

/* The module starts these two by their paths. */
static void check_keeper(struct findings *findings)
{
	static const char *const programs[] = { LIBEXEC_DIR "/awsflock-keeper",
						LIBEXEC_DIR "/awsflock-keeper-renewer" };
	const char *fault = pidfd_fault();
	awsflock_error error;

	if (fault) {
		findings_add(findings, KEEPER, AWSFLOCK_CHECK_FAILED,
			     "use a newer kernel, or container engine, or a seccomp profile that allows both",
			     "no session can be guarded, so nobody gets in: %s", fault);
		return;
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (!is_trusted("program", programs[i], &error)) {
			findings_add(findings, KEEPER, AWSFLOCK_CHECK_FAILED,
				     "install awsflock again, with the same paths for all of it", "%s",
				     error.message);
			return;
		}
		if (access(programs[i], X_OK) != 0) {
			findings_add(findings, KEEPER, AWSFLOCK_CHECK_FAILED,
				     "chmod 755, or mount it without noexec", "%s cannot be executed: %s",
				     programs[i], strerror(errno));
			return;
		}
	}
	if (finds_libraries(findings, programs[1]))
		findings_add(findings, KEEPER, AWSFLOCK_CHECK_OK, "", "%s is there", programs[0]);
}

void guard_check_module(struct findings *findings, const char *named)
{
	char path[PATH_MAX];
	awsflock_error error;

	find_module(named, path);
	if (is_trusted("the module", path, &error))
		load_module(findings, path);
	else
		findings_add(
			findings, MODULE, AWSFLOCK_CHECK_FAILED,
			"install it there, or write its full path into the PAM line: without it, nobody gets in",
			"%s", error.message);
	check_keeper(findings);
}
