"""action.yml and its two scripts, run by node as GitHub's runner runs them: inputs in variables, what comes back in files and in
lines of output, a step that is cancelled gets INT, TERM, and KILL with its children.  The runner's seconds of patience are
moments here; however they pass, the lock is free after the last step, and others' is not touched.

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from awsflocktest import (PATIENCE_S, REGION, OnDynamoDB, OnLocalStore, ProgramTest, command, kill_if_running, runs,
                          wait_until)
from running import children_of

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CANCEL_PATIENCE_S = 0.5
CANCEL_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
GITHUB = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "42"}
RUN_URL = "https://github.example/acme/shop/actions/runs/42"
COUNT = itertools.count()
FILES = ("OUTPUT", "STATE", "ENV", "PATH", "STEP_SUMMARY")
# A program of this name is taken for the runner.
WORKER = '#!/bin/sh\n"$@"; echo $? >"$0.code.new"; mv "$0.code.new" "$0.code"; while :; do sleep 0.1; done\n'

RECIPE = re.search(r"^## GitHub Actions, by the action\n.*?```yaml\n(.*?)```", (SOURCE / "docs/ci.md").read_text(), re.S | re.M)[1]
WORK = "#!/bin/sh\ntrap 'exit 9' INT TERM\necho $$ >new; mv new deploying; while [ ! -e finish ]; do sleep 0.05; done\n"


def metadata():
    """action.yml, of which only this much of YAML is used."""
    text = (SOURCE / "action.yml").read_text()
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", text, re.M))
    parts = {name: {item: dict(re.findall(r"^    ([\w-]+): (.*)$", keys, re.M))
                    for item, keys in re.findall(r"^  ([\w-]+):\n((?:    .*\n)+)", sections[name], re.M)}
             for name in ("inputs", "outputs")}
    return parts["inputs"], parts["outputs"], dict(re.findall(r"^  ([\w-]+): (.*)$", sections["runs"], re.M))


INPUTS, OUTPUTS, RUNS = metadata()


def unescaped(text):
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def values(text):
    """What stands in a runner's file: NAME<<END, the value, END."""
    found = {}
    while text:
        head, text = text.split("\n", 1)
        name, end = re.fullmatch(r"([\w-]+)<<(\S+)", head).groups()
        value, text = re.fullmatch(rf"(.*?)\n{re.escape(end)}\n(.*)", text, re.S).groups()
        found[name] = value
    return found


def below(pid):
    return [pid, *(other for child in children_of(pid) for other in below(child))]


class Log:
    """Lines as the runner reads them: which are commands, and which are only shown."""

    def __init__(self, text):
        self.text, self.shown, self.commands = text, [], []
        token = None
        for line in text.splitlines():
            told = re.fullmatch(r"\s*::([\w-]+)::(.*)", line)
            if token is not None:
                if told and told[1] == token:
                    token = None
                else:
                    self.shown.append(line)
            elif told and told[1] == "stop-commands":
                token = told[2]
            elif told:
                self.commands.append((told[1], unescaped(told[2])))
            elif "##[" in line:  # the older form, wherever it stands
                self.commands.append(("##", line))
            else:
                self.shown.append(line)

    def told(self, name):
        return [text for command_, text in self.commands if command_ == name]


class Step:
    """One of the two scripts, and the files that it is given."""

    def __init__(self, job, script, environment, under=()):
        self.job = job
        number = next(COUNT)
        self.files = {name: job.temp / f"file-{name}-{number}" for name in FILES}
        for file in self.files.values():
            file.touch()
        self.output = job.temp / f"log-{number}"
        files = {f"GITHUB_{name}": str(file) for name, file in self.files.items()}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen([*under, shutil.which("node"), str(SOURCE / script)], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT, env={**environment, **files}, cwd=job.temp)
        job.test.addCleanup(self.process.wait)
        job.test.addCleanup(lambda: self.process.poll() is None and self.process.kill())

    def end(self):
        self.code = self.process.wait(PATIENCE_S)
        self.log = Log(self.output.read_text())
        return self

    def cancel(self, signals=CANCEL_SIGNALS):
        for number in signals:
            for pid in below(self.process.pid) if number == signal.SIGKILL else [self.process.pid]:
                kill_if_running(pid, number)
            try:
                self.process.wait(CANCEL_PATIENCE_S)
                break
            except subprocess.TimeoutExpired:
                continue
        return self.end()

    def values(self, name):
        return values(self.files[name].read_text())

    @property
    def summary(self):
        return self.files["STEP_SUMMARY"].read_text()


