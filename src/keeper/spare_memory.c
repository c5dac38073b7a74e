/* See spare_memory.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/spare_memory.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Deeper than any call of a keeper's goes.  The kernel keeps 1 MiB below the first thread's stack free of all else, so
 * nothing but stack can be in this. */
#define STACK_DEPTH ((uintptr_t)128 * 1024)

void spare_memory_trim_heap(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

/* Not the page below this frame: it has the call that is made here.  Such a page is zero when it is used again. */
void spare_memory_trim_stack(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) / page - 1) * page;

	/* It fails where less of the stack was ever used, and has given that back then. */
	madvise((void *)(end - STACK_DEPTH), STACK_DEPTH, MADV_DONTNEED); /* NOLINT(performance-no-int-to-ptr) */
}
