/* See curl_library.h.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* libcurl's ABI since 2006 (curl.se, "ABI - how libcurl does it"). */
#define CURL_LIBRARY_NAME "libcurl.so.4"

/* What packagers' tools read in the place of the dependency that they cannot see ("dlopen() Metadata for ELF
 * Files", https://systemd.io/ELF_DLOPEN_METADATA). */
#define DLOPEN_NOTE_VENDOR "FDO"
#define DLOPEN_NOTE_TYPE UINT32_C(0x407c0c0a)
#define DLOPEN_NOTE                                                                                                \
	"[{\"feature\":\"dynamodb\",\"description\":\"Locks in a DynamoDB table\",\"priority\":\"required\","      \
	"\"soname\":[\"" CURL_LIBRARY_NAME "\"]}]"

static const struct {
	uint32_t vendor_size, note_size, type;
	_Alignas(uint32_t) char vendor[sizeof(DLOPEN_NOTE_VENDOR)];
	_Alignas(uint32_t) char note[sizeof(DLOPEN_NOTE)];
} dlopen_note __attribute__((used, section(".note.dlopen"), aligned(4))) = { sizeof(DLOPEN_NOTE_VENDOR),
									     sizeof(DLOPEN_NOTE), DLOPEN_NOTE_TYPE,
									     DLOPEN_NOTE_VENDOR, DLOPEN_NOTE };

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
struct curl_library curl_library;
static char failure[256];

static bool find_symbol(void *handle, const char *name, void *out)
{
	void *symbol = dlsym(handle, name);

	/* POSIX promises that a function's address fits; ISO C knows no such conversion. */
	memcpy(out, &symbol, sizeof(symbol));
	if (!symbol)
		snprintf(failure, sizeof(failure), "%s has no %s", CURL_LIBRARY_NAME, name);
	return symbol != NULL;
}

/* Lazily, as curl(1) is linked: each of the thirty libraries that come along still is bound at once, and its table of
 * addresses made read-only, where its own maker linked it so (-z now, as most are); RTLD_NOW would do that to those
 * whose maker did not, for an eighth of all instructions of a cold request. */
static void load_curl(void)
{
	void *handle = dlopen(CURL_LIBRARY_NAME, RTLD_LAZY | RTLD_LOCAL);
	CURLcode code;

	if (!handle) {
		const char *why = dlerror();

		snprintf(failure, sizeof(failure), "%s", why ? why : CURL_LIBRARY_NAME);
		return;
	}
#define CURL_LIBRARY_FIND(name) &&find_symbol(handle, "curl_" #name, &curl_library.name)
	if (!(true CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_FIND)))
		return;
#undef CURL_LIBRARY_FIND
	/* Once a process, and in versions before 7.84 not safe in threads by itself. */
	code = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (code != CURLE_OK)
		snprintf(failure, sizeof(failure), "%s", curl_easy_strerror(code));
}

awsflock_code curl_library_load(awsflock_error *error)
{
	pthread_once(&load_once, load_curl);
	if (failure[0])
		return error_set(error, AWSFLOCK_CONFIG,
				 "libcurl cannot be used: %s; install libcurl 7.80 or later (Debian: libcurl4)",
				 failure);
	return AWSFLOCK_OK;
}
