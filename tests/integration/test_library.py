"""What the library promises to those who build on it, and what the tree promises to those who read it.

SPDX-License-Identifier: Apache-2.0
"""
import fnmatch
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
    "src/hold": ["src/run", "src/term", "src/proc", "src/base"],
    "src/cli": ["src/cli/guard_check", "src/hold", "src/run", "src/term", "src/guard", "src/base"],
    "src/cli/guard_check": ["src/term", "src/guard", "src/proc", "src/base"],
    "src/door": ["src/guard", "src/base"],
    "pam": ["src/door", "src/guard", "src/base"],
    "sudo": ["src/door", "src/guard", "src/base"],
}


def manual():
    return (SOURCE / "src/lib/libawsflock.3").read_text()


def displays_of_the_manual():
    """What it shows as C: declarations and examples."""
    return [block.replace("\\e", "\\") for block in re.findall(r"^\.Bd -literal\n(.*?)^\.Ed\n", manual(), re.S | re.M)]


def examples_of_the_manual():
    return [block for block in displays_of_the_manual() if block.startswith("#include")]


def code_of(text):
    """TEXT without its comments, and with one space or none between any two words."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r" ?([^\w ]) ?", r"\1", re.sub(r"\s+", " ", text)).strip()


def header():
    return re.sub(r"/\*.*?\*/", "", (SOURCE / "include/awsflock.h").read_text(), flags=re.S)


def declared_types():
    """Each type that the header says all about: enumerations, structs and callbacks."""
    return re.findall(r"^typedef (?:enum|struct) \w+ \{.*?^\} \w+;|^typedef \w+ \w+\([^;]*\);", header(), re.S | re.M)


def declared_macros():
    return set(re.findall(r"^#define (AWSFLOCK_\w+)", header(), re.M)) - {"AWSFLOCK_H"}


def declared_prototypes():
    """The functions, and their parameters."""
    found = re.findall(r"^(?!typedef)[A-Za-z][\w ]*[ *](awsflock_\w+)\(((?:[^()]|\([^()]*\))*)\);", header(), re.M)
    return {name: re.sub(r"\s+", " ", parameters) for name, parameters in found}


def declared_functions():
    return set(declared_prototypes())


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

    def with_local_store(self):
        (self.directory / "awsflock.conf").write_text(
            f"[awsflock]\nstore = local\nlocal_dir = {self.directory / 'locks'}\n")
        return {**self.environment, "AWSFLOCK_CONFIG": str(self.directory / "awsflock.conf")}

    def start_example(self, lock, lease_seconds=60):
        text = examples_of_the_manual()[0]
        self.assertIn("lease_seconds = 60;", text)
        text = text.replace("lease_seconds = 60;", f"lease_seconds = {lease_seconds};")
        program = self.compile("cc", "example.c", text, "-lawsflock", "-lpthread")
        process = subprocess.Popen([program, lock], env=self.with_local_store(), text=True, stdin=subprocess.PIPE,
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
        self.assertLess(len(examples_of_the_manual()[0].splitlines()), 60)

    def test_every_example_of_the_manual_compiles(self):
        examples = examples_of_the_manual()
        self.assertEqual(len(examples), 2)
        for example in examples:
            self.compile("cc", "example.c", example, "-lawsflock", "-lpthread")

    def test_the_manuals_second_example_lists_the_locks_that_are_held(self):
        program = self.compile("cc", "example.c", examples_of_the_manual()[1], "-lawsflock")
        local = f"--local={self.directory / 'locks'}"
        self.assertEqual(self.awsflock("acquire", local, "--lease-duration", "1h", "deploy").code, 0)
        given_back = self.awsflock("acquire", local, "backup").out.strip()
        self.assertEqual(self.awsflock("release", local, "backup", given_back).code, 0)
        done = subprocess.run([program], env=self.with_local_store(), capture_output=True, text=True)
        self.assertRegex(done.stdout, r"^deploy: 3[56]\d\d s\n1 held\n$")
        self.assertEqual(done.returncode, 0)

    def test_the_manuals_second_example_reports_what_is_wrong(self):
        program = self.compile("cc", "example.c", examples_of_the_manual()[1], "-lawsflock")
        environment = self.with_local_store()
        (self.directory / "awsflock.conf").write_text("[awsflock]\nstore = nowhere\n")
        done = subprocess.run([program], env=environment, capture_output=True, text=True)
        self.assertRegex(done.stderr, "^config: .*nowhere")
        self.assertEqual(done.returncode, 1)

    def run_c(self, body, *arguments):
        """Runs a C program that ends with the number of what went wrong, or 0."""
        text = "#include <awsflock.h>\n#include <string.h>\n" + body
        program = self.compile("cc", "program.c", text, "-lawsflock")
        return subprocess.run([program, *arguments], env=self.environment).returncode

    def test_nothing_can_be_freed(self):
        freeing = {name for name in declared_functions() if name.endswith("_free")}
        self.assertEqual(freeing, {"awsflock_free", "awsflock_status_free", "awsflock_lease_free"})
        for function in sorted(freeing):
            with self.subTest(function=function):
                argument = re.match(r"(\w+) \*\*", declared_prototypes()[function]).group(1)
                self.assertEqual(self.run_c(f"""
                    int main(void)
                    {{
                        {argument} *nothing = NULL;
                        {function}(NULL);
                        {function}(&nothing);
                        return nothing != NULL;
                    }}"""), 0)

    def test_unknown_flags_are_refused(self):
        locks = self.directory / "locks"
        self.assertEqual(self.run_c("""
            int main(int argc, char **argv)
            {
                awsflock *context;
                awsflock_lease *lease;
                awsflock_error error;
                if (argc != 2 || awsflock_new(&context, 0) || awsflock_set(context, "store", "local", 0) ||
                    awsflock_set(context, "local_dir", argv[1], 0) ||
                    awsflock_acquire(context, "deploy", 0, &lease, 0))
                    return 1;
                for (unsigned flag = 2; flag != 0; flag <<= 1) {
                    if (awsflock_release(lease, flag | AWSFLOCK_RELEASE_DELETE, &error) != AWSFLOCK_INVALID)
                        return 2;
                    if (awsflock_break(context, "deploy", awsflock_lease_id(lease), "me", flag | AWSFLOCK_BREAK_NOW,
                                       &error) != AWSFLOCK_INVALID || !strstr(error.message, "no such flag"))
                        return 3;
                }
                if (awsflock_renew(lease, 0, 0, 0))
                    return 4;
                awsflock_lease_free(&lease);
                awsflock_free(&context);
                return 0;
            }""", locks), 0)

    def test_whoever_is_named_by_blanks_alone_is_refused(self):
        locks = self.directory / "locks"
        self.assertEqual(self.run_c("""
            int main(int argc, char **argv)
            {
                awsflock_acquire_options named = AWSFLOCK_ACQUIRE_OPTIONS_INIT, logged_in = named;
                awsflock *context;
                awsflock_lease *lease;
                awsflock_error error;
                named.owner = " ";
                logged_in.user = "  ";
                if (argc != 2 || awsflock_new(&context, 0) || awsflock_set(context, "store", "local", 0) ||
                    awsflock_set(context, "local_dir", argv[1], 0))
                    return 1;
                if (awsflock_set(context, "owner", " ", 0) != AWSFLOCK_INVALID ||
                    awsflock_acquire(context, "deploy", &named, &lease, 0) != AWSFLOCK_INVALID ||
                    awsflock_acquire(context, "deploy", &logged_in, &lease, 0) != AWSFLOCK_INVALID)
                    return 2;
                if (awsflock_acquire(context, "deploy", 0, &lease, 0))
                    return 3;
                if (awsflock_renew(lease, 0, " ", 0) != AWSFLOCK_INVALID ||
                    awsflock_break(context, "deploy", awsflock_lease_id(lease), " ", 0, &error) != AWSFLOCK_INVALID ||
                    !strstr(error.message, "blanks"))
                    return 4;
                if (awsflock_release(lease, 0, 0))
                    return 5;
                awsflock_lease_free(&lease);
                awsflock_free(&context);
                return 0;
            }""", locks), 0)

    def test_a_caller_of_a_later_release_is_served_unless_it_asks_for_more(self):
        """Options that grew after this library was built."""
        locks = self.directory / "locks"
        self.assertEqual(self.run_c("""
            struct grown_acquire { awsflock_acquire_options known; long more; };
            struct grown_table { awsflock_table_options known; long more; };
            int main(int argc, char **argv)
            {
                struct grown_acquire acquire = { AWSFLOCK_ACQUIRE_OPTIONS_INIT, 0 };
                struct grown_table table = { AWSFLOCK_TABLE_OPTIONS_INIT, 0 };
                awsflock_lease *lease;
                awsflock *context;
                acquire.known.size = sizeof(acquire);
                table.known.size = sizeof(table);
                if (argc != 2 || awsflock_new(&context, 0) || awsflock_set(context, "store", "local", 0) ||
                    awsflock_set(context, "local_dir", argv[1], 0))
                    return 1;
                if (awsflock_create_table(context, &table.known, 0))
                    return 2;
                if (awsflock_acquire(context, "deploy", &acquire.known, &lease, 0) || awsflock_release(lease, 0, 0))
                    return 3;
                acquire.more = table.more = 1;
                if (awsflock_create_table(context, &table.known, 0) != AWSFLOCK_INVALID)
                    return 4;
                if (awsflock_acquire(context, "deploy", &acquire.known, &lease, 0) != AWSFLOCK_INVALID)
                    return 5;
                awsflock_lease_free(&lease);
                awsflock_free(&context);
                return 0;
            }""", locks), 0)

    def test_an_error_keeps_its_size_and_clears_what_it_reserves(self):
        """A program of any release has room for what the library writes, and reads 0 where it writes nothing."""
        self.assertEqual(self.run_c("""
            struct as_released {
                int code, system_errno;
                long http_status;
                bool outcome_unknown;
                char message[1024];
                int64_t reserved[8];
            };
            _Static_assert(sizeof(awsflock_error) == sizeof(struct as_released), "size");
            int main(void)
            {
                struct { awsflock_error error; unsigned char behind[64]; } given;
                static const int64_t zero[8];
                int64_t seconds;
                memset(&given, 0xFF, sizeof(given));
                if (awsflock_parse_duration("soon", &seconds, &given.error) != AWSFLOCK_INVALID)
                    return 1;
                if (given.error.detail != 0 || memcmp(given.error.reserved, zero, sizeof(given.error.reserved)) != 0)
                    return 2;
                for (unsigned i = 0; i < sizeof(given.behind); i++) {
                    if (given.behind[i] != 0xFF)
                        return 3;
                }
                return 0;
            }"""), 0)

    def test_the_header_and_the_library_tell_the_release_of_configure(self):
        release = re.search(r"^AC_INIT\(\[awsflock\], \[(.*?)\]", (SOURCE / "configure.ac").read_text(), re.M).group(1)
        major, minor, patch = (int(part) for part in release.split("."))
        self.assertEqual(self.run_c(f"""
            #if AWSFLOCK_VERSION_AT_LEAST({major}, {minor}, {patch + 1}) || AWSFLOCK_VERSION_AT_LEAST({major}, {minor + 1}, 0) || \\
                AWSFLOCK_VERSION_AT_LEAST({major + 1}, 0, 0) || !AWSFLOCK_VERSION_AT_LEAST({major}, {minor}, {patch}) || \\
                !AWSFLOCK_VERSION_AT_LEAST({major - 1}, 999, 999)
            #error AWSFLOCK_VERSION_AT_LEAST
            #endif
            _Static_assert(AWSFLOCK_VERSION_MAJOR == {major} && AWSFLOCK_VERSION_MINOR == {minor} &&
                           AWSFLOCK_VERSION_PATCH == {patch}, "parts");
            _Static_assert(AWSFLOCK_VERSION_NUMBER == {major * 1000000 + minor * 1000 + patch}, "number");
            int main(void)
            {{
                return strcmp(awsflock_version(), "{release}") != 0;
            }}"""), 0)

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

    def test_a_machine_without_some_system_calls_has_the_others_refused(self):
        """32-bit RISC-V, as one, has none of those that take a time of 32 bits."""
        missing = ("settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "kexec_file_load")
        text = "#include <sys/syscall.h>\n" + "".join(f"#undef SYS_{name}\n" for name in missing) + \
            '#include "keeper/confinement.c"\n'
        done = subprocess.run(["cc", "-D_GNU_SOURCE", f"-I{SOURCE}/src", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc",
                               "-"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_header_compiles_alone_in_both_languages(self):
        for compiler, language in (("cc", "c"), ("c++", "c++")):
            with self.subTest(language=language):
                done = subprocess.run([compiler, "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                                       SOURCE / "include/awsflock.h", "-Wno-pragma-once-outside-header"],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_exports_are_what_the_header_declares(self):
        self.assertEqual(declared_functions(), named_exports())

    def test_the_list_of_exports_says_that_what_is_published_never_changes(self):
        comment, *sections = re.split(r"^(?=AWSFLOCK_)", (SOURCE / "src/lib/libawsflock.sym").read_text(), flags=re.M)
        self.assertIn("later ones never change it", " ".join(comment.split()))
        names = [re.match(r"(\w+(?:\.\d+)*) \{", section).group(1) for section in sections]
        # Each stands on the one before it.
        self.assertEqual([re.search(r"\}(?: (\S+))?;", section).group(1) for section in sections], [None, *names[:-1]])

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

    def test_the_manual_shows_every_function_as_the_header_declares_it(self):
        synopsis = manual().split(".Sh DESCRIPTION")[0]
        shown = {name: ", ".join(re.findall(r'"(.*?)"|(void)', parameters)[i][0] or "void"
                                 for i in range(len(re.findall(r'"(.*?)"|(void)', parameters))))
                 for name, parameters in re.findall(r"^\.Fn (awsflock_\w+) (.*)$", synopsis, re.M)}
        self.assertEqual(shown, declared_prototypes())

    def test_the_manual_tells_more_of_every_function_than_its_parameters(self):
        description = manual().split(".Sh DESCRIPTION")[1].split(".Sh EXAMPLES")[0]
        told = set(re.findall(r"^\.(?:It )?Fn (awsflock_\w+)", description, re.M))
        self.assertEqual(declared_functions() - told, set())

    def test_the_manual_shows_every_type_as_the_header_declares_it(self):
        shown = " ".join(code_of(block) for block in displays_of_the_manual())
        types = declared_types()
        self.assertEqual(len(types), 18)
        self.assertEqual([text for text in types if code_of(text) not in shown], [])

    def test_the_manual_names_every_macro(self):
        macros = declared_macros()
        self.assertIn("AWSFLOCK_BREAK_NOW", macros)
        self.assertEqual({name for name in macros if not re.search(rf"\b{name}\b", manual())}, set())


def symbols_of(objects):
    """What each source file defines and what it needs of others, by its OBJECTS."""
    newest = {}
    for object_file in sorted(objects, key=lambda file: file.stat().st_mtime):
        # libtool and automake put the objects in .libs and before each name that of the program.
        folder = object_file.parent.parent if object_file.parent.name == ".libs" else object_file.parent
        newest[str(folder.relative_to(BUILD) / re.sub(r"^[a-z_]+-", "", object_file.stem))] = object_file
    defined, needed = {}, {}
    for source in (source for source in newest if (SOURCE / f"{source}.c").exists()):
        shown = subprocess.run(["nm", "-P", newest[source]], capture_output=True, text=True, check=True).stdout
        for name, kind in (line.split()[:2] for line in shown.splitlines()):
            if kind == "U":
                needed.setdefault(source, set()).add(name)
            elif kind.isupper():
                defined.setdefault(name, set()).add(source)
    return defined, needed


# libc's calls that only call the kernel, or only compute: none takes a lock, allocates, or minds other threads.
LOCKLESS_CALLS = set("""
    chdir close dup2 execve _exit fcntl getdents getpid getrlimit memset open personality pipe2 poll prctl
    pthread_sigmask read sched_setscheduler setpriority setrlimit setsid sigemptyset sigfillset sigprocmask socketpair
    strlen syscall umask waitpid write __errno_location
