"""tests/support/contain.py: what ./check started ends with it.  SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

CONTAIN = pathlib.Path(__file__).resolve().parents[1] / "support" / "contain.py"
# A process each in the command's own group, in a group of its own as timeout(1) makes one, in a session of its own,
# and one that has lost its parent.  Each tells its pid.
START = """
sh -c 'echo $$; exec sleep 600' &
timeout 600 sh -c 'echo $$; exec sleep 600' &
setsid sh -c 'echo $$; exec sleep 600' &
(setsid sh -c 'echo $$; exec sleep 600' &)
"""
PROCESSES = 4


class Contained(unittest.TestCase):
    def start(self, script):
        process = subprocess.Popen([CONTAIN, "sh", "-c", script], stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.pids = [int(process.stdout.readline()) for _ in range(PROCESSES)]
        for pid in self.pids:
            os.kill(pid, 0)
        return process

    def assertEnded(self, process, code, said):
        self.assertEqual((process.wait(), process.stdout.read()), (code, said))
        for pid in self.pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_each_order_to_end_ends_all_and_lets_the_command_say_so(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number.name):
                process = self.start("trap 'echo interrupted; exit 1' TERM\n" + START + "timeout 600 sleep 600")
                process.send_signal(number)
                self.assertEnded(process, 1, "interrupted\n")

    def let_end(self, script, code, said):
        """SCRIPT goes on when all that it started has told its pid."""
        with tempfile.TemporaryDirectory() as directory:
            go_on = pathlib.Path(directory, "go-on")
            os.mkfifo(go_on)
            process = self.start(START + f"read -r line <{go_on}; {script}")
            go_on.write_text("\n")
            self.assertEnded(process, code, said)

    def test_what_is_left_at_the_end_is_ended_and_the_code_is_the_commands(self):
        self.let_end("echo done; exit 7", 7, "done\n")

    def test_what_does_not_end_when_it_is_told_to_is_killed(self):
        process = self.start(START.replace("echo $$", 'trap "" TERM; echo $$').replace("exec sleep", "sleep")
                             + "sleep 600")
        process.send_signal(signal.SIGTERM)
        self.assertEnded(process, 143, "")

    def test_a_command_that_ends_at_once_has_its_code_too(self):
        for _ in range(10):
            self.assertEqual(subprocess.run([CONTAIN, "/bin/sh", "-c", "exit 7"], check=False, timeout=60).returncode, 7)

    def test_a_command_that_a_signal_ends_has_the_shells_code(self):
        self.let_end("kill -9 $$", 137, "")


if __name__ == "__main__":
    unittest.main()
