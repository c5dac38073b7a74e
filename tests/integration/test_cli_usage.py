"""How the command line is read, and that help, man pages and completions tell all of it.

SPDX-License-Identifier: Apache-2.0
"""
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import unittest
import uuid

from awsflocktest import OnLocalStore, ProgramTest, command, program, run, runs, status_field, wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."))
MAN_PAGE = SOURCE / "src" / "cli" / "awsflock.1.in"
CONFIG_MAN_PAGE = SOURCE / "etc" / "awsflock.conf.5.in"
CONFIG = SOURCE / "etc" / "awsflock.conf"
COMPLETIONS = SOURCE / "etc" / "completions"


class TableTest(OnLocalStore):
    """A test that knows the program's own tables of commands and options."""

    @functools.cached_property
    def dump(self):
        result = self.awsflock("help", "--dump-options")
        self.assertWorked(result)
        return [line.split("\t") for line in result.out.splitlines()]

    def commands(self):
        return [line[1] for line in self.dump if line[0] == "command"]

    def options(self, owner):
        """The rows (name, letter, kind, key) of a command, or of every command ("*")."""
        return [line[2:] for line in self.dump if line[0] == "option" and line[1] == owner]

    def words(self, owner):
        """Every way to write an option of OWNER, long and short."""
        found = set()
        for name, letter, _, _ in self.options(owner):
            found.add(f"--{name}")
            if letter != "-":
                found.add(f"-{letter}")
        return found


class Usage(OnLocalStore):
    def assertUsage(self, result, *words):
        """Exit 2, nothing done, and one line that ends in where to read more."""
        self.assertSays(result, 2, "'awsflock help", *words)
        self.assertEqual(result.out, "")
        self.assertFalse(self.store.exists(), "something was done all the same")

    def test_no_command_is_wrong_use(self):
        self.assertUsage(self.awsflock(), "command")

    def test_an_unknown_command_is_named(self):
        self.assertUsage(self.awsflock("aquire", "deploy"), "aquire")

    def test_an_unknown_option_is_named_with_its_command(self):
        self.assertUsage(self.flock("acquire", "deploy", "--durration", "5m"), "--durration", "help acquire")
        self.assertUsage(self.flock("acquire", "deploy", "-Z"), "-Z")

    def test_an_option_of_another_command_is_unknown(self):
        self.assertUsage(self.flock("status", "deploy", "--no-wait"), "--no-wait", "one of 'run'")
        self.assertUsage(self.flock("acquire", "deploy", "-E", "4"), "-E", "one of 'run'")

    def test_a_mistyped_word_is_answered_with_the_one_that_is_like_it(self):
        for words, meant in ((("aquire", "deploy"), "'acquire'?"), (("runn", "deploy", "true"), "'run'?"),
                             (("status-", "x"), "'status'?"), (("help", "lits"), "'list'?"),
                             (("RUN", "deploy", "true"), "'run'?"),
                             (("unlock", "deploy", "id"), "'release'?"), (("Unlock",), "'release'?"), (("lock", "deploy"), "'run' or 'acquire'?"),
                             (("break-lock", "deploy"), "'break'?"), (("force-unlock", "id"), "'break'?"),
                             (("steal", "deploy"), "'break'?"), (("info",), "'status'?"), (("help", "info"), "'status'?"),
                             (("watch", "deploy"), "'status --watch'?"), (("ls",), "'list'?"),
                             (("acquire", "deploy", "--onwer", "me"), "--owner?"),
                             (("acquire", "deploy", "--duration=5m"), "--lease-duration?"),
                             (("run", "--leftover=end", "--kil-after=1", "deploy", "true"), "--kill-after?")):
            with self.subTest(words=words):
                self.assertUsage(self.awsflock(*words), f"did you mean {meant} 'awsflock help")

    def test_a_word_that_is_like_none_is_answered_with_none(self):
        for words in (("zzzz",), ("help", "deploy"), ("acquire", "deploy", "--frobnicate"), ("acquire", "deploy", "--x")):
            with self.subTest(words=words):
                self.assertNotIn("did you mean", self.awsflock(*words).err)

    def test_a_directory_after_local_without_an_equals_sign_is_refused(self):
        (self.directory / "locks").mkdir()
        for words in (("run", "--local", "/var/lib/locks", "deploy", "--", "true"), ("status", "--local", "./locks"),
                      ("run", "--local", "locks", "deploy", "--", "true"), ("acquire", "deploy", "--local", "locks/"),
                      ("--local", "../locks", "list")):
            with self.subTest(words=words):
                after = words[words.index("--local") + 1]
                self.assertUsage(self.awsflock(*words, cwd=self.directory), f"--local={after}")

    def test_a_lock_after_local_is_one_though_a_directory_has_its_name(self):
        (self.directory / "deploy").mkdir()
        config = self.write("its.conf", f"[awsflock]\nlocal_dir = {self.directory}/state\n")
        for words in (("run", "--local", "deploy", "true"), ("run", "--local", "team/deploy", "--", "true"),
                      ("run", "deploy", "--local", "--", "true")):
            with self.subTest(words=words):
                self.assertWorked(self.awsflock(*words, changes={"AWSFLOCK_CONFIG": str(config)}, cwd=self.directory))

    def test_a_missing_argument_of_an_option_is_named(self):
        self.assertUsage(self.flock("acquire", "deploy", "--owner"), "--owner")

    def test_an_argument_for_an_option_that_takes_none_is_refused(self):
        self.assertUsage(self.flock("acquire", "deploy", "--no-wait=yes"), "--no-wait")

    def test_missing_and_surplus_arguments_are_refused(self):
        for words in (("acquire",), ("renew", "deploy"), ("release", "deploy"), ("status",), ("break",), ("run",),
                      ("run", "deploy"), ("acquire", "deploy", "again"), ("list", "a", "b"), ("create-table", "x")):
            with self.subTest(words=words):
                self.assertUsage(self.flock(*words), f"help {words[0]}")

    def test_no_wait_and_wait_time_exclude_each_other(self):
        self.assertUsage(self.flock("acquire", "deploy", "--no-wait", "--wait-time", "3"), "--no-wait", "--wait-time")
        self.assertUsage(self.flock("run", "-n", "-w", "3", "deploy", "true"), "--no-wait", "--wait-time")

    def test_values_that_cannot_be_are_refused(self):
        for words in (("-E", "256"), ("-E", "-1"), ("-E", "3x"), ("--on-lost", "panic"), ("--leftovers", "x"),
                      ("--kill-after", "soon"), ("--stopped", "x"), ("--stopped", "release-after"),
                      ("--stopped", "release-after=0"), ("--stopped", "release-afternoon=5"), ("--lease-duration", "0"), ("--wait-time", "-1"), ("-w", "")):
            with self.subTest(words=words):
                self.assertUsage(self.flock("run", *words, "deploy", "true"))

    def test_units_need_provisioned_billing(self):
        self.assertUsage(self.awsflock("create-table", "--read-units", "5"), "provisioned")

    def test_a_tag_without_a_value_is_refused(self):
        self.assertUsage(self.awsflock("create-table", "--tag", "team"), "team")

    def test_run_takes_either_a_text_or_a_command(self):
        self.assertUsage(self.flock("run", "deploy", "-c", "true", "true"), "-c")

    def test_a_second_text_or_lease_id_is_refused_where_it_would_count_alone(self):
        for words in (("run", "-c", "true", "-c", "false", "deploy"), ("run", "deploy", "-c", "true", "--command=false"),
                      ("break", "deploy", "--lease-id", str(uuid.uuid4()), "--lease-id", str(uuid.uuid4()))):
            with self.subTest(words=words):
                self.assertUsage(self.flock(*words), words[0], "only once")

    def test_of_other_options_the_last_one_counts(self):
        self.assertWorked(self.flock("acquire", "deploy", "--owner", "wrapper", "--owner", "me"))
        self.assertEqual(self.status("deploy")["owner"], "me")

    def test_run_without_the_name_of_a_lock_takes_none(self):
        for words in (("--", "echo", "hi"), ("--", "rm", "--", "file"), ("-n", "--", "make"), ("-w", "5", "--", "sh", "-c", "true"),
                      ("-c", "true", "--", "deploy")):
            with self.subTest(words=words):
                self.assertUsage(self.flock("run", *words), "the lock's name is missing before --", "LOCK [--] COMMAND")

    def test_a_lock_whose_name_begins_with_a_dash_comes_after_two(self):
        result = self.flock("run", "--owner", "--", "-n", "--", "-deploy", "--", "printenv", "AWSFLOCK_LOCK")
        self.assertWorked(result)
        self.assertEqual(result.out, "-deploy\n")
        self.assertWorked(self.flock("run", "--owner", "--", "deploy", "true"))  # which is the owner

    def test_a_missing_config_file_is_an_error_and_no_wrong_use(self):
        result = self.flock("status", "deploy", "--config", str(self.directory / "none.conf"))
        self.assertSays(result, 1, "none.conf")

    def test_an_empty_argument_is_no_setting(self):
        for words in (("--tablename", ""), ("--local=",), ("--region=",)):
            with self.subTest(words=words):
                self.assertUsage(self.awsflock("status", "deploy", *words), "empty")

    def test_the_environment_of_a_table_does_not_stand_against_the_local_store(self):
        result = self.flock("acquire", "deploy", changes={"AWSFLOCK_TABLE": "locks", "AWS_REGION": "eu-west-1",
                                                         "AWS_PROFILE": "prod"})
        self.assertWorked(result)


