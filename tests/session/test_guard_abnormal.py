"""Ends that nobody planned: hosts and keepers that are killed, /run wiped, a machine that was rebooted, a full disk.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import CONF, KEEPER, STORE, GuardTest, configure, guard, keepers  # noqa: E402
from sessiontest import kill_at_end, processes_like, sudoers, wait_until  # noqa: E402

LEFT = "setsid sh -c 'trap \"\" HUP TERM; echo $$ >/run/out/left; exec sleep 300' </dev/null >/dev/null 2>&1 &"
# It says something first that no keeper of this release knows.
NEWER_RENEWER = """#!/usr/bin/python3
import os, struct, sys
os.write(3, struct.pack("=IHH", 0x4B465741, 2, 4000))
os.execv("{kept}", ["awsflock-keeper", *sys.argv[1:]])
"""


class AbnormalEndsTest(GuardTest):
    def setUp(self):
        super().setUp()
        self.out = pathlib.Path("/run/out")
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        os.chmod(self.out, 0o777)

    def left(self):
        pid = self.pid_in("/run/out/left")
        kill_at_end(self, pid)
        return pid

    def assertFreeOnlyOnceGone(self, pid):
        self.assertHeldUntilGone(pid)
        self.wait_until_free()

    def test_a_monitor_that_is_killed_takes_its_session_with_it(self):
        guard("sshd")
        session = self.enter("alice", f"{LEFT} echo entered; exec cat")
        left = self.left()
        os.kill(self.only_monitor("alice"), signal.SIGKILL)
        self.assertFreeOnlyOnceGone(left)
        session.wait(60)
        self.assertEqual(self.ssh("bob", "echo in")[1], "in\n")

    def test_a_sudo_that_is_killed_takes_its_command_with_it(self):
        for settings in ("Defaults use_pty", "Defaults !use_pty"):
            with self.subTest(settings):
                (self.out / "left").unlink(missing_ok=True)
                sudoers(settings)
                guard("sudo")
                sudo = self.start(["sudo", "sh", "-c", f"{LEFT} exec sleep 300"], "alice")
                left = self.left()
                self.assertHeldBy("alice")
                sudo.kill()
                sudo.wait()
                self.assertFreeOnlyOnceGone(left)
                self.assertEqual(self.sudo_as("bob", "echo", "in")[:2], (0, "in\n"))

    def test_a_sudo_under_a_low_hard_limit_of_descriptors_is_guarded_all_the_same(self):
        guard("sudo")
        as_alice = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--bounding-set=-sys_resource", "--"]
        for limit in (256, 64):
            with self.subTest(limit):
                (self.out / "left").unlink(missing_ok=True)
                command = f"ulimit -n {limit}; exec sudo sh -c {shlex.quote(LEFT + ' exec sleep 300')}"
                sudo = self.start([*as_alice, "sh", "-c", command])
                left = self.left()
                self.assertHeldBy("alice")
                limits = pathlib.Path(f"/proc/{self.guardian()}/limits").read_text(encoding="ascii")
                self.assertRegex(limits, rf"Max open files +{limit} +{limit} ")
                sudo.kill()
                sudo.wait()
                self.assertFreeOnlyOnceGone(left)
                self.logged("ending what is left of the session: its host ended without closing it")
                self.wait_for_no_keeper()

    def test_a_su_that_is_killed_takes_its_command_with_it(self):
        guard("su")
        command = self.start(["su", "root", "-c", f"{LEFT} exec sleep 300"], "alice")
        left = self.left()
        command.kill()
        command.wait()
        self.assertFreeOnlyOnceGone(left)
        self.assertEqual(self.run_to_end(["su", "root", "-c", "echo in"], "bob")[:2], (0, "in\n"))

    def test_a_keeper_that_is_killed_whole_leaves_the_lock_to_run_out_and_close_ends_soon(self):
        guard("sshd")
        configure(ops={"lease": "1h"})
        session = self.enter("alice")
        monitor = self.only_monitor("alice")
        self.kill_keepers()
        session.stdin.close()
        self.wait_until_gone(monitor)
        self.logged("sshd.*pam_awsflock.*awsflock-keeper is gone")
        self.assertRefused(self.ssh("bob", "echo in"), "held by alice")
        self.assertHeldBy("alice")  # nobody knows whether the session's processes are gone
        self.end_the_leases_boot()
        self.assertEqual(self.ssh("bob", "echo in")[1], "in\n")

    @staticmethod
    def end_the_leases_boot():
        """Makes the only lease one of an earlier boot, as it is after a reboot."""
        this_boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        [file] = [path for path in STORE.rglob("*") if path.is_file() and path.read_bytes().startswith(b"{")]
        file.write_text(file.read_text(encoding="utf-8").replace(this_boot, str(uuid.uuid4())), encoding="utf-8")

    def test_any_one_process_of_the_keeper_may_be_killed(self):
        guard("sshd")
        for number in range(3):
            with self.subTest(process=number):
                session = self.enter("alice")
                wait_until(lambda: len(keepers()) == 3, what="guardian, standby and renewer")
                monitor = self.only_monitor("alice")
                os.kill(keepers()[number], signal.SIGKILL)
                session.stdin.close()
                session.wait(60)
                self.wait_until_gone(monitor)
                self.wait_until_free()
                self.wait_for_no_keeper()

    def test_a_wiped_run_directory_harms_no_session_and_the_next_one_works(self):
        guard("sshd")
        session = self.enter("alice")
        shutil.rmtree("/run/awsflock")
        self.assertRefused(self.ssh("bob", "echo in"), "held by alice")
        self.leave(session)
        self.wait_until_free()
        session = self.enter("bob")
        self.leave(session)
        self.wait_until_free()

    def test_a_link_in_the_place_of_the_run_directory_is_not_followed(self):
        shutil.rmtree("/run/awsflock", ignore_errors=True)
        elsewhere = pathlib.Path("/run/elsewhere")
        elsewhere.mkdir(exist_ok=True)
        os.symlink(elsewhere, "/run/awsflock")
        guard("sshd")
        session = self.enter("alice")
        self.assertEqual(list(elsewhere.iterdir()), [])
        self.leave(session)
        self.wait_until_free()
        os.unlink("/run/awsflock")

    def test_after_a_reboot_the_local_store_lets_the_next_one_in(self):
        guard("sshd")
        self.assertEqual(self.awsflock("acquire", "--lease-duration", "1h", "ops")[0], 0)
        self.assertEqual(self.ssh("alice", "true")[0], 254)
        self.end_the_leases_boot()
        self.assertEqual(self.ssh("alice", "echo in")[1], "in\n")

    def test_a_full_disk_harms_no_known_lock_and_refuses_a_new_one(self):
        small = pathlib.Path("/run/small")
        small.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "small", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", small], check=True)
        configure({"store": "local", "local_dir": f"{small}/store"}, ops={"lock": "ops-%u"})
        guard("sshd")
        self.assertEqual(self.ssh("alice", "true")[0], 0)
        self.wait_for_no_keeper()
        with open(small / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(b"x" * 4096):
                pass
        self.assertEqual(self.ssh("alice", "echo in")[1], "in\n")
        self.assertRefusedWithoutReason(self.ssh("bob", "echo in"), "[Ss]pace|full")
        (small / "ballast").unlink()
        self.assertEqual(self.ssh("bob", "echo in")[1], "in\n")

    def test_a_missing_keeper_refuses_everybody_and_is_logged(self):
        guard("sshd")
        guard("sudo")
        away = KEEPER + ".away"
        os.rename(KEEPER, away)
        self.addCleanup(lambda: os.path.exists(away) and os.rename(away, KEEPER))
        self.assertRefused(self.ssh("alice", "echo in"), "session guard does not work")
        self.assertRefused(self.sudo_as("alice", "echo", "in"), "session guard does not work")
        self.logged("pam_awsflock.*cannot start .*awsflock-keeper: No such file")

    def test_after_an_upgrade_a_newer_network_half_serves_the_older_keeper(self):
        guard("sshd")
        session = self.enter("alice")
        installed = pathlib.Path(f"{KEEPER}-renewer")
        kept = installed.rename(f"{installed}.kept")
        self.addCleanup(kept.rename, installed)
        installed.write_text(NEWER_RENEWER.format(kept=kept), encoding="ascii")
        installed.chmod(0o755)
        first = self.status()["lease_id"]
        (renewer,) = processes_like(r"awsflock-keeper: renewer")
        os.kill(renewer, signal.SIGKILL)
        self.logged("messages of type 4000, of a newer release, are passed over")
        wait_until(lambda: self.status()["lease_id"] != first, what="a renewal")
        self.assertHeldBy("alice")
        self.leave(session)
        self.wait_until_free()
        self.logged(r"closed: 'ops' after .*: released")

    def test_an_upgrade_leaves_open_sessions_alone(self):
        guard("sshd")
        session = self.enter("alice")
        for path in (pathlib.Path(KEEPER), CONF):
            data = path.read_bytes()
            new = path.with_suffix(".new")
            new.write_bytes(data)
            os.chmod(new, path.stat().st_mode)
            new.replace(path)
        first = self.status()["lease_id"]
        wait_until(lambda: self.status()["lease_id"] != first, what="a renewal")
        second = self.enter("alice")
        self.leave(second)
        self.assertHeldBy("alice")
        self.leave(session)
        self.wait_until_free()
