/* How the plugin speaks and logs, see door/notify.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef SUDO_SUDO_NOTIFIER_H
#define SUDO_SUDO_NOTIFIER_H

#include <sudo_plugin.h>

#include "door/notify.h"

/* The notifier's host is a struct sudo_notifier. */
struct sudo_notifier {
	sudo_conv_t converse;
};

extern const struct notifier_ops sudo_notifier_ops;

#endif
