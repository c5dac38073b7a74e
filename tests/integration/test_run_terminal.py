"""awsflock run on a terminal: as if the shell had started the command itself.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import signal
import unittest

from awsflocktest import process_state, runs, wait_until
from running import IDLE, SLEEPER, STUBBORN, RunTest, children_of


class OnATerminal(RunTest):
    def test_ctrl_c_while_it_waits_ends_it_by_that_signal_and_leaves_nothing_behind(self):
        lease_id = self.acquire("deploy")
        terminal = self.on_terminal(self.run_command("deploy", "touch", self.path("ran")))
        terminal.expect("deploy: [^\n]* until ")
        [supervisor] = children_of(terminal.pid)
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), -signal.SIGINT)
        self.assertGone(supervisor)
        self.assertHeld("deploy", lease_id)
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_ctrl_c_reaches_the_command_once(self):
        script = "import signal; waited = {signal.SIGINT, signal.SIGTERM}; " \
                 "signal.pthread_sigmask(signal.SIG_BLOCK, waited); print('ready', flush=True); " \
                 "[print('got', signal.sigwait(waited).name, flush=True) for _ in range(2)]"
        terminal = self.on_terminal(self.run_command("deploy", "/usr/bin/python3", "-c", script))
        terminal.expect("ready")
        terminal.type("\x03")
        terminal.expect("got SIGINT")
        os.kill(terminal.pid, signal.SIGTERM)  # passed on, after whatever else there is to pass on
        self.assertEqual(terminal.wait(), 0)
        self.assertIn("got SIGTERM", terminal.output)
        self.assertFree("deploy")

    def in_a_loop(self, command):
        """A bash that runs COMMAND again and again, and then says what became of it."""
        loop = f"for i in 1 2 3; do {command}; echo code-$?-round-$i; done; echo after-the-loop"
        return self.on_terminal(["bash", "-c", loop])

    def test_ctrl_c_ends_a_shells_loop_around_it(self):
        command = self.run_line("deploy", "-c", f"echo ready; exec {self.part(SLEEPER, 'pid')}")
        terminal = self.in_a_loop(command)
        terminal.expect("ready")
        pid = self.pid_in("pid")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), -signal.SIGINT)
        self.assertNotIn("round", terminal.output)
        self.assertNotIn("after", terminal.output)
        self.assertGone(pid)
        self.assertFree("deploy")

    def test_ctrl_c_during_the_wait_ends_a_shells_loop_around_it(self):
        lease_id = self.acquire("deploy")
        terminal = self.in_a_loop(self.run_line("deploy", "true"))
        terminal.expect("deploy: [^\n]* until ")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), -signal.SIGINT)
        self.assertNotIn("after", terminal.output)
        self.assertHeld("deploy", lease_id)

    def test_ctrl_c_that_the_command_makes_use_of_ends_no_loop(self):
        text = "trap 'exit 130' INT; echo ready; read line"
        terminal = self.in_a_loop(self.run_line("deploy", "-c", text))
        for number in (1, 2, 3):
            terminal.expect(f"(?s)(ready.*){{{number}}}")
            terminal.type("\x03")
            terminal.expect(f"code-130-round-{number}")
        terminal.expect("after-the-loop")
        self.assertEqual(terminal.wait(), 0)

    def test_a_quit_from_the_keyboard_ends_it_by_that_signal(self):
        terminal = self.on_terminal(self.run_command("deploy", "-c", f"echo ready; exec {self.part(SLEEPER, 'pid')}"))
        terminal.expect("ready")
        self.pid_in("pid")
        terminal.type("\x1c")
        self.assertEqual(terminal.wait(), -signal.SIGQUIT)
        self.assertFree("deploy")

    def test_a_signal_that_was_not_typed_is_told_by_the_exit_code(self):
        terminal = self.on_terminal(self.run_command("deploy", "-c", f"echo ready; exec {self.part(SLEEPER, 'pid')}"))
        terminal.expect("ready")
        self.pid_in("pid")
        os.kill(terminal.pid, signal.SIGINT)
        self.assertEqual(terminal.wait(), 130)

    def test_the_command_reads_what_is_typed_and_is_in_the_foreground(self):
        text = "echo ready; read line; echo got-$line; ps -o stat= -p $$"
        terminal = self.on_terminal(self.run_command("deploy", "-c", text))
        terminal.expect("ready")
        terminal.type("something\n")
        terminal.expect("got-something\\s+S\\S*\\+")
        self.assertEqual(terminal.wait(), 0)

    def test_when_the_terminal_goes_away_the_command_ends_and_the_lock_is_released(self):
        terminal = self.on_terminal(self.run_command("deploy", "-c", IDLE.replace("$1", self.path("pid"))))
        pid = self.pid_in("pid")
        [supervisor] = children_of(terminal.pid)
        os.close(terminal.master)
        terminal.master = -1
        self.wait_until_free("deploy")
        self.assertGone(pid)
        self.wait_until_gone(supervisor)


class UnderAShell(RunTest):
    def setUp(self):
        super().setUp()
        self.shell = self.on_terminal(["bash", "--norc", "--noprofile", "-i"], changes={"TERM": "dumb", "PS1": "> "})
        self.shell.expect("> ")

    def say(self, line):
        self.shell.type(line + "\n")

    def expect_code(self, code):
        self.say("echo code=$?.")
        self.shell.expect(f"code={code}\\.")

    def asked(self, line, pattern):
        """Whether PATTERN is in what the shell says to LINE."""
        start = len(self.shell.output)
        self.say(f"{line}; echo as''ked")
        wait_until(lambda: self.shell.pump() and "asked" in self.shell.output[start:], what="an answer")
        return re.search(pattern, self.shell.output[start:])

    def wait_for_state(self, pid, states):
        wait_until(lambda: self.shell.pump(0) and (process_state(pid) or "") in states, what=f"state {states}")

    def start_reader(self):
        text = f"echo $$ >{self.path('new')}; mv {self.path('new')} {self.path('pid')}; " \
               "read line; echo got-$line; exit 6"
        self.say(self.run_line("deploy", "-c", text))
        return self.pid_in("pid")

    def test_ctrl_z_stops_the_job_the_lock_is_kept_and_fg_goes_on(self):
        pid = self.start_reader()
        self.shell.type("\x1a")
        self.shell.expect("Stopped")
        self.wait_for_state(pid, "T")
        self.wait_for_renewal("deploy")
        self.say("fg")
        self.wait_for_state(pid, "S")
        self.say("words")
        self.shell.expect("got-words")
        self.expect_code(6)
        self.assertFree("deploy")

    def test_a_stop_is_said_once_and_the_lock_stays_held(self):
        pid = self.start_reader()
        for _ in range(2):
            self.shell.type("\x1a")
            self.wait_for_state(pid, "T")
            self.shell.expect("the command is stopped: 'deploy' remains held until it is continued")
            self.shell.expect("Stopped(?s:.*)> ")
            self.say("fg")
            self.wait_for_state(pid, "S")
            # Until all of awsflock has heard of it: what it passes on would undo a stop that came at once.
            self.wait_for_renewal("deploy")
        self.say("words")
        self.expect_code(6)
        self.assertEqual(self.shell.output.count("the command is stopped"), 1)

    def test_one_that_is_stopped_for_too_long_is_ended_before_the_lock_is_released(self):
        text = f"{self.part(STUBBORN, 'left')} & {self.part(SLEEPER, 'pid')}"
        self.say(self.run_line("--stopped", "release-after=1s", "deploy", "-c", text))
        pids = [self.pid_in("pid"), self.pid_in("left")]
        self.assertTrue(self.status("deploy")["held"])
        self.shell.type("\x1a")
        while self.status("deploy")["held"]:
            self.shell.pump(0)
        self.assertFalse(any(runs(pid) for pid in pids))
        self.shell.expect("the command was stopped for 1 s: ending it, and releasing 'deploy'")
        self.say("wait; jobs; echo no-jobs-$((1+1))")
        self.shell.expect("no-jobs-2")

    def test_one_that_is_continued_in_time_is_not_ended(self):
        self.say(self.run_line("--stopped", "release-after 2s", "deploy", "-c",
                               f"echo $$ >{self.path('new')}; mv {self.path('new')} {self.path('pid')}; "
                               "read line; sleep 3; exit 6"))
        pid = self.pid_in("pid")
        self.shell.type("\x1a")
        self.wait_for_state(pid, "T")
        self.say("fg")
        self.wait_for_state(pid, "S")
        self.say("words")
        self.expect_code(6)

    def test_bg_goes_on_until_the_command_wants_the_terminal(self):
        pid = self.start_reader()
        self.shell.type("\x1a")
        self.shell.expect("Stopped")
        self.say("bg")
        wait_until(lambda: self.asked("jobs -l", "Stopped \\(tty input\\)"), what="the stop")
        self.say("fg")
        self.wait_for_state(pid, "S")
        self.say("words")
        self.shell.expect("got-words")
        self.expect_code(6)

    def test_a_command_that_stops_itself_stops_the_job(self):
        self.say(self.run_line("deploy", "-c", "kill -STOP $$; echo went-$((1+1)); exit 6"))
        self.shell.expect("Stopped")
        self.say("fg")
        self.shell.expect("went-2")
        self.expect_code(6)

    def test_ctrl_c_ends_the_command(self):
        self.say(self.run_line("deploy", "-c", IDLE.replace("$1", self.path("pid"))))
        pid = self.pid_in("pid")
        self.shell.type("\x03")
        self.wait_until_gone(pid)
        self.expect_code(130)
        self.assertFree("deploy")

    def test_kill_of_the_job_ends_the_command(self):
        self.say(self.run_line("deploy", "-c", IDLE.replace("$1", self.path("pid"))) + " &")
        pid = self.pid_in("pid")
        self.say("kill %1; wait %1")
        self.wait_until_gone(pid)
        self.expect_code(143)
        self.assertFree("deploy")

    def test_the_rest_of_a_pipeline_keeps_the_terminal(self):
        writer = self.run_line("deploy", "-c", f"echo line; {IDLE.replace('$1', self.path('pid'))}")
        self.say(writer + " | sh -c 'read a; read b </dev/tty; echo $a-$b; kill $0' $$")
        pid = self.pid_in("pid")
        self.say("typed")
        self.shell.expect("line-typed")
        self.shell.type("\x03")
        self.wait_until_gone(pid)

    def test_ctrl_z_while_it_waits_and_fg(self):
        lease_id = self.acquire("deploy")
        self.say(self.run_line("deploy", "-c", f"touch {self.path('ran')}; echo went-$((1+1)); exit 6"))
        self.shell.expect("waiting for")
        self.shell.type("\x1a")
        self.shell.expect("Stopped")
        self.assertWorked(self.flock("release", "deploy", lease_id))
        self.say("fg")
        self.shell.expect("went-2")
        self.expect_code(6)

    def test_a_shell_with_job_control_of_its_own_gives_the_terminal_back(self):
        self.say(self.run_line("deploy", "env", "PS1=inner-", "bash", "--norc", "--noprofile", "-i"))
        self.shell.expect("inner-")
        self.say(self.part(SLEEPER, "pid"))
        pid = self.pid_in("pid")
        self.wait_for_state(pid, "S")
        self.shell.type("\x1a")
        self.shell.expect("Stopped")
        self.say("fg")
        self.wait_for_state(pid, "S")
        self.shell.type("\x03")
        self.wait_until_gone(pid)
        self.say("exit 6")
        self.shell.expect("exit 6\\s+exit\\s+> ")
        self.expect_code(6)
        self.assertFree("deploy")


if __name__ == "__main__":
    unittest.main()