class OptionsOfATable(TableTest):
    """Who names a table, or whose it is, would believe in a lock across machines."""

    assertUsage = Usage.assertUsage
    VALUES = {"tablename": "locks", "endpoint-url": "http://127.0.0.1:9", "billing": "provisioned", "read-units": "5", "write-units": "5",
              "deletion-protection": None, "tag": "a=b"}

    def words_of_a_table(self):
        """Each option that sets a key other than the owner, which both stores have, and all of create-table."""
        keyed = [name for name, _, _, key in self.options("*") if key not in ("-", "")]
        self.assertGreaterEqual(set(keyed), {"profile", "region", "tablename", "endpoint-url"})
        for command, names in (("acquire", keyed), ("create-table", [row[0] for row in self.options("create-table")])):
            for name in names:
                value = self.VALUES.get(name, "x")
                yield command, (f"--{name}",) if value is None else (f"--{name}", value)

    def test_with_local_each_is_refused(self):
        for command, words in self.words_of_a_table():
            with self.subTest(words=words):
                arguments = (command, *(("deploy",) if command == "acquire" else ()))
                self.assertUsage(self.awsflock(*arguments, *self.store_options(), *words), "--local", words[0])
        for words in (("run", "deploy", "true"), ("list",), ("doctor",)):
            with self.subTest(words=words):
                self.assertUsage(self.awsflock(*self.store_options(), "--profile", "prod", *words), "--local", "--profile")

    def test_where_the_file_says_local_each_is_refused(self):
        config = self.write("local.conf", f"[awsflock]\nstore = local\nlocal_dir = {self.store}\nregion = eu-west-1\n")
        for command, words in self.words_of_a_table():
            with self.subTest(words=words):
                arguments = (command, *(("deploy",) if command == "acquire" else ()))
                self.assertUsage(self.awsflock("--config", str(config), *arguments, *words),
                                 words[0], "store = local", "--config")
        self.assertWorked(self.awsflock("--config", str(config), "acquire", "deploy"))


