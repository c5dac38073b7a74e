#!/usr/bin/python3
"""run.py [--quick|--long] [--list] [--trail] [WORD...]: checks the bounded model of the lock, lock.pml, with spin.

Each case is one search, through everything that can happen within its bounds.  The protocol as it is must keep every
promise in all of it; each mutant, which undoes one rule, must break the promise that stands beside it: else the
model would prove nothing.  Cases share one verifier for each number of clients and differ in its environment.
Prints one line for each case and one of figures at the end; on failure also the counterexample, in the code's words.
--quick (the default, also as a test: see taprun.py) takes about a minute, --long much more.  WORD: only cases whose
name contains it.  --trail: also show the counterexamples that were expected.  SPDX-License-Identifier: Apache-2.0
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE / "lock.pml"
JOBS = 2
MEMORY_MB = 3500
DEPTH = 2_000_000
CFLAGS = ["-O1", "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-DVECTORSZ=2048", f"-DMEMLIM={MEMORY_MB}"]

# What every case starts from; see "A case" in lock.pml for what the words mean.
USUAL = {"SECONDS": 3, "HORIZON": 10, "TRIES": 1, "RENEWS": 1}

# The protocol as it is.  name, clients, suite, what differs from the usual.
SOUND = [
    ("two clients, an attempt lost or repeated", 2, "quick", {"FAULTS": 1}),
    ("two clients, a slow reply", 2, "quick", {"SLOW": 1}),
    ("two clients, a slow reply, a Date cut to the second", 2, "quick", {"SLOW": 1, "CUT": 1, "RENEWS": 0}),
    ("two clients, wrong clocks", 2, "quick", {"CLOCK_ERROR": 8}),
    ("two clients, wrong clocks, an attempt lost or repeated", 2, "quick",
     {"CLOCK_ERROR": 8, "FAULTS": 1, "RENEWS": 0}),
    ("two clients, wrong clocks that step, a Date cut to the second", 2, "quick",
     {"CLOCK_ERROR": 8, "CLOCK_STEPS": 1, "CUT": 1, "RENEWS": 0}),
    ("two clients, each step a new process, wrong clocks", 2, "quick", {"FRESH": 1, "CLOCK_ERROR": 8}),
    ("two clients, shortening renewals, an attempt lost", 2, "quick", {"SHORTER": 1, "FAULTS": 1}),
    ("two clients, two tries each", 2, "quick", {"TRIES": 2, "FAULTS": 1, "RENEWS": 0}),
    ("two clients, TTL, wrong clocks", 2, "quick", {"TTL": 1, "CLOCK_ERROR": 8}),
    ("two clients, TTL, each step a new process, wrong clocks, an attempt lost", 2, "quick",
     {"FRESH": 1, "TTL": 1, "CLOCK_ERROR": 8, "FAULTS": 1, "RENEWS": 0, "HORIZON": 6}),
    ("two clients, an eviction, renewals", 2, "quick", {"BREAKS": 1}),
    ("two clients, an eviction, an attempt lost", 2, "quick", {"BREAKS": 1, "FAULTS": 1, "RENEWS": 0}),
    ("two clients, a write delivered twice", 2, "quick", {"DOUBLED": 1}),
    ("two clients, a write delivered twice, wrong clocks", 2, "quick",
     {"DOUBLED": 1, "CLOCK_ERROR": 8, "RENEWS": 0}),
    ("two clients, a write delivered twice, each step a new process, wrong clocks", 2, "quick",
     {"DOUBLED": 1, "FRESH": 1, "CLOCK_ERROR": 8, "HORIZON": 5}),
    ("two clients, a write delivered twice, two tries each", 2, "quick", {"DOUBLED": 1, "TRIES": 2, "RENEWS": 0}),
    ("two clients, a Python peer with a right clock", 2, "quick", {"PYTHON": 1, "FAULTS": 1, "RENEWS": 0}),
    ("two clients, a Python peer within its clock's tolerance", 2, "quick",
     {"PYTHON": 1, "PYTHON_ERROR": 2, "CLOCK_ERROR": 8, "RENEWS": 0}),
    ("three clients", 3, "quick", {"RENEWS": 0}),

    ("two clients, two attempts lost or repeated", 2, "long", {"FAULTS": 2}),
    ("two clients, a write delivered twice, an attempt lost", 2, "long", {"DOUBLED": 1, "FAULTS": 1, "HORIZON": 8}),
    ("two clients, two writes delivered twice, wrong clocks", 2, "long",
     {"DOUBLED": 2, "CLOCK_ERROR": 8, "HORIZON": 8}),
    ("two clients, a write delivered twice, two tries each, an attempt lost", 2, "long",
     {"DOUBLED": 1, "TRIES": 2, "FAULTS": 1, "RENEWS": 0, "HORIZON": 8}),
    ("two clients, a copy that is carried out twice, a slow reply", 2, "long",
     {"DUPLICATES": 1, "SLOW": 1, "HORIZON": 8}),
    ("two clients, a copy that is carried out twice, an attempt lost", 2, "long",
     {"DUPLICATES": 1, "FAULTS": 1, "HORIZON": 8}),
    ("two clients, two slow replies, a Date cut to the second", 2, "long", {"SLOW": 2, "CUT": 1, "RENEWS": 0}),
    ("two clients, wrong clocks, a slow reply", 2, "long", {"CLOCK_ERROR": 8, "SLOW": 1}),
    ("two clients, wrong clocks, an attempt lost, renewals", 2, "long", {"CLOCK_ERROR": 8, "FAULTS": 1}),
    ("two clients, wrong clocks that step, a slow reply", 2, "long", {"CLOCK_ERROR": 8, "CLOCK_STEPS": 1, "SLOW": 1}),
    ("two clients, each step a new process, wrong clocks, an attempt lost", 2, "long",
     {"FRESH": 1, "CLOCK_ERROR": 8, "FAULTS": 1, "HORIZON": 8}),
    ("two clients, two shortening renewals, an attempt lost", 2, "long",
     {"SECONDS": 5, "SHORTER": 1, "FAULTS": 1, "RENEWS": 2}),
    ("two clients, two tries each, a slow reply", 2, "long", {"TRIES": 2, "SLOW": 1}),
    ("two clients, two tries each, a slow reply, an attempt lost", 2, "long",
     {"TRIES": 2, "SLOW": 1, "FAULTS": 1, "RENEWS": 0, "HORIZON": 6}),
    ("two clients, two tries each, two attempts lost", 2, "long", {"TRIES": 2, "FAULTS": 2, "RENEWS": 0}),
    ("two clients, TTL, wrong clocks, an attempt lost", 2, "long",
     {"TTL": 1, "CLOCK_ERROR": 8, "FAULTS": 1, "RENEWS": 0}),
    ("two clients, TTL, a slow reply, a Date cut to the second", 2, "long", {"TTL": 1, "SLOW": 1, "CUT": 1}),
    ("two clients, an eviction, an attempt lost, a slow reply", 2, "long",
     {"BREAKS": 1, "FAULTS": 1, "SLOW": 1, "HORIZON": 8}),
    ("two clients, a Python peer, an attempt lost", 2, "long",
     {"PYTHON": 2, "PYTHON_ERROR": 2, "FAULTS": 1}),
    ("three clients, an attempt lost", 3, "long", {"FAULTS": 1, "RENEWS": 0}),
    ("three clients, wrong clocks", 3, "long", {"CLOCK_ERROR": 8, "RENEWS": 0, "HORIZON": 8}),
    ("three clients, two tries each", 3, "long", {"TRIES": 2, "RENEWS": 0}),
    ("three clients, renewals", 3, "long", {}),
]

# Of two guards against one fault either is enough; both undone are a mutant.
SOUND += [
    ("two clients, attribute_not_exists(released_time) left out of renew alone", 2, "quick",
     {"MUTANT": "RENEW_IGNORES_RELEASED", "HORIZON": 2, "FAULTS": 2, "RENEWS": 2}),
    ("two clients, a tombstone's id remembered as a lease's alone", 2, "quick",
     {"MUTANT": "TOMBSTONE_ID_REMEMBERED", "HORIZON": 2, "FAULTS": 2, "RENEWS": 2}),
]

# Mutants.  name in lock.pml, the promise that it must break, clients, suite, what differs from the usual.
MUTANTS = [
    # Found once by hand.
    ("EXPIRY_FROM_BEFORE_THE_WAIT", "exclusion", 3, "quick", {"TRIES": 2, "RENEWS": 0}),
    ("ONE_LEASE_ID", "exclusion", 2, "quick", {"RENEWS": 2, "FAULTS": 1}),
    ("DEADLINE_FROM_THE_REPLY", "exclusion", 2, "quick", {"SLOW": 1}),
    ("REFUSED_AT_ITS_WORD", "told_rightly", 2, "quick", {"FAULTS": 1}),
    ("UNKNOWN_CLOCK_TRUSTED", "exclusion", 2, "quick", {"CLOCK_ERROR": 8}),
    ("NO_DEADLINE", "exclusion", 2, "quick", {}),
    # Earlier wordings of protocol.md.
    ("POINT_OF_SERVER_TIME", "exclusion", 2, "quick", {"SLOW": 1, "CLOCK_ERROR": 8, "RENEWS": 0}),
    ("NO_EXPIRY_MARGIN", "exclusion", 2, "quick", {"SECONDS": 4, "TTL": 1, "CUT": 1, "RENEWS": 0, "CLOCK_ERROR": 1}),
    ("FRESH_RENEW_NOT_CONFIRMED", "exclusion", 2, "quick", {"FRESH": 1, "CLOCK_ERROR": 8}),
    ("SHORTENS_WHEN_CONFIRMED", "exclusion", 2, "quick", {"SECONDS": 8, "SHORTER": 1, "FAULTS": 1}),
    ("CORRECTION_KEEPS_FENCE", "rising_fences", 2, "quick", {"CLOCK_ERROR": 8, "TTL": 1}),
    ("EARLIER_IDS_FORGOTTEN", "told_rightly", 2, "quick", {"TRIES": 2, "FAULTS": 1}),
    ("LATE_SUCCESS_REPORTED", "told_rightly", 2, "quick", {"SLOW": 1}),
    ("RENEW_REVIVES_TOMBSTONE", "no_zombie", 2, "quick", {"HORIZON": 2, "FAULTS": 2, "RENEWS": 2}),
    # Rules that the model or the code added.
    ("RELEASE_DELETES", "no_zombie", 2, "quick", {"FAULTS": 1}),
    ("FENCE_BELOW_EARLIER_TRY", "no_zombie", 2, "quick", {"CLOCK_ERROR": 8, "FAULTS": 1}),
    ("FENCE_FROM_TIME_ALONE", "rising_fences", 2, "quick", {"CLOCK_ERROR": 14}),
    ("ONLY_IF_LONGER_LEFT_OUT", "exclusion", 2, "quick", {"HORIZON": 5, "FRESH": 1, "CLOCK_ERROR": 8, "FAULTS": 1}),
    ("LATE_EXPIRY_KEPT", "free_again", 2, "quick", {"CLOCK_ERROR": 8}),
    ("TOMBSTONE_LEFT_TO_TTL", "rising_fences", 2, "quick", {"CLOCK_ERROR": 8, "TTL": 1}),
    ("GIVEN_BACK_NOT_SETTLED", "rising_fences", 2, "quick",
     {"CLOCK_ERROR": 8, "TTL": 1, "FAULTS": 1, "RENEWS": 0, "HORIZON": 4}),
    ("OWN_TOMBSTONE_NOT_SETTLED", "rising_fences", 2, "quick",
     {"FRESH": 1, "CLOCK_ERROR": 8, "TTL": 1, "FAULTS": 1, "RENEWS": 0, "HORIZON": 4}),
    ("GIVEN_BACK_IDS_FORGOTTEN", "told_rightly", 2, "quick",
     {"TRIES": 2, "SLOW": 1, "FAULTS": 1, "RENEWS": 0, "HORIZON": 5}),
    ("DOUBLED_SUCCESS_FORGOTTEN", "told_rightly", 2, "quick", {"DOUBLED": 1, "FRESH": 1, "CLOCK_ERROR": 8}),
    ("REFUSED_TRY_FORGOTTEN", "told_rightly", 2, "quick", {"DOUBLED": 1, "TRIES": 2, "RENEWS": 0}),
    ("EVICTION_OF_ANOTHER_FREED", "exclusion", 2, "quick", {"BREAKS": 1, "SLOW": 1, "HORIZON": 14}),
    ("BREAK_AT_ONCE", "exclusion", 2, "quick", {"BREAKS": 1}),
]

# Known limits: what the model must still show as broken, so that the documents go on saying so.
LIMITS = [
    ("a Python peer beyond its clock's tolerance", "exclusion", 2, "quick", {"PYTHON": 1, "PYTHON_ERROR": 8}),
]


class Case:
    def __init__(self, name, clients, suite, settings, breaks=None, mutant=None):
        self.name, self.clients, self.suite, self.breaks = name, clients, suite, breaks
        self.settings = {**USUAL, **settings}
        self.mutant = self.settings.pop("MUTANT", mutant)


def all_cases():
    cases = [Case(f"holds: {name}", clients, suite, settings) for name, clients, suite, settings in SOUND]
    for mutant, promise, clients, suite, settings in MUTANTS:
        name = f"{mutant.lower()} breaks {promise}"
        cases.append(Case(f"mutant: {name}", clients, suite, settings, promise, mutant))
    for name, promise, clients, suite, settings in LIMITS:
        cases.append(Case(f"limit: {name} breaks {promise}", clients, suite, settings, promise))
    return cases


class Result:
    """What one search said.  wrong: why it is not as expected, or None."""

    def __init__(self, case, text, seconds):
        number = {}
        for key, pattern in (("states", r"(\S+) states, stored"), ("depth", r"depth reached (\d+)"),
                             ("megabytes", r"([\d.]+)\s+total actual memory usage")):
            found = re.search(pattern, text)
            number[key] = int(float(found.group(1))) if found else 0
        self.case, self.seconds, self.trail = case, seconds, ""
        self.states, self.depth, self.megabytes = number["states"], number["depth"], number["megabytes"]
        violated = re.search(r"assertion violated (.*?) \(at depth", text)
        self.broken = violated.group(1) if violated else None
        complete = "errors: 0" in text and not re.search(
            r"max search depth too small|Search not completed|BITSTATE|reached -DMEMLIM|error: ", text)
        if case.breaks is None:
            self.wrong = f"breaks {self.broken}" if self.broken else None if complete else "the search is not complete"
        elif self.broken != case.breaks:
            self.wrong = f"breaks {self.broken}, not {case.breaks}" if self.broken else f"does not break {case.breaks}"
        else:
            self.wrong = None
        if not self.broken and not complete:
            self.trail = text[-2000:]

    def line(self):
        verdict = "ok    " if not self.wrong else "FAILED"
        return (f"{verdict} {self.case.name}: {self.states} states, depth {self.depth}, {self.seconds:.1f} s"
                + (f": {self.wrong}" if self.wrong else ""))


class Checker:
    """Builds one verifier for each number of clients, when it is first needed, and runs cases."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="awsflock-model-"))
        self.locks = {2: threading.Lock(), 3: threading.Lock()}
        source = MODEL.read_text()
        self.mutants = {name: int(number) for name, number in re.findall(r"#define MUTANT_(\w+) (\d+)", source)}
        self.promises = {name: int(number) for name, number in re.findall(r"#define CHECK_(\w+) (\d+)", source)}
        words = re.search(r"mtype = \{([^}]*)\}", source).group(1).split(",")
        self.kinds = {str(len(words) - place): word.strip() for place, word in enumerate(words)}

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def verifier(self, clients):
        directory = self.directory / str(clients)
        with self.locks[clients]:
            if not (directory / "pan").exists():
                directory.mkdir(exist_ok=True)
                for command in (["spin", "-a", f"-DCLIENTS={clients}", str(MODEL)],
                                ["gcc", *CFLAGS, "-o", "pan.new", "pan.c"], ["mv", "pan.new", "pan"]):
                    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
                    if done.returncode != 0:
                        raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}"[-3000:])
        return directory / "pan"

    def run(self, case):
        pan = self.verifier(case.clients)
        settings = {name: str(value) for name, value in case.settings.items()}
        settings["CHECK"] = str(self.promises[case.breaks] if case.breaks else 0)
        settings["MUTANT"] = str(self.mutants[case.mutant] if case.mutant else 0)
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            started = time.monotonic()
            done = subprocess.run([str(pan), "-E", f"-m{DEPTH}", "-w20"], cwd=directory, env=settings,
                                  capture_output=True, text=True)
            result = Result(case, done.stdout + done.stderr, time.monotonic() - started)
            if result.broken:
                result.trail = self.replay(pan, directory, settings)
        return result

    def replay(self, pan, directory, settings):
        """The steps that led there; pan prints the model's own printf()s."""
        done = subprocess.run([str(pan), "-r", "-n", "-S", "lock.pml.trail"], cwd=directory, env=settings,
                              capture_output=True, text=True)
        steps = [line.strip() for line in done.stdout.splitlines() if re.match(r"\s*\d+: ", line)]
        steps = [re.sub(r"write_kind_(\d)", lambda kind: self.kinds[kind.group(1)], line) for line in steps]
        return "\n".join(["(the first number is the second at which it happens)", *steps][:80])


