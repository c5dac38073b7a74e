"""The recipes of docs/ci.md, typed into small imitations of the runners they are for: however a job ends, its lock is free
afterwards, and was not free while its work still ran.  The runners' seconds of patience are moments here.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import unittest

from awsflocktest import PATIENCE_S, OnLocalStore, command, kill_if_running, runs, wait_until
from running import children_of

SOURCE = pathlib.Path(__file__).resolve().parents[2]
# The work: it says where it runs, and goes on until it is told to end or finds the file "finish".
DEPLOY = """#!/bin/sh
trap 'exit 9' TERM INT
echo $$ >deploying.new; mv deploying.new deploying
while [ ! -e finish ]; do sleep 0.05; done
exit "$(cat finish)"
"""


def part(heading):
    text = (SOURCE / "docs/ci.md").read_text()
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.S | re.M).group(1)


def descendants(pid):
    found = children_of(pid)
    return found + [below for child in found for below in descendants(child)]


class Runner:
    """Steps are scripts, each of a shell of its own, in one folder; what one of them leaves in the background stays.  Whoever is
    cancelled is signalled, as a process group if nothing else is said, until nothing of the step runs."""

    patience_s = 0.5
    signals = (signal.SIGTERM, signal.SIGKILL)

    def __init__(self, test):
        self.test, self.count = test, 0
        self.steps, self.last = self.recipe()
        self.environment = {**test.environment, **self.variables(test.work)}

    def begin(self, step, **variables):
        self.count += 1
        script = self.test.directory / f"step-{self.count}"
        script.write_text(step + "\n")
        process = subprocess.Popen(["bash", "-e", str(script)], cwd=self.test.work, env={**self.environment, **variables},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        self.test.addCleanup(process.wait)
        self.test.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        return process

    def signal(self, process, number):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass

    def still_runs(self, process, below):
        return process.poll() is None or any(runs(pid) for pid in below)

    def cancel(self, process):
        below = descendants(process.pid)
        for number in self.signals:
            self.signal(process, number)
            try:
                wait_until(lambda: not self.still_runs(process, below), self.patience_s)
                return
            except AssertionError:
                continue
        wait_until(lambda: not self.still_runs(process, below), what="the step's end")

    def run(self, step):
        return self.begin(step).wait(PATIENCE_S)


class GitHub(Runner):
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)

    def recipe(self):
        steps = re.findall(r"^  - (if: always\(\)\n    )?run: (.*)$", part("GitHub Actions"), re.M)
        return [step for always, step in steps if not always], [step for always, step in steps if always][0]

    def variables(self, work):
        return {"RUNNER_TEMP": str(work)}

    def signal(self, process, number):
        """The shell alone; at the end the tree below it."""
        for pid in descendants(process.pid) if number == signal.SIGKILL else []:
            kill_if_running(pid, number)
        process.send_signal(number)

    def still_runs(self, process, _below):
        return process.poll() is None


class GitLab(Runner):
    def recipe(self):
        script, after = re.search(r"^  script:\n((?:    - .*\n)+)  after_script:\n    - (.*)\n", part("GitLab CI"), re.M).groups()
        return ["\n".join(re.findall(r"- (.*)", script))], after  # one shell

    def variables(self, _work):
        return {}


class Jenkins(Runner):
    def recipe(self):
        steps = re.findall(r"sh '(.*)'", part("Jenkins"))
        return steps[:-1], steps[-1]

    def variables(self, _work):
        return {}

    def begin(self, step, **variables):
        return super().begin(step, **variables, JENKINS_SERVER_COOKIE=f"durable-{self.count}")

    def signal(self, process, number):
        """Whoever has the step's cookie, wherever it has gone; it was given at the start."""
        wanted = f"JENKINS_SERVER_COOKIE=durable-{self.count - 1}".encode()
        for pid in {process.pid, *descendants(process.pid), *self.test.holders()}:
            try:
                if wanted in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    os.kill(pid, number)
            except OSError:  # it has ended, or does not show its environment
                continue


