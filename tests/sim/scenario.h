/* What the world does to the clients, and how often.  SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scenario {
	const char *name;
	int clients, peers; /* ours, and Python 0.2.0 */
	/* Per mille of the attempts. */
	int not_sent, lost_request, late_request, lost_reply, reset_reply, server_error, throttled, resent, no_date;
	int doubled;        /* delivered twice by a proxy, and nobody can tell */
	int64_t latency_ms; /* the longest usual one, each way */
	int slow;           /* per mille of the ways that take up to SLOW_MS */
	int64_t slow_ms, late_ms;
	int64_t lease_most_s; /* the longest lease asked for */
	/* Between two faults at a step of the code, on average; 0: none.  Which one it is, by weight. */
	int steps_between;
	int pause, crash, jump, freeze, cancel;
	int64_t clock_error_ms; /* of CLOCK_REALTIME, the largest, either way */
	int64_t jump_ms;
	int drift_ppm;
	int64_t python_error_ms;
	bool python_wrong; /* its clock is beyond what it tolerates itself: it may take what is held */
	int ttl;           /* per mille of the expired items that are deleted at once; the others: some time */
	bool has_ttl;
	int deletes, breaks, breaks_now; /* per mille of what is done */
	int command_line;                /* per mille of the clients that are a fresh process for each operation */
	bool hides_items;                /* a server that ignores ReturnValuesOnConditionCheckFailure */
	bool checks_signature_time;
	bool is_calm; /* no fault at all: requests are counted */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

#endif
