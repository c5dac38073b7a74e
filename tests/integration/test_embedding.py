"""A program built against the installed library, as docs/example/ shows: by pkg-config, and by CMake.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from awsflocktest import OnLocalStore

SOURCE = pathlib.Path(__file__).resolve().parents[2]
INSTALLED = pathlib.Path(os.environ.get("AWSFLOCK_INSTALLED", "tests/session/installed")).resolve()
# The library of a sanitizers' build can be loaded by a program of such a build alone, and is not installed.
IS_SANITIZED = "sanitize" in os.environ.get("AWSFLOCK_TEST_CFLAGS", "")
VERSION = re.search(r"^AC_INIT\(\[awsflock\], \[([\d.]+)\]\)", (SOURCE / "configure.ac").read_text(), re.M).group(1)
MAJOR, MINOR, PATCH = map(int, VERSION.split("."))


def only(pattern, tree=INSTALLED):
    [found] = tree.rglob(pattern)
    return found


@unittest.skipIf(IS_SANITIZED, "the sanitizers' build is not installed")
class Embedding(OnLocalStore):
    def setUp(self):
        super().setUp()
        self.settings = self.directory / "awsflock.conf"
        self.settings.write_text(f"[awsflock]\nstore = local\nlocal_dir = {self.store}\n")
        self.example = self.directory / "example"
        shutil.copytree(only("one_at_a_time.c").parent, self.example)

    def tool(self, *words, code=0, **more):
        """What a tool says in the example's directory; it must not find another awsflock."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LC_ALL": "C.UTF-8", **more}
        done = subprocess.run([str(word) for word in words], cwd=self.example, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def cmake(self, *words, code=0, at=None, **more):
        package = at or only("awsflock-config.cmake").parent
        said = self.tool("cmake", "-S", ".", "-B", "build", f"-Dawsflock_DIR={package}", *words, code=code, **more)
        return re.sub(r"\s+", " ", said)

    def assertWorks(self, program, library=None):
        """The program takes a lock, and the library that it was built with is the one it runs with."""
        paths = {"LD_LIBRARY_PATH": str(library or only("libawsflock.so").parent), "AWSFLOCK_CONFIG": str(self.settings)}
        done = subprocess.run([program, "deploy"], env=self.environment_with(**paths), capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^alone, with fence \d+ and 5\d s to go\n$")
        again = subprocess.run([program, "deploy"], env=self.environment_with(**paths), capture_output=True, text=True)
        self.assertEqual(again.returncode, 0, again.stderr)  # it was given back

    def asks_for(self, version):
        text = (self.example / "CMakeLists.txt").read_text()
        self.assertIn("find_package(awsflock 1.0 REQUIRED)", text)
        (self.example / "CMakeLists.txt").write_text(text.replace("find_package(awsflock 1.0 ", f"find_package(awsflock {version} "))

    def test_the_example_is_built_with_pkg_config(self):
        self.tool("make", PKG_CONFIG_LIBDIR=str(only("awsflock.pc").parent), PKG_CONFIG_SYSROOT_DIR=str(INSTALLED))
        self.assertWorks(self.example / "one_at_a_time")

    def test_the_example_is_built_with_cmake(self):
        self.cmake()
        self.tool("cmake", "--build", "build")
        self.assertWorks(self.example / "build/one_at_a_time")
        needed = self.tool("readelf", "-d", "build/one_at_a_time")
        self.assertIn("Shared library: [libawsflock.so.1]", needed)

    def test_the_example_is_checked_as_strictly_as_the_library(self):
        """Nobody copies warnings."""
        self.tool("make", PKG_CONFIG_LIBDIR=str(only("awsflock.pc").parent), PKG_CONFIG_SYSROOT_DIR=str(INSTALLED),
                  CFLAGS="-std=c11 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror")

    def test_cmake_finds_a_tree_that_was_moved(self):
        moved = self.directory / "moved"
        prefix = pathlib.Path(os.path.commonpath([only("awsflock.h"), only("awsflock-config.cmake")]))
        shutil.copytree(only("awsflock.h").parent, moved / only("awsflock.h").parent.relative_to(prefix))
        library = only("libawsflock.so").parent
        shutil.copytree(library, moved / library.relative_to(prefix), symlinks=True)
        said = self.cmake("-DCMAKE_VERBOSE_MAKEFILE=ON", at=only("awsflock-config.cmake", moved).parent)
        self.assertNotIn("CMake Error", said)
        built = self.tool("cmake", "--build", "build")
        self.assertIn(str(moved), built)
        self.assertNotIn(str(INSTALLED), built)
        self.assertWorks(self.example / "build/one_at_a_time", moved / library.relative_to(prefix))

    def test_cmake_finds_it_under_a_linked_directory(self):
        """As /lib leads to /usr/lib where both are one."""
        link = self.directory / "lib"
        link.symlink_to(only("libawsflock.so").parent)
        self.cmake(at=link / "cmake/awsflock")
        self.tool("cmake", "--build", "build")
        self.assertWorks(self.example / "build/one_at_a_time")

    def test_cmake_takes_what_serves_the_version_that_was_asked_for(self):
        for wanted in ("", f"{MAJOR}", VERSION, f"{VERSION} EXACT", f"{MAJOR}.{MINOR}...{MAJOR + 1}", f"0.9...<{MAJOR + 1}"):
            with self.subTest(wanted):
                shutil.rmtree(self.example)
                shutil.copytree(only("one_at_a_time.c").parent, self.example)
                self.asks_for(wanted)
                self.cmake()

    def test_cmake_refuses_another_version(self):
        for wanted in (f"{MAJOR}.{MINOR}.{PATCH + 1}", f"{MAJOR}.{MINOR + 1}", f"{MAJOR + 1}", "0.2", f"{MAJOR}.{MINOR} EXACT" if PATCH else "0.2 EXACT",
                       f"0.2...<{VERSION}", f"{MAJOR + 1}...{MAJOR + 2}"):
            with self.subTest(wanted):
                shutil.rmtree(self.example)
                shutil.copytree(only("one_at_a_time.c").parent, self.example)
                self.asks_for(wanted)
                self.assertRegex(self.cmake(code=1), r"Could not find a configuration file for package \"awsflock\"")

    def test_cmake_says_which_file_is_missing(self):
        library = only("libawsflock.so").parent
        tree = self.directory / "half"
        shutil.copytree(library / "cmake", tree / "cmake")
        self.assertRegex(self.cmake(code=1, at=tree / "cmake/awsflock"), "awsflock.h is missing: install awsflock's development")

    def test_asking_cmake_twice_is_no_error(self):
        with (self.example / "CMakeLists.txt").open("a") as file:
            file.write("find_package(awsflock REQUIRED)\n")
        self.cmake()


if __name__ == "__main__":
    unittest.main()
