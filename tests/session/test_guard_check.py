"""guard-check: what it says of a guard that works, and of each thing that keeps one from working.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from guardtest import (CONF, LOCAL, MODULE, PROGRAM, SERVICES, STORE, DynamoDBSettings, GuardTest, configure,  # noqa: E402
                       guard, keepers, section, write_conf)
from sessiontest import pam_file, sudoers  # noqa: E402
from awsflocktest import REGION, boto3_client, create_table, dynamodb_endpoint, wait_until  # noqa: E402
from proxy import Proxy, black_hole, then_pass  # noqa: E402

LINE = f"session requisite {MODULE} guard=ops break_glass_group=breakglass"
SECCOMP = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "seccomp.py")
SSHD_SAYS = "usepam yes\\npermituserenvironment no\\npamservicename sshd"


def file(path, text):
    pathlib.Path(path).write_text(text, encoding="utf-8")


class GuardCheckTest(GuardTest):
    def setUp(self):
        super().setUp()
        for service in SERVICES:
            guard(service, "guard=ops break_glass_group=breakglass")
        self.configure_sshd("UsePAM yes", "ClientAliveInterval 15")
        for person in ("alice", "bob", "carol"):
            self.addCleanup(self.only_key, person)

    def configure_sshd(self, *lines):
        file("/etc/ssh/sshd_config", "\n".join((f"HostKey {self.sshd.directory}/host", *lines, "")))

    def only_key(self, person):
        key = (self.sshd.directory / f"{person}.pub").read_bytes()
        pathlib.Path("/home", person, ".ssh/authorized_keys").write_bytes(key)

    # The same for all machines that tests run on.
    program = (SECCOMP, "adjtimex=0", "--", PROGRAM)

    def check(self, *arguments, name="ops", environment=None, program=None):
        """The checks that guard-check tells; its exit code is judged here."""
        words = [*(program or self.program), "guard-check", "--json", *arguments, name]
        code, out, err = self.run_to_end(words, environment=environment)
        self.assertNotEqual(out, "", err)
        told = json.loads(out)
        failed = [check for check in told["checks"] if check["verdict"] == "failed"]
        self.assertEqual((told["ok"], code), (not failed, 1 if failed else 0), told)
        return told["checks"]

    def install(self, name, script, directory="/usr/local/sbin"):
        """A program that is found before the system's own."""
        path = pathlib.Path(namespace.room(directory), name)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        self.addCleanup(path.unlink, missing_ok=True)

    def hide_control_groups(self):
        if namespace.has_control_groups():
            namespace.command("mount", "-o", "remount,bind,ro", str(namespace.CGROUPS))
            self.addCleanup(namespace.command, "mount", "-o", "remount,bind,rw", str(namespace.CGROUPS))

    def told(self, checks, verdict):
        return [(check["check"], check["finding"] + " | " + (check["mend"] or "")) for check in checks
                if check["verdict"] == verdict]

    def assertTells(self, verdict, name, pattern, *arguments):
        """A check NAME of VERDICT matches, and all else is ok."""
        checks = self.check(*arguments)
        bad = self.told(checks, "warning") + self.told(checks, "failed")
        self.assertEqual([each for each, _ in bad], [name], checks)
        self.assertEqual([each for each, _ in self.told(checks, verdict)], [name], checks)
        self.assertRegex(bad[0][1], pattern)
        return checks


class SetUpTest(GuardCheckTest):
    def test_a_good_set_up_is_ok_and_its_lock_was_taken_and_is_free_again(self):
        checks = self.check()
        self.assertEqual(self.told(checks, "failed") + self.told(checks, "warning"), [])
        names = [check["check"] for check in checks]
        for name in ("config", "module", "keeper", "pam", "services", "sshd", "sudo", "accounts", "rescue", "store", "grant"):
            self.assertIn(name, names)
        self.assertFree()
        self.assertRegex(dict(self.told(checks, "ok"))["grant"], r"taken in .* with fence \d+, renewed .*, released")

    def test_it_is_told_in_lines_for_people(self):
        code, out, _ = self.run_to_end([PROGRAM, "guard-check", "ops"])
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^ok +grant +taken in ")

    def test_a_guard_that_is_said_to_be_good_lets_a_person_in(self):
        self.check()
        self.assertEqual(self.ssh("alice", "echo in")[1], "in\n")

    def test_only_root_may_ask(self):
        code, out, err = self.run_to_end([PROGRAM, "guard-check", "ops"], "alice")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("must run as root", err)

    def test_settings_of_the_command_line_are_refused(self):
        self.assertEqual(self.run_to_end([PROGRAM, "guard-check", f"--local={STORE}", "ops"])[0], 2)

    def test_a_lock_that_is_held_is_told_and_is_no_failure(self):
        session = self.enter("bob")
        self.assertTells("warning", "grant", "held by bob")
        self.assertHeldBy("bob")
        self.leave(session)

    def test_environment_and_files_of_the_administrator_play_no_part(self):
        environment = {"AWSFLOCK_STORE": "dynamodb", "AWSFLOCK_CONFIG": "/nowhere.conf", "AWS_PROFILE": "nobody"}
        self.assertEqual(self.run_to_end([PROGRAM, "guard-check", "ops"], environment=environment)[0], 0)


