/* What is said to the person and to the system's log.  SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_NOTIFY_H
#define DOOR_NOTIFY_H

#include <stdbool.h>

/* The host's own ways; each gets one printable line, without an end of line. */
struct notifier_ops {
	void (*show)(void *host, bool is_refusal, const char *line);
	void (*log)(void *host, int priority, const char *line);
};

/* What may be said in this call. */
struct notifier {
	const struct notifier_ops *ops;
	void *host; /* of the ops */
	bool notices;
	bool refusals;
	bool debug;
	bool at_terminal; /* notify_at_terminal() */
};

/* One line each.  A host that cannot show it, or has nobody to show it to, is as good as one that can. */
void notify_notice(const struct notifier *notifier, const char *sentence);
void notify_refusal(const struct notifier *notifier, const char *sentence);

/* The same to one who waits, or leaves.  Under sudo, which asks for silence, and su, which shows no notice, it goes to the
 * terminal that the person sits at, where there is one: nobody is to wonder about a command that hangs, or about a lock
 * that stays held. */
void notify_at_terminal(const struct notifier *notifier, const char *sentence);

/* To the log; debug only with the argument `debug`. */
void notify_log(const struct notifier *notifier, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
