/* The URL of a proxy, judged before libcurl sees it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PROXY_URL_H
#define BASE_PROXY_URL_H

#include "awsflock.h"

/* AWSFLOCK_INVALID, with a sentence that repeats none of URL, unless URL is [SCHEME://][NAME[:PASSWORD]@]HOST[:PORT][/]
 * with one '@' at the most.  Where a '#', '/', '?' or '@' of a password stands as it is, libcurl takes a part of the
 * password for the host, asks a name server for it, and repeats it in its messages.  NAME is what names URL. */
awsflock_code proxy_url_check(const char *name, const char *url, awsflock_error *error);

/* The same for the variables that libcurl takes a proxy from; AWSFLOCK_CONFIG. */
awsflock_code proxy_url_check_environment(awsflock_error *error);

#endif