class ControlGroupTest(GuardCheckTest):
    def setUp(self):
        super().setUp()
        if not namespace.has_control_groups():
            self.skipTest("there is no control group to be had here")

    def test_that_sessions_get_a_control_group_is_told(self):
        self.assertIn(str(namespace.CGROUPS), dict(self.told(self.check(), "ok"))["cgroup"])
        self.assertEqual(list(namespace.CGROUPS.glob("awsflock-*")), [])

    def test_that_they_get_none_is_a_warning_and_a_failure_where_it_is_required(self):
        self.hide_control_groups()
        self.assertTells("warning", "cgroup", "can outlive its session .* require_cgroup = yes")
        configure(ops={"require_cgroup": "yes"})
        failed = dict(self.told(self.check(), "failed"))
        self.assertIn("nobody gets in", failed["cgroup"])


class ConfigTest(GuardCheckTest):
    def test_a_broken_configuration_is_told_with_its_line(self):
        write_conf(section("awsflock", LOCAL) + "[guard ops]\nlock = ops\nlaese = 2m\n")
        self.assertTells("failed", "config", r"awsflock\.conf:\d+: unknown key 'laese'")

    def test_a_guard_without_a_section_is_told(self):
        configure(other={})
        self.assertTells("failed", "config", r"no section \[guard ops\]")

    def test_a_configuration_that_others_can_write_is_told(self):
        os.chmod(CONF, 0o666)
        self.assertTells("failed", "config", "written by others")

    def test_the_file_that_the_pam_lines_name_is_the_one_that_is_checked(self):
        write_conf(CONF.read_text(encoding="utf-8").replace("lock = ops", "lock = elsewhere"), pathlib.Path("/etc/guards.conf"))
        for service in SERVICES:
            guard(service, "guard=ops conf=/etc/guards.conf break_glass_group=breakglass")
        self.assertIn("'elsewhere'", dict(self.told(self.check(), "ok"))["config"])

    def test_a_name_that_no_pam_file_has_is_told(self):
        configure(ops={}, opps={})
        failed = self.told(self.check(name="opps"), "failed")
        self.assertEqual([name for name, _ in failed], ["pam"])
        self.assertIn("guard=opps", failed[0][1])

    def test_a_policy_that_lets_everybody_in_is_told(self):
        configure(ops={"fail": "safe"})
        self.assertTells("warning", "config", "everybody gets in")


