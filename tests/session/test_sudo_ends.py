"""Ends of a command that sudo's plugin guards, planned and other: nothing of it runs once another can have the lock.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import EDIT, HOLD, ROOM, PLUGIN, SudoTest, configure, open_gate, sudoers  # noqa: E402
from guardtest import KEEPER, STORE, keepers  # noqa: E402
from namespace import LIBC  # noqa: E402
from sessiontest import PATIENCE_S, kill_at_end, kill_if_running, processes_like, runs, status_field  # noqa: E402

OUT = pathlib.Path("/run/out")
LEFT = "setsid sh -c 'trap \"\" HUP TERM; echo $$ >/run/out/left; exec sleep 300' </dev/null >/dev/null 2>&1 &"
TERMINALS = ("use_pty", "!use_pty")


IN_CLOSE_WRITE, IN_MOVED_TO = 0x08, 0x80  # sys/inotify.h


class Watched:
    """In which order the kernel saw something happen to files and in directories."""

    def __init__(self, masks):
        self.fd = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.names = {LIBC.inotify_add_watch(self.fd, os.fsencode(path), mask): path for path, mask in masks.items()}

    def order(self):
        data, seen = os.read(self.fd, 65536), []
        os.close(self.fd)
        while data:
            watch, _, _, length = struct.unpack("iIII", data[:16])
            seen.append(self.names[watch])
            data = data[16 + length:]
        return seen


def directories(top):
    return [pathlib.Path(path) for path, _, _ in os.walk(top)]


class EndsTest(SudoTest):
    def setUp(self):
        super().setUp()
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir()
        os.chmod(OUT, 0o777)

    def left(self):
        pid = self.pid_in(OUT / "left")
        (OUT / "left").unlink()
        kill_at_end(self, pid)
        return pid

    def assertFreeOnlyOnceGone(self, *pids):
        self.assertHeldUntilGone(*pids)
        self.wait_until_free()

    def test_a_command_that_ends_by_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
            with self.subTest(number):
                code, _, err = self.sudo_as("alice", "sh", "-c", f"ulimit -c 0; kill -{number.value} $$")
                self.assertEqual(code, -number, err)
                self.assertFree()

    def test_a_command_that_cannot_be_executed(self):
        for setting in TERMINALS:
            with self.subTest(setting):
                sudoers(f"Defaults {setting}")
                broken = ROOM / "broken"
                broken.write_text("#!/nowhere\n", encoding="ascii")
                os.chmod(broken, 0o755)
                code, _, err = self.sudo_as("alice", broken)
                self.assertEqual(code, 1)
                self.assertIn("unable to execute", err)
                self.assertFree()

    def check_killed(self, number):
        for setting in TERMINALS:
            with self.subTest(setting):
                sudoers(f"Defaults {setting}")
                sudo = self.start(["sudo", "sh", "-c", f"{LEFT} exec sleep 300"], "alice")
                left = self.left()
                self.assertHeldBy("alice")
                sudo.send_signal(number)
                sudo.wait(PATIENCE_S)
                self.assertFreeOnlyOnceGone(left)
                self.assertEqual(self.sudo_as("bob", "echo", "in")[:2], (0, "in\n"))

    def test_a_sudo_that_is_killed(self):
        self.check_killed(signal.SIGKILL)

    def test_a_sudo_that_crashes(self):
        self.check_killed(signal.SIGSEGV)

    def test_a_monitor_that_is_killed(self):
        sudo = self.on_terminal(["sudo", "sh", "-c", f"{LEFT} exec sleep 301"], "alice")
        left = self.left()
        [monitor] = [pid for pid in processes_like("^sudo sh") if int(status_field(pid, "PPid")[0]) == sudo.pid]
        os.kill(monitor, signal.SIGKILL)
        sudo.wait()
        self.assertHeldBy("alice")  # leftovers = hold
        os.kill(left, signal.SIGKILL)
        for pid in processes_like("^sleep 301"):
            kill_if_running(pid)
        self.wait_until_free()

    def test_a_background_that_is_killed(self):
        sudo = self.start(["sudo", "-b", "sh", "-c", f"{LEFT} exec sleep 300"], "alice")
        self.assertEqual(sudo.wait(PATIENCE_S), 0)
        left = self.left()
        self.logged("moved: ")
        self.assertHeldBy("alice")
        for pid in processes_like("^sudo -b"):
            kill_if_running(pid)
        self.assertFreeOnlyOnceGone(left)
        self.logged("its host ended without closing it")

    def test_what_a_command_leaves_keeps_the_lock_and_is_named(self):
        code, out, err = self.sudo_as("alice", "sh", "-c", f"{LEFT} until test -s /run/out/left; do :; done")
        left = self.left()
        self.assertEqual((code, out), (0, ""), err)
        self.assertRegex(err, rf"'ops' remains held until what the session left has ended: {left} \(")
        self.assertHeldBy("alice")
        self.assertSudoRefuses(self.sudo_as("bob", "true"), "'ops' is held by alice")
        os.kill(left, signal.SIGKILL)
        self.wait_until_free()

    def test_what_a_command_leaves_is_ended_or_left_alone_as_the_guard_says(self):
        for leftovers, runs_on in (("end", False), ("release", True)):
            with self.subTest(leftovers):
                configure(ops={"leftovers": leftovers})
                self.assertEqual(
                    self.sudo_as("alice", "sh", "-c", f"{LEFT} until test -s /run/out/left; do :; done")[0], 0)
                left = self.left()
                self.wait_until_free()
                self.assertEqual(runs(left), runs_on)

    def test_a_lost_lease_ends_the_command(self):
        sudo = self.start(["sudo", "sh", "-c", f"{LEFT} exec sleep 300"], "alice")
        left = self.left()
        self.break_lock()
        self.assertFreeOnlyOnceGone(left)
        _, err = sudo.communicate(timeout=PATIENCE_S)
        self.assertNotEqual(sudo.returncode, 0)
        self.assertNotIn(b"unable to execute", err)

    def test_a_keeper_that_is_killed_whole_leaves_the_lock_and_sudo_ends_all_the_same(self):
        configure(ops={"lease": "1h"})
        sudo = self.start_held("sudo", HOLD)
        self.kill_keepers()
        open_gate()
        self.assertEqual(sudo.wait(PATIENCE_S), 7)
        self.logged("sudo.*awsflock_sudo: awsflock-keeper is gone: the lock may remain held until its lease ends")
        self.assertHeldBy("alice")

    def test_any_one_process_of_the_keeper_may_be_killed(self):
        for number in range(3):
            with self.subTest(process=number):
                sudo = self.start_held("sudo", HOLD)
                os.kill(keepers()[number], signal.SIGKILL)
                if sudo.poll() is None:
                    subprocess.Popen(["sh", "-c", f": >{ROOM}/gate"])  # nobody may be left to read there
                sudo.wait(PATIENCE_S)
                self.wait_until_free()
                self.wait_for_no_keeper()

    def test_an_editors_files_are_copied_back_before_the_lock_is_free(self):
        edited = pathlib.Path("/etc/edited")
        edited.write_text("before\n", encoding="ascii")
        self.addCleanup(edited.unlink)
        sudo = self.start_held("sudo", "-e", edited, environment={"EDITOR": str(EDIT)})
        self.assertHeldBy("alice")
        watched = Watched({edited: IN_CLOSE_WRITE, **{path: IN_MOVED_TO for path in directories(STORE)}})
        open_gate()
        self.assertEqual(sudo.wait(PATIENCE_S), 0)
        self.assertFree()
        self.assertEqual(edited.read_text(encoding="ascii"), "edited\n")
        order = watched.order()
        self.assertIn(edited, order)
        self.assertNotEqual(order[-1], edited, "the last that happened is the release")

    def test_an_editing_that_fails_before_it_begins(self):
        link = pathlib.Path("/etc/edited-link")
        link.symlink_to("/etc/hostname")
        self.addCleanup(link.unlink)
        code, out, err = self.sudo_as("alice", "-e", link, environment={"EDITOR": str(EDIT)})
        self.assertEqual((code, out), (1, ""), err)
        self.assertFree()
        self.wait_for_no_keeper()

    def test_an_editors_sudo_that_is_killed(self):
        edited = pathlib.Path("/etc/edited")
        edited.write_text("before\n", encoding="ascii")
        self.addCleanup(edited.unlink)
        sudo = self.start_held("sudo", "-e", edited, environment={"EDITOR": str(EDIT)})
        editors = processes_like(str(EDIT))
        sudo.kill()
        sudo.wait(PATIENCE_S)
        self.assertFreeOnlyOnceGone(*editors)

    def test_programs_that_are_replaced_while_a_command_runs(self):
        sudo = self.start_held("sudo", HOLD)
        for path in (PLUGIN, KEEPER):
            shutil.copy2(path, path + ".new")
            os.replace(path + ".new", path)
        copy = ROOM / "sudo"
        shutil.copy2("/usr/bin/sudo", copy)
        os.chmod(copy, 0o4755)
        subprocess.run(["mount", "-n", "--bind", copy, "/usr/bin/sudo"], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", "/usr/bin/sudo"], check=True)
        self.assertSudoRefuses(self.sudo_as("bob", "true"), "'ops' is held by alice")
        open_gate()
        self.assertEqual(sudo.wait(PATIENCE_S), 7)
        self.assertFree()
        self.assertEqual(self.sudo_as("bob", "echo", "in")[1], "in\n")


if __name__ == "__main__":
    import unittest
    unittest.main()
