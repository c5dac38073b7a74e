/* libcurl, loaded when the first HTTP transport is made and not before: with all that it brings along it takes
 * three times as long to load as the rest of the program, and the local store has no use for it
 * (tests/bench/bench.py). SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CURL_LIBRARY_H
#define AWS_CURL_LIBRARY_H

/* Some of its functions are macros too, which would go past the table below. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

#include "awsflock.h"

#define CURL_LIBRARY_FUNCTIONS(X)                                                                                  \
	X(easy_cleanup)                                                                                            \
	X(easy_getinfo)                                                                                            \
	X(easy_init)                                                                                               \
	X(easy_reset)                                                                                              \
	X(easy_setopt)                                                                                             \
	X(easy_strerror)                                                                                           \
	X(getdate)                                                                                                 \
	X(global_init)                                                                                             \
	X(multi_add_handle)                                                                                        \
	X(multi_cleanup)                                                                                           \
	X(multi_info_read)                                                                                         \
	X(multi_init)                                                                                              \
	X(multi_perform)                                                                                           \
	X(multi_poll)                                                                                              \
	X(multi_remove_handle)                                                                                     \
	X(multi_setopt)                                                                                            \
	X(multi_strerror)                                                                                          \
	X(slist_append)                                                                                            \
	X(slist_free_all)                                                                                          \
	X(version_info)

/* Each function with the type that libcurl's header gives it. */
struct curl_library {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name stands without */
#define CURL_LIBRARY_MEMBER(name) __typeof__(&curl_##name) name;
	CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_MEMBER)
#undef CURL_LIBRARY_MEMBER
};

/* Loads and initialises it, once a process, from whichever thread comes first.  AWSFLOCK_CONFIG where it is not
 * installed. */
awsflock_code curl_library_load(awsflock_error *error);

/* Written once, by curl_library_load(). */
extern struct curl_library curl_library;

/* From here on libcurl's names mean the loaded functions. */
#define curl_easy_cleanup curl_library.easy_cleanup
#define curl_easy_getinfo curl_library.easy_getinfo
#define curl_easy_init curl_library.easy_init
#define curl_easy_reset curl_library.easy_reset
#define curl_easy_setopt curl_library.easy_setopt
#define curl_easy_strerror curl_library.easy_strerror
#define curl_getdate curl_library.getdate
#define curl_global_init curl_library.global_init
#define curl_multi_add_handle curl_library.multi_add_handle
#define curl_multi_cleanup curl_library.multi_cleanup
#define curl_multi_info_read curl_library.multi_info_read
#define curl_multi_init curl_library.multi_init
#define curl_multi_perform curl_library.multi_perform
#define curl_multi_poll curl_library.multi_poll
#define curl_multi_remove_handle curl_library.multi_remove_handle
#define curl_multi_setopt curl_library.multi_setopt
#define curl_multi_strerror curl_library.multi_strerror
#define curl_slist_append curl_library.slist_append
#define curl_slist_free_all curl_library.slist_free_all
#define curl_version_info curl_library.version_info

#endif