class PamTest(GuardCheckTest):
    def sudo_file(self, *lines):
        pam_file("sudo", *lines)

    def test_a_module_that_is_not_there_is_told(self):
        for service in SERVICES:
            pam_file(service, LINE.replace(MODULE, "/nowhere/pam_awsflock.so"))
        self.assertTells("failed", "module", "/nowhere/pam_awsflock.so.*full path")

    def test_a_module_that_cannot_be_loaded_is_told(self):
        pathlib.Path("/etc/pam_awsflock.so").write_bytes(b"no library")
        for service in SERVICES:
            pam_file(service, LINE.replace(MODULE, "/etc/pam_awsflock.so"))
        self.assertTells("failed", "module", "cannot be loaded")

    def test_a_keeper_that_does_not_find_the_library_is_told(self):
        """The administrator's LD_LIBRARY_PATH, with which this program finds it, is none of the keeper's."""
        libraries = {"LD_LIBRARY_PATH": str(pathlib.Path(PROGRAM).parent.parent / "lib")}
        self.addCleanup(namespace.command, "ldconfig", "-X")
        namespace.command("ldconfig", "-X", "-f", "/dev/null")  # as if it had not been called since the installation
        self.assertIn("could not be taken", "".join(self.ssh("alice", "echo in")[1:]))
        checks = self.check(environment=libraries)
        self.assertRegex(dict(self.told(checks, "failed"))["keeper"], r"nobody gets in: .*libawsflock\.so.* \| ldconfig;")
        namespace.command("ldconfig", "-X")
        self.assertEqual(self.told(self.check(), "failed"), [])
        self.assertEqual(self.ssh("alice", "echo in")[1], "in\n")

    def test_a_line_that_is_not_the_first_is_told_with_what_comes_before(self):
        self.sudo_file("session required pam_limits.so", LINE)
        self.assertTells("warning", "pam", r"sudo: .* pam_limits.so comes before it \(/etc/pam.d/sudo:1\)")

    def test_a_line_that_an_included_file_has_first_is_first(self):
        pathlib.Path("/etc/pam.d/guarded").write_text(LINE + "\n", encoding="ascii")
        for way in ("@include guarded", "session include guarded", "session \\\n\tinclude guarded # comment"):
            self.sudo_file(way)
            checks = self.check()
            self.assertEqual(self.told(checks, "failed") + self.told(checks, "warning"), [], way)

    def test_a_module_of_an_included_file_comes_before(self):
        self.sudo_file("@include common-session", LINE)
        self.assertTells("warning", "pam", r"comes before it \(/etc/pam.d/common-session:\d+\)")

    def test_a_line_of_another_kind_comes_before_without_harm(self):
        self.sudo_file("account required pam_permit.so", "auth required pam_permit.so", LINE)
        self.assertEqual(self.told(self.check(), "warning"), [])

    def test_a_line_that_keeps_nobody_out_is_told(self):
        for word, verdict in (("optional", "failed"), ("sufficient", "failed"), ("required", "warning"),
                              ("[success=1 default=die]", "warning")):
            self.sudo_file(LINE.replace("requisite", word))
            with self.subTest(word=word):
                self.assertTells(verdict, "pam", r"sudo: the guard's line is '" + word.replace("[", r"\["))

    def test_a_dash_before_the_line_is_told(self):
        self.sudo_file("-" + LINE)
        self.assertTells("warning", "pam", "'-session'")

    def test_a_wrong_argument_is_told(self):
        self.sudo_file(LINE + " quite")
        self.assertTells("failed", "pam", "'quite' is unknown")

    def test_an_account_line_alone_is_told(self):
        configure(ops={}, other={})
        self.sudo_file(LINE.replace("session", "account"), LINE.replace("guard=ops", "guard=other"))
        self.assertTells("failed", "pam", "sudo: .*takes no lock")

    def test_an_account_line_is_enough_for_what_starts_jobs(self):
        pam_file("systemd-user", f"account requisite {MODULE} guard=ops")
        self.addCleanup(pathlib.Path("/etc/pam.d/systemd-user").unlink, missing_ok=True)
        told = [finding for name, finding in self.told(self.check(), "ok") if name == "pam"]
        self.assertRegex("\n".join(told), "systemd-user: starts nothing for a person while another one holds the lock")


class PersonsTest(GuardCheckTest):
    def persons(self, *services):
        for service in services:
            guard(service, "guard=ops break_glass_group=breakglass")
            self.addCleanup(pathlib.Path("/etc/pam.d", service).unlink, missing_ok=True)
        return [(verdict, finding) for verdict in ("ok", "warning", "failed")
                for name, finding in self.told(self.check(), verdict) if name == "persons"]

    def test_it_is_told_whom_each_service_takes_for_the_person(self):
        told = self.persons("polkit-1", "vsftpd", "atd", "in-house")
        self.assertEqual({verdict for verdict, _ in told}, {"ok"})
        for pattern in ("^sudo: .*who calls it ", "^su-l: .*who calls it ", "^polkit-1: .*who calls it ", "^sshd: .*who logs in ",
                        "^vsftpd: .*who logs in ", "^atd: .*acts for ", "^in-house: .*where its program is set-user-ID"):
            self.assertEqual(len([finding for _, finding in told if re.search(pattern, finding)]), 1, (pattern, told))

    def test_services_that_do_not_tell_who_calls_are_warned_of(self):
        warnings = dict(finding.split(": ", 1) for verdict, finding in self.persons("systemd-run0", "runuser")
                        if verdict == "warning")
        self.assertRegex(warnings.pop("systemd-run0"), "two callers are one person")
        self.assertRegex(warnings.pop("runuser"), "keeps nobody out")
        self.assertLessEqual(set(warnings), {"runuser-l"}, "Debian's includes runuser's file")


