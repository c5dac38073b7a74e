/* What the guardian, which is root, keeps of root's powers.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_CAPABILITIES_H
#define KEEPER_CAPABILITIES_H

#include <stdbool.h>

/* Gives up, for this process and all that it starts, every capability that a guardian does not need, and the way to
 * new ones.  False where the kernel refuses. */
bool capabilities_limit(void);

#endif