def run_all(cases, checker, each):
    """Calls EACH with the results in the table's order, and returns them."""
    results = []
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for future in [pool.submit(checker.run, case) for case in cases]:
            results.append(future.result())
            each(results[-1])
    return results


def figures(results, seconds):
    sound = [result for result in results if result.case.breaks is None]
    seeded = [result for result in results if result.case.breaks is not None]
    return (f"model: {sum(not result.wrong for result in sound)} of {len(sound)} cases hold in all of "
            f"{sum(result.states for result in sound)} states (depth {max([0] + [r.depth for r in sound])}), "
            f"{sum(not result.wrong for result in seeded)} of {len(seeded)} mutants and limits found, "
            f"{sum(bool(result.wrong) for result in results)} failed, {seconds:.0f} s")


# ---- As a test: one for each case of the quick suite

class BoundedModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.checker = Checker()
        cls.addClassCleanup(cls.checker.close)
        pool = concurrent.futures.ThreadPoolExecutor(JOBS)
        cls.addClassCleanup(pool.shutdown)
        cls.results = {case.name: pool.submit(cls.checker.run, case) for case in all_cases() if case.suite == "quick"}

    def result_is_as_expected(self, name):
        result = self.results[name].result()
        if result.wrong:
            self.fail(f"{result.line()}\n{result.trail}")