class Job:
    """A job with one step that uses the action, WITH these inputs."""

    def __init__(self, test, **given):
        self.test, self.temp, self.state = test, test.directory / "runner-temp", {}
        self.temp.mkdir(exist_ok=True)
        given = {name.replace("_", "-"): value for name, value in given.items()}
        self.inputs = {f"INPUT_{name.upper()}": given.get(name, self.default(keys)) for name, keys in INPUTS.items()}

    @staticmethod
    def default(keys):
        return re.sub(r"\$\{\{ github\.(\w+) \}\}", lambda name: GITHUB[f"GITHUB_{name[1].upper()}"], keys.get("default", ""))

    def environment(self, changes):
        return self.test.environment_with(**GITHUB, **self.inputs, RUNNER_TEMP=str(self.temp), **changes)

    def begin(self, under=(), **changes):
        self.main = Step(self, RUNS["main"], self.environment(changes), under)
        return self.main

    def take(self, **changes):
        return self.begin(**changes).end()

    def post(self, **changes):
        states = {f"STATE_{name}": value for name, value in self.main.values("STATE").items()}
        return Step(self, RUNS["post"], self.environment({**states, **changes})).end()

    @property
    def file(self):
        """The lease file."""
        [file] = self.temp.glob("awsflock-lease-*")
        return file

    def record(self):
        files = list(self.temp.glob("awsflock-lease-*"))
        return json.loads(files[0].read_text()) if files and files[0].stat().st_size > 0 else None


class ActionTest:
    """Mixed with a store."""

    def setUp(self):
        super().setUp()
        self.tools = self.directory / "tools"
        self.tools.mkdir()
        self.tool("awsflock", f"#!/bin/sh\nexec {' '.join(command())} \"$@\"\n")
        self.environment["PATH"] = f"{self.tools}:{self.environment['PATH']}"
        self.jobs = []
        self.addCleanup(self.end_holders)

    def tool(self, name, text):
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)
        return str(self.tools / name)

    def job(self, lock="prod-deploy", **given):
        self.jobs.append(Job(self, lock=lock, **given))
        return self.jobs[-1]

    def end_holders(self):
        for job in self.jobs:
            record = job.record()
            if record and record["pid"]:
                kill_if_running(record["pid"])

    def assertDone(self, step):
        self.assertEqual((step.code, step.log.told("error")), (0, []), step.log.text)

    def assertFails(self, step, code, *words):
        """With one sentence."""
        self.assertEqual(step.code, code, step.log.text)
        [said] = step.log.told("error")
        for word in words:
            self.assertIn(word, said)
        self.assertNotIn("\n", said)

    def waiting_job(self):
        """A job that waits for a lock of somebody else's, its holder's pid, and that lease."""
        lease_id = self.acquire("prod-deploy")
        job = self.job()
        step = job.begin()
        wait_until(lambda: (job.record() or {}).get("state") == "taking" or step.process.poll() is not None, what="the wait")
        return job, job.record()["pid"], lease_id


