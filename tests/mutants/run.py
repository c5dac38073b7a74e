#!/usr/bin/python3
"""run.py [--mutants N] [--seconds S] [--seed S] [--list] [PATH...]: shows which changes of the code no test notices.

A mutant is one small change of one line of src/ or pam/: a condition turned round, a bound moved by one, a statement
left out, another constant.  Each is made in a copy of the tree, and what belongs to its file by the table beside this
program (tests.txt) is built and run, the fastest first, until one fails.  A mutant that none notices is a survivor:
shown as a diff, and a failure unless explained.txt tells why it is none.

Which mutants: those of all rooms in turn, in an order that the seed and the mutant's own text decide, so that a
change elsewhere makes no other choice.  PATH: only of files that begin so.  SPDX-License-Identifier: Apache-2.0
"""
import argparse
import fnmatch
import functools
import hashlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
# A test that hangs has noticed too.
UNIT_TEST_WITHIN_S, TEST_WITHIN_S = 60, 240
NOT_BUILT, NOT_JUDGED, NEEDS_ROOT = "not built", "not judged", "of which only root can judge"
# A mutant may signal processes that it should not: it sees none but its own, and they end with it.  The shell is their
# init, so that no test gets children that are not its own.
ALONE = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-current-user"]), "--pid", "--fork", "--kill-child",
         "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh"]

SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "+": "-", "-": "+",
         "true": "false", "false": "true"}
OPERATOR = re.compile(r" (<=|>=|==|!=|&&|\|\||<|>|\+|-) ")
TRUTH = re.compile(r"\b(true|false)\b")
NUMBER = re.compile(r"(?<![\w.\"])(\d+)(?![\w.\"])")
CONDITION = re.compile(r"^(\t+(?:\} else )?(?:if|while) \()(.*)(\)(?: \{)?)$")
CALL = re.compile(r"^(\t+)(?:\(void\))?[a-z_]\w*(?:(?:->|\.)\w+)*\(.*\);(?: /\*.*\*/)?$")
ASSIGNMENT = re.compile(r"^(\t+)\*?[a-z_][\w\[\]]*(?:(?:->|\.)[\w\[\]]+)* (?:[-+|&]?=) .*;$")
# What only a leak would tell is the sanitizers' part.
RELEASE = re.compile(r"(?:\b|_)(?:free|clear|put|fclose|dlclose|wipe_string)\(")
CODE_RETURN = re.compile(r"^(\t+return )(AWSFLOCK_[A-Z_]+|PAM_[A-Z_]+)(;)$")


class Mutant:
    """LINE (from 0) of PATH becomes NEW."""

    def __init__(self, path, line, old, new):
        self.path, self.line, self.old, self.new = path, line, old, new

    def rank(self, seed):
        return hashlib.sha256(f"{seed}\0{self.path}\0{self.old}\0{self.new}".encode()).digest()

    def room(self):
        return str(pathlib.PurePath(self.path).parent)

    def diff(self):
        return f"{self.path}:{self.line + 1}\n- {self.old.strip()}\n+ {self.new.strip()}"

    def key(self):
        return self.path, self.old.strip(), self.new.strip()


def masked(line):
    """LINE with what stands in quotes and comments made unrecognisable, at its length."""
    return re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?(?:\*/|$)', lambda m: "\"" * len(m.group()), line)


def swapped(line, shown, pattern, replace):
    for match in pattern.finditer(shown):
        begin, end = match.span(1)
        yield line[:begin] + replace(match.group(1)) + line[end:]


def changes(line):
    """What one line may become."""
    shown = masked(line)
    yield from swapped(line, shown, OPERATOR, SWAPS.get)
    yield from swapped(line, shown, TRUTH, SWAPS.get)
    yield from swapped(line, shown, NUMBER, lambda digits: str(int(digits, 10) + 1))
    if match := CONDITION.match(line):
        if shown.count("(") == shown.count(")"):
            yield f"{match.group(1)}!({match.group(2)}){match.group(3)}"
    if not RELEASE.search(line) and (match := CALL.match(line) or ASSIGNMENT.match(line)):
        yield f"{match.group(1)};"
    if match := CODE_RETURN.match(line):
        other = {"AWSFLOCK_OK": "AWSFLOCK_INTERNAL", "PAM_SUCCESS": "PAM_SYSTEM_ERR"}.get(
            match.group(2), "PAM_SUCCESS" if match.group(2).startswith("PAM") else "AWSFLOCK_OK")
        yield f"{match.group(1)}{other}{match.group(3)}"


