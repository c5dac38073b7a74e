"""awsflock run: signals that are passed on, and those that end the wait.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import threading
import time
import unittest

from awsflocktest import PATIENCE_S, OnDynamoDB, wait_until
from proxy import Proxy, held_back
from running import IDLE, SLEEPER, STUBBORN, RunTest, children_of

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class WhileTheCommandRuns(RunTest):
    def test_signals_reach_the_command(self):
        names = [number.name[3:] for number in PASSED_ON]
        traps = "; ".join(f"trap 'echo {name} >>{self.path('got')}' {name}" for name in names)
        process = self.start_run("deploy", "-c", f"exec 2>/dev/null; {traps}; trap 'exit 9' CONT; " +
                                 IDLE.replace("$1", self.path("pid")))
        self.pid_in("pid")
        got = self.directory / "got"
        for count, number in enumerate(PASSED_ON, 1):
            process.send_signal(number)
            wait_until(lambda: got.exists() and len(got.read_text().split()) == count, what=number.name)
        self.assertEqual(got.read_text().split(), names)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(self.end_of(process), (9, ""))
        self.assertFree("deploy")

    def test_a_signal_reaches_the_children_in_the_commands_group_too(self):
        process = self.start_run("deploy", "-c", self.part(IDLE, "child") + " & " +
                                 IDLE.replace("$1", self.path("pid")))
        pids = self.pid_in("pid"), self.pid_in("child")
        process.terminate()
        self.assertEqual(self.end_of(process)[0], 143)
        self.assertGone(*pids)

    def test_a_signal_does_not_reach_the_callers_other_processes(self):
        other = self.start(["sh", "-c", IDLE, "other", self.path("other")], process_group=0)
        process = self.start_run("deploy", "-c", IDLE.replace("$1", self.path("pid")), process_group=other.pid)
        self.pid_in("pid")
        process.terminate()
        self.assertEqual(self.end_of(process), (143, ""))
        self.assertIsNone(other.poll())

    def test_a_stopped_command_stops_awsflock_and_both_go_on(self):
        process = self.start_run("deploy", "-c", IDLE.replace("$1", self.path("pid")), process_group=0)
        pid = self.pid_in("pid")
        for resume in (process.pid, pid):
            os.kill(pid, signal.SIGSTOP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status), status)
            self.assertEqual(os.WSTOPSIG(status), signal.SIGSTOP)
            self.wait_for_renewal("deploy")
            os.kill(resume, signal.SIGCONT)
            wait_until(lambda: self.state(pid) in "RS" and self.state(process.pid) in "RS", what="both running")
        process.terminate()
        self.assertEqual(self.end_of(process), (143, ""))

    def start_script(self):
        """A script, as its session's leader, whose command has been stopped for a while; its process and the command's
        pid.  Nobody above it could continue a stopped job."""
        line = self.run_line("deploy", "-c", IDLE.replace("$1", self.path("pid")))
        script = self.start(["sh", "-c", line + "; echo code=$?"], start_new_session=True)
        pid = self.pid_in("pid")
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: self.state(pid) == "T", what="the stop")
        self.wait_for_renewal("deploy")
        return script, pid

    def end_of_script(self, script):
        out, err = script.communicate(timeout=PATIENCE_S)
        return script.returncode, out.decode(), err.decode()

    def test_a_script_outlives_its_stopped_command_and_sees_that_the_lock_was_lost(self):
        script, pid = self.start_script()
        self.break_now("deploy")
        code, out, err = self.end_of_script(script)
        self.assertGone(pid)
        self.assertEqual((code, out), (0, "code=124\n"), err)
        self.assertIn("LOCK LOST", err)

    def test_a_script_outlives_its_stopped_command_and_sees_what_killed_it(self):
        script, pid = self.start_script()
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.end_of_script(script), (0, "code=137\n", ""))

    def test_a_script_with_a_stopped_process_beside_the_command_outlives_the_commands_end(self):
        """As without awsflock: nobody who minded that process goes with the command."""
        text = f"{self.part(SLEEPER, 'other')} & {self.run_line('deploy', *self.job())}; echo code=$?"
        script = self.start(["sh", "-c", text], start_new_session=True)
        other = self.pid_in("other")
        self.wait_for_job(script)
        os.kill(other, signal.SIGSTOP)
        wait_until(lambda: self.state(other) == "T", what="the stop")
        (self.directory / "finish").touch()
        line = os.read(script.stdout.fileno(), 100)  # the other one keeps the pipe open
        self.assertEqual((line, script.wait(PATIENCE_S)), (b"code=0\n", 0))
        self.assertEqual(self.state(other), "T")

    def test_a_script_outlives_a_stop_that_is_told_to_awsflock_while_it_ends_the_command(self):
        line = self.run_line("deploy", "-c", STUBBORN.replace("$1", self.path("pid")))
        script = self.start(["sh", "-c", f"{line}; echo code=$?"], start_new_session=True)
        self.pid_in("pid")
        self.break_now("deploy")
        self.assertIn("LOCK LOST", self.next_line(script))
        [launcher] = children_of(script.pid)
        os.kill(launcher, signal.SIGTSTP)
        self.assertEqual(self.end_of_script(script), (0, "code=124\n", ""))

    @staticmethod
    def state(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def test_the_supervisor_minds_no_signal_but_kill(self):
        process = self.start_run("deploy", *self.job())
        self.wait_for_job(process)
        supervisor = self.supervisor_of(process)
        for number in (*PASSED_ON, signal.SIGTSTP, signal.SIGPIPE, signal.SIGALRM):
            os.kill(supervisor, number)
        self.wait_for_renewal("deploy")
        self.assertEqual(self.finish_job(process), (0, ""))


class WhileItWaits(RunTest):
    def setUp(self):
        super().setUp()
        self.lease_id = self.acquire("deploy", "--lease-duration", "10m")
        self.marker = self.path("ran")

    def start_waiting(self, **more):
        process = self.start_run("deploy", "touch", self.marker, **more)
        supervisor = self.supervisor_of(process)
        self.assertIn("waiting for 'deploy'", self.next_line(process))
        return process, supervisor

    def test_a_signal_ends_it_and_nothing_is_left_behind(self):
        for number in PASSED_ON:
            with self.subTest(signal=number.name):
                process, supervisor = self.start_waiting()
                process.send_signal(number)
                self.assertEqual(self.end_of(process), (128 + number, ""))
                self.assertGone(supervisor)
                self.assertHeld("deploy", self.lease_id)
        self.assertFalse(os.path.exists(self.marker))

    def test_a_signal_that_the_caller_ignores_does_not_end_it(self):
        process, _ = self.start_waiting(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.send_signal(signal.SIGINT)
        self.assertWorked(self.flock("release", "deploy", self.lease_id))
        self.assertEqual(self.end_of(process), (0, ""))
        self.assertTrue(os.path.exists(self.marker))

    def test_what_stood_still_until_its_lease_ran_out_starts_nothing(self):
        """As in a machine that was suspended just then."""
        process, supervisor = self.start_waiting()
        [command] = children_of(supervisor)
        os.kill(command, signal.SIGSTOP)
        self.assertWorked(self.flock("release", "deploy", self.lease_id))
        wait_until(lambda: self.status("deploy").get("lease_id") not in (None, self.lease_id), what="the grant")
        for pid in (process.pid, supervisor):
            os.kill(pid, signal.SIGSTOP)
        end_ms = self.record("deploy")["expires_boot_ms"]
        wait_until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 > end_ms, what="the end of the lease")
        os.kill(command, signal.SIGCONT)
        self.wait_until_gone(command)
        for pid in (supervisor, process.pid):
            os.kill(pid, signal.SIGCONT)
        code, said = self.end_of(process)
        self.assertEqual(code, 124)
        self.assertIn("LOCK LOST", said)
        self.assertFalse(os.path.exists(self.marker))

    def test_it_ends_where_awsflock_is_killed(self):
        process, supervisor = self.start_waiting()
        process.kill()
        process.wait()
        self.wait_until_gone(supervisor)
        self.assertHeld("deploy", self.lease_id)

    def test_it_ends_where_the_supervisor_is_killed(self):
        process, supervisor = self.start_waiting()
        os.kill(supervisor, signal.SIGKILL)
        code, err = self.end_of(process)
        self.assertEqual(code, 125, err)
        self.assertIn("ended too early (Killed)", err)
        self.assertHeld("deploy", self.lease_id)


class WhileTheAnswerIsOutstanding(OnDynamoDB, RunTest):
    """The table has granted the lock, and nobody here knows it yet."""

    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)
        self.answer = threading.Event()
        self.proxy.on("UpdateItem", held_back(self.answer, after_server=True))

    def is_granted(self):
        item = self.item("deploy")
        return item is not None and "released_time" not in item

    def assertGivenBack(self):
        # By a process of its own: the answer does not wait for it.
        wait_until(lambda: "released_time" in self.item("deploy"), what="the giving back")
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_ctrl_c_gives_the_lock_back(self):
        terminal = self.on_terminal(self.run_command("deploy", "touch", self.path("ran")))
        wait_until(self.is_granted, what="the grant")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), -signal.SIGINT)
        self.assertGivenBack()

    def test_any_signal_that_ends_the_wait_gives_the_lock_back(self):
        process = self.start_run("deploy", "touch", self.path("ran"))
        wait_until(self.is_granted, what="the grant")
        process.terminate()
        code, err = self.end_of(process)
        self.assertEqual(code, 143, err)
        self.assertGivenBack()


if __name__ == "__main__":
    unittest.main()