class FromFlock(OnLocalStore):
    """What people type who know flock(1)."""

    assertUsage = Usage.assertUsage

    def test_a_lock_without_a_command_word_is_told_of_run(self):
        self.assertUsage(self.awsflock("deploy.lock", "make", "install"), "'awsflock run deploy.lock COMMAND'")
        for option in ("-n", "-x", "-w", "-E", "-c", "--nonblock", "--timeout"):
            with self.subTest(option=option):
                self.assertUsage(self.awsflock(option, "deploy", "make"), f"'awsflock run {option} LOCK")

    def test_options_that_mean_the_same_are_understood(self):
        for words in (("-x",), ("-e",), ("--exclusive",), ("--nb",), ("--nonblock",), ("--timeout", "5"), ("-nxe",),
                      ("-o",), ("--close",), ("-w5",)):
            with self.subTest(words=words):
                self.assertWorked(self.flock("run", *words, "deploy", "true"))
        self.acquire("deploy")
        for words in (("--nb",), ("--nonblock",), ("--timeout", "0.1"), ("-xn",)):
            with self.subTest(words=words):
                self.assertEqual(self.flock("run", *words, "deploy", "true").code, 3)

    def test_o_keeps_the_lock_from_what_the_command_leaves_behind(self):
        result = self.flock("run", "-o", "deploy", "--", "sh", "-c", "sleep 60 >&- 2>&- & echo $!")
        self.assertWorked(result)
        self.addCleanup(os.kill, int(result.out), signal.SIGKILL)
        self.assertTrue(runs(int(result.out)))
        self.assertFree("deploy")

    def examples(self):
        """The scripts in the manual's section and in README's."""
        manual = MAN_PAGE.read_text(encoding="utf-8").split(".Ss Coming from flock(1)\n")[1].split("\n.S")[0]
        readme = (SOURCE / "README.md").read_text(encoding="utf-8").split("## Coming from flock(1)\n")[1].split("\n## ")[0]
        found = re.findall(r"\.Bd -literal[^\n]*\n(.*?)\.Ed\n", manual, re.S) + re.findall(r"```sh\n(.*?)```", readme, re.S)
        return [re.sub(r" +# flock .*", "", text.replace("\\&", "")) for text in found]

    def as_it_stands(self):
        """The settings with which a script that says "awsflock" runs this one, on this test's store."""
        tools = self.directory / "tools"
        tools.mkdir()
        (tools / "awsflock").symlink_to(program()[0][-1])
        config = self.write("local.conf", f"[awsflock]\nstore = local\nlocal_dir = {self.store}\n")
        return {"AWSFLOCK_CONFIG": config, "PATH": f"{tools}:{os.environ['PATH']}"}

    def test_each_example_holds_the_lock_while_it_works(self):
        changes = self.as_it_stands()
        work = self.write("deploy.sh", "#!/bin/sh\nawsflock status --json deploy >>seen\n")
        work.chmod(0o755)
        examples = self.examples()
        self.assertGreater(len(examples), 6)
        for number, text in enumerate(examples):
            with self.subTest(example=text):
                script = self.write(f"script-{number}", f"#!/bin/sh\n{text}")
                script.chmod(0o755)
                result = run([str(script)], self.environment_with(**changes), cwd=self.directory)
                self.assertEqual((result.code, result.err), (0, ""))
                seen = (self.directory / "seen").read_text().splitlines()
                (self.directory / "seen").unlink()
                self.assertEqual([json.loads(line)["held"] for line in seen], [True] * text.count("deploy.sh"))
                self.assertFree("deploy")

    def test_the_manuals_line_for_cron_mails_nothing_where_it_is_the_other_machines_turn(self):
        [line] = re.findall(r"^\.Dl 0 3 \* \* \* @bindir@/(awsflock .*)$", MAN_PAGE.read_text(encoding="utf-8"), re.M)
        self.assertIn(" --region eu-west-1 ", line)
        line = line.replace("--region eu-west-1", "--local=" + str(self.store))
        self.write("backup.sh", "#!/bin/sh\necho saved\n").chmod(0o755)
        changes = self.as_it_stands()
        result = run(["sh", "-c", line], self.environment_with(**changes), cwd=self.directory)
        self.assertEqual((result.code, result.out, result.err), (0, "saved\n", ""))
        self.acquire("backup")
        result = run(["sh", "-c", line], self.environment_with(**changes), cwd=self.directory)
        self.assertEqual((result.code, result.out, result.err), (0, "", ""))

    def test_readmes_renewal_keeps_the_lease_id_where_it_fails(self):
        readme = (SOURCE / "README.md").read_text(encoding="utf-8")
        [script] = re.findall(r"```sh\n(lease=[^`]*awsflock renew [^`]*)```", readme)
        # Between its lines the lock is taken away: what is released then is still what was acquired.
        stolen = script.replace("new=$(", "first=$lease\nawsflock break -y --now --lease-id \"$lease\" prod-deploy\nnew=$(").replace(
            "awsflock release", "[ \"$lease\" = \"$first\" ] || echo lost; awsflock release")
        changes = self.as_it_stands()
        for text, code, said in ((script, 0, ""), (stolen, 3, "broken")):
            with self.subTest(text):
                result = run(["sh", "-c", text], self.environment_with(**changes))
                self.assertEqual((result.code, result.out), (code, ""), result)
                self.assertIn(said, result.err)

    def test_options_that_mean_nothing_here_are_answered_with_what_does(self):
        for words, hint in ((("-s",), "exclusive"), (("--shared",), "exclusive"), (("-u",), "'release'"),
                            (("--unlock",), "'release'"), (("-F",), "leave it out"), (("--no-fork",), "leave it out"),
                            (("--fcntl",), "leave it out"), (("-V",), "--version")):
            with self.subTest(words=words):
                self.assertUsage(self.flock("run", *words, "deploy", "true"), hint)

    def test_the_number_of_an_open_file_is_told_of_acquire(self):
        self.assertUsage(self.flock("run", "-n", "9"), "descriptor", "'acquire'")


