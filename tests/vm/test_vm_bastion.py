"""A bastion with a real systemd, logind and auditd, set up as README says.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

from vmtest import LOCAL, RESCUE, VmTest

SESSION_OF_ALICE = "$(loginctl --no-legend list-sessions | awk '$3 == \"alice\" { print $1 }' | tail -n 1)"

# Of an administrator's own: it starts no program that is not named.
APPARMOR_PROFILE = """/usr/sbin/sshd {
  capability, network, signal, ptrace, unix, mount, umount, dbus,
  /** rwmlk,
  /{usr/,}bin/* Ux,
  /usr/sbin/sshd ix,
  /usr/sbin/unix_chkpwd Ux,
  %s
}
"""


class Bastion(VmTest):
    @classmethod
    def setUpClass(cls):
        cls.machine = cls.new_machine("bastion")

    def setUp(self):
        if self.machine.run("test -e /etc/awsflock.conf")[0] != 0:
            self.done(self.machine, f"groupadd {RESCUE}; usermod -aG {RESCUE} admin")
            self.configure(self.machine, LOCAL)
            self.guard(self.machine, "sshd")
            self.guard(self.machine, "sudo", "ops-sudo")
        self.wait_until_free(self.machine)

    def alice_is_in(self):
        begun = self.enter(self.machine, "alice")
        self.assertHeldBy(self.machine, "alice")
        return begun

    # -- README's recipe

    def test_0_the_installed_programs_read_the_file_that_the_recipe_names(self):
        self.done(self.machine, "grep -q /etc/awsflock.conf /usr/local/bin/awsflock /usr/local/lib/libawsflock.so.1")
        code, out, _ = self.machine.run("grep -lr /usr/local/etc/awsflock.conf /usr/local/bin /usr/local/lib /usr/local/libexec")
        self.assertEqual((code, out), (1, ""))

    def test_1_the_guard_check_of_the_recipe_finds_nothing_that_failed(self):
        out = self.done(self.machine, "awsflock guard-check ops")
        self.assertRegex(out, r"(?m)^ok +grant +taken")
        self.assertNotIn("failed", out)

    def test_2_the_second_person_is_refused_and_told_who_is_there(self):
        session = self.alice_is_in()
        code, out, err = self.machine.run("ssh -o BatchMode=yes bob@localhost true")
        self.assertNotEqual(code, 0)
        self.assertRegex(out + err, r"'ops' is held by alice@bastion since .*lease ends")
        self.assertEqual(self.machine.run("ssh -o BatchMode=yes admin@localhost echo entered")[1], "entered\n")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)

    # -- the keeper and the service manager

    def test_the_keeper_stands_in_no_session_and_has_a_command_line(self):
        session = self.alice_is_in()
        keepers = self.done(self.machine, "for p in $(pgrep awsflock-keeper); do cat /proc/$p/cgroup; done")
        self.assertNotIn("session-", keepers)
        self.assertNotIn("user-", keepers)
        shown = self.done(self.machine, "ps -eo args | grep '[a]wsflock-keeper'")
        self.assertIn("renewer of ops (alice)", shown)
        self.leave(self.machine, "alice", session)

    def test_what_logind_ends_is_gone_before_the_lock_is_free(self):
        for act in (f"loginctl terminate-session {SESSION_OF_ALICE}", "loginctl terminate-user alice",
                    f"systemctl stop session-{SESSION_OF_ALICE}.scope"):
            with self.subTest(act=act):
                session = self.alice_is_in()
                self.done(self.machine, act)
                self.machine.end(session)
                self.wait_until_free(self.machine)
                self.assertNothingRuns(self.machine, "alice")

    def test_what_is_restarted_or_replaced_leaves_session_and_lock_alone(self):
        for act in ("systemctl daemon-reexec", "systemctl restart ssh", "systemctl restart systemd-logind",
                    "cp -p /usr/local/libexec/awsflock-keeper /tmp/k; mv /tmp/k /usr/local/libexec/awsflock-keeper"):
            with self.subTest(act=act):
                session = self.alice_is_in()
                before = self.done(self.machine, "pgrep awsflock-keeper")
                self.done(self.machine, act)
                self.assertHeldBy(self.machine, "alice")
                self.assertEqual(self.done(self.machine, "pgrep awsflock-keeper"), before)
                self.leave(self.machine, "alice", session)
                self.wait_until_free(self.machine)

    def test_a_broken_lock_ends_the_session_with_all_that_hides_in_it(self):
        hidden = "setsid -f sleep 1234; (env -i setsid sh -c \"sleep 1235 & sleep 1236\" &)"
        session = self.enter(self.machine, "alice", hidden)
        self.break_lock(self.machine)
        self.machine.end(session)
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")

    # -- a session inside another one

    def with_sudo(self):
        """alice's session, in which sudo runs a command that hides processes of root."""
        hidden = "setsid -f sleep 1241; (env -i setsid sh -c \"sleep 1242 & sleep 1243\" &); exec sleep 1244"
        self.done(self.machine, "cat >/usr/local/sbin/hidden; chmod 755 /usr/local/sbin/hidden", stdin="#!/bin/sh\n" + hidden + "\n")
        session = self.enter(self.machine, "alice", "sudo /usr/local/sbin/hidden & sleep 0")
        for number in (1241, 1242, 1243, 1244):
            self.until(self.machine, f"pgrep -xf 'sleep {number}' >/dev/null")
        self.assertHeldBy(self.machine, "alice", "ops-sudo")
        self.addCleanup(self.machine.run, "pkill -f 'sleep 124.'")
        return session

    def assertSudoLeftNothing(self):
        self.wait_until_free(self.machine, "ops-sudo")
        self.assertEqual(self.machine.run("pgrep -af 'sleep 124[1-4]'")[1], "")

    def test_a_broken_inner_lock_ends_the_inner_session_alone(self):
        session = self.with_sudo()
        self.break_lock(self.machine, "ops-sudo")
        # A lock that is broken now is free before its holder knows.
        self.until(self.machine, "! pgrep -f 'sleep 124[1-4]' >/dev/null")
        self.assertSudoLeftNothing()
        self.assertHeldBy(self.machine, "alice")
        self.leave(self.machine, "alice", session)

    def test_a_broken_outer_lock_ends_the_inner_session_too(self):
        session = self.with_sudo()
        self.break_lock(self.machine)
        self.machine.end(session)
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")
        self.assertSudoLeftNothing()

    def test_logind_ends_the_inner_session_with_the_outer_one(self):
        session = self.with_sudo()
        self.done(self.machine, f"loginctl terminate-session {SESSION_OF_ALICE}")
        self.machine.end(session)
        self.wait_until_free(self.machine)
        self.assertSudoLeftNothing()

    # -- sessions without a command, and what outlives those that have one

    def test_a_connection_without_a_command_holds_the_lock_until_it_ends(self):
        self.done(self.machine, "ssh -o BatchMode=yes -M -S /run/master -f -N alice@localhost")
        # ssh returns once the person is known; the session is opened after that.
        self.until(self.machine, "awsflock status --json ops | grep -q '\"held\": *true'")
        self.assertHeldBy(self.machine, "alice")
        self.addCleanup(self.machine.run, "ssh -S /run/master -O exit alice@localhost")
        self.assertEqual(self.done(self.machine, "ssh -S /run/master alice@localhost 'echo over the same connection'"),
                         "over the same connection\n")
        self.assertHeldBy(self.machine, "alice")
        self.assertNotEqual(self.machine.run("ssh -o BatchMode=yes bob@localhost true")[0], 0)
        self.done(self.machine, "ssh -S /run/master -O exit alice@localhost")
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")

    def test_what_a_logout_leaves_holds_the_lock_as_long_as_logind_lets_it_run(self):
        for kill in ("no", "yes"):
            with self.subTest(KillUserProcesses=kill):
                self.done(self.machine, "mkdir -p /etc/systemd/logind.conf.d; cat >/etc/systemd/logind.conf.d/tests.conf; "
                          "systemctl restart systemd-logind", stdin=f"[Login]\nKillUserProcesses={kill}\n")
                session = self.enter(self.machine, "alice", "setsid -f sleep 1237 >/dev/null 2>&1")
                self.leave(self.machine, "alice", session)
                if kill == "no":
                    self.assertHeldBy(self.machine, "alice")
                    self.done(self.machine, "pkill -u alice -f 'sleep 1237'")
                self.wait_until_free(self.machine)
                self.assertNothingRuns(self.machine, "alice")

    def test_what_a_service_manager_was_told_to_run_is_no_part_of_the_session(self):
        self.done(self.machine, "loginctl enable-linger alice; systemctl is-active cron atd")
        self.addCleanup(self.machine.run, "loginctl disable-linger alice; loginctl terminate-user alice; pkill -u alice sleep")
        session = self.enter(self.machine, "alice", "systemd-run --user -q sleep 1238; "
                             "echo sleep 1239 | at -q Z now 2>/dev/null; systemd-run --user -q --on-active=1 sleep 1240")
        for number in (1238, 1239, 1240):
            self.until(self.machine, f"pgrep -u alice -xf '(/usr/bin/)?sleep {number}' >/dev/null")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)
        self.assertEqual(self.done(self.machine, "pgrep -c -u alice -x sleep"), "3\n")

    def test_what_the_user_manager_takes_out_of_the_session_is_still_of_it(self):
        scope = "setsid -f env -u AWSFLOCK_SESSION systemd-run --user -q --scope sleep 1247 >/dev/null 2>&1"
        stands = "grep -q user@ /proc/$(pgrep -u alice -xf \"(/usr/bin/)?sleep 1247\")/cgroup"
        for end in ("logout", "broken lock"):
            with self.subTest(end=end):
                session = self.enter(self.machine, "alice", scope)
                self.until(self.machine, stands)
                if end == "logout":
                    self.leave(self.machine, "alice", session)
                    self.until(self.machine, f"! {stands}")
                    self.assertHeldBy(self.machine, "alice")
                    self.done(self.machine, "pkill -u alice -f 'sleep 1247'")
                else:
                    self.break_lock(self.machine)
                    self.machine.end(session)
                    # A lock that is broken now is free before its holder knows.
                    self.until(self.machine, "! pgrep -u alice -f 'sleep 1247' >/dev/null")
                self.wait_until_free(self.machine)
                self.assertNothingRuns(self.machine, "alice")

    def with_ends_user(self):
        self.configure(self.machine, LOCAL, ends="user")
        self.addCleanup(self.configure, self.machine, LOCAL)
        self.addCleanup(self.machine.run, "crontab -r -u alice; loginctl disable-linger alice; loginctl terminate-user alice")
        self.done(self.machine, "loginctl enable-linger alice; systemctl is-active cron atd")

    def assertNoneOf(self, person):
        """Not even a user manager: PERSON's real user runs nothing."""
        self.assertEqual(self.machine.run(f"ps -o pid=,args= -U {person}")[1], "")

    def test_with_ends_user_the_person_runs_nothing_when_the_lock_is_free(self):
        self.with_ends_user()
        self.done(self.machine, "crontab -u alice -", stdin="* * * * * exec sleep 1253\n")
        session = self.enter(self.machine, "alice", "systemd-run --user -q sleep 1250; "
                             "systemd-run --user -q --on-active=1 sleep 1251; "
                             "systemd-run --user -q --on-active=1h --unit=later touch fired; "
                             "echo sleep 1252 | at -q Z now 2>/dev/null")
        for number in (1250, 1251, 1252, 1253):
            self.until(self.machine, f"pgrep -u alice -xf '(/usr/bin/)?sleep {number}' >/dev/null")
        self.done(self.machine, "crontab -r -u alice")  # whose next job would begin when it likes
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)
        self.assertNoneOf("alice")
        # What would fire the timer is gone with it.
        self.assertNotEqual(self.machine.run("systemctl is-active user@$(id -u alice)")[1], "active\n")

    def test_with_ends_user_a_broken_lock_ends_the_user_manager_and_another_persons_runs_on(self):
        self.with_ends_user()
        of_bob = self.machine.begin("runuser -u bob -- sleep 1254", timeout=900)
        self.addCleanup(self.machine.run, "pkill -u bob -x sleep")
        self.done(self.machine, "systemctl start user@$(id -u alice)")
        session = self.enter(self.machine, "alice", "systemd-run --user -q sleep 1250")
        self.until(self.machine, "pgrep -u alice -xf '(/usr/bin/)?sleep 1250' >/dev/null")
        self.break_lock(self.machine)
        self.machine.end(session)
        self.until(self.machine, "! ps -U alice >/dev/null")
        self.wait_until_free(self.machine)
        self.done(self.machine, "pgrep -u bob -x sleep")
        self.done(self.machine, "pkill -u bob -x sleep")
        self.machine.end(of_bob)

    def test_a_broken_lock_ends_a_connection_without_a_command_and_all_that_share_it(self):
        self.done(self.machine, "ssh -o BatchMode=yes -M -S /run/master -f -N alice@localhost")
        self.addCleanup(self.machine.run, "ssh -S /run/master -O exit alice@localhost")
        shared = self.machine.begin("ssh -S /run/master alice@localhost 'touch ~/shared; sleep 1245'", timeout=900)
        self.until(self.machine, "[ -e ~alice/shared ]")
        self.assertHeldBy(self.machine, "alice")
        self.break_lock(self.machine)
        self.machine.end(shared)
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")
        self.assertNotEqual(self.machine.run("ssh -S /run/master -O check alice@localhost")[0], 0)

    # -- what guard-check finds on a real machine

    def test_guard_check_tells_what_outlives_a_session_here(self):
        self.done(self.machine, "loginctl enable-linger alice")
        self.addCleanup(self.machine.run, "loginctl disable-linger alice")
        told = self.done(self.machine, "awsflock guard-check ops")
        for pattern in ("linger +.*: alice", "jobs +.* leave jobs by crontab,.*", "jobs +.* leave jobs by at,.*"):
            self.assertRegex(told, f"(?m)^warning +{pattern}$")
        self.assertNotRegex(told, "(?m)^warning +(login uid|cgroup|user) ")
        self.done(self.machine, "loginctl disable-linger alice; echo root >/etc/cron.allow; echo root >/etc/at.allow")
        self.addCleanup(self.machine.run, "rm /etc/cron.allow /etc/at.allow")
        self.assertNotRegex(self.done(self.machine, "awsflock guard-check ops"), "(?m)^warning +(linger|jobs) ")
        self.assertIn("not allowed", self.machine.run("crontab -l", user="alice")[2])

    # -- AppArmor

    def assertLabels(self, label, program):
        labels = self.done(self.machine, f"for p in $(pgrep {program}); do cat /proc/$p/attr/apparmor/current; done")
        self.assertEqual(set(labels.splitlines()), {label})

    def assertAppArmorDenied(self, *patterns):
        denied = self.done(self.machine, "cat /var/log/audit/audit.log* | grep -a 'apparmor=\"DENIED\"' || true").split("\n")[:-1]
        self.assertEqual(len(denied), len(patterns), denied)
        for line, pattern in zip(denied, patterns):
            self.assertRegex(line, pattern)

    def test_apparmor_is_on_and_confines_no_host_and_no_keeper(self):
        self.assertEqual(self.done(self.machine, "cat /sys/module/apparmor/parameters/enabled; systemctl is-active apparmor"),
                         "Y\nactive\n")
        session = self.alice_is_in()
        self.assertLabels("unconfined", "sshd")
        self.assertLabels("unconfined", "awsflock-keeper")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)
        self.assertAppArmorDenied()

    def confine_sshd(self, rule):
        self.done(self.machine, "cat >/run/sshd.profile; apparmor_parser -r /run/sshd.profile; systemctl restart ssh",
                  stdin=APPARMOR_PROFILE % rule)

    def test_apparmors_profile_of_an_administrators_own_needs_the_rule_that_the_manual_names(self):
        self.addCleanup(self.machine.run, "apparmor_parser -R /run/sshd.profile; systemctl restart ssh")
        self.confine_sshd("/usr/local/libexec/awsflock-keeper Ux,")
        session = self.alice_is_in()
        self.assertLabels("/usr/sbin/sshd (enforce)", "sshd")
        self.assertLabels("unconfined", "awsflock-keeper")
        self.break_lock(self.machine)
        self.machine.end(session)
        self.wait_until_free(self.machine)
        self.assertNothingRuns(self.machine, "alice")
        self.assertAppArmorDenied()
        self.confine_sshd("")
        # Nobody comes in without a keeper.
        self.assertNotEqual(self.machine.run("ssh -o BatchMode=yes alice@localhost true")[0], 0)
        self.assertAppArmorDenied('operation="exec".*name="/usr/local/libexec/awsflock-keeper"')

    # -- keepers that were killed

    def test_the_sweeping_service_ends_a_session_whose_keepers_were_killed(self):
        self.assertSweepEndsWhatKilledKeepersLeft(self.machine)

    def test_the_timer_of_the_sweep_can_be_enabled_as_the_manual_says(self):
        self.done(self.machine, "systemctl enable --now awsflock-sweep.timer")
        self.until(self.machine, "systemctl show -P ActiveEnterTimestamp awsflock-sweep.service | grep -q . || "
                   "journalctl -u awsflock-sweep.service | grep -q Finished")
        self.done(self.machine, "systemctl disable --now awsflock-sweep.timer")

    # -- power

    def with_sudos_plugin(self):
        """The plugin's lines of the example in the place of the PAM line."""
        self.done(self.machine, "cp -a /etc/pam.d/sudo /etc/sudo.conf /var/tmp; sed -i /pam_awsflock/d /etc/pam.d/sudo; "
                  "cat /usr/local/share/doc/awsflock/examples/sudo.conf.d/one-operator.conf >>/etc/sudo.conf")
        self.addCleanup(self.machine.run, "mv /var/tmp/sudo /etc/pam.d; mv /var/tmp/sudo.conf /etc")

    def test_y_sudos_plugin_holds_the_lock_until_the_power_is_cut(self):
        self.with_sudos_plugin()
        self.machine.begin("runuser -u alice -- sudo sleep 1245")
        self.until(self.machine, "pgrep -xf 'sleep 1245' >/dev/null")
        self.assertHeldBy(self.machine, "alice", "ops-sudo")
        code, out, err = self.machine.run("runuser -u bob -- sudo true")
        self.assertEqual((code, out), (1, ""), err)
        self.assertIn("alice@", err)
        self.done(self.machine, "sync")
        self.machine.reset()
        self.assertFalse(self.status(self.machine, "ops-sudo")["held"])
        self.done(self.machine, "runuser -u bob -- sudo true")

    def test_x_a_snapshot_takes_the_session_and_the_local_lock_back_together(self):
        session = self.alice_is_in()
        self.machine.save("in")
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)
        other = self.enter(self.machine, "bob")
        self.machine.go_back("in")
        self.assertHeldBy(self.machine, "alice")
        self.assertNothingRuns(self.machine, "bob")
        self.assertNotEqual(self.machine.run("ssh -o BatchMode=yes bob@localhost true")[0], 0)
        self.leave(self.machine, "alice", session)
        self.wait_until_free(self.machine)

    def test_z_after_a_power_cut_or_a_forced_reboot_the_local_lock_is_free(self):
        for end in ("cut", "reboot"):
            with self.subTest(end=end):
                self.enter(self.machine, "alice")
                self.done(self.machine, "sync")
                if end == "reboot":
                    self.machine.begin("reboot -f")
                    self.machine.process.wait(600)
                self.machine.reset()
                self.assertFalse(self.status(self.machine)["held"])
                session = self.alice_is_in()
                self.leave(self.machine, "alice", session)


if __name__ == "__main__":
    unittest.main()
