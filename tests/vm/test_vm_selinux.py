"""A bastion on which SELinux is enforced, with Debian's policy and the module that is installed with awsflock.

SPDX-License-Identifier: Apache-2.0
"""
import re
import unittest
import uuid

from vmtest import LOCAL, RESCUE, VmTest, table_port, table_store

DOMAIN = "awsflock_keeper_t"
# Of a denial that is ours: the keeper, its files, and the control groups that it is taken out of before it is one.
OURS = "awsflock|cgroup"
AUTOLOGIN = """[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin alice --noclear %I $TERM
"""


class Enforcing(VmTest):
    @classmethod
    def setUpClass(cls):
        cls.machine = cls.new_machine("selinux", table_port=table_port(),
                                      kernel_arguments="security=selinux selinux=1 enforcing=1")

    def setUp(self):
        if self.machine.run("test -e /etc/awsflock.conf")[0] != 0:
            self.done(self.machine, f"groupadd {RESCUE}")
            self.configure(self.machine, LOCAL)
            self.guard(self.machine, "sshd")
            self.guard(self.machine, "sudo", "ops-sudo")
            self.guard(self.machine, "login")
        self.wait_until_free(self.machine)

    def assertKeepersAreConfined(self):
        """They and what they write."""
        self.assertRegex(self.done(self.machine, "stat -c %C /run/awsflock /var/lib/awsflock"),
                         r"\A\S+:awsflock_runtime_t:\S+\n\S+:awsflock_var_lib_t:\S+\n\Z")
        shown = self.done(self.machine, "ps -eo label=,args= | grep '[a]wsflock-keeper'")
        for line in shown.splitlines():
            self.assertRegex(line, rf"^\w+:\w+:{DOMAIN}:")
        groups = self.done(self.machine, "for p in $(pgrep awsflock-keeper); do cat /proc/$p/cgroup; done")
        self.assertEqual(set(groups.splitlines()), {"0::/init.scope"})

    def test_1_it_is_enforced_and_the_keeper_has_a_type_of_its_own(self):
        self.assertEqual(self.done(self.machine, "getenforce"), "Enforcing\n")
        self.assertIn(":awsflock_keeper_exec_t:", self.done(self.machine, "stat -c %C /usr/local/libexec/awsflock-keeper"))

    def test_2_a_login_and_sudo_within_hold_their_locks_and_others_are_refused(self):
        session = self.enter(self.machine, "alice", "sudo sh -c \"id -Z >~alice/sudo; exec sleep 1261\" & sleep 0")
        self.until(self.machine, "pgrep -xf 'sleep 1261' >/dev/null")
        self.assertHeldBy(self.machine, "alice")
        self.assertHeldBy(self.machine, "alice", "ops-sudo")
        self.assertKeepersAreConfined()
        code, out, err = self.machine.run("ssh -o BatchMode=yes bob@localhost true")
        self.assertNotEqual(code, 0)
        self.assertIn("'ops' is held by alice@bastion", out + err)
        # The domain is the person's, not the keeper's.
        self.assertIn(":unconfined_t:", self.done(self.machine, "cat ~alice/sudo"))
        self.done(self.machine, "pkill -xf 'sleep 1261'")
        self.wait_until_free(self.machine, "ops-sudo")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")

    def test_3_a_broken_lock_ends_the_session_with_all_that_hides_in_it(self):
        hidden = ("setsid -f sleep 1262; (env -i setsid sh -c \"sleep 1263 & sleep 1264\" &); "
                  "setsid -f sudo sleep 1265; systemd-run --user -q --scope sleep 1266 & sleep 0")
        session = self.enter(self.machine, "alice", hidden)
        for number in range(1262, 1267):
            self.until(self.machine, f"pgrep -xf '(/usr/bin/)?sleep {number}' >/dev/null")
        self.break_lock(self.machine)
        self.machine.end(session)
        self.until(self.machine, "! pgrep -f 'sleep 126[2-6]' >/dev/null")
        self.wait_until_free(self.machine)
        self.wait_until_free(self.machine, "ops-sudo")
        self.assertNothingRuns(self.machine, "alice")

    def test_4_the_console_has_its_lock_too_and_loses_it(self):
        unit = "/etc/systemd/system/getty@tty1.service.d"
        self.done(self.machine, f"mkdir -p {unit}; cat >{unit}/tests.conf", stdin=AUTOLOGIN)
        self.done(self.machine, "rm -f ~alice/in ~alice/leave; cat >~alice/.bash_profile; "
                  "systemctl daemon-reload; systemctl restart getty@tty1",
                  stdin="touch ~/in; until [ -e ~/leave ]; do sleep 0.2; done; exit\n")
        self.addCleanup(self.machine.run, f"rm -r {unit} ~alice/.bash_profile; systemctl daemon-reload; systemctl stop getty@tty1")
        self.until(self.machine, "[ -e ~alice/in ]")
        self.assertHeldBy(self.machine, "alice")
        self.assertKeepersAreConfined()
        self.done(self.machine, f"rm -r {unit} ~alice/.bash_profile; systemctl daemon-reload")  # nobody else logs in there
        self.break_lock(self.machine)
        self.until(self.machine, "! pgrep -u alice bash >/dev/null")
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")

    def test_5_the_sweeping_service_ends_what_killed_keepers_left(self):
        self.assertSweepEndsWhatKilledKeepersLeft(self.machine)

    def test_6_a_lock_in_a_table_is_renewed_and_released(self):
        self.configure(self.machine, table_store(f"vm-{uuid.uuid4()}"), lease="36s")
        self.addCleanup(self.configure, self.machine, LOCAL)
        self.done(self.machine, "awsflock create-table")
        session = self.enter(self.machine, "alice")
        self.assertHeldBy(self.machine, "alice")
        self.assertKeepersAreConfined()
        lease_id = self.status(self.machine)["lease_id"]
        self.until(self.machine, f"! awsflock status --json ops | grep -q {lease_id}")
        self.assertHeldBy(self.machine, "alice")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)

    def test_7_nothing_of_all_this_was_denied(self):
        lines = self.done(self.machine, "cat /var/log/audit/audit.log* | grep -a 'avc:  denied\\|SELINUX_ERR' || true")
        self.assertEqual([line for line in lines.split("\n") if re.search(OURS, line)], [])


if __name__ == "__main__":
    unittest.main()