class OptionPlaces(OnLocalStore):
    def test_options_of_every_command_may_stand_before_the_command_word(self):
        result = self.awsflock(*self.store_options(), "--json", "status", "deploy")
        self.assertWorked(result)
        self.assertEqual(json.loads(result.out), {"lock_id": "deploy", "held": False})

    def test_options_may_follow_arguments_even_where_posix_is_asked_for(self):
        result = self.awsflock("status", "deploy", *self.store_options(), "--json",
                               changes={"POSIXLY_CORRECT": "1"})
        self.assertWorked(result)
        self.assertFalse(json.loads(result.out)["held"])

    def test_two_dashes_end_the_options(self):
        self.assertEqual(self.flock("status", "--", "--json").out, "--json is free\n")

    def test_the_older_name_of_create_table_works(self):
        self.assertWorked(self.flock("table-create"))

    def test_the_options_of_run_end_at_the_command(self):
        for words in (("-n", "deploy", "printf", "%s.", "-n", "--json"),
                      ("deploy", "-n", "printf", "%s.", "-n", "--json"),
                      ("deploy", "-n", "--", "printf", "%s.", "-n", "--json"),
                      ("deploy", "--", "printf", "%s.", "-n", "--json")):
            with self.subTest(words=words):
                result = self.flock("run", *words)
                self.assertWorked(result)
                self.assertEqual(result.out, "-n.--json.")

    def test_run_gives_a_text_to_the_shell(self):
        result = self.flock("run", "deploy", "-c", 'echo "$((1 + 1))"')
        self.assertWorked(result)
        self.assertEqual(result.out, "2\n")

    def test_run_answers_a_broken_configuration_with_its_own_code(self):
        result = self.flock("run", "--config", str(self.directory / "none.conf"), "deploy", "true")
        self.assertSays(result, 125, "none.conf")


class Help(TableTest):
    def test_every_command_lists_every_option_in_its_help(self):
        for each in self.commands():
            result = self.awsflock(each, "--help")
            self.assertWorked(result)
            self.assertEqual(result.err, "")
            lines = [line.strip() for line in result.out.splitlines()]
            for name, letter, _, _ in self.options(each) + self.options("*"):
                start = re.compile(rf"-{letter}, --{name}\b" if letter != "-" else rf"--{name}\b")
                with self.subTest(command=each, option=name):
                    self.assertTrue(any(start.match(line) for line in lines), result.out)

    def test_help_is_the_same_in_all_three_ways(self):
        for each in self.commands():
            outputs = {self.awsflock(*words).out for words in ((each, "--help"), (each, "-h"), ("help", each))}
            self.assertEqual(len(outputs), 1, each)

    def test_help_lists_every_command(self):
        result = self.awsflock("help")
        self.assertWorked(result)
        for each in self.commands():
            self.assertRegex(result.out, rf"(?m)^  {each} ")
        self.assertEqual(self.awsflock("--help").out, result.out)

    def test_no_line_of_help_is_wider_than_a_hundred_columns(self):
        for words in [("help",), *(("help", each) for each in self.commands())]:
            result = self.awsflock(*words)
            self.assertWorked(result)
            self.assertEqual([line for line in result.out.splitlines() if len(line) > 100], [])

    def test_help_needs_no_store_and_no_arguments(self):
        result = self.awsflock("acquire", "-h", changes={"AWSFLOCK_CONFIG": str(self.directory / "none.conf")})
        self.assertWorked(result)
        self.assertIn("--lease-duration", result.out)

    def test_the_version_is_told_in_each_way(self):
        result = self.awsflock("--version")
        self.assertRegex(result.out, r"^awsflock \S+\n$")
        self.assertEqual(self.awsflock("version").out, result.out)
        self.assertEqual(self.awsflock("status", "--version").out, result.out)

    def test_help_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            self.assertSays(self.awsflock("help", stdout=full), 1, "space")


class ManPages(TableTest):
    def test_the_man_page_has_a_section_for_every_command_with_its_options(self):
        page = MAN_PAGE.read_text(encoding="utf-8")
        body = page.split(".Ss Commands\n")[1].split("\n.Ss ")[0]
        sections = dict(re.findall(r"(?ms)^\.It Cm (\S+)\n(.*?)(?=^\.It Cm |\Z)", body))
        sections["*"] = page.split(".Ss Options of every command\n")[1].split("\n.S")[0]
        self.assertEqual(set(sections), set(self.commands()) | {"*"})
        for owner, text in sections.items():
            told = set()
            for line in re.findall(r"(?m)^\.It (Fl .*)$", text):
                told.update("-" + word for word in re.findall(r"Fl (-?[\w-]+)", line))
            self.assertEqual(told, self.words(owner), owner)

    def test_every_setting_is_in_the_man_page_and_in_the_example(self):
        page = CONFIG_MAN_PAGE.read_text(encoding="utf-8")
        told = {key for line in re.findall(r"(?m)^\.It Ic (.+)$", page) for key in line.split(" , ")}
        shown = set(re.findall(r"(?m)^#(\w+) = ", CONFIG.read_text(encoding="utf-8")))
        self.assertEqual(told, shown)
        keys = {line[5] for line in self.dump if line[0] == "option"} - {"-"}
        self.assertIn("table", keys)
        self.assertLessEqual(keys, told)

    def test_the_example_works_as_it_is_and_with_every_key_switched_on(self):
        text = CONFIG.read_text(encoding="utf-8")
        for name, content in (("as-it-is", text), ("switched-on", re.sub(r"(?m)^#(\w+ = |\[)", r"\1", text))):
            with self.subTest(name):
                path = self.write("awsflock.conf", content)
                self.assertWorked(self.flock("status", "deploy", "--config", str(path)))

    def test_the_man_pages_name_the_file_that_the_program_reads(self):
        library = (BUILD / ".libs" / "libawsflock.so").read_bytes()
        for page in ("src/cli/awsflock.1", "etc/awsflock.conf.5"):
            text = (BUILD / page).read_text(encoding="utf-8")
            [path] = set(re.findall(r"(?m)^\.(?:It )?Pa (\S*/awsflock\.conf)$", text)) - {"$XDG_CONFIG_HOME/awsflock.conf"}
            self.assertIn(path.encode() + b"\0", library)
            self.assertNotIn("@sysconfdir@", text)

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_mandoc_finds_nothing_to_warn_of(self):
        for page in (MAN_PAGE, CONFIG_MAN_PAGE):
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""))


