#!/usr/bin/python3
"""mutants.py [--seeds N] [--scenario NAME] [NAME...]: shows that the simulation can fail.

Each patch in mutants/ breaks one promise in a copy of src/.  It is applied, what it touches is compiled and linked
with the simulation, and that must find it within a number of seeds in the scenario that the patch names.  A patch that
does not apply, or a mutant that is not found, is a failure.  SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
SEEDS = 30000
# What knows the structures of src/lock/*.h that a patch may change.
USERS_OF_HEADERS = ("acquisition.c", "lease.c", "operation.c", "wait.c", "heartbeat.c")


class MutantError(Exception):
    """The mutant could not be made."""


def names():
    return sorted(patch.stem for patch in (HERE / "mutants").glob("*.patch"))


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    return done.returncode, done.stdout


def flags(what):
    code, text = run(["pkg-config", what, "json-c", "libcrypto"])
    if code != 0:
        raise MutantError(text)
    return shlex.split(text)


def patched_files(text):
    return re.findall(r"^\+\+\+ b/(\S+)", text, re.MULTILINE)


def to_compile(files):
    found = {pathlib.PurePath(name) for name in files if name.endswith(".c")}
    if any(name.endswith(".h") for name in files):
        found |= {pathlib.PurePath("src/lock") / name for name in USERS_OF_HEADERS}
    return sorted(found)


def make(name, build, work):
    """The simulation's program over the mutant's code."""
    patch = HERE / "mutants" / f"{name}.patch"
    shutil.copytree(SOURCE / "src", work / "src", copy_function=shutil.copyfile)
    for directory in (path for path in (work / "src").rglob("*") if path.is_dir()):
        directory.chmod(0o755)  # the sources may be read-only
    (work / "src").chmod(0o755)
    code, text = run(["patch", "-p1", "--fuzz=0", "-f", "-d", str(work), "-i", str(patch)])
    if code != 0:
        raise MutantError(f"the patch does not apply:\n{text}")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    test_flags = shlex.split(os.environ.get("AWSFLOCK_TEST_CFLAGS", ""))
    objects = []
    for source in to_compile(patched_files(patch.read_text())):
        objects.append(str(work / (str(source).replace("/", "-") + ".o")))
        code, text = run([*compiler, *test_flags, "-std=c11", "-D_GNU_SOURCE", "-O1", "-w", f"-I{SOURCE}/include",
                          f"-I{work}/src", *flags("--cflags"), "-c", "-o", objects[-1], str(work / source)])
        if code != 0:
            raise MutantError(f"it does not compile:\n{text}")
    simulation = sorted(str(path) for path in (build / "tests/sim").glob("*.o"))
    code, text = run([*compiler, *test_flags, "-o", str(work / "sim"), *simulation, *objects,
                      str(build / ".libs/libinside.a"), str(build / ".libs/libbase.a"), *flags("--libs"), "-ldl",
                      "-lpthread"])
    if code != 0:
        raise MutantError(f"it does not link:\n{text}")
    return work / "sim"


def find(name, build, seeds=SEEDS, scenario=None):
    """The line that tells how the simulation found the mutant; None where it did not."""
    text = (HERE / "mutants" / f"{name}.patch").read_text()
    scenario = scenario or re.search(r"^Scenario: (.*)$", text, re.MULTILINE)[1]
    with tempfile.TemporaryDirectory(prefix="awsflock-mutant-") as directory:
        program = make(name, build, pathlib.Path(directory))
        code, text = run([str(program), "--runs", str(seeds), "--scenario", scenario])
    lines = [line for line in text.splitlines() if line.startswith("seed ")]
    if code == 1 and lines:
        return lines[0]
    if code == 0:
        return None
    raise MutantError(f"the simulation ended with {code}:\n{text[-2000:]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--scenario")
    parser.add_argument("--build", default=os.environ.get("AWSFLOCK_BUILD_DIR", "."))
    options = parser.parse_args()
    survivors = 0
    chosen = options.names or names()
    for name in chosen:
        try:
            found = find(name, pathlib.Path(options.build), options.seeds, options.scenario)
        except MutantError as error:
            found = None
            print(error)
        survivors += found is None
        print(f"{name}: {found or 'NOT FOUND'}", flush=True)
    print(f"mutants: {len(chosen) - survivors} of {len(chosen)} found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
