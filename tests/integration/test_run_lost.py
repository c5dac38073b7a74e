"""awsflock run: the lease is lost while the command runs.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import unittest

from awsflocktest import command, run
from running import IDLE, STUBBORN, STUBBORN_BEATING, RunTest


class Lost(RunTest):
    def test_everything_ends_however_stubborn_and_the_exit_code_is_124(self):
        text = f"setsid {self.part(STUBBORN, 'session')} & ({self.part(STUBBORN, 'orphan')} &) ; " \
               f"(setsid {self.part(STUBBORN, 'daemon')} &) ; " + STUBBORN.replace("$1", self.path("command"))
        process = self.start_run("deploy", "-c", text)
        pids = [self.pid_in(name) for name in ("command", "session", "orphan", "daemon")]
        self.break_now("deploy")
        code, err = self.end_of(process)
        self.assertGone(*pids)
        self.assertEqual(code, 124, err)
        [line] = err.splitlines()
        self.assertIn("LOCK LOST", line)
        self.assertIn("broken", line)

    def test_a_file_that_somebody_removed_is_told_so(self):
        process = self.start_run("deploy", "-c", IDLE.replace("$1", self.path("pid")))
        self.pid_in("pid")
        os.unlink(self.store / "deploy.json")
        code, err = self.end_of(process)
        self.assertEqual(code, 124, err)
        self.assertIn(f"its file was removed from {self.store}", err)

    def test_a_lock_that_somebody_else_had_meanwhile_was_not_released_by_this_one(self):
        process = self.start_run("deploy", "-c", IDLE.replace("$1", self.path("pid")))
        self.pid_in("pid")
        other = self.store.with_name("other")
        lease = run(command("acquire", f"--local={other}", "deploy"), self.environment).out.strip()
        self.assertWorked(run(command("release", f"--local={other}", "deploy", lease), self.environment))
        os.replace(other / "deploy.json", self.store / "deploy.json")
        code, err = self.end_of(process)
        self.assertEqual(code, 124, err)
        self.assertIn("somebody else has held it since, and released it", err)

    def test_an_evicted_run_frees_the_lock_once_its_command_is_gone(self):
        process = self.start_run("deploy", "-c", IDLE.replace("$1", self.path("pid")))
        pid = self.pid_in("pid")
        self.break_lock("deploy")
        code, err = self.end_of(process)
        self.assertEqual(code, 124, err)
        self.assertGone(pid)
        self.acquire("deploy", "--no-wait")

    def test_an_evicted_run_whose_command_ends_first_frees_the_lock_too(self):
        process = self.start_run("--lease-duration=30m", "deploy", *self.job())
        self.wait_for_job(process)
        self.break_lock("deploy")
        code, err = self.finish_job(process)
        self.assertEqual(code, 0)
        self.assertIn("broken", err)
        self.acquire("deploy", "--no-wait")

    def test_the_command_gets_time_to_clean_up(self):
        text = f"trap 'touch {self.path('cleaned')}; exit 5' TERM; " + IDLE.replace("$1", self.path("pid"))
        process = self.start_run("deploy", "-c", text)
        self.pid_in("pid")
        self.break_now("deploy")
        code, err = self.end_of(process)
        self.assertEqual(code, 124, err)
        self.assertTrue(os.path.exists(self.path("cleaned")))

    def test_a_stopped_command_is_woken_to_clean_up(self):
        text = f"trap 'touch {self.path('cleaned')}; exit 5' TERM; " + IDLE.replace("$1", self.path("pid"))
        process = self.start_run("deploy", "-c", text, process_group=0)
        pid = self.pid_in("pid")
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        self.break_now("deploy")
        self.wait_until_gone(pid)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(self.end_of(process)[0], 124)
        self.assertTrue(os.path.exists(self.path("cleaned")))

    def test_processes_that_multiply_are_ended_all_the_same(self):
        # Each one starts the next and ends: there is never a list of them that is still true.  Several chains, and
        # more than there are processors, since one is sometimes caught by luck.
        chain = f'trap "" TERM; [ -e {self.path("stop")} ] || sh "$0" & echo $! >{self.path("last")}; exit 0'
        script = self.write("chain.sh", chain)
        self.addCleanup(lambda: open(self.path("stop"), "w", encoding="ascii").close())
        process = self.start_run("deploy", "-c", f"for i in 1 2 3 4; do sh {script}; done; " +
                                 IDLE.replace("$1", self.path("pid")))
        self.pid_in("pid")
        self.break_now("deploy")
        code, err = self.end_of(process)
        self.assertEqual(code, 124, err)
        last = self.directory / "last"
        before = last.read_text()
        for _ in range(10):  # a chain that lives on would write many times meanwhile
            self.status("deploy")
        self.assertEqual(last.read_text(), before)

    def test_with_warn_the_command_runs_on_and_its_exit_code_counts(self):
        process = self.start_run("--on-lost=warn", "deploy", *self.job())
        self.wait_for_job(process)
        self.break_now("deploy")
        self.assertIn("LOCK LOST", self.next_line(process))
        successor = self.acquire("deploy")
        self.assertIsNone(process.poll())
        self.assertEqual(self.finish_job(process), (0, ""))
        self.assertHeld("deploy", successor)

    def test_a_successor_is_never_released(self):
        process = self.start_run("deploy", "-c", STUBBORN.replace("$1", self.path("pid")))
        self.pid_in("pid")
        self.break_now("deploy")
        successor = self.acquire("deploy")
        self.assertEqual(self.end_of(process)[0], 124)
        self.assertHeld("deploy", successor)

    def test_leftovers_for_which_the_lock_was_held_end_too(self):
        process = self.start_run("deploy", "-c", f"setsid {self.part(STUBBORN, 'left')} & exit 3")
        pid = self.pid_in("left")
        self.assertIn("holding 'deploy'", self.next_line(process))
        self.break_now("deploy")
        self.assertEqual(self.end_of(process)[0], 124)
        self.assertGone(pid)

    def test_an_unreachable_store_ends_the_command_before_the_lease_does(self):
        process = self.start_run("deploy", "-c", STUBBORN_BEATING.replace("$1", self.path("pid")))
        pid = self.pid_in("pid")
        self.wait_for_renewal("deploy")
        away = self.store.with_name("away")
        self.store.rename(away)
        self.store.write_text("not a directory")
        code, err = self.end_of(process)
        self.assertGone(pid)
        self.assertEqual(code, 124, err)
        lease = self.assertNotReleased("deploy", away)
        self.assertEndedBefore(lease["expires_boot_ms"], "pid")


if __name__ == "__main__":
    unittest.main()