class Completions:
    """What each shell offers; needs candidates(line): the set of what a Tab at the end of LINE offers."""

    def shell_environment(self, **changes):
        words, needs = program()
        self.assertEqual(len(words), 1, "completions ask a program that is called by one word")
        path = f"{pathlib.Path(words[0]).parent}:{self.environment['PATH']}"
        return self.environment_with(PATH=path, **needs, **changes)

    def shell(self, *words, **changes):
        result = run(words, self.shell_environment(**changes))
        self.assertWorked(result)
        self.assertEqual(result.err, "")
        return {line.split("\t")[0].rstrip() for line in result.out.splitlines()}

    def test_every_command_is_offered(self):
        self.assertEqual(self.candidates("awsflock "), set(self.commands()))

    def test_every_option_of_every_command_is_offered_and_no_other(self):
        for each in self.commands():
            with self.subTest(command=each):
                wanted = {word for word in self.words(each) | self.words("*") if word.startswith("--")}
                self.assertEqual(self.candidates(f"awsflock {each} --"), wanted)

    def test_names_of_local_locks_are_offered(self):
        self.acquire("deploy")
        self.acquire("nightly")
        self.assertEqual(self.candidates(f"awsflock status --local={self.store} "), {"deploy", "nightly"})
        self.assertEqual(self.candidates(f"awsflock --local={self.store} run -n d"), {"deploy"})

    def test_the_lease_id_is_not_guessed(self):
        self.acquire("deploy")
        self.assertEqual(self.candidates(f"awsflock --local={self.store} renew deploy "), set())

    def test_choices_are_offered(self):
        self.assertEqual(self.candidates("awsflock run --on-lost "), {"stop", "warn"})
        self.assertEqual(self.candidates("awsflock run --leftovers "), {"hold", "end", "release"})
        self.assertEqual(self.candidates("awsflock create-table --billing "), {"on-demand", "provisioned"})


@unittest.skipUnless(shutil.which("bash"), "no bash")
class BashCompletion(Completions, TableTest):
    def candidates(self, line, **changes):
        script = f'. "{COMPLETIONS}/awsflock.bash"; COMP_LINE=$1; COMP_POINT=${{#1}}; _awsflock; ' \
                 'printf "%s\\n" "${COMPREPLY[@]}"'
        return self.shell("bash", "--norc", "-c", script, "bash", line, **changes) - {""}

    def test_letters_are_offered_too(self):
        for each in self.commands():
            with self.subTest(command=each):
                self.assertEqual(self.candidates(f"awsflock {each} -"), self.words(each) | self.words("*"))

    def test_a_name_with_a_break_of_words_is_completed_behind_the_break(self):
        self.acquire("team:deploy")
        self.assertEqual(self.candidates(f"awsflock --local={self.store} status team:"), {"deploy"})

    def test_a_name_with_a_space_is_quoted(self):
        self.acquire("night shift")
        self.assertEqual(self.candidates(f"awsflock --local={self.store} status n"), {"night\\ shift"})


@unittest.skipUnless(shutil.which("fish"), "no fish")
class FishCompletion(Completions, TableTest):
    def candidates(self, line, **changes):
        return self.shell("fish", "--no-config", "-c", f'source "{COMPLETIONS}/awsflock.fish"; complete -C $argv[1]',
                          line, **changes)

    def test_letters_are_offered_too(self):
        for each in self.commands():
            with self.subTest(command=each):
                self.assertEqual(self.candidates(f"awsflock {each} -"), self.words(each) | self.words("*"))


@unittest.skipUnless(shutil.which("zsh"), "no zsh")
class ZshCompletion(TableTest):
    """zsh completes only on a terminal: what is handed to its _arguments is looked at instead."""

    def specifications(self, words):
        script = '_arguments() { print -rl -- "$@"; state=of_command }; _describe() { }; ' \
                 'words=("$@"); ' \
                 f'fpath=("{COMPLETIONS}"); autoload -U _awsflock; _awsflock'
        result = run(["zsh", "-f", "-c", script, "zsh", *words], self.environment_with())
        self.assertWorked(result)
        self.assertEqual(result.err, "")
        return result.out

    def test_the_words_after_a_lock_are_completed_as_a_command_of_their_own(self):
        script = '_arguments() { [[ ${@[-1]} == *run_command ]] && words=(deploy make -C) CURRENT=3 && $_run ;' \
                 'state=of_command }; _run=_awsflock_run_command; _normal() { print -r -- $CURRENT $words }; ' \
                 f'words=(run); fpath=("{COMPLETIONS}"); autoload -U _awsflock; _awsflock'
        self.assertEqual(run(["zsh", "-f", "-c", script], self.environment_with()).out, "2 make -C\n")

    def test_every_option_of_every_command_is_told_and_no_other(self):
        for each in self.commands():
            with self.subTest(command=each):
                told = re.findall(r"(?m)^(?:\([^)]*\)|\*)?(--?[\w-]+?)(?:=-)?\[", self.specifications([each]))
                self.assertEqual(set(told), self.words(each) | self.words("*"))