class DoorsTest(GuardCheckTest):
    def test_services_without_a_guard_are_listed(self):
        pam_file("su")
        pam_file("login")
        self.assertTells("warning", "services", r"not guarded: su, login \|")

    def test_a_door_without_a_file_is_judged_by_the_one_for_others(self):
        os.unlink("/etc/pam.d/su-l")
        self.assertTells("warning", "services", r"not guarded: su-l \|")
        pam_file("other", LINE)
        self.addCleanup(pam_file, "other")
        self.assertEqual(self.told(self.check(), "warning"), [])

    def test_a_door_with_another_guard_is_not_open(self):
        configure(ops={}, second={})
        guard("su", "guard=second")
        services = dict(self.told(self.check(), "ok"))["services"]
        self.assertIn("su (second)", services)
        self.assertIn("sshd (ops)", services)

    def test_another_guard_that_lets_nobody_in_is_told_once(self):
        for service in ("sudo", "sudo-i", "su", "su-l"):
            guard(service, "guard=second break_glass_group=breakglass")
        self.assertTells("failed", "services", r"sudo has the guard 'second', which lets nobody in: .*no section "
                         r"\[guard second\]")

    def test_another_guard_is_read_from_the_file_that_its_line_names(self):
        guard("su", "guard=second conf=/etc/awsflock-none.conf")
        self.assertTells("failed", "services", r"su has the guard 'second', .*/etc/awsflock-none.conf")

    def test_sudo_that_is_guarded_without_sudo_i_is_told(self):
        pam_file("sudo-i")
        warnings = dict(self.told(self.check(), "warning"))
        self.assertRegex(warnings["sudo"], "'sudo -i' goes past the guard")
        self.assertIn("sudo-i", warnings["services"])

    def test_sudo_without_use_pty_is_told(self):
        sudoers("Defaults !use_pty")
        self.assertTells("warning", "sudo", "Defaults use_pty")

    def test_sudo_that_opens_no_session_is_told(self):
        sudoers("Defaults !pam_session")
        self.assertTells("failed", "sudo", "pam_session")

    def test_sudo_that_reads_other_files_is_told(self):
        sudoers("Defaults pam_service=other")
        self.assertTells("warning", "sudo", "pam_service")

    def test_sudo_for_unknown_numbers_is_told(self):
        sudoers("Defaults runas_allow_unknown_id")
        self.assertTells("warning", "sudo", "runas_allow_unknown_id")

    def test_sshd_without_pam_is_told(self):
        self.configure_sshd("UsePAM no", "ClientAliveInterval 15")
        self.assertTells("failed", "sshd", "UsePAM yes")

    def test_what_sshd_does_not_tell_is_a_warning(self):
        pathlib.Path("/etc/ssh/sshd_config").write_text("Nonsense yes\n", encoding="ascii")
        self.assertTells("warning", "sshd", "could not be found out.*Nonsense")


    def test_sshd_that_reads_another_file_is_told(self):
        self.install("sshd", f"printf '{SSHD_SAYS}\\n'")
        self.assertEqual(self.told(self.check(), "warning") + self.told(self.check(), "failed"), [])
        self.install("sshd", f"printf '{SSHD_SAYS.replace('sshd', 'corp-ssh')}\\n'")
        checks = self.check()
        self.assertRegex(dict(self.told(checks, "failed"))["sshd"], "/etc/pam.d/corp-ssh, which has no guard")
        self.assertIn("not guarded: corp-ssh", dict(self.told(checks, "warning"))["services"])
        guard("corp-ssh", "guard=ops break_glass_group=breakglass")
        self.addCleanup(os.unlink, "/etc/pam.d/corp-ssh")
        self.assertIn("by /etc/pam.d/corp-ssh", dict(self.told(self.check(), "ok"))["sshd"])

    def test_sshd_that_takes_an_environment_from_users_is_told(self):
        with open("/etc/ssh/sshd_config", "a", encoding="ascii") as settings:
            settings.write("PermitUserEnvironment LANG,FOO\n")
        self.assertTells("warning", "sshd", r"mark of the session \| write PermitUserEnvironment no")

    def test_sshd_that_never_misses_a_client_is_told_what_to_write(self):
        for lines in ((), ("ClientAliveInterval 0",), ("ClientAliveInterval 15", "ClientAliveCountMax 0")):
            with self.subTest(lines=lines):
                self.configure_sshd("UsePAM yes", *lines)
                checks = self.assertTells("warning", "sshd", "gone.*keeps.*the lock.*'ClientAliveInterval 15' and 'ClientAliveCountMax 3'")
        mend = dict(self.told(checks, "warning"))["sshd"].partition(" | ")[2]
        self.configure_sshd("UsePAM yes", *re.findall("'(.*?)'", mend))
        self.assertIn("sshd", dict(self.told(self.check(), "ok")))

    def test_sudo_rs_opens_a_session_always_and_is_asked_nothing_that_it_does_not_know(self):
        self.install("sudo", "echo sudo-rs 0.2.8")
        sudoers("Defaults !pam_session")  # which it passes over
        checks = self.check()
        self.assertEqual(self.told(checks, "warning") + self.told(checks, "failed"), [])
        self.assertRegex(dict(self.told(checks, "ok"))["sudo"], "sudo-rs 0.2.8: it opens a session")

    def test_sudo_rs_without_use_pty_is_told_with_the_file_that_says_so(self):
        self.install("sudo", "echo sudo-rs 0.2.8")
        sudoers("Defaults !use_pty # for a while")
        self.assertTells("warning", "sudo", r"turned off in /etc/sudoers: .*take !use_pty out")
        self.addCleanup(pathlib.Path("/etc/sudoers-rs").unlink)
        file("/etc/sudoers-rs", "# Defaults !use_pty\n")  # it reads this one alone, where there is one
        self.assertEqual(self.told(self.check(), "warning"), [])
        os.makedirs("/etc/sudoers.d", exist_ok=True)
        self.addCleanup(shutil.rmtree, "/etc/sudoers.d")
        file("/etc/sudoers.d/old.bak", "Defaults !use_pty\n")
        self.assertEqual(self.told(self.check(), "warning"), [])
        file("/etc/sudoers.d/old", "Defaults:ALL passwd_tries=2, !use_pty\n")
        self.assertTells("warning", "sudo", "turned off in /etc/sudoers.d/old")

    def test_each_further_way_in_that_this_machine_has_is_listed(self):
        for directory, program, service in (("/usr/local/sbin", "pkexec", "polkit-1"), ("/usr/local/sbin", "run0", "systemd-run0"),
                                            ("/usr/local/sbin", "doas", "doas"), ("/usr/local/sbin", "vsftpd", "vsftpd"),
                                            ("/usr/libexec", "cockpit-session", "cockpit")):
            with self.subTest(program=program):
                self.install(program, "exit 1", directory)
                self.assertRegex(dict(self.told(self.check(), "warning"))["services"], fr"not guarded: .*\b{service}\b")

    def test_vsftpd_that_opens_no_session_is_told(self):
        self.install("vsftpd", "exit 1")
        guard("vsftpd", "guard=ops break_glass_group=breakglass")
        self.addCleanup(os.unlink, "/etc/pam.d/vsftpd")
        file("/etc/vsftpd.conf", "#session_support=YES\n")
        self.addCleanup(os.unlink, "/etc/vsftpd.conf")
        failed = dict(self.told(self.check(), "failed"))
        self.assertRegex(failed["vsftpd"], r"so no guard is asked \| write session_support=YES")
        file("/etc/vsftpd.conf", "listen=YES\nsession_support=YES\n")
        self.assertEqual(self.told(self.check(), "failed"), [])

    def test_machinectl_shell_that_does_not_tell_who_calls_is_told(self):
        self.install("machinectl", "exit 1")
        self.assertTells("warning", "persons", "^machinectl shell: .*two callers are one person .*machine1.host-shell")
        pam_file("login")
        self.assertRegex(dict(self.told(self.check(), "warning"))["services"], "not guarded: login, machinectl shell ")

    def test_jobs_that_everybody_may_leave_are_told(self):
        for program, service, allow in (("crontab", "cron", "/etc/cron.allow"), ("at", "atd", "/etc/at.allow")):
            with self.subTest(program=program):
                self.install(program, "exit 1")
                os.unlink(allow)
                self.assertTells("warning", "jobs", fr"leave jobs by {program}, .* \| write into {allow} who may")
                guard(service)
                self.assertNotIn("jobs", dict(self.told(self.check(), "warning")))
                os.unlink(f"/etc/pam.d/{service}")
                file(allow, "root\n")
                self.assertEqual(self.told(self.check(), "warning"), [])


