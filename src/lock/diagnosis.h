/* Telling what a check has found.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DIAGNOSIS_H
#define LOCK_DIAGNOSIS_H

#include "awsflock.h"

struct diagnosis {
	awsflock_check_fn *each;
	void *arg;
};

/* MEND: what to do, "" where there is nothing. */
void diagnosis_tell(const struct diagnosis *diagnosis, const char *name, awsflock_verdict verdict, const char *mend,
		    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Tells that the check NAME failed with ERROR, and the mend that belongs to such errors. */
void diagnosis_tell_error(const struct diagnosis *diagnosis, const char *name, awsflock_verdict verdict,
			  const awsflock_error *error);

#endif