class Buildkite(Runner):
    def recipe(self):
        hooks = re.findall(r"^# \.buildkite/hooks/\S+\n(.*)\n", part("Buildkite"), re.M)
        return [hooks[0], "exec ./deploy.sh"], hooks[1]

    def variables(self, work):
        return {"BUILDKITE_JOB_ID": work.parent.name}


class OnRunner:
    """Mixed with a store: the files and settings of a job on a runner of this KIND."""

    def setUp(self):
        super().setUp()
        self.work = self.directory / "work"
        self.work.mkdir()
        tools = self.directory / "tools"
        tools.mkdir()
        for path, text in ((tools / "awsflock", f"#!/bin/sh\nexec {' '.join(command())} \"$@\"\n"), (self.work / "deploy.sh", DEPLOY)):
            path.write_text(text)
            path.chmod(0o755)
        settings = self.write("awsflock.conf", f"[awsflock]\nstore = local\nlocal_dir = {self.store}\n")
        self.environment.update(PATH=f"{tools}:{self.environment['PATH']}", AWSFLOCK_CONFIG=str(settings))
        self.runner = self.kind(self)
        self.addCleanup(self.end_what_is_left)

    def end_what_is_left(self):
        subprocess.run(["bash", "-c", self.runner.last], cwd=self.work, env=self.runner.environment, capture_output=True)

    def wait_for_work(self, process):
        """The pid of what works."""
        wait_until(lambda: (self.work / "deploying").exists() or process.poll() is not None, what="the work's start")
        return int((self.work / "deploying").read_text())

    def let_finish(self, code):
        """The work ends with CODE, which it reads as soon as the file is there."""
        (self.work / "finish.new").write_text(str(code))
        (self.work / "finish.new").rename(self.work / "finish")

    def record(self):
        """The lease file, wherever the recipe has it; None before there is one."""
        path = re.search(r'--lease-file "?([^" ]+)', self.runner.last).group(1)
        for name, value in self.runner.variables(self.work).items():
            path = path.replace(f"${name}", value)
        path = self.work / path
        return json.loads(path.read_text()) if path.exists() and path.stat().st_size > 0 else None

    def holders(self):
        record = self.record()
        return [record["pid"]] if record else []


class Recipes(OnRunner):
    def begin_work(self):
        """The step that deploys, in its midst."""
        *before, work = self.runner.steps
        for step in before:
            self.assertEqual(self.runner.run(step), 0)
        process = self.runner.begin(work)
        self.pid = self.wait_for_work(process)
        self.assertTrue(self.status("prod-deploy")["held"])
        return process

    def test_a_job_that_ends_well_or_fails_releases_the_lock(self):
        for code in (0, 1):
            with self.subTest(code=code):
                process = self.begin_work()
                self.let_finish(code)
                self.assertEqual(process.wait(PATIENCE_S), code)
                self.assertTrue(self.status("prod-deploy")["held"])
                self.assertEqual(self.runner.run(self.runner.last), 0)
                self.assertFree("prod-deploy")
                for name in ("finish", "deploying"):
                    (self.work / name).unlink()

    def test_a_job_that_is_cancelled_at_work_releases_the_lock_when_nothing_works_any_more(self):
        process = self.begin_work()
        self.runner.cancel(process)
        self.assertFalse(runs(self.pid))
        self.assertEqual(self.runner.run(self.runner.last), 0)
        self.assertFree("prod-deploy")

    def test_a_job_that_is_cancelled_while_it_waits_takes_nothing(self):
        other = self.acquire("prod-deploy")
        process = self.runner.begin(self.runner.steps[0])
        wait_until(lambda: self.waiting() or process.poll() is not None, what="the wait")
        holder = self.waiting()
        self.runner.cancel(process)
        self.assertIn(self.runner.run(self.runner.last), (0, 3))
        wait_until(lambda: not runs(holder), what="the end of the wait")
        self.assertHeld("prod-deploy", other)
        self.assertFalse((self.work / "deploying").exists())

    def waiting(self):
        """The process that waits."""
        record = self.record()
        return record["pid"] if record and record["state"] == "taking" else None


