"""The guard on a machine without a writable cgroup2: whoever opens, loses and ends sessions there, watched by looks.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
os.environ["SESSION_TESTS_LOOK"] = "yes"  # before namespace.py sets the machine up
from test_guard_abnormal import AbnormalEndsTest  # noqa: E402,F401
from test_guard_losing import LosingTest  # noqa: E402,F401
from test_guard_membership import LooksTest  # noqa: E402,F401
