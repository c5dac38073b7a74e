#!/usr/bin/python3
"""The simulation: every promise holds, and a seed tells the same story again.
SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import subprocess
import unittest

BUILD = pathlib.Path(os.environ["AWSFLOCK_BUILD_DIR"])
SIM = str(BUILD / "tests/sim/sim")
IS_SANITIZED = bool(os.environ.get("AWSFLOCK_TEST_CFLAGS"))
RUNS = 5000 if IS_SANITIZED else 25000


def simulate(*arguments):
    return subprocess.run([SIM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


class Simulation(unittest.TestCase):
    def test_every_promise_holds_in_every_run(self):
        done = simulate("--runs", str(RUNS), "--jobs", "2")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"simulation: {RUNS} runs (0 cut short)", done.stdout)

    def test_a_seed_tells_the_same_story_again(self):
        first, second = (simulate("--seed", "4711", "--trace") for _ in range(2))
        self.assertEqual(first.returncode, 0, first.stdout)
        self.assertGreater(len(first.stdout.splitlines()), 10)
        self.assertEqual(first.stdout, second.stdout)


if __name__ == "__main__":
    unittest.main()
