"""Fifty contenders, each doing an unprotected read-modify-write under run: nothing is lost, and fences rise.

SPDX-License-Identifier: Apache-2.0
"""
import subprocess
import unittest

from awsflocktest import on_both_stores

CONTENDERS = 50
# Deliberately racy: reads, lets others have a turn, writes what it read plus one.
READ_MODIFY_WRITE = 'n=$(cat count); sleep 0; echo "$AWSFLOCK_FENCE" >>fences; echo $((n + 1)) >count'


@on_both_stores
class Contention:
    def contend(self, command):
        self.write("count", "0\n")
        self.write("fences", "")
        contenders = [self.start(command, stdout=subprocess.DEVNULL, cwd=self.directory) for _ in range(CONTENDERS)]
        ended = [(each.communicate(timeout=240)[1], each.returncode) for each in contenders]
        fences = [int(line) for line in (self.directory / "fences").read_text().split()]
        return int((self.directory / "count").read_text()), fences, ended

    def test_nothing_is_lost_under_run_and_fences_rise(self):
        count, fences, ended = self.contend(self.flock_command("run", "counter", "sh", "-c", READ_MODIFY_WRITE))
        self.assertEqual([err for err, code in ended if code != 0], [])
        self.assertEqual(count, CONTENDERS)
        self.assertEqual(len(fences), CONTENDERS)
        self.assertEqual(fences, sorted(set(fences)))
        self.assertFree("counter")


if __name__ == "__main__":
    unittest.main()
