"""awsflock run: processes that the command leaves behind.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import signal
import unittest

from awsflocktest import PATIENCE_S, program, run, wait_until
from running import IDLE, STUBBORN, RunTest


class Leftovers(RunTest):
    def start_leaving(self, *options, script=IDLE, code=7, how="setsid", **more):
        text = f"{how} {self.part(script, 'left')} & {self.until('left')} exit {code}"
        process = self.start_run(*options, "deploy", "-c", text, **more)
        return process, self.pid_in("left")

    def until(self, name):
        return f"while [ ! -e {self.path(name)} ]; do sleep 0.02; done;"

    @staticmethod
    def name_of(pid):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as name:
            return name.read().strip()

    def test_the_lock_is_held_until_the_last_has_ended(self):
        process, pid = self.start_leaving()
        notice = self.next_line(process)
        self.assertIn(str(pid), notice)
        self.assertIn("sh", notice)
        self.wait_for_renewal("deploy")
        self.assertIsNone(process.poll())
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.end_of(process), (7, ""))
        self.assertFree("deploy")

    def test_a_signal_to_awsflock_is_passed_on_to_them(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                process, pid = self.start_leaving()
                self.assertIn("holding 'deploy'", self.next_line(process))
                process.send_signal(number)
                self.assertEqual(self.end_of(process), (7, ""))
                self.assertGone(pid)
                self.assertFree("deploy")
                os.unlink(self.path("left"))

    def test_end_ends_them(self):
        for script in (IDLE, STUBBORN):
            with self.subTest(script=script):
                process, pid = self.start_leaving("--leftovers=end", script=script)
                self.assertEqual(self.end_of(process), (7, ""))
                self.assertGone(pid)
                self.assertFree("deploy")
                os.unlink(self.path("left"))

    def test_release_leaves_them_running_without_the_lock(self):
        process, pid = self.start_leaving("--leftovers=release", stdout=None, stderr=None)
        process.wait(PATIENCE_S)
        self.assertEqual(process.returncode, 7)
        self.assertFree("deploy")
        os.kill(pid, 0)

    def test_one_that_ends_with_the_command_is_no_matter(self):
        # It reads to the end, which comes as the shell that writes to it ends.
        fifo = self.path("fifo")
        result = self.flock_run("deploy", "-c", f"mkfifo {fifo}; cat {fifo} & exec 3>{fifo}; exit 7")
        self.assertEqual((result.code, result.err), (7, ""))

    def copy_program(self):
        """The command line of a copy that others can reach too: the build may be in a home closed to them."""
        [*wrapper, path], environment = program()
        copied = shutil.copy(path, self.path("awsflock"))
        if environment:
            for library in pathlib.Path(path).parent.glob("libawsflock.so*"):
                shutil.copy(library, self.directory)
            self.environment["LD_LIBRARY_PATH"] = str(self.directory)
        return [*wrapper, copied]

    @unittest.skipUnless(os.geteuid() == 0, "only root can make a process that others cannot end")
    def test_one_that_cannot_be_ended_keeps_the_lock_until_the_lease_runs_out(self):
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        os.chown(self.directory, 65534, 65534)
        with open(shutil.which("setpriv"), "rb") as setpriv:
            as_root = self.write("as-root", setpriv.read())
        os.chmod(as_root, 0o4755)
        text = f"setsid {as_root} --reuid=0 sleep 60 >/dev/null 2>&1 & echo $! >{self.path('left')}; sleep 0.2; exit 7"
        flock = as_nobody + self.copy_program()
        arguments = len(program()[0])
        process = self.start(flock + self.run_command("--leftovers=end", "deploy", "-c", text)[arguments:])
        pid = self.pid_in("left")
        wait_until(lambda: self.name_of(pid) == "sleep", what="the leftover")
        if os.stat(f"/proc/{pid}").st_uid != 0:
            self.skipTest("this file system does not honour the set-user-ID bit")
        code, err = self.end_of(process)
        self.assertEqual(code, 7, err)
        self.assertIn("could not be ended", err)
        self.assertIn(str(pid), err)
        os.kill(pid, 0)
        held = run(flock + self.flock_command("list", "--held")[arguments:], self.environment)
        self.assertIn("deploy", held.out, held)


if __name__ == "__main__":
    unittest.main()
