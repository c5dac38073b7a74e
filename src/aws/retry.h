/* Whether and when to try again: the SDKs' standard retry mode as of 2026.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/runtime.h"

enum retry_cause {
	RETRY_NOT,       /* the answer will not change */
	RETRY_TRANSIENT, /* connection trouble, 500, 502, 503, 504 */
	RETRY_THROTTLED,
	RETRY_CREDENTIALS, /* keys expired or unknown: read the chain anew once */
	RETRY_CLOCK_SKEW   /* the server refused our time: for the caller, a new operation */
};

struct retry {
	int max_attempts;
	int attempts;    /* made so far, the one under way included */
	int quota;       /* tokens left; kept across operations */
	int latest_cost; /* of this operation's latest retry: given back on success */
};

#define RETRY_QUOTA_FULL 500
#define RETRY_MAX_ATTEMPTS_DYNAMODB 4

void retry_init(struct retry *retry);  /* once a client */
void retry_begin(struct retry *retry); /* at each operation */
/* True, after the pause that is due, where another attempt is in order; false where attempts, quota, time (not
 * beyond GIVE_UP_BOOT_NS) are at an end, or the caller was told to stop. */
bool retry_again(struct retry *retry, struct runtime *runtime, enum retry_cause cause, int64_t give_up_boot_ns);
/* Milliseconds that the attempt under way may take: LONGEST_MS, or what is left until GIVE_UP_BOOT_NS, of which an
 * attempt that another may follow gets a part only, so that a lost reply does not cost the whole time.  0: none. */
int64_t retry_attempt_ms(const struct retry *retry, struct runtime *runtime, int64_t longest_ms,
			 int64_t give_up_boot_ns);
void retry_succeeded(struct retry *retry);

#endif
