/* NO_PROXY with ports.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_NO_PROXY_H
#define AWS_NO_PROXY_H

#include "base/buf.h"

/* Appends LIST, as NO_PROXY has it, with the host of each entry HOST:PORT whose port is URL's behind it: libcurl passes
 * such entries over, which AWS's tools honour.  OUT stays empty where LIST has none. */
void no_proxy_append(const char *list, const char *url, struct buf *out);

#endif