def add_test(number, name):
    words = re.sub(r"\W+", "_", name)
    setattr(BoundedModel, f"test_{number:02}_{words}", lambda self: self.result_is_as_expected(name))


for number, quick_case in enumerate(case for case in all_cases() if case.suite == "quick"):
    add_test(number, quick_case.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="the quick suite (the default)")
    parser.add_argument("--long", action="store_true", help="the long suite")
    parser.add_argument("--list", action="store_true", help="only list the cases")
    parser.add_argument("--trail", action="store_true", help="show the counterexamples that were expected, too")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases whose name contains one of these")
    options = parser.parse_args()
    suite = "long" if options.long else "quick"
    cases = [case for case in all_cases() if case.suite == suite or options.words]
    if options.words:
        cases = [case for case in cases if any(word.lower() in case.name.lower() for word in options.words)]
    if options.list:
        for case in cases:
            print(f"{case.name}: {case.clients} clients, {case.settings}")
        return 0

    def each(result):
        print(result.line(), flush=True)
        if result.trail and (result.wrong or options.trail):
            print("    " + result.trail.replace("\n", "\n    "), flush=True)

    checker = Checker()
    started = time.monotonic()
    try:
        results = run_all(cases, checker, each)
    finally:
        checker.close()
    print(figures(results, time.monotonic() - started))
    return 1 if any(result.wrong for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
