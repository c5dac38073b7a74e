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

import release_check

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", ".")).resolve()
HEADER = pathlib.Path("/usr/include/sudo_plugin.h")
# Of the make that runs the tests, and of its flags, another build must know nothing.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS")}
# What a compiler may know; none knows all of it for one machine.
HARDENING = ["-fcf-protection", "-mbranch-protection=standard", "-fstack-clash-protection", "-ftrivial-auto-var-init=zero"]


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

    def configure(self, *words):
        cache = self.directory / "config.cache"
        cache.write_text(facts_of_this_machine())
        run(SOURCE / "configure", "-q", "--disable-dependency-tracking", f"--cache-file={cache}", *words,
            cwd=self.directory)

    def compiler(self, script):
        """A compiler that SCRIPT looks at the words of first."""
        compiler = self.directory / "watched-cc"
        compiler.write_text(f'#!/bin/sh\n{script}\nexec cc "$@"\n')
        compiler.chmod(0o755)
        return f"CC={compiler}"


def facts_of_this_machine():
    """What configure has found out that no flag of a compiler's changes: it does not look for that again."""
    found = (BUILD / "config.log").read_text(errors="replace").split("## Cache variables. ##")[1].split("\n## ")[0]
    return "".join(re.findall(r"^(?:lt_cv_|ac_cv_(?:header|path|func|prog_(?:AWK|EGREP|FGREP|make))).*\n", found, re.M))


class FlagsTest(ScratchTest):
    def fortified(self, *flags):
        """What a compilation says of _FORTIFY_SOURCE, in this order."""
        self.configure(*flags)
        self.shown = run("make", "-n", "V=1", "src/base/buf.lo", cwd=self.directory)
        return re.findall(r"[DU]_FORTIFY_SOURCE[=\d]*", self.shown)

    def test_without_a_word_it_is_fortified_as_far_as_the_compiler_knows_how(self):
        asked = subprocess.run(["cc", "-O2", "-D_FORTIFY_SOURCE=3", "-E", "-"], text=True, capture_output=True,
                               input="#include <stdio.h>\n__USE_FORTIFY_LEVEL\n")
        level = 3 if asked.stdout.split()[-1] == "3" else 2
        self.assertEqual(self.fortified("CFLAGS=-O2"), [f"D_FORTIFY_SOURCE={level}"])

    def test_a_compiler_that_knows_less_gets_what_it_knows(self):
        newer = [*HARDENING, "-D_FORTIFY_SOURCE=3"]
        refuse = f'case " $* " in {"|".join(f"*{flag}*" for flag in newer)}) exit 1;; esac'
        self.assertEqual(self.fortified(self.compiler(refuse), "CFLAGS=-O2"), ["D_FORTIFY_SOURCE=2"])
        self.assertEqual([flag for flag in newer if flag in self.shown], [])
        self.assertIn("-fstack-protector-strong", self.shown)

    def test_a_compiler_that_knows_it_all_gets_it_all_and_the_distributions_flags_come_last(self):
        know = f'for word; do shift; case "$word" in {"|".join(HARDENING)}) ;; *) set -- "$@" "$word";; esac; done'
        self.fortified(self.compiler(know), "CFLAGS=-O2 -fno-common")
        for flag in HARDENING:
            self.assertRegex(self.shown, rf" {flag} .* -fno-common ")

    def test_a_higher_level_in_the_preprocessors_flags_stands(self):
        self.assertEqual(self.fortified("CPPFLAGS=-D_FORTIFY_SOURCE=3", "CFLAGS=-O2"), ["D_FORTIFY_SOURCE=3"])

    def test_a_level_handed_through_the_compiler_stands(self):
        self.assertEqual(self.fortified("CFLAGS=-O2 -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3"),
                         ["U_FORTIFY_SOURCE", "D_FORTIFY_SOURCE=3"])

    def test_a_refusal_stands(self):
        self.assertEqual(self.fortified("CPPFLAGS=-U_FORTIFY_SOURCE", "CFLAGS=-O2"), ["U_FORTIFY_SOURCE"])

    def test_the_compilers_own_level_stands(self):
        self.assertEqual(self.fortified(self.compiler('set -- -D_FORTIFY_SOURCE=3 "$@"'), "CFLAGS=-O2"), [])

    def test_without_optimisation_it_is_not_asked_for(self):
        self.assertEqual(self.fortified("CFLAGS=-O0"), [])