class CompletionCosts(OnLocalStore):
    def test_a_table_is_not_asked_for_names(self):
        result = self.awsflock("list", "--names", "--endpoint-url", "http://127.0.0.1:1")
        self.assertEqual((result.code, result.out, result.err), (0, "", ""))

    def test_a_table_is_asked_where_the_user_wants_that(self):
        result = self.awsflock("list", "--names", "--endpoint-url", "http://127.0.0.1:1",
                               changes={"AWSFLOCK_COMPLETE_TABLE": "1"})
        self.assertEqual(result.code, 1, result)

    def test_names_are_told_one_a_line_and_nothing_else(self):
        self.acquire("deploy")
        self.acquire("night shift")
        result = self.flock("list", "--names")
        self.assertEqual(sorted(result.out.splitlines()), ["deploy", "night shift"])


class Watching(OnLocalStore):
    def looking_often(self):
        return {"AWSFLOCK_CONFIG": self.write("fast.conf", "[awsflock]\npoll_interval = 0.25\n")}

    def watch(self, *options, lock="deploy", changes=None):
        path = self.directory / "watched"
        with open(path, "wb") as output:
            watching = self.start(self.flock_command("status", "--watch", lock, *options), stdout=output, changes=changes)
        return watching, path

    def lines_of(self, path, count):
        wait_until(lambda: path.read_text(encoding="utf-8").count("\n") >= count, what=f"line {count}")
        return path.read_text(encoding="utf-8").splitlines()

    def test_tells_each_change_in_a_line_and_ends_when_interrupted(self):
        watching, path = self.watch()
        self.lines_of(path, 1)
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        self.lines_of(path, 2)
        self.assertWorked(self.flock("release", "deploy", lease_id))
        lines = self.lines_of(path, 3)
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
        self.assertEqual((watching.returncode, said), (130, b""))
        self.assertEqual(len(lines), 3, lines)
        self.assertTrue(lines[0].endswith("deploy is free"), lines)
        self.assertIn("the-holder", lines[1])
        self.assertTrue(lines[2].endswith("deploy is free"), lines)

    def test_tells_objects_where_json_is_asked_for(self):
        watching, path = self.watch("--json")
        self.lines_of(path, 1)
        self.acquire("deploy")
        told = [json.loads(line)["held"] for line in self.lines_of(path, 2)]
        watching.send_signal(signal.SIGTERM)
        watching.communicate(timeout=60)
        self.assertEqual((watching.returncode, told), (143, [False, True]))

    def test_a_free_lock_that_is_cleaned_up_is_no_news(self):
        lease_id = self.acquire("deploy")
        self.assertWorked(self.flock("release", "deploy", lease_id))
        watching, path = self.watch(changes=self.looking_often())
        self.lines_of(path, 1)
        [file] = self.store_files()
        file.unlink()
        waits = int(status_field(watching.pid, "voluntary_ctxt_switches")[0])
        wait_until(lambda: int(status_field(watching.pid, "voluntary_ctxt_switches")[0]) >= waits + 4, what="looks at it")
        self.acquire("deploy", "--owner", "the-holder")
        lines = self.lines_of(path, 2)
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=60)
        self.assertTrue(lines[0].endswith("deploy is free"), lines)
        self.assertIn("the-holder", lines[1])

    def test_a_renewal_is_no_news(self):
        for options in ((), ("--json",)):
            with self.subTest(options=options):
                lock = f"deploy{len(options)}"
                lease_id = self.acquire(lock)
                watching, path = self.watch(*options, lock=lock, changes=self.looking_often())
                self.lines_of(path, 1)
                for _ in range(3):
                    renewed = self.flock("renew", lock, lease_id, "--lease-duration", "1h")
                    self.assertWorked(renewed)
                    lease_id = renewed.out.strip()
                    time.sleep(0.4)  # longer than from one look to the next: what must not come
                self.assertWorked(self.flock("release", lock, lease_id))
                lines = self.lines_of(path, 2)
                self.assertEqual(len(lines), 2, lines)
                self.assertIn(f"{lock} is free" if not options else '"held":false', lines[1])
                watching.send_signal(signal.SIGINT)
                watching.wait()

    def test_redraws_one_block_on_a_terminal(self):
        self.acquire("deploy", "--owner", "the-holder")
        terminal = self.on_terminal(self.flock_command("status", "--watch", "deploy"))
        terminal.expect(r"the-holder(?s:.)*\x1b\[\d+A\r\x1b\[J(?s:.)*the-holder")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), 130)


    def test_after_the_terminal_became_narrower_all_rows_of_the_old_block_are_taken_away(self):
        self.acquire("deploy", "--owner", "the-holder", "--purpose", "p" * 90)
        config = self.write("fast.conf", "[awsflock]\npoll_interval = 0.25\n")
        resize = 'stty cols 120; "$@" & child=$!; read line; stty cols 50; read line; kill $child; wait $child'
        terminal = self.on_terminal(["bash", "-c", resize, "bash", *self.flock_command("status", "--watch", "deploy")],
                                    {"AWSFLOCK_CONFIG": str(config)})
        rows = int(terminal.expect(r"\x1b\[(\d+)A\r\x1b\[J").group(1))
        terminal.type("\n")
        more = "|".join(str(rows + extra) for extra in range(2, 20))  # the purpose's line alone takes three of 50 columns
        terminal.expect(rf"\x1b\[({more})A\r\x1b\[J")
        terminal.type("\n")
        terminal.wait()


