/* cmocka, with what it wants included before it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_CMOCKA_ALL_H
#define UNIT_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#if !__has_include(<cmocka.h>)
#error "the tests need cmocka: let ./check install it, and run configure again"
#endif
#include <cmocka.h>

#endif
