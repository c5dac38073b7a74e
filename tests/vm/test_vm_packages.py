"""Debian's packages on a machine with a real systemd: in the place of what was compiled there, guarding sshd and sudo,
upgraded under an open session, and purged.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from vmtest import RESCUE, VmTest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "packages"))
from debs import another_version  # noqa: E402

NAMES = ("awsflock", "libawsflock1", "libpam-awsflock", "sudo-awsflock")
EXAMPLES = "/usr/share/doc/awsflock/examples"
# What bears the name, but for what the image has of its own, and the store, whose locks are the administrator's.
FILES = ("find / -xdev \\( -path /root -o -path /tmp -o -path /var/lib/selinux -o -path /var/lib/awsflock -o -path /usr/local \\) -prune -o "
         "-name '*awsflock*' -not -name 'awsflock-test-agent*' -print")


def disk_with_packages(directory):
    """An image of a disk with them under two versions, named old and new."""
    for which, version in (("old", "1.0.0-0"), ("new", "1.0.0-2")):
        place = directory / "disk" / which
        place.mkdir(parents=True)
        another_version(version, place, NAMES)
    disk = directory / "packages.img"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(directory / "disk"), str(disk), "16M"], check=True,
                   stdout=subprocess.DEVNULL)
    return disk


class Packages(VmTest):
    @classmethod
    def setUpClass(cls):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="vm-disk-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.machine = cls.new_machine("packages", disk=disk_with_packages(directory))

    def version(self, name):
        return self.done(self.machine, f"dpkg-query -W -f '${{Version}}' {name}")

    def as_bob(self):
        """(exit code, stdout, stderr) of a command that bob runs with sudo."""
        return self.machine.run("runuser -u bob -- sudo id -u")

    def assertSudoWorks(self):
        self.assertEqual(self.as_bob(), (0, "0\n", ""))
        self.wait_until_free(self.machine)

    def test_1_they_take_the_place_of_what_was_compiled_here(self):
        self.done(self.machine, "find /usr/local /lib/*/security -depth -name '*awsflock*' -not -name awsflock-test-agent -exec rm -r {} + && "
                  "userdel awsflock && ldconfig && mount -o ro /dev/vdb /mnt")
        self.assertEqual(self.done(self.machine, FILES), "")
        told = self.done(self.machine, "date +%s.%N; apt-get -q -y install /mnt/old/*.deb >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }\n"
                         "awsflock run --local -n deploy -- date +%s.%N", timeout=600).split()
        print(f"# from apt-get install ./*.deb to a held lock: {float(told[1]) - float(told[0]):.1f} s")
        self.assertEqual(self.done(self.machine, "command -v awsflock"), "/usr/bin/awsflock\n")
        self.done(self.machine, "getent passwd awsflock")

    def test_2_their_examples_guard_sshd_and_sudo(self):
        # Of the example's settings, those for a table give way to a local store, as README says for a first try.
        self.done(self.machine, f"groupadd {RESCUE} && usermod -aG {RESCUE} admin && sed '/^\\(table\\|region\\) = /d; "
                  f"s/^\\[awsflock\\]$/&\\nstore = local/' {EXAMPLES}/bastion.conf >/etc/awsflock.conf && cp {EXAMPLES}/pam.d/sudo /etc/pam.d/sudo")
        self.guard(self.machine, "sshd")
        for name in ("ops", "ops-sudo"):
            self.assertNotIn("failed", self.done(self.machine, f"awsflock guard-check {name}"))
        self.assertSudoWorks()

    def test_3_an_upgrade_leaves_open_sessions_their_lock_and_the_timer_alone(self):
        self.done(self.machine, "systemctl enable --now awsflock-sweep.timer")
        session = self.enter(self.machine, "alice", "sudo sleep 1245 & sleep 0")
        self.until(self.machine, "pgrep -xf 'sleep 1245' >/dev/null")
        self.assertHeldBy(self.machine, "alice")
        lease = self.status(self.machine)["fence"]
        keepers = self.done(self.machine, "pgrep awsflock-keeper")
        self.done(self.machine, "apt-get -q -y install /mnt/new/*.deb", timeout=600)
        self.assertEqual([self.version(name) for name in NAMES], ["1.0.0-2"] * len(NAMES))
        self.assertEqual(self.done(self.machine, "pgrep awsflock-keeper"), keepers)
        self.done(self.machine, "systemctl is-enabled awsflock-sweep.timer && systemctl is-active awsflock-sweep.timer && "
                  "systemctl start awsflock-sweep.service && pgrep -xf 'sleep 1245'")
        self.assertHeldBy(self.machine, "alice")
        self.assertEqual(self.status(self.machine)["fence"], lease)
        code, out, err = self.as_bob()
        self.assertEqual((code, out), (1, ""))
        self.assertIn("'ops' is held by alice@", err)
        self.done(self.machine, "pkill -xf 'sleep 1245'")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)
        self.assertSudoWorks()

    def test_4_the_module_is_not_removed_while_pam_files_name_it(self):
        code, out, err = self.machine.run("dpkg --remove sudo-awsflock libpam-awsflock", timeout=600)
        self.assertNotEqual(code, 0)
        self.assertIn("libpam-awsflock: not removed, since nobody could get in through these any more:", out + err)
        self.assertIn("  /etc/pam.d/sshd\n  /etc/pam.d/sudo\n", "".join(sorted((out + err).splitlines(True))))
        self.assertSudoWorks()
        session = self.enter(self.machine, "alice")
        self.assertHeldBy(self.machine, "alice")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)

    def test_5_purged_they_leave_what_the_administrator_made_and_nobody_is_locked_out(self):
        # Keepers clear up after their sessions have ended.
        self.until(self.machine, "! pgrep awsflock-keeper >/dev/null")
        self.done(self.machine, "sed -i /pam_awsflock/d /etc/pam.d/sshd /etc/pam.d/sudo && "
                  f"dpkg --purge {' '.join(NAMES)}", timeout=600)
        self.assertEqual(self.as_bob(), (0, "0\n", ""))
        self.assertEqual(self.machine.run("ssh -o BatchMode=yes alice@localhost echo entered")[1], "entered\n")
        self.assertEqual(self.machine.run("ls -d /run/awsflock")[1], "")
        self.assertEqual(self.done(self.machine, FILES), "/etc/awsflock.conf\n")


if __name__ == "__main__":
    unittest.main()
