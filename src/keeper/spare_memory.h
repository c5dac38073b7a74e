/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process has used and uses no more, given back to the machine: a keeper lives as long as its session, sleeps
 * most of that time, and there are many of them. */
#ifndef KEEPER_SPARE_MEMORY_H
#define KEEPER_SPARE_MEMORY_H

/* A function with much on its stack, kept out of the frame of one that sleeps. */
#define SPARE_MEMORY_OWN_FRAME __attribute__((noinline))

/* Free pages of the heap, where the allocator knows how. */
void spare_memory_trim_heap(void);
/* Pages of the stack that deeper calls than this one have left behind.  On the first thread's stack alone. */
SPARE_MEMORY_OWN_FRAME void spare_memory_trim_stack(void);

#endif