class People(OnLocalStore):
    def test_the_exit_code_of_status_tells_held_from_free_where_that_is_asked_for(self):
        lease_id = self.acquire("deploy")
        for options, code in (((), 0), (("--exit-code",), 3), (("--exit-code", "--json"), 3)):
            self.assertEqual(self.flock("status", "deploy", *options).code, code)
        self.assertWorked(self.flock("release", "deploy", lease_id))
        self.assertEqual(self.flock("status", "deploy", "--exit-code").code, 0)
        self.assertEqual(self.flock("status", "never-held", "--exit-code").code, 0)
        self.assertSays(self.flock("status", "deploy", "--exit-code", "--watch"), 2, "--watch", "--exit-code")

    def test_the_end_of_a_lease_and_what_is_left_of_it_say_the_same(self):
        lease_id = self.acquire("deploy", "--lease-duration", "30")
        ends = set()
        for _ in range(2):
            before = int(time.time())
            said = self.flock("status", "deploy").out
            refused = self.flock("acquire", "-n", "deploy").err
            broken = self.flock("break", "deploy").err
            after = int(time.time())
            told, left = re.search(r"lease ends at \S*?([\d:]{8}) \(in (\d+)s\)", said).groups()
            ends |= {told, *re.findall(r"lease ends (?:at )?\S*?([\d:]{8})", refused + broken)}
            self.assertIn(told, [time.strftime("%H:%M:%S", time.gmtime(now + int(left))) for now in range(before, after + 1)])
            self.assertLessEqual(int(left), 30)
        self.assertEqual(len(ends), 1, ends)
        self.assertWorked(self.flock("release", "deploy", lease_id))

    def test_list_shows_purposes_where_there_is_room(self):
        self.acquire("a", "--purpose", "nightly " + "run" * 40)
        self.acquire("b")
        self.assertRegex(self.flock("list").out, r"FENCE +PURPOSE\n[^\n]*nightly (run){40}\n[^\n]* -\n$")
        for columns, shown in ((130, r"FENCE +PURPOSE\r?\n[^\n]* nightly (run)*r?u?\u2026\r?\n"), (40, r"FENCE\r?\n")):
            with self.subTest(columns=columns):
                terminal = self.on_terminal(["sh", "-c", f'stty cols {columns} && exec "$@"', "sh",
                                             *self.flock_command("list")])
                terminal.expect(shown)
                self.assertEqual(terminal.wait(), 0)

    def test_list_shows_no_column_for_purposes_that_nobody_gave(self):
        self.acquire("a")
        self.assertNotIn("PURPOSE", self.flock("list").out)

    def test_renew_says_how_long_the_lease_lasts_where_nobody_named_that(self):
        lease_id = self.acquire("deploy", "--lease-duration", "30m")
        result = self.flock("renew", "deploy", lease_id)
        self.assertEqual(result.code, 0)
        self.assertRegex(result.err, r"^awsflock: the lease lasts 2h from now: [^\n]*--lease-duration\n$")
        for options in (("--lease-duration", "3h"), ("-q",)):
            with self.subTest(options=options):
                result = self.flock("renew", "deploy", result.out.strip(), *options)
                self.assertEqual((result.code, result.err), (0, ""))

    def test_the_environment_names_an_owner_before_the_files_and_after_the_option(self):
        config = self.write("own.conf", "[awsflock]\nowner = of-file\n")
        changes = {"AWSFLOCK_CONFIG": config, "AWSFLOCK_OWNER": "of-environment"}
        for lock, options, owner in (("a", (), "of-environment"), ("b", ("--owner", "of-option"), "of-option")):
            self.assertWorked(self.flock("acquire", lock, *options, changes=changes))
            self.assertEqual(self.status(lock)["owner"], owner)
        self.assertSays(self.flock("acquire", "c", changes={"AWSFLOCK_OWNER": "x" * 1025}), 1, "AWSFLOCK_OWNER")

    def test_a_free_lock_is_told_free_where_break_has_no_terminal_to_ask_at(self):
        for options in ((), ("-y",), ("--now",)):
            self.assertSays(self.flock("break", *options, "deploy"), 3, "'deploy' is free")

    def test_break_without_a_terminal_shows_whom_it_would_evict_and_evicts_nobody(self):
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        self.assertSays(self.flock("break", "deploy"), 2, "the-holder", lease_id, "name the lease with --lease-id", lines=2)
        self.assertEqual(self.status("deploy")["lease_id"], lease_id)
        self.assertEqual(self.status("deploy").get("broken_by"), None)

    def test_breaking_with_yes_and_without_a_terminal_names_yes(self):
        self.acquire("deploy")
        for yes in ("-y", "--yes"):
            self.assertSays(self.flock("break", yes, "deploy"), 2, "--yes", "--lease-id", lines=2)

    def test_without_a_region_under_sudo_it_is_told_that_sudo_drops_the_environment(self):
        changes = {"AWS_REGION": None, "AWS_DEFAULT_REGION": None}
        self.assertSays(self.awsflock("status", "deploy", changes={**changes, "SUDO_USER": "alice"}), 1,
                        "no AWS region", "sudo drops the environment")
        self.assertNotIn("sudo", self.awsflock("status", "deploy", changes=changes).err)


