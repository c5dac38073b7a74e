/* What ps shows of a process.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_TITLE_H
#define KEEPER_TITLE_H

/* Remembers where the arguments and the environment stand, which a title may overwrite: first thing in main().  The
 * environment is copied elsewhere. */
void title_init(int argc, char **argv);
/* Shows TITLE, sanitised, in the place of the arguments. */
void title_set(const char *title);

#endif