class HostTest(GuardCheckTest):
    def test_a_service_that_sets_no_login_uid_is_told(self):
        path = pathlib.Path("/etc/pam.d/sshd")
        file(path, re.sub(r"(?m)^.*pam_loginuid.*$", "", path.read_text(encoding="utf-8")))
        if namespace.has_control_groups():
            self.assertEqual(self.told(self.check(), "warning"), [], "a control group needs none")
        self.hide_control_groups()
        warnings = dict(self.told(self.check(), "warning"))
        self.assertRegex(warnings.pop("login uid"), "^sshd: .*no pam_loginuid.so.*session optional pam_loginuid.so")
        self.assertEqual(list(warnings), ["cgroup"])
        file(path, path.read_text(encoding="utf-8") + "session [default=ignore] /lib/security/pam_loginuid.so\n")
        self.assertEqual(list(dict(self.told(self.check(), "warning"))), ["cgroup"])

    def test_a_user_namespace_in_which_none_is_set_is_told(self):
        self.hide_control_groups()
        checks = self.check(program=("unshare", "--user", "--map-root-user", *self.program))
        self.assertRegex(dict(self.told(checks, "warning"))["login uid"], "user namespace no login uid is set")

    def test_users_whose_services_run_without_a_session_are_told(self):
        directory = pathlib.Path(namespace.room("/var/lib/systemd/linger"))
        for name in ("root", "carol", "alice"):
            (directory / name).touch()
            self.addCleanup((directory / name).unlink)
        self.assertTells("warning", "linger", r": alice, carol \| loginctl disable-linger NAME")
        configure(ops={"ends": "user"})
        checks = self.assertTells("warning", "linger", "start with the machine, whoever holds the lock: alice, carol")
        self.assertRegex(dict(self.told(checks, "ok"))["ends"], "sudo, su, pkexec or doas open ends alone")
        configure(ops={"exempt_users": "alice, carol"})
        self.assertEqual(self.told(self.check(), "warning"), [])

    def test_many_of_them_are_counted(self):
        directory = pathlib.Path(namespace.room("/var/lib/systemd/linger"))
        for number in range(7):
            (directory / f"user{number}").touch()
            self.addCleanup((directory / f"user{number}").unlink)
        self.assertTells("warning", "linger", "user3, user4 and 2 more")


    def test_a_sandbox_in_which_no_process_can_be_held_is_told(self):
        for call in ("pidfd_open=EPERM", "pidfd_send_signal=ENOSYS"):
            checks = self.check(program=(SECCOMP, call, *self.program[1:]))
            self.assertRegex(dict(self.told(checks, "failed"))["keeper"], r"nobody gets in: pidfd_open\(2\) or .* Linux 5\.3")