class SudoPluginTest(ScratchTest):
    """sudo's plugin is built where its header is, or as one says."""

    HIDE_HEADER = 'if grep -qs sudo_plugin.h conftest.c; then exit 1; fi'

    def of_the_plugin(self):
        """What `make` and `make install` and `make uninstall` would do about it."""
        shown = run("make", "-n", "V=1", "install", "uninstall", cwd=self.directory)
        return [line for line in shown.splitlines() if re.search(r"awsflock_sudo\.(la|so|8)|sudo\.conf\.d/\w", line)]

    @unittest.skipUnless(HEADER.exists(), "there is no sudo_plugin.h")
    def test_it_is_installed_where_one_says(self):
        self.configure("--with-sudo-plugin=yes", "--with-sudo-plugindir=/opt/plugins-of-sudo")
        shown = "\n".join(self.of_the_plugin())
        self.assertIn("list='awsflock_sudo.la'; test -n \"/opt/plugins-of-sudo\"", shown)
        self.assertIn("for plugin in awsflock_sudo.so; do rm -f '/opt/plugins-of-sudo'/$plugin", shown)

    def test_without_it_nothing_of_it_is_built_installed_or_removed(self):
        self.configure("--with-sudo-plugin=no")
        self.assertEqual(self.of_the_plugin(), [])

    def test_without_its_header_it_is_left_out(self):
        self.configure(self.compiler(self.HIDE_HEADER))
        self.assertEqual(self.of_the_plugin(), [])

    def assertConfigureRefuses(self, sentence, *words):
        with self.assertRaisesRegex(AssertionError, f"error: {re.escape(sentence)}\n"):
            self.configure(*words)

    def test_who_asks_for_it_without_its_header_is_told(self):
        self.assertConfigureRefuses(
            "no sudo_plugin.h of sudo 1.9.5 or later: install sudo, or leave out --with-sudo-plugin",
            self.compiler(self.HIDE_HEADER), "--with-sudo-plugin=yes")

    def test_another_word_is_refused(self):
        self.assertConfigureRefuses("--with-sudo-plugin takes yes, no or auto, not 'perhaps'",
                                    "--with-sudo-plugin=perhaps")


def made_with(name):
    """The words of a variable of the build's Makefile."""
    return re.search(rf"^{name} =(.*)$", (BUILD / "Makefile").read_text(), re.M).group(1).split()


def built(name):
    """What is installed as NAME: libtool keeps it in .libs, and leaves a script in its place."""
    real = BUILD / ".libs" / name
    return real if real.exists() else BUILD / name


def is_sanitized():
    return any(flag.startswith("-fsanitize") for flag in made_with("HARDENING_CFLAGS"))


