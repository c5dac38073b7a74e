/* How a PAM host speaks and logs, see door/notify.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PAM_NOTIFIER_H
#define PAM_NOTIFIER_H

#include "door/notify.h"

/* The notifier's host is the PAM handle. */
extern const struct notifier_ops pam_notifier_ops;

#endif