class ShareTest(GuardCheckTest):
    def test_a_session_that_its_own_person_would_be_refused_by_is_told(self):
        configure(ops={"share": "session"})
        self.assertTells("failed", "share", r"sshd and sudo ask for the lock 'ops' with share = session.* \| write share = person")
        first = self.enter("alice")
        self.assertRefused(self.sudo_as("alice", "true"), "held by alice")  # what was told is true
        self.leave(first)

    def test_either_of_the_two_guards_is_enough(self):
        for ops, inner in (("session", "person"), ("person", "session")):
            configure(ops={"share": ops}, inner={"share": inner})
            for service in ("sudo", "sudo-i", "su", "su-l"):
                guard(service, "guard=inner break_glass_group=breakglass")
            with self.subTest(ops=ops, inner=inner):
                self.assertTells("failed", "share", "sshd and sudo")

    def test_other_locks_and_doors_that_are_not_in_each_other_are_no_fault(self):
        configure(ops={"share": "session", "lock": "ops-%s"})
        self.assertEqual(self.told(self.check(), "failed"), [])
        configure(ops={"share": "session"})
        for service in ("sudo", "sudo-i", "su", "su-l"):
            pam_file(service)
        self.assertEqual(self.told(self.check(), "failed"), [])


class PeopleTest(GuardCheckTest):
    def test_names_that_do_not_exist_are_told(self):
        configure(ops={"exempt_users": "root alicia", "exempt_groups": 'team, "domain users", robots'})
        warnings = self.told(self.check(), "warning")
        self.assertEqual([name for name, _ in warnings], ["exempt"] * 3)
        for pattern, (_, finding) in zip(("exempt_users: there is no user 'alicia'", "exempt_groups: there is no group 'domain users'",
                                          "there is no group 'robots', so nobody is exempt by it"), warnings, strict=True):
            self.assertIn(pattern, finding)

    def test_a_quotation_mark_alone_is_an_error(self):
        configure(ops={"exempt_groups": '"domain users, team'})
        self.assertTells("failed", "config", r"exempt_groups: a quotation mark has no partner")

    def test_a_group_with_a_blank_in_its_name_is_exempt(self):
        groups = pathlib.Path("/etc/group")
        before = groups.read_text(encoding="utf-8")
        self.addCleanup(file, groups, before)
        file(groups, before + "domain users:x:64301:bob\n")
        configure(ops={"exempt_groups": 'robots, "domain users"'})
        session = self.enter("alice")
        self.assertEqual(self.ssh("bob", "echo in")[1], "in\n")
        self.assertHeldBy("alice")
        self.leave(session)

    def test_an_account_with_several_keys_is_told_unless_each_session_has_the_lock_itself(self):
        keys = pathlib.Path("/home/alice/.ssh/authorized_keys")
        keys.write_text("# two of us\n" + 2 * keys.read_text(encoding="ascii"), encoding="ascii")
        self.assertTells("warning", "accounts", r"alice \(2\)")
        configure(ops={"share": "session"})
        self.assertEqual(self.told(self.check(), "warning"), [])

    def test_two_accounts_of_one_number_are_told(self):
        passwd = pathlib.Path("/etc/passwd")
        before = passwd.read_text(encoding="utf-8")
        self.addCleanup(passwd.write_text, before, encoding="utf-8")
        passwd.write_text(before + "alicia:x:64101:64101::/nowhere:/bin/sh\n", encoding="utf-8")
        self.assertTells("warning", "accounts", "alice and alicia have the same number")

    def test_no_way_in_for_a_bad_day_is_told(self):
        for service in SERVICES:
            guard(service)
        self.assertTells("warning", "rescue", "no break-glass group")
        for service in SERVICES:
            guard(service, "guard=ops break_glass_group=brakeglass")
        self.assertTells("warning", "rescue", "'brakeglass' does not exist")