@unittest.skipUnless(shutil.which("node"), "no node")
class Action(ActionTest, OnLocalStore):
    def setUp(self):
        super().setUp()
        self.environment["AWSFLOCK_CONFIG"] = str(self.write("awsflock.conf",
                                                             f"[awsflock]\nstore = local\nlocal_dir = {self.store}\n"))

    def test_the_lock_is_held_until_the_job_ends(self):
        job = self.job()
        main = job.take()
        self.assertDone(main)
        status, record = self.status("prod-deploy"), job.record()
        self.assertEqual((status["held"], status["holder"]["purpose"]), (True, RUN_URL))
        self.assertEqual(main.values("OUTPUT"), {"fence": str(status["fence"]), "lease-id": record["lease_id"],
                                                 "lease-file": str(job.file)})
        self.assertEqual(set(main.values("OUTPUT")), set(OUTPUTS))
        self.assertEqual(main.values("ENV"), {"AWSFLOCK_LOCK": "prod-deploy", "AWSFLOCK_FENCE": str(status["fence"]),
                                              "AWSFLOCK_LEASE_FILE": str(job.file)})
        self.assertEqual(job.file.stat().st_mode & 0o777, 0o600)
        post = job.post()
        self.assertDone(post)
        self.assertFree("prod-deploy")
        self.assertFalse(runs(record["pid"]))
        self.assertIsNone(job.record())
        self.assertRegex(post.summary, rf"^awsflock: <code>prod-deploy</code> was held by {re.escape(status['owner'])} "
                                       rf"for (\d+m )?\d+s \(fence {status['fence']}\)\.\n$")

    def test_the_lease_id_is_masked_and_nowhere_shown(self):
        job = self.job()
        main = job.take()
        [masked] = main.log.told("add-mask")
        self.assertEqual(masked, main.values("OUTPUT")["lease-id"])
        self.assertEqual((main.log.text + job.post().log.text).count(masked), 1)

    def test_inputs_become_the_options_of_their_names(self):
        job = self.job(wait="1m", lease_duration="3m", purpose="it's \"mine\" & <b>yours</b> -- %0A")
        self.assertDone(job.take())
        status = self.status("prod-deploy")
        self.assertEqual((status["lease_duration"], status["holder"]["purpose"]), (180, "it's \"mine\" & <b>yours</b> -- %0A"))
        self.assertDone(job.post())

    def test_a_lock_of_any_name_is_one(self):
        for lock in ("-n", "--help", "a b\t", "§ <b>*x*</b> `y` | [z](w)", "%0A::error::x", "$(exit 9)"):
            with self.subTest(lock=lock):
                job = self.job(lock)
                self.assertDone(job.take())
                self.assertTrue(self.status(lock.strip())["held"])
                post = job.post()
                self.assertDone(post)
                self.assertFree(lock.strip())
                self.assertNotRegex(re.sub(r"&#\d+;|</?code>", "", post.summary), r"[<>*`|\[\]_$%]")

    def test_two_locks_of_a_job_are_two(self):
        first, second = self.job("first"), self.job("second")
        for job in (first, second):
            self.assertDone(job.take())
            # The environment of later steps is the later one's.
            self.environment.update(job.main.values("ENV"))
        self.assertTrue(self.status("first")["held"] and self.status("second")["held"])
        for job in (second, first):
            self.assertDone(job.post())
        self.assertFree("first")
        self.assertFree("second")

    def test_a_lock_that_is_held_fails_the_step_with_its_holder_and_exit_code_3(self):
        lease_id = self.acquire("prod-deploy", "--owner", "alice")
        job = self.job(wait="0")
        self.assertFails(job.take(), 3, "'prod-deploy' is held by ", "[alice]")
        self.assertDone(job.post())
        self.assertHeld("prod-deploy", lease_id)

    def test_nothing_that_another_holder_says_is_a_command_to_the_runner(self):
        for owner in ("##[set-output name=fence]0", "::add-mask::e", "%0A::error::x"):
            with self.subTest(owner=owner):
                lease_id = self.acquire("prod-deploy", "--owner", owner, "--purpose", owner)
                step = self.job(wait="0").take()
                self.assertFails(step, 3, owner)
                self.assertIn(owner, "\n".join(step.log.shown))
                self.assertEqual([name for name, _ in step.log.commands], ["error"])
                self.assertWorked(self.flock("release", "prod-deploy", lease_id))

    def test_wrong_inputs_are_one_sentence_and_take_nothing(self):
        for given, code, said in (({"lock": ""}, 2, "the input 'lock' is empty"), ({"lock": " \n"}, 2, "the input 'lock' is empty"),
                                  ({"lock": "a\nb"}, 2, "the input 'lock' has a line break"),
                                  ({"purpose": "a\r\nb"}, 2, "the input 'purpose' has a line break"),
                                  ({"region": "a\n::error::b"}, 2, "the input 'region' has a line break"),
                                  ({"wait": "sometimes"}, 2, "--wait-time"), ({"lease_duration": "-5"}, 2, "--lease-duration"),
                                  ({"lock": "a\x01b"}, 2, "control character"), ({"table": "xyz"}, 2, "--tablename is for a table")):
            with self.subTest(given=given):
                job = self.job(**given)
                self.assertFails(job.take(), code, said)
                self.assertDone(job.post())
                self.assertEqual(self.listing(), {})

    def test_outside_of_a_runner_it_says_so(self):
        for name in ("RUNNER_TEMP", "GITHUB_STATE", "GITHUB_OUTPUT"):
            with self.subTest(name):
                job = self.job()
                environment = {**job.environment({}), "GITHUB_STATE": str(self.write("state", "")),
                               "GITHUB_OUTPUT": str(self.write("output", ""))}
                environment.pop(name)
                done = subprocess.run([shutil.which("node"), SOURCE / RUNS["main"]], env=environment, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (1, ""))
                self.assertEqual(Log(done.stdout).told("error"), [f"{name} is not set: this is a step of GitHub Actions"])
                self.end_holders()

    def test_a_step_that_is_cancelled_while_it_waits_takes_nothing(self):
        for signals in (CANCEL_SIGNALS, CANCEL_SIGNALS[1:], CANCEL_SIGNALS[2:]):
            with self.subTest(signals=signals):
                job, holder, other = self.waiting_job()
                step = job.main.cancel(signals)
                self.assertNotEqual(step.code, 0)
                self.assertDone(job.post())
                wait_until(lambda: not runs(holder), what="the end of the wait")
                self.assertHeld("prod-deploy", other)
                self.assertWorked(self.flock("release", "prod-deploy", other))
                self.assertFree("prod-deploy")

    def test_what_a_killed_step_left_waiting_ends_before_the_job_does(self):
        """Killed alone: awsflock goes on, and nobody else knows of it."""
        job, holder, other = self.waiting_job()
        job.main.process.kill()
        job.main.end()
        self.assertTrue(runs(holder))
        self.assertDone(job.post())
        wait_until(lambda: not runs(holder), what="the end of the wait")
        self.assertHeld("prod-deploy", other)

    def test_a_lock_that_comes_after_its_step_was_killed_is_given_back(self):
        job, holder, other = self.waiting_job()
        job.main.process.kill()
        job.main.end()
        self.assertWorked(self.flock("release", "prod-deploy", other))
        wait_until(lambda: not runs(holder), what="the holder's end")
        self.assertFree("prod-deploy")
        self.assertDone(job.post())

    def test_a_lock_whose_step_was_killed_before_it_said_so_is_released(self):
        """As where there was no time for outputs and states: only what was kept first is there."""
        job = self.job()
        self.assertDone(job.take())
        kept = job.main.values("STATE")
        job.main.files["STATE"].write_text(f"job<<end\n{kept['job']}\nend\n")
        self.assertEqual(set(kept), {"job", "held"})
        self.assertDone(job.post())
        self.assertFree("prod-deploy")

    def test_the_last_step_ends_a_first_one_that_still_waits(self):
        job, _, other = self.waiting_job()
        self.assertDone(job.post())
        self.assertNotEqual(job.main.end().code, 0)
        self.assertHeld("prod-deploy", other)

    def test_a_last_step_that_is_cancelled_releases_all_the_same(self):
        job = self.job()
        self.assertDone(job.take())
        holder = job.record()["pid"]
        states = {f"STATE_{name}": value for name, value in job.main.values("STATE").items()}
        os.kill(holder, signal.SIGSTOP)  # it has to be woken, which takes its time
        step = Step(job, RUNS["post"], job.environment(states))
        step.cancel((signal.SIGINT, signal.SIGTERM))
        Step(job, RUNS["post"], job.environment(states)).end()
        self.assertFree("prod-deploy")

    def test_a_second_last_step_finds_nothing_to_do(self):
        job = self.job()
        self.assertDone(job.take())
        self.assertDone(job.post())
        other = self.acquire("prod-deploy")
        again = job.post()
        self.assertDone(again)
        self.assertEqual(again.summary, "")
        self.assertHeld("prod-deploy", other)

    def test_a_job_may_release_the_lock_before_its_end(self):
        job = self.job()
        self.assertDone(job.take())
        self.assertWorked(self.flock("release", "--lease-file", job.main.values("ENV")["AWSFLOCK_LEASE_FILE"]))
        self.assertFree("prod-deploy")
        self.assertDone(job.post())

    def test_a_lock_that_was_lost_fails_the_job_at_its_end(self):
        job = self.job(lease_duration="6s")
        self.assertDone(job.take())
        for _ in range(9):  # a renewal may come in between
            lease_id = self.status("prod-deploy").get("lease_id", "")
            if self.flock("break", "-y", "--now", "--lease-id", lease_id, "prod-deploy").code == 0:
                break
        wait_until(lambda: job.record()["state"] == "lost", what="the loss")
        other = self.acquire("prod-deploy")
        post = job.post()
        self.assertFails(post, 3, "'prod-deploy' was lost", "broken by")
        self.assertIn("it was not held to the end", post.summary)
        self.assertHeld("prod-deploy", other)

    def test_a_holder_that_was_ended_fails_the_job_at_its_end(self):
        job = self.job()
        self.assertDone(job.take())
        holder = job.record()["pid"]
        os.kill(holder, signal.SIGTERM)
        wait_until(lambda: not runs(holder), what="the holder's end")
        self.assertFails(job.post(), 3, "'prod-deploy' is released already")

    def test_a_runner_that_is_killed_takes_the_lock_along(self):
        worker = self.tool("Runner.Worker", WORKER)
        job = self.job()
        step = job.begin(under=[worker])
        code = pathlib.Path(worker + ".code")
        wait_until(lambda: code.exists() or step.process.poll() is not None, what="the first step's end")
        self.assertEqual(code.read_text(), "0\n", step.output.read_text())
        self.assertTrue(self.status("prod-deploy")["held"])
        holder = job.record()["pid"]
        step.process.kill()
        step.process.wait()
        wait_until(lambda: not runs(holder), what="the holder's end")
        self.assertFree("prod-deploy")

    def test_whoever_else_starts_the_step_may_end_with_it(self):
        """As a shell in a job's container."""
        shell = self.tool("shell", '#!/bin/sh\n"$@"; exit $?\n')
        job = self.job()
        self.assertDone(job.begin(under=[shell]).end())
        self.assertTrue(self.status("prod-deploy")["held"])
        self.assertDone(job.post())

    def path_without(self, *names):
        """A PATH with all that this machine has, but for NAMES."""
        directory = self.directory / "path"
        directory.mkdir()
        for path in reversed(os.environ["PATH"].split(os.pathsep)):
            for file in pathlib.Path(path).glob("*"):
                (directory / file.name).unlink(missing_ok=True)
                (directory / file.name).symlink_to(file)
        for name in names:
            (directory / name).unlink(missing_ok=True)
        return str(directory)

    def test_where_the_program_is_not_installed_it_is_built_for_later_steps_too(self):
        """With a make that is quick."""
        path = self.path_without("awsflock", "make")
        (self.directory / "path/make").write_text(f"#!/bin/sh\n[ \"$3\" = directories.h ] || cp {self.tools}/awsflock \"$2\"\n")
        (self.directory / "path/make").chmod(0o755)
        changes = {"PATH": path, "CONFIG_SITE": str(self.write("site", "exit 0\n"))}
        first, second = self.job("first"), self.job("second")
        main = first.take(**changes)
        self.assertDone(main)
        [added] = main.files["PATH"].read_text().splitlines()
        self.assertEqual(os.listdir(added), ["awsflock"])
        changes["PATH"] = f"{added}:{path}"
        again = second.take(**changes)
        self.assertDone(again)
        self.assertEqual((again.files["PATH"].read_text(), again.log.shown), ("", []))
        for job, lock in ((second, "second"), (first, "first")):
            self.assertTrue(self.status(lock)["held"])
            self.assertDone(job.post(**changes))
            self.assertFree(lock)

    def test_a_runner_without_a_summary_is_one_too(self):
        job = self.job("deploy")
        self.assertDone(job.take())
        self.assertDone(job.post(GITHUB_STEP_SUMMARY=""))
        self.assertFree("deploy")

    def test_without_the_program_and_what_builds_it_the_step_says_what_is_missing(self):
        job = self.job()
        step = job.take(PATH=self.path_without("awsflock", "autoreconf", "libtoolize", "pkg-config", "apt-get"))
        self.assertFails(step, 1, "awsflock is not installed, and could not be built")
        self.assertRegex("\n".join(step.log.shown), r"needed to build awsflock: .*\bautoconf\b.*\blibjson-c-dev\b")
        self.assertDone(job.post())

    def test_a_build_that_fails_shows_the_end_of_its_log(self):
        site = self.write("site", "echo no luck; exit 7\n")
        step = self.job().take(PATH=self.path_without("awsflock"), CONFIG_SITE=str(site))
        self.assertFails(step, 1, "could not be built")
        self.assertIn("no luck", step.log.shown)

    def test_a_build_that_is_cancelled_ends_with_all_that_it_started(self):
        pid = self.directory / "pid"
        site = self.write("site", f"echo $$ >{pid}.new; mv {pid}.new {pid}; sleep 120\n")
        job = self.job()
        step = job.begin(PATH=self.path_without("awsflock"), CONFIG_SITE=str(site))
        wait_until(lambda: pid.exists() or step.process.poll() is not None, what="the build")
        tree = below(int(pid.read_text()))
        self.assertNotEqual(step.cancel().code, 0)
        wait_until(lambda: not any(runs(part) for part in tree), what="the end of the build")
        self.assertEqual(self.listing(), {})
        self.assertDone(job.post())

    def begin_work(self):
        """The job of the manual, at work: the job, its step, and the pid of what works."""
        job = self.job(**dict(re.findall(r"^      ([\w-]+): (.*)$", RECIPE, re.M)))
        self.write("runner-temp/deploy.sh", WORK).chmod(0o755)
        self.assertDone(job.take())
        [step] = re.findall(r"^  - run: (.*)$", RECIPE, re.M)
        process = self.start(["bash", "-e", str(self.write("step", step + "\n"))], changes=job.main.values("ENV"), cwd=job.temp)
        pid = job.temp / "deploying"
        wait_until(lambda: pid.exists() or process.poll() is not None, what="the work")
        self.assertTrue(self.status("prod-deploy")["held"])
        return job, process, int(pid.read_text())

    def test_the_manuals_job_holds_the_lock_while_it_works(self):
        job, process, _ = self.begin_work()
        (job.temp / "finish").touch()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertTrue(self.status("prod-deploy")["held"])
        self.assertDone(job.post())
        self.assertFree("prod-deploy")

    def test_the_manuals_job_releases_the_lock_when_it_is_cancelled_at_work_and_nothing_works_any_more(self):
        for number in CANCEL_SIGNALS:
            with self.subTest(number=number):
                job, process, pid = self.begin_work()
                process.send_signal(number)
                process.wait(PATIENCE_S)
                self.assertFalse(runs(pid))
                self.assertTrue(self.status("prod-deploy")["held"])
                self.assertDone(job.post())
                self.assertFree("prod-deploy")
                (job.temp / "deploying").unlink()


