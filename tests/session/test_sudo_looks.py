"""sudo's plugin where there is no control group to be had: its session's processes are found by looks.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
os.environ["SESSION_TESTS_LOOK"] = "yes"
from test_sudo_ends import EndsTest  # noqa: E402
from test_sudo_plugin import PathsTest  # noqa: E402
from test_sudo_sharing import JoiningTest, WithinLoginTest  # noqa: E402


def load_tests(_loader, _tests, _pattern):
    return unittest.TestSuite([PathsTest("test_a_command"), PathsTest("test_the_background"),
                               PathsTest("test_the_background_without_a_terminal_of_its_own"),
                               EndsTest("test_a_sudo_that_is_killed"), EndsTest("test_a_background_that_is_killed"),
                               JoiningTest("test_a_command"), JoiningTest("test_the_background"),
                               WithinLoginTest("test_without_a_login"), WithinLoginTest("test_within_a_login_that_shares")])


if __name__ == "__main__":
    unittest.main()
