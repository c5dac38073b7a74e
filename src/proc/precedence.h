/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_PRECEDENCE_H
#define PROC_PRECEDENCE_H

/* Puts this process before all others, as far as the machine allows it.  What it forks is as others are. */
void precedence_take(void);

#endif
