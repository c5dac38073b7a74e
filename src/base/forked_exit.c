/* See forked_exit.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/forked_exit.h"

#include <unistd.h>

#ifdef HAVE___GCOV_DUMP
void __gcov_dump(void); /* of the compiler's own library: no header has it */
#endif

void forked_exit(int code)
{
#ifdef HAVE___GCOV_DUMP
	__gcov_dump();
#endif
	_exit(code);
}
