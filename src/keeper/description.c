/* See description.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/description.h"

#include <stdio.h>

#include "base/text.h"

void describe_processes(const struct process *processes, size_t count, size_t all, char *text, size_t size)
{
	size_t used = 0;

	if (size > 0)
		text[0] = '\0';
	for (size_t i = 0; i < count && used < size; i++) {
		char name[sizeof(processes[i].name)];
		text_sanitise(processes[i].name, name, sizeof(name));
		int put = snprintf(text + used, size - used, "%s%d (%s)", i > 0 ? ", " : "", (int)processes[i].pid,
				   name);
		used += put > 0 ? (size_t)put : 0;
	}
	if (all > count && used < size)
		snprintf(text + used, size - used, "%s%zu more", count > 0 ? " and " : "", all - count);
}