@unittest.skipIf(is_sanitized(), "the sanitizers' build is for tests alone")
class BuiltFilesTest(unittest.TestCase):
    """What is installed is hardened."""

    programs = [built(name) for name in ("awsflock", "awsflock-keeper", "awsflock-keeper-renewer")]
    libraries = [built(name) for name in ("libawsflock.so", "pam_awsflock.so", "awsflock_sudo.so") if built(name).exists()]

    def of_each(self, option, files=None):
        for file in files or self.programs + self.libraries:
            with self.subTest(file=file.name, option=option):
                yield run("readelf", "-W", option, file)

    def test_what_the_linker_has_resolved_cannot_be_written(self):
        for segments in self.of_each("-l"):
            self.assertIn("GNU_RELRO", segments)
        for dynamic in self.of_each("-d"):
            self.assertRegex(dynamic, r"BIND_NOW|FLAGS.*\bNOW\b")
            self.assertNotIn("TEXTREL", dynamic)

    def test_no_segment_can_be_both_written_and_run(self):
        for segments in self.of_each("-l"):
            self.assertRegex(segments, r"GNU_STACK .* RW ")
            self.assertNotRegex(segments, r" RWE ")

    def test_programs_can_be_loaded_anywhere(self):
        for header in self.of_each("-h", self.programs):
            self.assertRegex(header, r"Type: +DYN")
        for dynamic in self.of_each("-d", self.programs):
            self.assertRegex(dynamic, r"FLAGS_1.*\bPIE\b")

    def test_stacks_are_guarded(self):
        for symbols in self.of_each("--dyn-syms"):
            self.assertIn("__stack_chk_fail", symbols)

    @unittest.skipUnless(any("_FORTIFY_SOURCE" in flag for flag in made_with("HARDENING_CFLAGS")), "not asked for")
    def test_calls_are_fortified(self):
        for symbols in self.of_each("--dyn-syms"):
            self.assertRegex(symbols, r"__(mem|str|read|v?f?printf|v?snprintf)\w*_chk")

    @unittest.skipUnless("-fcf-protection" in made_with("HARDENING_CFLAGS"), "the compiler does not know it")
    def test_objects_say_that_every_jump_leads_to_a_mark(self):
        """The linker takes that over where the C library's own objects say it."""
        objects = sorted(file for folder in ("src/base", "src/keeper", "pam", "sudo") for file in (BUILD / folder).glob("**/*.o")
                         if not file.name.startswith("tests_"))
        self.assertGreater(len(objects), 20)
        for note in run("readelf", "-W", "-n", *objects).split("\nFile: ")[1:]:
            self.assertIn("x86 feature: IBT, SHSTK", note)


class ArchiveTest(ScratchTest):
    def source_files(self):
        if (SOURCE / ".git").exists():
            return set(run("git", "-c", "safe.directory=*", "-C", SOURCE, "ls-files", "-z").rstrip("\0").split("\0"))
        return {str(file.relative_to(SOURCE)) for folder in ("docs", "etc", "include", "pam", "src", "sudo", "tests")
                for file in (SOURCE / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts}

    def test_every_file_of_the_tree_is_in_the_archive(self):
        run("make", "-C", BUILD, "distdir", f"distdir={self.directory}/tree")
        missing = [name for name in self.source_files()
                   if not name.startswith(release_check.NOT_IN_THE_ARCHIVE) and (SOURCE / name).exists() and not (self.directory / "tree" / name).exists()]
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


class InstallingTest(ScratchTest):
    def made_users(self, *settings, uid=0, exists=False, sysusers=True):
        """What installing with SETTINGS does about the renewer's user, for a root that the tools believe in."""
        made = self.directory / "made"
        made.unlink(missing_ok=True)
        for name, script in (("id", f"echo {uid}"), ("getent", f"exit {0 if exists else 2}"),
                             ("systemd-sysusers", f"test {int(sysusers)} = 1 && echo sysusers >>{made}"),
                             ("useradd", f"echo useradd >>{made}")):
            tool = self.directory / name
            tool.write_text(f"#!/bin/sh\n{script}\n")
            tool.chmod(0o755)
        run("env", f"PATH={self.directory}:{os.environ['PATH']}", "make", "-s", "-C", BUILD, "install-user", *settings)
        return made.read_text().split() if made.exists() else []

    def test_the_renewers_user_is_made_on_the_machine_itself_where_it_is_missing(self):
        self.assertEqual(self.made_users("prefix=/usr"), ["sysusers"])
        self.assertEqual(self.made_users("prefix=/usr/local", sysusers=False), ["useradd"])

    def test_no_user_is_made_elsewhere_or_twice_or_by_another_than_root(self):
        self.assertEqual(self.made_users("prefix=/usr", "DESTDIR=/nowhere"), [])
        self.assertEqual(self.made_users("prefix=/opt/awsflock"), [])
        self.assertEqual(self.made_users("prefix=/usr", exists=True), [])
        self.assertEqual(self.made_users("prefix=/usr", uid=1000), [])


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