@unittest.skipUnless(shutil.which("node"), "no node")
class ActionOnDynamoDB(ActionTest, OnDynamoDB):
    def test_table_and_region_are_the_inputs(self):
        secret, token = "SECRETofTHEjob", "TOKENofTHEjob"
        self.environment.update(AWS_SECRET_ACCESS_KEY=secret, AWS_SESSION_TOKEN=token)
        job = self.job(table=self.table, region="eu-central-1")
        elsewhere = {"AWSFLOCK_TABLE": None, "AWS_REGION": None}
        main = job.take(**elsewhere)
        self.assertDone(main)
        self.assertIn("fence", self.item("prod-deploy"))
        self.assertEqual(job.record()["store"].split()[-2:], ["eu-central-1", self.table])
        # Also where the job has named another one since.
        post = job.post(**{**elsewhere, "AWSFLOCK_TABLE": "another", "AWS_REGION": REGION})
        self.assertDone(post)
        self.assertIn("released_time", self.item("prod-deploy"))
        for step in (main, post):
            for text in (step.log.text, *(file.read_text() for file in step.files.values())):
                self.assertNotIn(secret, text)
                self.assertNotIn(token, text)

    def test_without_a_region_or_keys_the_step_says_so(self):
        for missing, said in (({"AWS_REGION": None}, "region"), ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
                                                                 "no AWS credentials were found")):
            with self.subTest(missing=missing):
                self.assertFails(self.job().take(**missing), 1, said)
        self.assertEqual(self.item_count(), 0)

    def test_a_store_that_cannot_be_asked_fails_the_last_step(self):
        job = self.job()
        self.assertDone(job.take())
        holder = job.record()["pid"]
        os.kill(holder, signal.SIGKILL)
        wait_until(lambda: not runs(holder), what="the holder's end")
        self.assertFails(job.post(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:1"), 1)
        self.assertDone(job.post())
        self.assertIn("released_time", self.item("prod-deploy"))


class Metadata(ProgramTest):
    def test_it_is_as_plain_as_this_test_reads_it(self):
        for line in (SOURCE / "action.yml").read_text().splitlines():
            self.assertRegex(line, r"^(#.*|[\w-]+:( [\w ]+)?|  [\w-]+:( \S.*)?|    [\w-]+: \S.*)$")
            self.assertNotRegex(line.partition(": ")[2], r"^[\[{&*!|>'\"%@`#]|: | #")

    def test_its_scripts_are_there_and_post_always_runs(self):
        self.assertEqual((RUNS["using"], RUNS["post-if"]), ("node20", "always()"))
        for name in ("main", "post"):
            self.assertTrue((SOURCE / RUNS[name]).is_file())

    def test_the_scripts_read_the_inputs_that_it_has(self):
        text = (SOURCE / "action/main.js").read_text()
        read = set(re.findall(r"input\('([\w-]+)'\)", text))
        for table in re.findall(r"options\(\{(.*?)\}\)", text):
            read |= set(re.findall(r"'?([\w-]+)'?: '", table))
        self.assertEqual(read, set(INPUTS))

    def test_its_inputs_are_the_manuals_and_have_awsflocks_own_defaults(self):
        manual = (SOURCE / "docs/ci.md").read_text()
        section = re.search(r"^## GitHub Actions, by the action\n(.*?)^## ", manual, re.S | re.M).group(1)
        self.assertEqual(set(re.findall(r"^\| `([\w-]+)` \|", section, re.M)), set(INPUTS) | set(OUTPUTS))
        helped = " ".join(self.awsflock("help", "hold").out.split())
        for name, default in (("table", "(default awsflock)"), ("wait", "(default for ever)"),
                              ("lease-duration", "(default 60 seconds)")):
            self.assertIn(default, INPUTS[name]["description"])
            self.assertIn(default, helped)


del ActionTest  # it is a part of those above

if __name__ == "__main__":
    unittest.main()
