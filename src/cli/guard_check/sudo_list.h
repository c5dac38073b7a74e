/* Which guard the commands of `sudo -l` would ask for.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GUARD_CHECK_SUDO_LIST_H
#define CLI_GUARD_CHECK_SUDO_LIST_H

#include <stdbool.h>

/* Prints them, for whoever runs this program.  The exit code, with the reason said. */
int sudo_list_print(bool json);

#endif
