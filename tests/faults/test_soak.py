"""A short soak, see soak.py: many contenders, random faults, kills and stops, and a history without a violation.

AWSFLOCK_TEST_SEED replays a run; the seed is part of what a failure tells.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import random
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from soak import soak_for  # noqa: E402

SECONDS = 10


class SoakTest(unittest.TestCase):
    def test_no_promise_is_broken_under_random_faults_kills_and_stops(self):
        seed = int(os.environ.get("AWSFLOCK_TEST_SEED") or random.SystemRandom().randrange(2 ** 32))
        with tempfile.TemporaryDirectory(prefix="awsflock-soak-") as directory:
            line, violations, soak = soak_for(SECONDS, seed, directory)
            told = (soak.directory / "errors").read_text(encoding="utf-8", errors="replace")[-2000:]
            print("# " + line, flush=True)
            self.assertEqual(violations, [], f"{line}\n{told}")


if __name__ == "__main__":
    unittest.main()
