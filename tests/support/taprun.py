#!/usr/bin/python3
"""taprun.py FILE.py [TEST...]: runs one unittest file and tells the result as TAP, test by test as it goes.

Automake's TAP driver reads it; the exit code is 0 once all have been told, since a failed test that also made the
program fail would be counted twice.  A test that hangs is ended, with every thread's stack, after
AWSFLOCK_TEST_TIMEOUT seconds (default 300).  SPDX-License-Identifier: Apache-2.0
"""
import faulthandler
import importlib.util
import os
import pathlib
import sys
import unittest


def one_line(text):
    return " ".join(str(text).split()).replace("#", "")


def limit_time():
    """Each test has that long, and so has what comes before the first."""
    faulthandler.dump_traceback_later(float(os.environ.get("AWSFLOCK_TEST_TIMEOUT", "300")), exit=True)


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0
        self.subtest_failed = False

    def startTest(self, test):
        super().startTest(test)
        limit_time()
        self.subtest_failed = False

    def line(self, word, test, directive="", details=""):
        self.number += 1
        name = test.id() if hasattr(test, "id") else test
        name = name.replace("under_test.", "", 1).replace("_", " ")
        print(f"{word} {self.number} - {one_line(name)}{directive}")
        for detail in details.splitlines()[-60:]:
            print("# " + detail[:400])
        sys.stdout.flush()

    def addSuccess(self, test):
        if not self.subtest_failed:
            self.line("ok", test)

    def addSkip(self, test, reason):
        self.line("ok", test, f" # SKIP {one_line(reason)}")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.line("not ok", test, details=self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.line("not ok", test, details=self.errors[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.subtest_failed = True
            self.line("not ok", subtest, details=self._exc_info_to_string(error, test))

    def addExpectedFailure(self, test, error):
        self.line("not ok", test, " # TODO expected to fail")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.line("not ok", test, details="succeeded, and was expected to fail")


def load(path):
    spec = importlib.util.spec_from_file_location("under_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["under_test"] = module
    spec.loader.exec_module(module)
    return module


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    sys.dont_write_bytecode = True
    for directory in (pathlib.Path(__file__), pathlib.Path(arguments[0])):
        sys.path.insert(0, str(directory.resolve().parent))
    limit_time()
    print("TAP version 13", flush=True)
    module = load(arguments[0])
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(arguments[1:], module) if arguments[1:] else loader.loadTestsFromModule(module)
    result = TapResult()
    suite.run(result)
    print(f"1..{result.number}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
