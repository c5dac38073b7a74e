"""The table of endpoints that the unit tests hold us to, recomputed by the botocore that is installed here.

Debian 12's botocore knows no configured URLs and not every partition: it has its say on what it knows.

SPDX-License-Identifier: Apache-2.0
"""
import importlib.util
import json
import os
import pathlib
import re
import unittest

DATA = pathlib.Path(os.environ.get("TEST_DATA_DIR", pathlib.Path(__file__).resolve().parent.parent / "data"))
KNOWN_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|cn|us-gov)-(north|south|east|west|central|northeast|southeast)+-\d")


def generator():
    spec = importlib.util.spec_from_file_location("generate", DATA / "endpoints" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class EndpointTableTest(unittest.TestCase):
    def test_the_botocore_installed_here_agrees_on_what_it_knows(self):
        try:
            resolve = generator().resolve
        except ImportError as error:
            self.skipTest(f"no botocore: {error}")
        cases = json.loads((DATA / "endpoints" / "cases.json").read_text(encoding="utf-8"))["cases"]
        known = [case for case in cases
                 if KNOWN_REGION.fullmatch(case["environment"].get("AWS_DEFAULT_REGION", "")) and case["config"] == "" and
                 not any("URL" in name for name in case["environment"])]
        different = []
        # every third: each takes botocore a tenth of a second
        for case in known[::3]:
            if resolve(case["environment"], case["config"]) != case["expected"]:
                different.append(case)
        self.assertGreater(len(known), 300)
        self.assertEqual(different, [])


if __name__ == "__main__":
    unittest.main()
