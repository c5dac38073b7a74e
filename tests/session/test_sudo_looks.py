"""sudo's plugin where there is no control group to be had: its session's processes are found by looks.

SPDX-License-Identifier: Apache-2.0
"""
import array
import contextlib
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
os.environ["SESSION_TESTS_LOOK"] = "yes"
from test_sudo_ends import EndsTest  # noqa: E402
from test_sudo_plugin import PathsTest  # noqa: E402
from test_sudo_sharing import JoiningTest, WithinLoginTest  # noqa: E402
from guardtest import keepers  # noqa: E402
from sessiontest import wait_until  # noqa: E402


def numbers_in(file):
    """All of a sparse file that is there, as numbers of 32 bits."""
    found, end = set(), 0
    with open(file, "rb") as opened:
        while True:
            try:
                start = os.lseek(opened.fileno(), end, os.SEEK_DATA)
            except OSError:
                return found
            end = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            found.update(array.array("i", os.pread(opened.fileno(), (end - start) // 4 * 4, start)))


def lists_of(keeper):
    """The lists of members in the memory of KEEPER; none where it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{keeper}/map_files"):
            file = f"/proc/{keeper}/map_files/{name}"
            if os.readlink(file).startswith("/memfd:members"):
                yield numbers_in(file)


def is_seen(pid):
    """A look has met PID: it stands in the list that a guardian shares with its standby."""
    return any(pid in numbers for keeper in keepers() for numbers in lists_of(keeper))


class SeenEndsTest(EndsTest):
    """Who ends first is what looks cannot promise anything of: whose parent is killed before a look has met them."""

    def left(self):
        pid = super().left()
        wait_until(lambda: is_seen(pid), what="a look")
        return pid


def load_tests(_loader, _tests, _pattern):
    return unittest.TestSuite([PathsTest("test_a_command"), PathsTest("test_the_background"),
                               PathsTest("test_the_background_without_a_terminal_of_its_own"),
                               SeenEndsTest("test_a_sudo_that_is_killed"),
                               SeenEndsTest("test_a_background_that_is_killed"),
                               JoiningTest("test_a_command"), JoiningTest("test_the_background"),
                               WithinLoginTest("test_without_a_login"), WithinLoginTest("test_within_a_login_that_shares")])


if __name__ == "__main__":
    unittest.main()
