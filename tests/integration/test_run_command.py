"""awsflock run: what the command gets, and what its end gives.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import subprocess
import unittest

from awsflocktest import command, run
from running import IDLE, SLEEPER, RunTest, arguments_of, signal_set


class Verbose(RunTest):
    def test_says_what_was_done_whichever_the_store(self):
        result = self.flock_run("-v", "deploy", "sh", "-c", "echo $$ $AWSFLOCK_FENCE; exit 7")
        pid, fence = result.out.split()
        said = [line for line in result.err.splitlines() if "'deploy'" in line or f"process {pid}" in line]
        self.assertEqual(result.code, 7)
        self.assertEqual(said, [f"awsflock: 'deploy' is held, fence {fence}", f"awsflock: 'sh' runs as process {pid}",
                                f"awsflock: process {pid} has ended by exit code 7", "awsflock: 'deploy' is released"])


class ExitCode(RunTest):
    def test_is_the_commands_own(self):
        for code in (0, 1, 3, 124, 255):
            with self.subTest(code=code):
                result = self.flock_run("deploy", "--", "sh", "-c", f"exit {code}")
                self.assertEqual((result.code, result.err), (code, ""))
        self.assertFree("deploy")

    def test_is_128_and_the_signal_that_ended_the_command(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                result = self.flock_run("deploy", "--", "sh", "-c", f"kill -{int(number)} $$")
                self.assertEqual((result.code, result.err), (128 + number, ""))
        self.assertFree("deploy")

    def test_is_127_for_a_command_that_is_not_there_and_the_lock_is_released(self):
        self.assertSays(self.flock_run("deploy", "no-such-command"), 127, "no-such-command", "no such file")
        self.assertFree("deploy")

    def test_is_126_for_a_command_that_cannot_be_executed_and_the_lock_is_released(self):
        plain = self.write("plain", "no program")
        self.assertSays(self.flock_run("deploy", str(plain)), 126, "plain", "permission denied")
        self.assertFree("deploy")

    def test_is_3_or_that_of_the_option_where_the_lock_is_held(self):
        self.acquire("deploy", "--owner", "someone")
        marker = self.path("ran")
        self.assertSays(self.flock_run("-n", "deploy", "touch", marker), 3, "someone")
        self.assertSays(self.flock_run("-n", "-E", "42", "deploy", "touch", marker), 42, "someone")
        self.assertFalse(os.path.exists(marker))

    def test_is_all_that_quiet_tells_of_a_lock_that_is_held(self):
        self.acquire("deploy")
        for wait in (("-n",), ("-w", "0.3")):
            with self.subTest(wait=wait):
                self.assertEqual(self.flock_run("-q", *wait, "deploy", "true"), (3, "", ""))
                self.assertEqual(self.flock("acquire", "-q", *wait, "deploy"), (3, "", ""))
        self.assertSays(self.flock_run("-q", "free", "no-such-command"), 127, "no-such-command")

    def test_a_wait_of_0_is_one_try_as_flocks(self):
        self.acquire("deploy")
        for words in (("-w", "0"), ("-w", "0.0"), ("--wait-time=0s",)):
            with self.subTest(words=words):
                self.assertSays(self.flock_run(*words, "deploy", "true"), 3, "held by")

    def test_may_be_told_to_be_0_where_the_lock_is_held(self):
        self.acquire("deploy", "--owner", "someone")
        marker = self.path("ran")
        result = self.flock_run("-n", "-E", "0", "deploy", "touch", marker)
        self.assertSays(result, 0, "someone")
        self.assertEqual(result.err.count("\n"), 1, result.err)
        self.assertFalse(os.path.exists(marker))

    def test_is_2_for_a_lease_that_is_too_short_to_end_the_command_and_nothing_is_taken(self):
        marker = self.path("ran")
        result = self.flock("run", "--lease-duration", "5s", "--kill-after", "2", "deploy", "touch", marker)
        self.assertSays(result, 2, "too short", "2.5 s", "8 s")
        self.assertFalse(os.path.exists(marker))
        self.assertFree("deploy")

    def test_is_125_where_the_commands_processes_could_not_be_found(self):
        marker = self.path("ran")
        alien = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--pid", "--fork"]
        result = run(alien + self.run_command("deploy", "touch", marker), self.environment)
        self.assertSays(result, 125, "/proc", "mount")
        self.assertFalse(os.path.exists(marker))
        self.assertFree("deploy")
        result = run(alien + ["--mount-proc"] + self.run_command("deploy", "touch", marker), self.environment)
        self.assertEqual((result.code, result.err), (0, ""))

    def test_is_125_where_too_few_files_may_be_open_for_all_that_may_have_to_be_done(self):
        left, marker = self.path("left"), self.path("ran")
        script = f"touch {marker}; setsid {self.part(SLEEPER, 'left')} & while ! [ -e {left} ]; do sleep 0.01; done; exit 7"
        codes = set()
        for limit in range(7, 36):
            with self.subTest(limit=limit):
                few = ["sh", "-c", 'ulimit -n "$1"; shift; exec "$@"', "sh", str(limit)]
                result = run(few + self.run_command("--leftovers=end", "deploy", "-c", script), self.environment)
                codes.add(result.code)
                self.assertFree("deploy")
                if result.code == 7:
                    self.assertEqual(result.err, "")
                    self.assertGone(self.pid_in("left"))
                    os.unlink(left)
                    os.unlink(marker)
                else:
                    self.assertEqual(result.code, 125, result)
                    self.assertFalse(os.path.exists(marker))
        self.assertEqual(codes, {7, 125})

    def test_is_125_where_the_store_does_not_serve(self):
        result = self.awsflock("run", f"--local={self.write('file', '')}", "deploy", "true")
        self.assertSays(result, 125)


class Surroundings(RunTest):
    def test_lock_fence_and_owner_are_in_the_environment(self):
        show = 'echo "$AWSFLOCK_LOCK:$AWSFLOCK_FENCE:$AWSFLOCK_OWNER"'
        lines = [self.flock_run("--owner", "me & you", "two words", "-c", show).out for _ in range(2)]
        fences = []
        for line in lines:
            lock, fence, owner = line.rstrip("\n").split(":")
            self.assertEqual((lock, owner), ("two words", "me & you"))
            fences.append(int(fence))
        self.assertGreater(fences[1], fences[0])

    def test_without_an_owner_it_is_the_one_that_others_see(self):
        seen = f'echo "$AWSFLOCK_OWNER"; {self.shell_status("deploy")}'
        owner, status = self.flock_run("deploy", "-c", seen).out.split("\n", 1)
        self.assertIn(f'"owner":"{owner}"', status.replace(" ", ""))

    def shell_status(self, lock):
        return " ".join(self.flock_command("status", "--json", lock))

    def test_the_lock_is_held_while_the_command_runs_and_renewed(self):
        process = self.start_run("deploy", *self.job())
        self.wait_for_job(process)
        self.assertTrue(self.status("deploy")["held"])
        self.wait_for_renewal("deploy")
        self.assertEqual(self.finish_job(process), (0, ""))
        self.assertFree("deploy")

    def test_on_the_local_store_two_processes_keep_the_lock(self):
        process = self.start_run("deploy", *self.job())
        self.wait_for_job(process)
        theirs = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and arguments_of(pid) == process.args[1:]]
        self.assertCountEqual(theirs, [process.pid, self.supervisor_of(process)])
        self.assertEqual(self.finish_job(process), (0, ""))

    def test_the_process_that_others_see_is_the_one_that_takes_signals(self):
        process = self.start_run("deploy", *self.job())
        self.wait_for_job(process)
        self.assertEqual(self.status("deploy")["holder"]["pid"], process.pid)
        os.kill(process.pid, signal.SIGTERM)
        self.assertEqual(self.end_of(process)[0], 128 + signal.SIGTERM)
        self.assertFree("deploy")

    def test_stdin_stdout_and_stderr_are_the_commands(self):
        with subprocess.Popen(self.run_command("deploy", "sh", "-c", "cat; echo told >&2"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment) as process:
            self.assertEqual(process.communicate(b"one\ntwo\n", timeout=60), (b"one\ntwo\n", b"told\n"))

    def test_an_open_descriptor_of_the_caller_reaches_the_command_and_none_of_awsflocks_does(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        result = self.flock_run("deploy", "sh", "-c", f"echo here >&{write_end}; ls /proc/$$/fd",
                                pass_fds=(write_end,))
        self.assertEqual(os.read(read_end, 100), b"here\n")
        bare = run(["sh", "-c", f": >&{write_end}; ls /proc/$$/fd"], self.environment, pass_fds=(write_end,))
        self.assertEqual(result.out, bare.out)

    def test_signals_are_as_the_caller_left_them(self):
        def ignore_and_block():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})

        script = f"import os, time; open({self.path('new')!r}, 'w').write(f'{{os.getpid()}}\\n'); " \
                 f"os.rename({self.path('new')!r}, {self.path('pid')!r}); time.sleep(60)"
        process = self.start_run("deploy", "/usr/bin/python3", "-c", script, preexec_fn=ignore_and_block)
        pid = self.pid_in("pid")
        self.assertEqual(signal_set(pid, "SigBlk"), {signal.SIGUSR1})
        ignored = signal_set(pid, "SigIgn")
        self.assertTrue({signal.SIGHUP, signal.SIGCHLD} <= ignored, ignored)
        self.assertFalse({signal.SIGINT, signal.SIGTERM, signal.SIGTTOU} & ignored, ignored)
        process.terminate()
        self.assertEqual(self.end_of(process), (143, ""))

    def test_a_command_that_writes_to_a_closed_pipe_is_ended_by_it(self):
        line = self.run_line("deploy", "sh", "-c", "yes; :") + "; echo $? >&2"
        result = run(["bash", "-c", f"({line}) | head -n 1"], self.environment)
        self.assertEqual(result.out, "y\n")
        self.assertEqual(self.flock_run("deploy", "--", "sh", "-c", "kill -PIPE $$").code, 128 + signal.SIGPIPE)

    def test_the_command_is_in_the_process_group_of_its_caller(self):
        process = self.start_run("deploy", "-c", IDLE.replace("$1", self.path("pid")), start_new_session=True)
        self.assertEqual(os.getpgid(self.pid_in("pid")), process.pid)
        process.terminate()
        self.assertEqual(self.end_of(process), (143, ""))


class Sandbox(RunTest):
    def test_without_pidfds_run_says_so_by_name_and_takes_nothing(self):
        seccomp = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "seccomp.py")
        marker = self.path("ran")
        for call in ("pidfd_open=ENOSYS", "pidfd_open=EPERM", "pidfd_send_signal=EPERM"):
            with self.subTest(call=call):
                filtered = [seccomp, call, "--"]
                result = run([*filtered, *command("run", *self.store_options(), "deploy", "touch", marker)], self.environment)
                self.assertSays(result, 125, "pidfd_open(2) or pidfd_send_signal(2) is missing or forbidden", "Linux 5.3",
                                "seccomp profile must allow both")
                self.assertFalse(os.path.exists(marker))
                self.assertFree("deploy")
                told = run([*filtered, *command("doctor", *self.store_options(), "--json")], self.environment)
                self.assertEqual(told.code, 0)
                self.assertRegex(told.out, r'"check": *"pidfd",\s*"verdict": *"warning",\s*"finding": *"awsflock run and session')


class InsideItself(RunTest):
    def test_on_the_same_lock_is_refused_at_once(self):
        inner = self.run_command("deploy", "true")
        self.assertSays(self.flock_run("deploy", *inner), 125, "deploy", "itself")
        self.assertFree("deploy")

    def test_on_the_same_lock_two_levels_up_is_refused(self):
        inner = self.run_command("other", *self.run_command("deploy", "true"))
        self.assertSays(self.flock_run("deploy", *inner), 125, "deploy", "itself")

    def test_on_another_lock_or_store_is_fine(self):
        elsewhere = command("run", f"--local={self.directory / 'elsewhere'}", "deploy", "echo", "in")
        result = self.flock_run("deploy", *self.run_command("other", *elsewhere))
        self.assertEqual((result.code, result.out, result.err), (0, "in\n", ""))

    def test_one_after_the_other_is_fine(self):
        line = self.run_line("deploy", "true")
        self.assertWorked(run(["sh", "-c", f"{line} && {line}"], self.environment))


if __name__ == "__main__":
    unittest.main()
