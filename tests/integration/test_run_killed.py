"""awsflock run: one of its own processes is killed or stopped.  The command never outlives its lock.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import unittest

from awsflocktest import process_state, wait_until
from running import BEATING, IDLE, LEASE_S, STUBBORN, STUBBORN_BEATING, RunTest, children_of, runs


class OwnProcesses(RunTest):
    def start_tree(self, *options, script=IDLE):
        """A command with a child, a child that left its session, and an orphan; their pids."""
        text = f"{self.part(script, 'child')} & setsid {self.part(script, 'session')} & " \
               f"({self.part(script, 'orphan')} &) ; " + script.replace("$1", self.path("command"))
        process = self.start_run(*options, "deploy", "-c", text)
        pids = [self.pid_in(name) for name in ("command", "child", "session", "orphan")]
        return process, self.supervisor_of(process), pids

    def test_when_awsflock_is_killed_the_command_ends_and_the_lock_is_released(self):
        for script in (IDLE, STUBBORN):
            with self.subTest(script=script):
                process, supervisor, pids = self.start_tree(script=script)
                process.kill()
                self.wait_until_free("deploy")
                self.assertGone(*pids)
                self.wait_until_gone(supervisor)
                for name in ("command", "child", "session", "orphan"):
                    os.unlink(self.path(name))

    def test_when_the_supervisor_is_killed_the_command_ends_and_the_lock_is_released(self):
        for script in (IDLE, STUBBORN):
            with self.subTest(script=script):
                process, supervisor, pids = self.start_tree(script=script)
                self.wait_for_renewal("deploy")
                os.kill(supervisor, signal.SIGKILL)
                code, err = self.end_of(process)
                self.assertGone(*pids)
                self.assertEqual(code, 125, err)
                self.assertIn("ended too early (Killed)", err)
                self.assertFree("deploy")
                for name in ("command", "child", "session", "orphan"):
                    os.unlink(self.path(name))

    def test_a_loss_that_a_killed_supervisor_did_not_see_any_more_is_told(self):
        process, supervisor, pids = self.start_tree("--lease-duration=60s")
        os.kill(supervisor, signal.SIGSTOP)
        wait_until(lambda: process_state(supervisor) == "T", what="the stop")
        self.break_now("deploy")
        holder = self.acquire("deploy")
        os.kill(supervisor, signal.SIGKILL)
        code, err = self.end_of(process)
        self.assertGone(*pids)
        self.assertEqual((code, err.count("LOCK LOST")), (124, 1), err)
        self.assertHeld("deploy", holder)

    def test_when_the_supervisor_is_stopped_the_command_ends_before_the_lease_does(self):
        names = ("command", "child", "session", "orphan")
        for script in (BEATING, STUBBORN_BEATING):
            with self.subTest(script=script):
                process, supervisor, pids = self.start_tree(script=script)
                os.kill(supervisor, signal.SIGSTOP)
                code, err = self.end_of(process)
                self.assertGone(*pids, supervisor)
                self.assertEqual(code, 124, err)
                self.assertIn("LOCK LOST", err)
                lease = self.assertNotReleased("deploy")
                self.assertEndedBefore(lease["expires_boot_ms"], *names)
                self.let_expire("deploy")
                for name in names:
                    os.unlink(self.path(name))
                    os.unlink(self.path(name + ".beats"))

    def test_a_process_that_is_killed_before_it_becomes_the_command_ends_like_one(self):
        lease = self.acquire("deploy")
        process = self.start_run("deploy", "touch", self.path("ran"))
        supervisor = self.supervisor_of(process)
        [waiting] = wait_until(lambda: children_of(supervisor), what="the process that waits for the lock")
        os.kill(waiting, signal.SIGKILL)
        self.wait_until_gone(waiting)
        self.assertWorked(self.flock("release", "deploy", lease))
        self.assertEqual(self.end_of(process)[0], 128 + signal.SIGKILL)
        self.assertFalse(os.path.exists(self.path("ran")))
        self.assertFree("deploy")

    def test_with_warn_a_stopped_supervisor_leaves_the_command_alone(self):
        process, supervisor, pids = self.start_tree("--on-lost=warn")
        os.kill(supervisor, signal.SIGSTOP)
        self.assertIn("LOCK LOST", self.next_line(process))
        os.kill(supervisor, signal.SIGCONT)
        for pid in pids[1:]:
            os.kill(pid, signal.SIGKILL)
        os.kill(pids[0], signal.SIGUSR1)
        self.assertEqual(self.end_of(process), (128 + signal.SIGUSR1, ""))

    def test_a_supervisor_that_was_stopped_for_a_moment_goes_on(self):
        process = self.start_run("deploy", *self.job())
        self.wait_for_job(process)
        supervisor = self.supervisor_of(process)
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGCONT)
        self.wait_for_renewal("deploy")
        self.assertEqual(self.finish_job(process), (0, ""))
        self.assertFree("deploy")

    def test_when_awsflock_is_stopped_the_supervisor_goes_on_alone(self):
        process = self.start_run("deploy", *self.job())
        self.wait_for_job(process)
        process.send_signal(signal.SIGSTOP)
        for _ in range(LEASE_S):  # a renewal a third of the lease: beyond the deadline as it stood
            self.wait_for_renewal("deploy")
        (self.directory / "finish").touch()
        self.wait_until_free("deploy")
        process.send_signal(signal.SIGCONT)
        self.assertEqual(self.end_of(process), (0, ""))

    def test_when_both_are_killed_the_command_dies_with_them(self):
        process = self.start_run("deploy", "-c", STUBBORN.replace("$1", self.path("pid")))
        pid, supervisor = self.pid_in("pid"), self.supervisor_of(process)
        process.send_signal(signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        process.kill()
        self.wait_until_gone(pid)

    def test_when_both_are_killed_at_once_what_the_command_started_lives_on(self):
        """The limit that the manual page tells of: nobody is left to end it."""
        process, supervisor, pids = self.start_tree()
        process.send_signal(signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        process.kill()
        process.wait()
        self.wait_until_gone(pids[0])
        self.assertEqual([pid for pid in pids[1:] if not runs(pid)], [])
        self.assertNotReleased("deploy")

    def test_an_awsflock_that_was_stopped_while_its_supervisor_was_killed_cleans_up_once_continued(self):
        process, supervisor, pids = self.start_tree()
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: process_state(process.pid) == "T", what="the stop")
        os.kill(supervisor, signal.SIGKILL)
        self.wait_until_gone(supervisor, pids[0])
        self.assertEqual([pid for pid in pids[1:] if not runs(pid)], [])
        self.assertNotReleased("deploy")
        process.send_signal(signal.SIGCONT)
        code, err = self.end_of(process)
        self.assertGone(*pids)
        self.assertEqual(code, 125, err)
        self.assertFree("deploy")


if __name__ == "__main__":
    unittest.main()
