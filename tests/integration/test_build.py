"""What packagers rely on: their flags win, and the archive is the whole tree.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", ".")).resolve()
# Of the make that runs the tests, and of its flags, another build must know nothing.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS")}
# Not for those who build: what only the repository itself needs.
ONLY_IN_THE_REPOSITORY = {".gitignore"}


def run(*command, **more):
    done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} failed:\n{done.stdout[-3000:]}")
    return done.stdout


class ScratchTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = pathlib.Path(scratch.name)


class FlagsTest(ScratchTest):
    def fortified(self, *flags):
        """What a compilation says of _FORTIFY_SOURCE, in this order."""
        run(SOURCE / "configure", "-q", *flags, cwd=self.directory)
        shown = run("make", "-n", "V=1", "src/base/buf.lo", cwd=self.directory)
        return re.findall(r"[DU]_FORTIFY_SOURCE[=\d]*", shown)

    def test_without_a_word_it_is_fortified(self):
        self.assertEqual(self.fortified("CFLAGS=-O2"), ["D_FORTIFY_SOURCE=2"])

    def test_a_higher_level_in_the_preprocessors_flags_stands(self):
        self.assertEqual(self.fortified("CPPFLAGS=-D_FORTIFY_SOURCE=3", "CFLAGS=-O2"), ["D_FORTIFY_SOURCE=3"])

    def test_a_level_handed_through_the_compiler_stands(self):
        self.assertEqual(self.fortified("CFLAGS=-O2 -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3"),
                         ["U_FORTIFY_SOURCE", "D_FORTIFY_SOURCE=3"])

    def test_a_refusal_stands(self):
        self.assertEqual(self.fortified("CPPFLAGS=-U_FORTIFY_SOURCE", "CFLAGS=-O2"), ["U_FORTIFY_SOURCE"])

    def test_the_compilers_own_level_stands(self):
        compiler = self.directory / "fortifying-cc"
        compiler.write_text('#!/bin/sh\nexec cc -D_FORTIFY_SOURCE=3 "$@"\n')
        compiler.chmod(0o755)
        self.assertEqual(self.fortified(f"CC={compiler}", "CFLAGS=-O2"), [])

    def test_without_optimisation_it_is_not_asked_for(self):
        self.assertEqual(self.fortified("CFLAGS=-O0"), [])


class ArchiveTest(ScratchTest):
    def source_files(self):
        if (SOURCE / ".git").exists():
            return set(run("git", "-c", "safe.directory=*", "-C", SOURCE, "ls-files", "-z").rstrip("\0").split("\0"))
        return {str(file.relative_to(SOURCE)) for folder in ("docs", "etc", "include", "pam", "src", "tests")
                for file in (SOURCE / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts}

    def test_every_file_of_the_tree_is_in_the_archive(self):
        run("make", "-C", BUILD, "distdir", f"distdir={self.directory}/tree")
        missing = [name for name in self.source_files() - ONLY_IN_THE_REPOSITORY
                   if (SOURCE / name).exists() and not (self.directory / "tree" / name).exists()]
        self.assertEqual(sorted(missing), [])

    def test_the_archives_scripts_can_be_run(self):
        run("make", "-C", BUILD, "distdir", f"distdir={self.directory}/tree")
        for name in ("check", "quickstart", "configure", ".ci/run"):
            self.assertTrue(os.access(self.directory / "tree" / name, os.X_OK), name)

    def test_everybody_can_run_the_scripts_of_an_archive_made_under_a_private_umask(self):
        tree = self.directory / "tree"
        tree.mkdir()
        for name, mode in (("script", 0o700), ("text", 0o600)):
            (tree / name).touch(mode)
        run("make", "-C", BUILD, "dist-hook", f"distdir={tree}")
        self.assertEqual([stat.S_IMODE((tree / name).stat().st_mode) for name in ("script", "text")], [0o755, 0o600])

    def test_the_archive_needs_no_test_to_be_run(self):
        planned = run("make", "-n", "-C", BUILD, "distdir", f"distdir={self.directory}/tree")
        self.assertNotIn("check-TESTS", planned)
        self.assertNotIn("check-am", planned)


class FuzzTest(unittest.TestCase):
    def test_every_fuzz_target_is_built_told_and_has_seeds(self):
        folder = SOURCE / "tests/fuzz"
        targets = {file.stem.removeprefix("fuzz_") for file in folder.glob("fuzz_*.c")}
        listed = re.search(r"^fuzz_targets = \\\n((?:\t.*\n)+)", (folder / "Makemodule.am").read_text(), re.M).group(1)
        told = re.findall(r"\| `(\w+)` \|$", (folder / "README.md").read_text(), re.M)
        self.assertEqual(set(listed.replace("\\", "").split()), targets)
        self.assertEqual(sorted(told), sorted(targets))
        for target in targets:
            self.assertTrue(any((folder / "corpus" / target).iterdir()), target)

    def test_the_fuzz_table_names_parsers_that_are_there(self):
        table = (SOURCE / "tests/fuzz/README.md").read_text()
        parsers = re.findall(r"`([a-z/_0-9]+/[a-z_0-9]+\.c)`", table)
        self.assertGreater(len(parsers), 15)
        self.assertEqual([name for name in parsers if not (SOURCE / "src" / name).exists()], [])


if __name__ == "__main__":
    unittest.main()