def mutants_of(path):
    """Of the bodies of the functions alone: tables and comments are left as they are."""
    inside = commented = False
    for number, line in enumerate((SOURCE / path).read_text().split("\n")):
        if line in ("{", "}"):
            inside = line == "{"
        begins, commented = commented, ("/*" in line or commented) and "*/" not in line
        if inside and line.startswith("\t") and not begins:
            for new in changes(line):
                yield Mutant(path, number, line, new)


def chosen(prefixes, seed):
    """All mutants, those of each room in turn."""
    rooms = {}
    for file in sorted([*SOURCE.glob("src/**/*.c"), *SOURCE.glob("pam/*.c"), *SOURCE.glob("sudo/*.c")]):
        path = str(file.relative_to(SOURCE))
        if not prefixes or path.startswith(tuple(prefixes)):
            for mutant in mutants_of(path):
                rooms.setdefault(mutant.room(), []).append(mutant)
    for mutants in rooms.values():
        mutants.sort(key=lambda mutant: mutant.rank(seed))
    for turn in itertools.zip_longest(*rooms.values()):
        yield from (mutant for mutant in turn if mutant)


def explained():
    """{(path, old, new): reason}; an explanation of a line that is no more there is an error."""
    reasons = {}
    text = re.sub(r"^#.*\n", "", (HERE / "explained.txt").read_text(), flags=re.M)
    for block in text.strip().split("\n\n"):
        if not block:
            continue
        path, old, new, *reason = block.split("\n")
        if old[:2] != "- " or new[:2] != "+ " or not reason:
            sys.exit(f"explained.txt: cannot be read: {block}")
        if not any(mutant.key() == (path, old[2:], new[2:]) for mutant in mutants_of(path)):
            sys.exit(f"explained.txt: no such mutant any more: {block}")
        reasons[path, old[2:], new[2:]] = " ".join(reason)
    return reasons


@functools.cache
def table():
    """(pattern, tests) of each line, as they are now; a test that is no more there is an error."""
    rows = []
    for line in (HERE / "tests.txt").read_text().split("\n"):
        pattern, *tests = line.split("#")[0].split() or [None]
        for test in tests:
            if not any((SOURCE / name).exists() for name in (test, f"{test}.c")):
                sys.exit(f"tests.txt: no such test any more: {test}")
        if pattern:
            rows.append((pattern, tests))
    return rows


def tests_of(path):
    """The first line of the table whose pattern fits."""
    for pattern, tests in table():
        if fnmatch.fnmatchcase(path, pattern):
            return tests
    sys.exit(f"tests.txt: no test belongs to {path}")


def not_source(directory, names):
    """Builds, whatever they are called, and what belongs to the repository."""
    return [name for name in names if name in (".git", "autom4te.cache", "__pycache__")
            or os.path.exists(os.path.join(directory, name, "config.status"))]


