"""What the library promises to those who build on it, and what the tree promises to those who read it.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import unittest

import awsflocktest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."))
LIBRARY = BUILD / ".libs"
# Each folder, and the folders whose headers it may include besides its own and the public one: nothing points up.
MAY_INCLUDE = {
    "include": [],
    "src/base": [],
    "src/proc": ["src/base"],
    "src/aws": ["src/base"],
    "src/aws/credentials": ["src/aws", "src/base"],
    "src/aws/dynamodb": ["src/aws/credentials", "src/aws", "src/base"],
    "src/lock": ["src/base"],
    "src/lock/dynamodb": ["src/lock", "src/aws/dynamodb", "src/aws/credentials", "src/aws", "src/base"],
    "src/lock/local": ["src/lock", "src/base"],
    "src/lib": ["src/lock/dynamodb", "src/lock/local", "src/lock", "src/aws/dynamodb", "src/aws/credentials", "src/aws", "src/base"],
    "src/guard": ["src/proc", "src/base"],
    "src/keeper": ["src/guard", "src/proc", "src/base"],
    "src/term": ["src/base"],
    "src/run": ["src/term", "src/proc", "src/base"],
    "src/cli": ["src/cli/guard_check", "src/run", "src/term", "src/guard", "src/base"],
    "src/cli/guard_check": ["src/term", "src/guard", "src/base"],
    "pam": ["src/guard", "src/base"],
}
# Files whose functions call each other; to be empty.
CIRCLES_LEFT = {("src/keeper/guardian", "src/keeper/standby")}


def example_of_the_manual():
    text = (SOURCE / "src/lib/libawsflock.3").read_text()
    block = re.search(r"^\.Bd -literal\n(.*?)^\.Ed\n", text, re.S | re.M).group(1)
    return block.replace("\\e", "\\")


def declared_functions():
    header = (SOURCE / "include/awsflock.h").read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    names = re.findall(r"\b(awsflock_[a-z_]+)\(", header)
    return {name for name in names if f"typedef void {name}(" not in header and f"typedef bool {name}(" not in header}


def named_exports():
    return set(re.findall(r"^\t(awsflock_\w+);$", (SOURCE / "src/lib/libawsflock.sym").read_text(), re.M))


class LibraryTest(awsflocktest.ProgramTest):
    def compile(self, compiler, name, text, *more):
        source = self.directory / name
        source.write_text(text)
        program = self.directory / "program"
        flags = shlex.split(os.environ.get("AWSFLOCK_TEST_CFLAGS", ""))
        done = subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", *flags, f"-I{SOURCE}/include", str(source), "-o", program,
                               f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY.resolve()}", *more],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return program

    def start_example(self, lock, lease_seconds=60):
        text = example_of_the_manual()
        self.assertIn("lease_seconds = 60;", text)
        text = text.replace("lease_seconds = 60;", f"lease_seconds = {lease_seconds};")
        program = self.compile("cc", "example.c", text, "-lawsflock", "-lpthread")
        environment = {**self.environment, "AWSFLOCK_CONFIG": str(self.directory / "awsflock.conf")}
        (self.directory / "awsflock.conf").write_text(
            f"[awsflock]\nstore = local\nlocal_dir = {self.directory / 'locks'}\n")
        process = subprocess.Popen([program, lock], env=environment, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def status(self, lock):
        result = self.awsflock("status", "--json", f"--local={self.directory / 'locks'}", lock)
        return json.loads(result.out)

    def test_the_manuals_example_holds_the_lock_while_it_works(self):
        process = self.start_example("deploy")
        self.assertRegex(process.stdout.readline(), r"^fence \d+\n$")
        self.assertTrue(self.status("deploy")["held"])
        self.assertEqual(process.communicate("work\n", timeout=awsflocktest.PATIENCE_S), ("work\n", ""))
        self.assertEqual(process.returncode, 0)
        self.assertFalse(self.status("deploy")["held"])

    def test_the_manuals_example_ends_its_work_when_the_lock_is_lost(self):
        process = self.start_example("deploy", lease_seconds=3)
        process.stdout.readline()
        lease_id = self.status("deploy")["lease_id"]
        # The holder may renew in between.
        while self.awsflock("break", "--now", f"--local={self.directory / 'locks'}", "--lease-id", lease_id,
                            "deploy").code != 0:
            lease_id = self.status("deploy")["lease_id"]
        self.assertEqual(process.wait(awsflocktest.PATIENCE_S), 1)
        self.assertIn("broken by", process.stderr.read())

    def test_the_manuals_example_reports_what_is_wrong(self):
        process = self.start_example("")
        self.assertIn("name is empty", process.communicate(timeout=awsflocktest.PATIENCE_S)[1])
        self.assertEqual(process.returncode, 1)

    def test_the_manuals_example_is_short(self):
        self.assertLess(len(example_of_the_manual().splitlines()), 60)

    def test_a_cplusplus_program_can_use_it(self):
        program = self.compile("c++", "example.cc", """
            #include <awsflock.h>
            #include <cstring>
            int main()
            {
                awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
                awsflock *context = nullptr;
                awsflock_error error;
                if (awsflock_new(&context, &error) != AWSFLOCK_OK)
                    return 1;
                awsflock_free(&context);
                return options.wait_ms == 0 && std::strlen(awsflock_version()) > 0 ? 0 : 1;
            }""", "-lawsflock")
        self.assertEqual(subprocess.run([program], env=self.environment).returncode, 0)

    def test_options_that_were_not_initialised_are_refused(self):
        program = self.compile("cc", "options.c", """
            #include <awsflock.h>
            int main(int argc, char **argv)
            {
                awsflock_acquire_options acquire = { 0 };
                awsflock_table_options table = { 0 };
                awsflock_lease *lease;
                awsflock *context;
                if (argc != 2 || awsflock_new(&context, 0) || awsflock_set(context, "store", "local", 0) ||
                    awsflock_set(context, "local_dir", argv[1], 0))
                    return 1;
                if (awsflock_acquire(context, "deploy", &acquire, &lease, 0) != AWSFLOCK_INVALID)
                    return 2;
                if (awsflock_create_table(context, &table, 0) != AWSFLOCK_INVALID)
                    return 3;
                awsflock_free(&context);
                return 0;
            }""", "-lawsflock")
        locks = self.directory / "locks"
        self.assertEqual(subprocess.run([program, locks], env=self.environment).returncode, 0)
        self.assertFalse(locks.exists())

    def test_the_header_compiles_alone_in_both_languages(self):
        for compiler, language in (("cc", "c"), ("c++", "c++")):
            with self.subTest(language=language):
                done = subprocess.run([compiler, "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                                       SOURCE / "include/awsflock.h", "-Wno-pragma-once-outside-header"],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_exports_are_what_the_header_declares(self):
        self.assertEqual(declared_functions(), named_exports())

    def test_the_library_exports_nothing_else(self):
        shown = subprocess.run(["nm", "-D", "--defined-only", LIBRARY / "libawsflock.so"], capture_output=True, text=True,
                               check=True).stdout
        exported = {line.split()[2].split("@")[0] for line in shown.splitlines() if len(line.split()) == 3}
        self.assertEqual({name for name in exported if not name.startswith("AWSFLOCK_")}, named_exports())

    def test_the_library_tells_packagers_what_it_loads_later(self):
        # Older versions of readelf do not know the type, and so fail after they have shown it.
        shown = subprocess.run(["readelf", "--notes", "--wide", LIBRARY / "libawsflock.so"], capture_output=True, text=True,
                               env={**os.environ, "LC_ALL": "C"}).stdout
        section = shown.split(".note.dlopen\n")[1].split("Displaying notes")[0]
        self.assertRegex(section, r"(?m)^\s*FDO\s+0x[0-9a-f]+\s.*0x407c0c0a")
        text = subprocess.run(["readelf", "-p", ".note.dlopen", LIBRARY / "libawsflock.so"], capture_output=True, text=True,
                              check=True).stdout
        [entry] = json.loads(re.search(r"\[\{.*\}\]", text).group(0))
        self.assertEqual(entry["soname"], ["libcurl.so.4"])
        self.assertEqual(entry["priority"], "required")
        needed = subprocess.run(["readelf", "-d", LIBRARY / "libawsflock.so"], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("libcurl", needed)

    def test_the_manual_names_every_function(self):
        manual = (SOURCE / "src/lib/libawsflock.3").read_text()
        self.assertEqual({name for name in named_exports() if f".Fn {name} " not in manual}, set())


def symbols_of(objects):
    """What each source file defines and what it needs of others, by its OBJECTS."""
    defined, needed = {}, {}
    for object_file in objects:
        # libtool and automake put the objects in .libs and before each name that of the program.
        folder = object_file.parent.parent if object_file.parent.name == ".libs" else object_file.parent
        source = str(folder.relative_to(BUILD) / re.sub(r"^[a-z_]+-", "", object_file.stem))
        if not (SOURCE / f"{source}.c").exists():
            continue
        shown = subprocess.run(["nm", "-P", object_file], capture_output=True, text=True, check=True).stdout
        for name, kind in (line.split()[:2] for line in shown.splitlines()):
            if kind == "U":
                needed.setdefault(source, set()).add(name)
            elif kind.isupper():
                defined.setdefault(name, set()).add(source)
    return defined, needed


def circles(graph):
    """The sets of nodes that reach each other."""
    def reached(start):
        seen, waiting = set(), [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    below = {node: reached(node) for node in graph}
    return {tuple(sorted(other for other in below[node] if node in below.get(other, ()))) for node in graph
            if node in below[node]}


class TreeTest(unittest.TestCase):
    def included(self):
        """Each file of the program, and the files that it includes, relative to the source tree."""
        found = {}
        for file in sorted([*SOURCE.glob("src/**/*.[ch]"), *SOURCE.glob("pam/*.[ch]")]):
            here = file.relative_to(SOURCE)
            found[here] = []
            for name in re.findall(r'^#include "(.+)"$', file.read_text(), re.M):
                places = [pathlib.PurePath("include", name), pathlib.PurePath("src", name), here.parent / name]
                there = next((place for place in places if (SOURCE / place).exists()), None)
                self.assertIsNotNone(there, f"{here} includes {name}")
                found[here].append(there)
        self.assertGreater(len(found), 200)
        return found

    def test_an_include_points_down_or_to_its_own_room(self):
        wrong = [f"{here} includes {there}" for here, includes in self.included().items() for there in includes
                 if str(there.parent) not in ("include", str(here.parent), *MAY_INCLUDE[str(here.parent)])]
        self.assertEqual(wrong, [])

    def test_the_floors_are_not_circular(self):
        floors = list(MAY_INCLUDE)
        # A floor may only use floors that can be built without it.
        built = set()
        while floors:
            ready = [floor for floor in floors if built.issuperset(MAY_INCLUDE[floor])]
            self.assertTrue(ready, f"{floors} need each other")
            built |= set(ready)
            floors = [floor for floor in floors if floor not in built]

    def test_no_header_includes_itself_by_a_detour(self):
        includes = self.included()
        reached = {}

        def below(file):
            if file not in reached:
                reached[file] = set()
                for there in includes.get(file, []):
                    reached[file] |= {there} | below(there)
            return reached[file]

        self.assertEqual([str(file) for file in includes if file in below(file)], [])

    def test_every_source_file_names_its_license_on_one_line(self):
        # Tools read identifier and value from one line; a formatter once tore them apart.
        sources = [file for folder in ("include", "src", "pam", "tests")
                   for file in (SOURCE / folder).rglob("*") if file.suffix in (".c", ".h", ".py", ".sh", ".pml", ".am")]
        sources += [SOURCE / name for name in ("check", "quickstart", ".ci/run", "configure.ac", "Makefile.am")]
        self.assertGreater(len(sources), 200)
        wrong = [str(file) for file in sources
                 if not re.search(r"SPDX-License-Identifier: Apache-2\.0\b", file.read_text())]
        self.assertEqual(wrong, [])

    def test_a_circle_is_found(self):
        self.assertEqual(circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}), {("b", "c")})

    def test_no_file_calls_itself_by_a_detour(self):
        objects = [file for folder in ("src", "pam") for file in sorted((BUILD / folder).glob("**/*.o"))]
        defined, needed = symbols_of(objects)
        calls = {source: set().union(*(defined.get(name, set()) for name in names)) - {source}
                 for source, names in needed.items()}
        self.assertIn("src/lock/lease", calls["src/lib/lease"])
        self.assertGreater(len(calls), 100)
        self.assertEqual(circles(calls) - CIRCLES_LEFT, set())

    def test_no_program_file_names_its_own_tests(self):
        wrong = [str(file) for file in SOURCE.glob("src/**/*.[ch]") if "TESTING" in file.read_text()]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
