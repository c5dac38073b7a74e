/* See no_proxy.h.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/no_proxy.h"

#include <string.h>

/* Between ':' and what follows a host's name. */
struct port {
	const char *digits;
	size_t size;
};

static struct port port_of(const char *url)
{
	const char *host = strstr(url, "://"), *end, *colon;
	bool is_https = strncmp(url, "https:", 6) == 0;

	host = host ? host + 3 : url;
	end = host + strcspn(host, "/?#");
	colon = memrchr(host, ':', (size_t)(end - host));
	if (!colon || memchr(colon, ']', (size_t)(end - colon)))
		return is_https ? (struct port){ "443", 3 } : (struct port){ "80", 2 };
	return (struct port){ colon + 1, (size_t)(end - colon) - 1 };
}

/* The size of the host in ENTRY, HOST:PORT with this port; 0: it is no such entry. */
static size_t host_with_port(const char *entry, size_t size, const struct port *port)
{
	const char *colon = memchr(entry, ':', size);
	size_t host_size = colon ? (size_t)(colon - entry) : 0;

	if (!colon || size - host_size - 1 != port->size || memcmp(colon + 1, port->digits, port->size) != 0)
		return 0;
	return host_size;
}

void no_proxy_append(const char *list, const char *url, struct buf *out)
{
	static const char separators[] = ", \t";
	const struct port port = port_of(url);
	const char *entry = list;

	for (;;) {
		size_t size, host_size;

		entry += strspn(entry, separators);
		size = strcspn(entry, separators);
		if (size == 0)
			return;
		host_size = host_with_port(entry, size, &port);
		if (host_size > 0 && out->size == 0)
			buf_puts(out, list);
		if (host_size > 0) {
			buf_puts(out, ",");
			buf_append(out, entry, host_size);
		}
		entry += size;
	}
}
