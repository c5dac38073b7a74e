/* The supervisor of `awsflock run`, see supervise.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

#include "run/run_state.h"

/* The whole work of the front's child, which has all signals blocked.  Leaves the front's exit code in the shared
 * state, and returns when the process has nothing more to do. */
void supervisor_run(struct run *run);

#endif