def unsynchronised():
    """What the kernel says of its clock: STA_UNSYNC of struct timex's status, which follows modes and four longs."""
    clock = (ctypes.c_long * 64)()
    ctypes.CDLL(None).adjtimex(clock)
    return bool(ctypes.cast(clock, ctypes.POINTER(ctypes.c_int))[10] & 0x40)


class StoreTest(DynamoDBSettings, GuardCheckTest):
    """On a table: that it is missing, unless a test makes one, and what comes before it."""

    def setUp(self):
        super().setUp()
        passwd = pathlib.Path("/etc/passwd").read_text(encoding="utf-8")
        if "\nawsflock:" not in passwd:
            file("/etc/passwd", passwd + "awsflock:x:64109:64109::/nonexistent:/usr/sbin/nologin\n")
        self.set()

    def set(self, user="awsflock", **more):
        configure(self.settings(dynamodb_endpoint(), "guard-check-without-table", **more), ops={"user": user})

    def test_a_user_who_is_shared_with_others_is_told(self):
        self.set("nobody")
        warnings = self.told(self.check(), "warning")
        self.assertEqual([name for name, _ in warnings], ["user"])
        self.assertRegex(warnings[0][1], "^user = nobody: .* write user = awsflock")
        passwd = pathlib.Path("/etc/passwd")
        before = passwd.read_text(encoding="utf-8")
        self.addCleanup(file, passwd, before)
        file(passwd, re.sub("(?m)^awsflock:.*\n", "", before))
        self.set(None)
        warnings = self.told(self.check(), "warning")
        self.assertEqual([name for name, _ in warnings], ["user"])
        self.assertRegex(warnings[0][1], "no user awsflock, .* useradd --system .* awsflock$")

    def test_a_clock_that_nothing_keeps_right_is_told(self):
        self.assertNotIn("time", dict(self.told(self.check(), "warning")))
        warnings = dict(self.told(self.check(program=[PROGRAM]), "warning"))
        self.assertEqual("time" in warnings, unsynchronised())
        self.assertIn("set-ntp true", warnings.get("time", "timedatectl set-ntp true"))

    def assertEndsWith(self, name, pattern):
        checks = self.assertTells("failed", name, pattern)
        self.assertEqual(checks[-1]["check"], name, checks)
        return checks

    def test_a_missing_table_is_told(self):
        checks = self.assertEndsWith("table", "guard-check-without-table.*awsflock create-table")
        self.assertIn("from the credentials file", dict(self.told(checks, "ok"))["credentials"])

    def test_on_a_table_the_lock_is_taken_with_the_keepers_credentials(self):
        endpoint = dynamodb_endpoint()
        client = boto3_client(endpoint)
        table = create_table(client, f"guard-check-{uuid.uuid4()}")
        self.addCleanup(client.delete_table, TableName=table)
        configure(self.settings(endpoint, table))
        checks = self.check(environment={"AWS_ACCESS_KEY_ID": "nobodys", "AWS_SECRET_ACCESS_KEY": "nobodys",
                                         "AWS_REGION": "nowhere-1"})
        told = dict(self.told(checks, "ok"))
        self.assertEqual(self.told(checks, "failed"), [])
        self.assertIn("from the credentials file", told["credentials"])
        self.assertIn(f"{REGION} (from the configuration)", told["region"])
        self.assertIn("server's", told["clock"])
        self.assertIn("taken in ", told["grant"])
        item = client.get_item(TableName=table, Key={"lock_id": {"S": "ops"}}, ConsistentRead=True)["Item"]
        self.assertGreater(int(item["fence"]["N"]), 0)

    def test_what_an_interrupted_check_has_taken_is_given_back(self):
        endpoint = dynamodb_endpoint()
        client = boto3_client(endpoint)
        table = create_table(client, f"guard-check-{uuid.uuid4()}")
        self.addCleanup(client.delete_table, TableName=table)
        proxy = self.enterContext(Proxy(endpoint))
        proxy.on("UpdateItem", then_pass, black_hole)  # the grant; and the renewal, which is waited for
        configure(self.settings(proxy.url, table, request_timeout="60s"))
        process = self.start([PROGRAM, "guard-check", "ops"])
        wait_until(lambda: proxy.count("UpdateItem") == 2, what="the renewal")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), -signal.SIGINT)
        wait_until(lambda: not keepers(), what="the end of the renewer")
        self.store_options = [f"--endpoint-url={endpoint}", f"--tablename={table}", f"--region={REGION}"]
        self.store_environment = {"AWS_SHARED_CREDENTIALS_FILE": str(self.credentials)}
        self.assertFree()

    def test_a_profile_that_the_file_lacks_is_told_with_the_files_own_name(self):
        self.set(profile="nope")
        self.assertEndsWith("grant", f"profile 'nope' in .*{self.credentials}")

    def test_credentials_that_others_can_write_are_refused_as_the_keeper_does(self):
        os.chmod(self.credentials, 0o666)
        self.assertEndsWith("grant", "credentials_file .* can be written by others")

    def test_credentials_that_are_not_there_are_told(self):
        self.credentials.unlink()
        self.assertEndsWith("grant", "cannot open credentials_file")

    def test_credentials_that_only_the_users_home_has_are_none_to_the_keeper(self):
        self.set(credentials_file="")
        home = pathlib.Path("/home/.aws")
        home.mkdir()
        self.addCleanup(shutil.rmtree, home)
        shutil.copy(self.credentials, home / "credentials")
        environment = {"HOME": "/home", "AWS_EC2_METADATA_DISABLED": "true"}
        checks = self.check(environment=environment)
        self.assertEqual([name for name, _ in self.told(checks, "failed")], ["credentials"])
        self.assertIn("credentials_file = FILE", self.told(checks, "failed")[0][1])
        said = self.run_to_end([PROGRAM, "guard-check", "ops"], environment=environment)[2]
        self.assertIn("no credentials from the credentials file: ", said)

    def test_a_user_that_does_not_exist_is_told(self):
        configure(self.settings(dynamodb_endpoint(), "guard-check-without-table"), ops={"user": "nemo"})
        self.assertEndsWith("grant", "no user 'nemo'")