class WaitingLine(OnLocalStore):
    def on_width(self, columns, *arguments):
        return self.on_terminal(["sh", "-c", f'stty cols {columns} && exec "$@"', "sh", *self.flock_command(*arguments)])

    def line(self, columns, lock="prod-deploy"):
        terminal = self.on_width(columns, "acquire", lock, "-w", "0")
        line = terminal.expect(r"\r\x1b\[K([^\r\n]+)\r").group(1)
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), 130)
        self.assertLess(len(line), columns)
        return line

    def hold(self, lock="prod-deploy", *options):
        self.acquire(lock, "--owner", "the-holder", "--lease-duration", "1h", *options)
        status = self.status(lock)
        return f"{status['holder']['user']}@{status['holder']['host']}"

    def test_on_a_terminal_one_line_lives_and_is_taken_away(self):
        self.hold("deploy")
        terminal = self.on_terminal(self.flock_command("acquire", "deploy", "--wait-time", "0"))
        terminal.expect(r"\r\x1b\[Kdeploy: [^\n]*the-holder[^\n]*\r\x1b\[Kdeploy: ")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), 130)
        last_draw = terminal.output.rindex("\x1b[Kdeploy: ")
        self.assertIn("\r\x1b[K", terminal.output[last_draw:])

    def test_a_line_with_room_tells_all_and_the_purpose_last(self):
        holder = self.hold("prod-deploy", "--purpose", "nightly")
        self.assertRegex(self.line(200), rf"^prod-deploy: {holder} \(owner the-holder\) until [-\d ]*\d\d:\d\d:\d\d "
                                         r"\((59m \d+s|1h)\) \u00b7 waited 0s \u00b7 nightly$")

    def test_a_purpose_without_room_is_cut_and_shows_it(self):
        self.hold("prod-deploy", "--purpose", "n" * 300)
        self.assertRegex(self.line(120), "waited 0s \u00b7 n+\u2026$")

    def test_a_narrow_line_keeps_the_end_of_the_lease_and_shows_where_names_are_cut(self):
        self.hold("prod-" + "x" * 100)
        for columns in (80, 40):
            with self.subTest(columns=columns):
                self.assertRegex(self.line(columns, "prod-" + "x" * 100),
                                 r"^prod-x*\u2026: \S[^\u2026]*(\)|\u2026) until [-\d ]*\d\d:\d\d:\d\d( \(|\u2026)")

    def test_wide_letters_are_counted_by_what_they_take(self):
        lock = "\u5009" * 60
        self.hold(lock)
        line = self.line(60, lock)
        self.assertLess(sum(2 if letter == "\u5009" else 1 for letter in line), 60)
        self.assertIn("\u5009\u2026: ", line)

    def test_after_the_terminal_became_narrower_all_rows_of_the_old_line_are_taken_away(self):
        self.hold("deploy", "--purpose", "p" * 300)
        resize = 'stty cols 120; "$@" & child=$!; read line; stty cols 50; read line; kill $child; wait $child'
        terminal = self.on_terminal(["bash", "-c", resize, "bash", *self.flock_command("acquire", "deploy", "-w", "0")])
        terminal.expect("waited")
        terminal.type("\n")
        terminal.expect(r"\r\x1b\[2A\x1b\[J")  # 119 columns take three rows of 50
        terminal.type("\n")
        terminal.wait()

    def test_nothing_lives_where_the_user_wants_no_colour(self):
        self.acquire("deploy")
        terminal = self.on_terminal(self.flock_command("acquire", "deploy", "-w", "0"), {"NO_COLOR": "1"})
        terminal.expect(r"awsflock: waiting for 'deploy'[^\n]*\n")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), 130)
        self.assertNotIn("\x1b", terminal.output)

    def test_quiet_says_nothing_while_it_waits(self):
        self.acquire("deploy")
        result = self.flock("acquire", "deploy", "-w", "0.3", "-q")
        self.assertEqual((result.code, result.err), (3, ""))

    def test_an_interrupted_wait_leaves_nothing_and_tells_which_signal(self):
        lease_id = self.acquire("deploy")
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(signal=number):
                waiting = self.start(self.flock_command("acquire", "deploy", "-w", "0"))
                waiting.stderr.readline()
                waiting.send_signal(number)
                out, _ = waiting.communicate(timeout=60)
                self.assertEqual((waiting.returncode, out), (code, b""))
                self.assertHeld("deploy", lease_id)


class Json(OnLocalStore):
    def test_is_ascii_whatever_a_lock_is_called(self):
        name = "größe \U0001f512 \u202e x"
        self.acquire(name)
        result = self.flock("status", "--json", "--", name)
        self.assertWorked(result)
        self.assertTrue(result.out.isascii(), result.out)
        self.assertEqual(json.loads(result.out)["lock_id"], name)

    def test_acquire_and_renew_tell_the_lease(self):
        first = json.loads(self.flock("acquire", "deploy", "--json", "--lease-duration", "10m").out)
        self.assertEqual(set(first), {"lock_id", "lease_id", "fence", "owner", "lease_duration", "expiration_time",
                                      "remaining_seconds"})
        second = json.loads(self.flock("renew", "deploy", first["lease_id"], "--json").out)
        self.assertEqual(set(second), set(first))
        self.assertEqual((first["lease_duration"], second["lease_duration"]), (600, 7200))
        self.assertHeld("deploy", second["lease_id"])


class Streams(ProgramTest):
    def test_a_closed_stdin_and_stderr_do_no_harm(self):
        words = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", *command("acquire", f"--local={self.directory}/s", "deploy")]
        result = run(words, self.environment)
        self.assertWorked(result)
        self.assertLeaseId(result.out)

    def test_a_result_without_a_place_to_go_is_an_error_of_every_command(self):
        for words in (("status", "deploy"), ("list",), ("help",), ("version",), ("release", "--json", "x", "y")):
            with self.subTest(words=words):
                line = command(*words[:1], f"--local={self.directory}/s", *words[1:])
                result = run(["sh", "-c", 'exec "$@" >&-', "sh", *line], self.environment)
                self.assertSays(result, 1, "standard output")


if __name__ == "__main__":
    unittest.main()
