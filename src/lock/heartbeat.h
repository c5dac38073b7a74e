/* Renewing while work runs.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_HEARTBEAT_H
#define LOCK_HEARTBEAT_H

#include "lock/lease.h"

/* What awsflock_keepalive() promises. */
awsflock_code heartbeat_keep(struct lease *lease, int64_t stop_ms, awsflock_error *error);

#endif
