"""What sshd, sudo, su and login make of a PAM module's answers: the facts that the session guard is built on.

Where one of these fails, a host has changed, and the guard with it.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sessiontest import SshTest, pam_file, sudoers, wait_until  # noqa: E402


class HostsTest(SshTest):
    def test_everybody_gets_in_without_a_guard(self):
        self.assertEqual(self.ssh("alice", "id -un")[:2], (0, "alice\n"))
        self.assertEqual(self.run_to_end(["sudo", "id", "-un"], "alice")[:2], (0, "root\n"))
        self.assertEqual(self.run_to_end(["su", "bob", "-c", "id -un"], "alice")[:2], (0, "bob\n"))
        login = self.on_terminal(["login", "-f", "alice"])
        login.type("echo I am $(id -un); exit\n")
        login.expect("I am alice")
        self.assertEqual(login.wait(), 0)

    def test_sshd_refuses_what_the_session_refuses_but_only_after_login(self):
        pam_file("sshd", "session requisite pam_deny.so")
        code, _, _ = self.ssh("alice", "true")
        self.assertEqual(code, 254)

    def test_sshd_refuses_cleanly_what_the_account_phase_refuses(self):
        pam_file("sshd", "account requisite pam_echo.so file=/etc/notice", "account requisite pam_deny.so")
        pathlib.Path("/etc/notice").write_text("not today\n", encoding="ascii")
        code, out, err = self.ssh("alice", "true")
        self.assertEqual((code, out), (255, ""))
        self.assertIn("not today", err)

    def test_sudo_takes_a_session_error_for_success(self):
        pam_file("sudo", "session requisite pam_deny.so")
        self.assertEqual(self.run_to_end(["sudo", "id", "-un"], "alice")[:2], (0, "root\n"))

    def test_su_and_login_refuse_what_the_session_refuses(self):
        pam_file("su", "auth sufficient pam_permit.so", "session requisite pam_deny.so")
        self.assertNotEqual(self.run_to_end(["su", "bob", "-c", "true"], "alice")[0], 0)
        pam_file("login", "session requisite pam_deny.so")
        self.assertNotEqual(self.on_terminal(["login", "-f", "alice"]).wait(), 0)

    def test_sudo_opens_the_session_as_the_target_and_runs_all_phases_in_one_process(self):
        report = pathlib.Path("/run/report")
        pathlib.Path("/etc/note").write_text('#!/bin/sh\necho "$PAM_TYPE $PAM_USER $PAM_RUSER $PPID" >>/run/report\n',
                                             encoding="ascii")
        os.chmod("/etc/note", 0o755)
        pam_file("sudo", "account optional pam_exec.so seteuid quiet /etc/note",
                 "session optional pam_exec.so seteuid quiet /etc/note")
        self.assertEqual(self.run_to_end(["sudo", "-u", "bob", "true"], "alice")[0], 0)
        lines = [line.split() for line in report.read_text(encoding="ascii").splitlines()]
        self.assertEqual([line[:3] for line in lines], [["account", "alice", "alice"], ["open_session", "bob", "alice"],
                                                        ["close_session", "bob", "alice"]])
        self.assertEqual(len({line[3] for line in lines}), 1)

    def test_sudo_takes_its_service_from_sudoers_and_another_one_for_a_login_shell(self):
        sudoers("Defaults pam_service=watched, pam_login_service=watched-i")
        pathlib.Path("/etc/pam.d/watched").write_text("auth required pam_permit.so\naccount required pam_permit.so\n"
                                                      "session required pam_permit.so\n", encoding="ascii")
        pathlib.Path("/etc/pam.d/watched-i").write_text("account required pam_deny.so\n", encoding="ascii")
        self.assertEqual(self.run_to_end(["sudo", "true"], "alice")[0], 0)
        self.assertNotEqual(self.run_to_end(["sudo", "-i", "true"], "alice")[0], 0)

    def test_a_sudo_that_is_killed_leaves_its_command_where_it_has_no_pty(self):
        sudoers("Defaults !use_pty")
        script = "echo $$ >/run/left; exec sleep 100"
        sudo = self.start(["sudo", "sh", "-c", script], "alice")
        left = self.pid_in("/run/left")
        sudo.kill()
        sudo.wait()
        wait_until(lambda: pathlib.Path(f"/proc/{left}/comm").read_text(encoding="ascii") == "sleep\n", what="the command")
        os.kill(left, 9)
        self.wait_until_gone(left)

    def test_one_connection_is_one_session_however_many_channels_it_has(self):
        pathlib.Path("/etc/note").write_text('#!/bin/sh\necho "$PAM_TYPE" >>/run/channels\n', encoding="ascii")
        os.chmod("/etc/note", 0o755)
        pam_file("sshd", "session optional pam_exec.so quiet /etc/note")
        control = ["-o", "ControlMaster=auto", "-o", "ControlPath=/run/control"]
        master = self.start_ssh("alice", options=[*control, "-N"])
        wait_until(lambda: os.path.exists("/run/control"), what="the master connection")
        for _ in range(3):
            self.assertEqual(self.ssh("alice", "true", options=control)[0], 0)
        self.end_ssh(master)
        wait_until(lambda: "close" in pathlib.Path("/run/channels").read_text(encoding="ascii"), what="the close")
        self.assertEqual(pathlib.Path("/run/channels").read_text(encoding="ascii").split(),
                         ["open_session", "close_session"])