class Copy:
    """A copy of the tree, built."""

    def __init__(self, directory):
        self.said, self.trusted = "", {}
        self.tree, self.build = directory / "tree", directory / "build"
        shutil.copytree(SOURCE, self.tree, symlinks=True, ignore=not_source)
        self.build.mkdir()
        self.must([self.tree / "configure", "-q", "CFLAGS=-O0"])
        self.must(["make", "-s", "-j2"])
        self.must(["make", "-s", "test-environment"])
        self.test_environment = dict(pair.split("=", 1) for pair in self.said.rstrip("\0").split("\0"))

    def run(self, command, seconds=600, environment=None):
        """Whether it succeeds; what it leaves running is not waited for."""
        environment = {name: value for name, value in (environment or os.environ).items()
                       if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, cwd=self.build, env=environment, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                code = process.wait()
            except BaseException:
                os.killpg(process.pid, 9)
                raise
            output.seek(0)
            self.said = output.read().decode(errors="replace")
        return code == 0

    def must(self, command):
        if not self.run(command):
            sys.exit(f"{command}:\n{self.said[-3000:]}")

    def built(self, test):
        """`all` would be another make beside this one, and both would write the same files."""
        if test.startswith("tests/unit/"):
            return self.run(["make", "-s", "-j2", test, *(["libfake.la", "pam_under_test.la", "tests/support/fake_keeper"]
                                                          if test.endswith("pam_module") else [])])
        if test.startswith("tests/session/"):
            return self.run(["make", "-s", "-j2", "all-am", "tests/session/installed.stamp", "tests/session/failing_calls.la",
                             "tests/support/crowd", "tests/support/pam_host"])
        return self.run(["make", "-s", "-j2", "all-am", "tests/sim/sim", "tests/faults/worker", "tests/support/store_local_driver"])

    def passes(self, test):
        """Without automake's driver, which waits for whatever holds the test's output."""
        if test.startswith("tests/unit/"):
            return self.run([*ALONE, self.build / test], UNIT_TEST_WITHIN_S, self.test_environment)
        command = ["/usr/bin/python3", "-B", self.tree / "tests/support/taprun.py", self.tree / test]
        return self.run([*ALONE, *command], TEST_WITHIN_S, self.test_environment) and "\nnot ok" not in self.said

    def is_trusted(self, test):
        """What fails without a mutant as well says nothing."""
        if test not in self.trusted:
            self.trusted[test] = self.built(test) and self.passes(test)
            if not self.trusted[test]:
                print(f"{test} fails without a mutant:\n{self.said[-2000:]}", flush=True)
        return self.trusted[test]

    def first_failure(self, tests):
        """The test that fails, NOT_BUILT, NEEDS_ROOT, or None."""
        passed = None
        for test in tests:
            if test.startswith("tests/session/") and os.geteuid() != 0:
                passed = NEEDS_ROOT
            elif not self.built(test):
                return NOT_BUILT
            elif not self.passes(test):
                return test
        return passed

    def judge(self, mutant):
        """The test that notices the mutant, NOT_JUDGED, or as first_failure() says."""
        file = self.tree / mutant.path
        text = file.read_text()
        lines = text.split("\n")
        lines[mutant.line] = mutant.new
        file.write_text("\n".join(lines))
        try:
            failed = self.first_failure(tests_of(mutant.path))
        finally:
            file.write_text(text)
        if failed in (None, NOT_BUILT, NEEDS_ROOT) or self.is_trusted(failed):
            return failed
        return NOT_JUDGED


def judge_all(copy, mutants, reasons, until):
    counts = {"killed": 0, "survived": 0, "explained": 0, NOT_BUILT: 0, NOT_JUDGED: 0, NEEDS_ROOT: 0}
    for mutant in mutants:
        if time.monotonic() > until:
            break
        if mutant.key() in reasons:
            counts["explained"] += 1
            continue
        failed = copy.judge(mutant)
        verdict = failed if failed in (NOT_BUILT, NOT_JUDGED, NEEDS_ROOT) else "killed" if failed else "survived"
        counts[verdict] += 1
        print(f"{verdict}{' by ' + failed if verdict == 'killed' else ''}: {mutant.diff()}", flush=True)
    return counts


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    parser = argparse.ArgumentParser(usage=__doc__.split(":")[0])
    parser.add_argument("--mutants", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=3600, help="begin no further mutant after that")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--list", action="store_true", help="only show which they are")
    parser.add_argument("--directory", type=pathlib.Path, help="make the copy below it")
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    reasons = explained()
    table()
    mutants = list(itertools.islice(chosen(options.paths, options.seed), options.mutants))
    if options.list:
        print("\n".join(mutant.diff() for mutant in mutants))
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        copy = Copy(pathlib.Path(directory))
        counts = judge_all(copy, mutants, reasons, began + options.seconds)
    print(f"mutants: seed {options.seed}, {time.monotonic() - began:.0f} s: "
          + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["survived"] or counts[NOT_JUDGED] or not counts["killed"] else 0


if __name__ == "__main__":
    sys.exit(main())
