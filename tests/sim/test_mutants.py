#!/usr/bin/python3
"""The simulation can fail: it finds every mutant.  SPDX-License-Identifier: Apache-2.0"""
import concurrent.futures
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mutants  # noqa: E402

BUILD = pathlib.Path(os.environ["AWSFLOCK_BUILD_DIR"])


class Mutants(unittest.TestCase):
    def test_every_mutant_is_found(self):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = {name: pool.submit(mutants.find, name, BUILD) for name in mutants.names()}
            self.assertGreater(len(found), 20)
            for name, future in found.items():
                with self.subTest(mutant=name):
                    self.assertIsNotNone(future.result(), "not found")


if __name__ == "__main__":
    unittest.main()
