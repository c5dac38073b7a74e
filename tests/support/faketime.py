"""Debian's libfaketime: processes whose wall clock is wrong, while the clocks that only count go on as they are.

SPDX-License-Identifier: Apache-2.0
"""
import glob
import os
import unittest


def library():
    found = sorted(glob.glob("/usr/lib/*/faketime/libfaketime.so.1"))
    if not found:
        raise unittest.SkipTest("no libfaketime (Debian's package: libfaketime)")
    return found[0]


def real_timers():
    """See tests/faults/real_timers.c: what libfaketime does not leave alone."""
    return os.path.join(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests/faults/.libs/real_timers.so")


def faked(environment, offset):
    """ENVIRONMENT for a process whose CLOCK_REALTIME is OFFSET seconds away from the truth, or goes as libfaketime
    reads the text OFFSET.  Its CLOCK_MONOTONIC and CLOCK_BOOTTIME stay right, and so do timers."""
    text = offset if isinstance(offset, str) else f"{offset:+d}"
    asan = ":".join(filter(None, [environment.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
    return {**environment, "ASAN_OPTIONS": asan, "LD_PRELOAD": f"{real_timers()} {library()}", "FAKETIME": text,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
