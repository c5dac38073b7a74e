"""The attacks on a machine without a writable cgroup2, where looks have to find who belongs to a session.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
os.environ["SESSION_TESTS_LOOK"] = "yes"  # before namespace.py sets the machine up
from test_guard_attacked_keepers import KilledKeeperTest, SharedTest  # noqa: E402,F401
from test_guard_attacks import EverywhereTest  # noqa: E402,F401
