/* Secrets on pages of their own.  SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"

/* In front of the text, and as aligned as anything. */
union head {
	size_t mapped_size;
	max_align_t aligned;
};

char *secret_copy(const char *text)
{
	size_t size = strlen(text) + 1, mapped_size = sizeof(union head) + size;
	union head *head = mmap(NULL, mapped_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *copy;

	if (head == MAP_FAILED)
		return NULL;
	/* A kernel that does not know it is no reason to fail. */
	madvise(head, mapped_size, MADV_DONTDUMP);
	head->mapped_size = mapped_size;
	copy = (char *)(head + 1);
	memcpy(copy, text, size);
	return copy;
}

void secret_free(char **secret)
{
	union head *head;
	size_t mapped_size;

	if (!secret || !*secret)
		return;
	head = (union head *)(void *)(*secret) - 1;
	mapped_size = head->mapped_size;
	wipe(head, mapped_size);
	munmap(head, mapped_size);
	*secret = NULL;
}