class AskingRecipes(Recipes):
    """Their work is a step that asks first."""

    def test_a_job_that_finds_its_lock_lost_does_not_work(self):
        first, work = self.runner.steps
        self.assertEqual(self.runner.run(first), 0)
        lease_id = self.status("prod-deploy")["lease_id"]
        self.assertWorked(self.flock("break", "-y", "--now", "--lease-id", lease_id, "prod-deploy"))
        self.assertEqual(self.runner.run(work), 3)
        self.assertFalse((self.work / "deploying").exists())


class RunAsTheStep(OnRunner):
    """The manual's one line: awsflock run is the step."""

    def setUp(self):
        super().setUp()
        [self.step] = re.findall(r"```sh\n(.*awsflock run .*)\n```", (SOURCE / "docs/ci.md").read_text())

    def begin_work(self):
        process = self.runner.begin(self.step)
        return process, self.wait_for_work(process)

    def test_its_exit_code_is_the_commands_and_the_lock_is_free_then(self):
        for code in (0, 7):
            with self.subTest(code=code):
                process, _ = self.begin_work()
                self.assertTrue(self.status("prod-deploy")["held"])
                self.let_finish(code)
                self.assertEqual(process.wait(PATIENCE_S), code)
                self.assertFree("prod-deploy")
                for name in ("finish", "deploying"):
                    (self.work / name).unlink()

    def test_a_step_that_is_cancelled_while_it_waits_starts_and_takes_nothing(self):
        other = self.acquire("prod-deploy")
        process = self.runner.begin(self.step)
        wait_until(lambda: descendants(process.pid) or process.poll() is not None, what="the wait")
        below = descendants(process.pid)
        self.runner.cancel(process)
        wait_until(lambda: not any(runs(pid) for pid in below), what="the end of the wait")
        self.assertHeld("prod-deploy", other)
        self.assertFalse((self.work / "deploying").exists())

    def test_the_first_signal_ends_the_command_and_then_the_lock_is_free(self):
        process, pid = self.begin_work()
        self.runner.signals, self.runner.patience_s = self.runner.signals[:1], PATIENCE_S
        self.runner.cancel(process)
        process.wait(PATIENCE_S)
        self.assertFalse(runs(pid))
        self.assertFree("prod-deploy")

    def test_the_last_signal_ends_a_command_that_minds_none_and_the_lock_is_not_free_before(self):
        (self.work / "deploy.sh").write_text(DEPLOY.replace("'exit 9'", "''"))
        process, pid = self.begin_work()
        with_it = [pid, process.pid, *descendants(process.pid)]
        *first, last = self.runner.signals
        for number in first:
            self.runner.signal(process, number)
        self.assertTrue(runs(pid) and self.status("prod-deploy")["held"])
        self.runner.signal(process, last)
        wait_until(lambda: process.poll() is not None and not any(runs(one) for one in with_it), what="the end of all that ran")
        # Who was left to do so has released the lock; where all were killed it runs out.
        if self.status("prod-deploy")["held"]:
            self.assertIsInstance(self.runner, (GitHub, Jenkins))
            self.let_expire("prod-deploy")
        self.assertFree("prod-deploy")


class OnGitHub(AskingRecipes, OnLocalStore):
    kind = GitHub


class OnGitLab(Recipes, OnLocalStore):
    kind = GitLab


class OnJenkins(AskingRecipes, OnLocalStore):
    kind = Jenkins


class OnBuildkite(Recipes, OnLocalStore):
    kind = Buildkite


class RunOnGitHub(RunAsTheStep, OnLocalStore):
    kind = GitHub


class RunOnGitLab(RunAsTheStep, OnLocalStore):
    kind = GitLab


class RunOnJenkins(RunAsTheStep, OnLocalStore):
    kind = Jenkins


class RunOnBuildkite(RunAsTheStep, OnLocalStore):
    kind = Buildkite


del Recipes, AskingRecipes, RunAsTheStep  # they are a part of those above

if __name__ == "__main__":
    unittest.main()
