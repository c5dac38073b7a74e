/* The supervisor of `awsflock run`, see supervise.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SUPERVISOR_H
#define RUN_SUPERVISOR_H

#include "run/run_state.h"

/* The whole work of the launcher's child, which has all signals blocked.  Leaves the launcher's exit code in the
 * shared state, and returns when the process has nothing more to do. */
void supervisor_run(struct run *run);

#endif
