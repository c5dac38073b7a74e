"""awsflock run where something stands still: who should read its messages, or its own supervisor.  The command never
outlives its lock.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import os
import signal
import unittest

from awsflocktest import PATIENCE_S, process_state, wait_until
from running import BEATING, IDLE, RunTest, runs


def full_pipe():
    """A pipe that takes nothing more until it is read: its two ends, and how much is in it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    size = 0
    try:
        while True:
            size += os.write(writer, b"x")
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer, size


class StderrThatNobodyReads(RunTest):
    """As behind a pager, in a terminal after Ctrl-S, or at the end of a frozen connection."""

    def start_stalled(self, script=IDLE, options=()):
        """A run with a process that only awsflock can end, its supervisor, and the pid of that process."""
        self.reader, writer, self.filled = full_pipe()
        self.addCleanup(os.close, self.reader)
        text = f"{self.part(script, 'child')} & {self.part(script, 'command')}"
        process = self.start_run(*options, "deploy", "-c", text, stderr=writer)
        os.close(writer)
        child = self.pid_in("child")
        self.pid_in("command")
        return process, self.supervisor_of(process), child

    def end_of_stalled(self, process):
        """The exit code and what was said, read only now."""
        said = b""
        while data := os.read(self.reader, 65536):
            said += data
        return process.wait(PATIENCE_S), said[self.filled:].decode()

    def test_does_not_keep_the_command_running_on_a_lease_that_is_lost(self):
        process, _, child = self.start_stalled()
        self.break_now("deploy")
        self.wait_until_gone(child)
        code, said = self.end_of_stalled(process)
        self.assertEqual(code, 124)
        self.assertIn("LOCK LOST", said, "it is said as soon as somebody reads it")

    def test_does_not_keep_the_command_running_without_awsflock(self):
        process, supervisor, child = self.start_stalled()
        process.kill()
        self.wait_until_gone(child, supervisor)
        self.assertFree("deploy")

    def test_does_not_keep_the_command_running_without_the_supervisor(self):
        process, supervisor, child = self.start_stalled()
        os.kill(supervisor, signal.SIGKILL)
        self.wait_until_gone(child)
        code, said = self.end_of_stalled(process)
        self.assertEqual(code, 125)
        self.assertIn("ended too early (Killed)", said)
        self.assertFree("deploy")

    def test_does_not_keep_the_command_running_beyond_the_lease_of_a_stopped_supervisor(self):
        process, supervisor, child = self.start_stalled(BEATING)
        os.kill(supervisor, signal.SIGSTOP)
        self.wait_until_gone(child)
        self.assertEndedBefore(self.assertNotReleased("deploy")["expires_boot_ms"], "child", "command")
        code, said = self.end_of_stalled(process)
        self.assertEqual(code, 124)
        self.assertIn("LOCK LOST", said)

    def test_a_loss_is_told_also_where_the_supervisor_is_stopped_or_killed_before_that_is_written(self):
        for signal_name, states in (("STOP", ("T", None)), ("KILL", (None,))):
            with self.subTest(signal=signal_name):
                # Told to end, its child does that to it: then the launcher has to act.
                script = f'trap \'kill -{signal_name} "$(cat "$1.parent")"\' TERM; echo $$ >"$1.new"; ' \
                         'mv "$1.new" "$1"; while :; do sleep 120 & wait; done'
                process, supervisor, _ = self.start_stalled(script, ["--lease-duration=9s", "--kill-after=2"])
                self.write("child.parent", f"{supervisor}\n")
                self.write("command.parent", f"{supervisor}\n")
                self.break_now("deploy")
                wait_until(lambda: process_state(supervisor) in states, what="the supervisor's stop or end")
                code, said = self.end_of_stalled(process)
                self.assertEqual((code, said.count("LOCK LOST")), (124, 1), said)

    def test_is_not_waited_for_without_end(self):
        process, _, child = self.start_stalled()
        os.kill(child, signal.SIGKILL)
        self.break_now("deploy")
        self.assertEqual(process.wait(PATIENCE_S), 124)


class StderrThatIsFull(RunTest):
    def test_a_file_that_may_not_grow_does_not_end_awsflock(self):
        log = self.write("log", "x" * 100000)
        limited = ["sh", "-c", 'ulimit -f 64; log=$1; shift; exec "$@" 2>>"$log"', "sh", str(log)]
        process = self.start(limited + self.run_command("deploy", "-c", f"{self.part(IDLE, 'child')} & sleep 120"))
        child = self.pid_in("child")
        os.kill(self.supervisor_of(process), signal.SIGKILL)
        self.assertEqual(process.wait(PATIENCE_S), 125)
        self.assertGone(child)
        self.assertFree("deploy")


class AHangingSupervisor(RunTest):
    """Its main thread alone, of which no signal tells anybody."""

    PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

    def hang(self, pid):
        libc = ctypes.CDLL(None, use_errno=True)
        for request in (self.PTRACE_SEIZE, self.PTRACE_INTERRUPT):
            if libc.ptrace(request, pid, None, None) != 0:
                raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(pid, 0)  # until it stands still

    def test_does_not_keep_the_command_running_beyond_the_lease(self):
        process = self.start_run("deploy", "-c", f"{self.part(BEATING, 'child')} & {self.part(BEATING, 'command')}")
        child, command = self.pid_in("child"), self.pid_in("command")
        supervisor = self.supervisor_of(process)
        self.hang(supervisor)
        self.wait_until_gone(child, command)
        self.assertEndedBefore(self.assertNotReleased("deploy")["expires_boot_ms"], "child", "command")
        os.waitpid(supervisor, 0)  # its end is the tracer's to see first
        code, said = self.end_of(process)
        self.assertEqual(code, 124)
        self.assertIn("LOCK LOST", said)


if __name__ == "__main__":
    unittest.main()
