"""Waiting for the lock in sudo's plugin: whoever waits is told and can leave.  SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import SudoTest, configure, sudoers, wait_until  # noqa: E402
from guardtest import keepers  # noqa: E402
from sessiontest import PATIENCE_S, processes_like  # noqa: E402

SHELL = ("bash", "--norc", "--noprofile", "-i")
WAITING = r"waiting: 'ops' is held by root@.*\r\n"
COMMAND = "sudo expr 40000 + 2"


class WaitingTest(SudoTest):
    def setUp(self):
        super().setUp()
        configure(ops={"wait": "10m"})
        self.held_by_another()

    def in_a_shell(self):
        """A shell of alice's with job control, in which COMMAND waits."""
        shell = self.on_terminal(list(SHELL), "alice", {"PS1": "ready> "})
        shell.expect("ready> ")
        shell.type(f"{COMMAND}\n")
        shell.expect(WAITING)
        return shell

    def assertNothingIsTaken(self):
        wait_until(lambda: not keepers(), what="the end of every keeper")
        self.free_again()
        self.assertFree()

    def test_one_who_waits_at_a_terminal_is_let_in_once_the_lock_is_free(self):
        waiting = self.on_terminal(COMMAND.split(), "alice")
        waiting.expect(WAITING)
        self.free_again()
        waiting.expect(r"'ops' is yours, after \d+ s\.\r\n40002\r\n")
        self.assertEqual(waiting.wait(), 0)
        self.assertFree()

    def test_one_who_waits_without_a_terminal_is_told_on_standard_error(self):
        waiting = self.start(["setsid", "--wait", *COMMAND.split()], "alice")
        self.assertIn(b"waiting: 'ops' is held by root", waiting.stderr.readline())
        self.free_again()
        out, err = waiting.communicate(timeout=PATIENCE_S)
        self.assertEqual((waiting.returncode, out), (0, b"40002\n"), err)

    def test_keys_end_the_wait(self):
        for name, key in (("Ctrl-C", "\x03"), ("Ctrl-\\", "\x1c"), ("Ctrl-Z", "\x1a")):
            with self.subTest(name):
                shell = self.in_a_shell()
                shell.type(key)
                shell.expect("ready> (?s:.*)ready> ")
                self.assertNothingIsTaken()
                shell.type("fg; fg; echo status=$?.\n")
                shell.expect(r"status=[1-9][0-9]*\.\r\n")
                self.assertNotIn("40002", shell.output)
                self.assertFree()
                shell.close()
                self.held_by_another()
        self.free_again()

    def test_signals_end_the_wait(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number):
                waiting = self.start(["setsid", "--wait", *COMMAND.split()], "alice")
                self.assertIn(b"waiting: ", waiting.stderr.readline())
                [sudo] = processes_like("^sudo expr")
                os.kill(sudo, number)
                out, _ = waiting.communicate(timeout=PATIENCE_S)
                self.assertNotEqual(waiting.returncode, 0)
                self.assertEqual(out, b"")
                wait_until(lambda: not keepers(), what="the end of every keeper")
        self.assertNothingIsTaken()

    def test_one_who_leaves_need_not_say_the_password_again(self):
        subprocess.run(["chpasswd"], input=b"alice:secret\n", check=True)
        self.addCleanup(subprocess.run, ["usermod", "-p", "*", "alice"], check=True)
        sudoers("alice ALL=(ALL:ALL) PASSWD: ALL")
        shell = self.on_terminal(list(SHELL), "alice", {"PS1": "ready> "})
        shell.expect("ready> ")
        shell.type(f"{COMMAND}\n")
        shell.expect("[Pp]assword.*: ")
        shell.type("secret\n")
        shell.expect(WAITING)
        shell.type("\x03")
        shell.expect("ready> (?s:.*)ready> ")
        self.assertNothingIsTaken()
        shell.type("sudo -n expr 40000 + 3\n")
        shell.expect("40003\r\n")


if __name__ == "__main__":
    import unittest
    unittest.main()
