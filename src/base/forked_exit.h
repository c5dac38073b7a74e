/* The end of a process at once: of a forked copy, or of one that has done all that exit() would do for it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FORKED_EXIT_H
#define BASE_FORKED_EXIT_H

/* _exit(): what the original has registered with atexit() and left in its buffers is the original's.  In a build that
 * counts what tests run (CFLAGS=--coverage), the counts are written first; exec does that by itself there.  Safe after
 * fork() in a process of many threads. */
_Noreturn void forked_exit(int code);

#endif