""".split())


def plain_name(symbol):
    """A call's name without what fortification, large files or the other C library make of it."""
    symbol = re.sub(r"^(__)?(\w+?)(64)?(_chk|_2)$", r"\2", symbol.split("@")[0])
    return symbol.removesuffix("64") if symbol.removesuffix("64") in LOCKLESS_CALLS else symbol


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
        for file in sorted([*SOURCE.glob("src/**/*.[ch]"), *SOURCE.glob("pam/*.[ch]"), *SOURCE.glob("sudo/*.[ch]")]):
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
        sources = [file for folder in ("include", "src", "pam", "sudo", "tests")
                   for file in (SOURCE / folder).rglob("*") if file.suffix in (".c", ".h", ".py", ".sh", ".pml", ".am")]
        sources += [SOURCE / name for name in ("check", "quickstart", ".ci/run", "configure.ac", "Makefile.am")]
        self.assertGreater(len(sources), 200)
        wrong = [str(file) for file in sources
                 if not re.search(r"SPDX-License-Identifier: Apache-2\.0\b", file.read_text())]
        self.assertEqual(wrong, [])

    def test_who_sends_what_stands_drawn_for_every_message(self):
        drawing, _, code = (SOURCE / "src/guard/wire.h").read_text().partition("#ifndef")
        lines = re.findall(r"^ \*     .*$", drawing, re.M)
        sent = [line for line in lines if re.match(r"^ \*     [MGRC] +(?:[A-Z_]+|\.\.\.) {2,}\S", line)]
        more = [line for line in lines if re.match(r"^ \* {19}\S", line)]  # of the line above
        self.assertGreaterEqual(len(sent), 20)
        self.assertEqual([line for line in lines if line not in sent + more], [" *     argv  awsflock-keeper --session-fd 3 --host-fd 4",
                                                                             " *     envp  PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        types = re.findall(r"\bWIRE_(\w+) = ", re.search(r"enum wire_type \{(.*?)\n\};", code, re.S).group(1))
        self.assertGreater(len(types), 25)
        self.assertEqual(set(types) - set(re.findall(r"[A-Z_]+", " ".join(sent + more))), set())
        self.assertIn("\nReflowComments: false\n", (SOURCE / ".clang-format").read_text())  # which once tore it apart

    def test_every_source_file_has_tests_that_its_mutants_are_shown_to(self):
        lines = (SOURCE / "tests/mutants/tests.txt").read_text().splitlines()
        patterns = [line.split()[0] for line in lines if line and not line.startswith("#")]
        self.assertEqual([str(file) for file in self.included() if file.suffix == ".c" and
                          not any(fnmatch.fnmatchcase(str(file), pattern) for pattern in patterns)], [])

    def test_a_circle_is_found(self):
        self.assertEqual(circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}), {("b", "c")})

    def test_no_file_calls_itself_by_a_detour(self):
        objects = [file for folder in ("src", "pam", "sudo") for file in (BUILD / folder).glob("**/*.o")]
        defined, needed = symbols_of(objects)
        calls = {source: set().union(*(defined.get(name, set()) for name in names)) - {source}
                 for source, names in needed.items()}
        self.assertIn("src/lock/lease", calls["src/lib/lease"])
        self.assertGreater(len(calls), 100)
        self.assertEqual(circles(calls), set())

    def test_between_a_bare_clone_and_exec_nothing_is_called_that_takes_a_lock(self):
        """In the child of a host with threads, nobody would ever give back a lock that one of them held."""
        files = ("src/door/spawn", "src/door/clean", "src/base/descriptors", "src/base/forked_exit", "src/base/pidfd")
        own = {"clean_process", "descriptors_close_on_exec_from", "forked_exit", "pidfd_of_self",
               "text_parse_int64"}  # of base/text.c, which has other calls: it only looks at characters
        _, needed = symbols_of(file for folder in ("src/door", "src/base")
                               for file in (BUILD / folder).glob("**/*.o"))
        instruments = re.compile(r"__(asan|ubsan|gcov|stack_chk|sanitizer|tls_get_addr)|_GLOBAL_OFFSET_TABLE_")
        for file in files:
            with self.subTest(file=file):
                names = {plain_name(name) for name in needed[file] if not instruments.match(name)}
                self.assertTrue(names)
                self.assertEqual(names - own - LOCKLESS_CALLS, set())

    def test_clocks_and_processes_have_one_reader(self):
        """A second one would read them a little differently, and be mended once only."""
        code = {str(file.relative_to(SOURCE)): re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
                for folder in ("src", "pam", "sudo") for file in sorted((SOURCE / folder).glob("**/*.c"))}
        for pattern, readers in ((r"\bclock_gettime\(|\btime\(|\bgettimeofday\(", {"src/base/clock.c"}),
                                 # The others stand below the room of processes, or only name the call to a filter.
                                 (r"SYS_pidfd_send_signal", {"src/proc/process.c", "src/base/pidfd.c",
                                                             "src/keeper/confinement.c"}),
                                 (r"SYS_pidfd_open", {"src/proc/process.c", "src/base/child.c", "src/base/pidfd.c"}),
                                 (r'"/proc/(%|loadavg|")|"/proc"', {"src/proc/process.c"}),
                                 (r"\b(atoi|strtoll?|strtoull?|sscanf)\(", set())):
            with self.subTest(pattern=pattern):
                self.assertEqual({name for name, text in code.items() if re.search(pattern, text)}, readers)

    def test_no_program_file_names_its_own_tests(self):
        wrong = [str(file) for file in SOURCE.glob("src/**/*.[ch]") if "TESTING" in file.read_text()]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
