"""Whom a guard takes for the person behind hosts that say less, or more, than sudo and sshd do.

tests/support/pam_host.c shows of itself what they show, each with a PAM file of its own.
SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import MODULE, GuardTest  # noqa: E402
from sessiontest import pam_file  # noqa: E402

BUILT = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests/support/pam_host")
SET_ID = pathlib.Path("/run/pkexec-of-tests")
PLAIN = pathlib.Path("/run/daemon-of-tests")
SECCOMP = str(pathlib.Path(__file__).resolve().parents[1] / "support" / "seccomp.py")
SAY = ["/bin/sh", "-c", "echo in ${AWSFLOCK_LOCK-without}"]
STAY = ["/bin/sh", "-c", "echo in; exec cat"]
REFUSED = 100


class PersonsTest(GuardTest):
    def setUp(self):
        super().setUp()
        for place, mode in ((SET_ID, 0o4755), (PLAIN, 0o755)):
            shutil.copyfile(BUILT, place)
            os.chmod(place, mode)
        for service in ("polkit-1", "vsftpd", "rlogin", "atd", "sudo"):
            pam_file(service, "account required pam_permit.so", f"session requisite {MODULE} guard=ops",
                     "session required pam_permit.so")

    def stay(self, arguments, person=None):
        """A session that is open until its input ends."""
        session = self.start([*map(str, arguments), *STAY], person, stdin=-1)
        line = session.stdout.readline().decode()
        if line != "in\n":
            self.fail(f"not let in: {line!r}, then {session.communicate()}")
        return session

    def ask(self, arguments, person=None):
        """(exit code, stdout) of a session that says its lock."""
        code, out, _ = self.run_to_end([*map(str, arguments), *SAY], person)
        return code, out

    def assertEnters(self, result):
        self.assertEqual(result, (0, "in ops\n"))

    def assertRefusedBy(self, person, arguments, caller=None):
        code, out, err = self.run_to_end([*map(str, arguments), *SAY], caller)
        self.assertEqual((code, out), (REFUSED, ""), err)
        self.assertRegex(err, f"held by {person}")


class SandboxTest(PersonsTest):
    def test_a_seccomp_filter_that_lets_no_process_be_held_is_named_in_the_log(self):
        for call in ("pidfd_open=EPERM", "pidfd_open=ENOSYS"):
            with self.subTest(call=call):
                self.log_start = len(self.log.lines())
                code, out, _ = self.run_to_end([SECCOMP, call, "--", str(PLAIN), "--ruser=alice", "vsftpd", "alice", *SAY])
                self.assertEqual((code, out), (REFUSED, ""))
                self.logged("cannot start .*awsflock-keeper: pidfd_open.*Linux 5.3 or later .*seccomp profile must allow both")

    def test_a_keeper_that_may_not_become_root_is_told_in_the_log_with_the_reason(self):
        code, out, _ = self.run_to_end([SECCOMP, "setresgid=EPERM", "--", str(PLAIN), "--ruser=alice", "vsftpd", "alice", *SAY])
        self.assertEqual((code, out), (REFUSED, ""))
        self.logged("cannot start .*awsflock-keeper: Operation not permitted")


class PkexecTest(PersonsTest):
    """Set-user-id, without PAM_RUSER."""

    PKEXEC = [SET_ID, "polkit-1", "root"]

    def test_the_caller_is_the_person_so_two_callers_never_share(self):
        session = self.stay(self.PKEXEC, "alice")
        self.assertHeldBy("alice")
        self.assertRefusedBy("alice", self.PKEXEC, "bob")
        self.assertEnters(self.ask(self.PKEXEC, "alice"))
        self.leave(session)
        self.wait_until_free()
        self.assertEnters(self.ask(self.PKEXEC, "bob"))

    def test_the_caller_is_the_same_person_as_in_sudo(self):
        session = self.stay(self.PKEXEC, "alice")
        self.assertEqual(self.sudo_as("alice", "echo", "in")[1], "in\n")
        self.assertRefused(self.sudo_as("bob", "echo", "in"), "held by alice")
        self.leave(session)

    def test_who_says_to_be_root_is_the_caller_all_the_same(self):
        session = self.stay(self.PKEXEC, "alice")
        for lie in (["--ruser=root"], ["--ruser=alice"], ["--ruser=alice", "--rhost=elsewhere"]):
            with self.subTest(lie):
                self.assertRefusedBy("alice", [SET_ID, *lie, "polkit-1", "root"], "bob")
        self.leave(session)


class ServerTest(PersonsTest):
    """Run by root, and set PAM_RUSER."""

    def server(self, service, ruser, user):
        return [PLAIN, f"--ruser={ruser}", "--rhost=203.0.113.9", service, user]

    def test_who_logs_in_is_the_person_whatever_the_client_calls_itself(self):
        session = self.stay(self.server("vsftpd", "alice", "alice"))
        self.assertHeldBy("alice")
        self.assertRefusedBy("alice", self.server("vsftpd", "bob", "bob"))
        self.assertRefusedBy("alice", self.server("rlogin", "root", "bob"))
        self.assertEnters(self.ask(self.server("rlogin", "root", "alice")))
        self.leave(session)

    def test_root_is_no_exception_there(self):
        session = self.stay(self.server("vsftpd", "alice", "alice"))
        self.assertRefusedBy("alice", self.server("vsftpd", "root", "root"))
        self.leave(session)

    def test_a_client_that_is_not_named_does_not_open_the_door(self):
        session = self.stay(self.server("vsftpd", "alice", "alice"))
        self.assertRefusedBy("alice", [PLAIN, "--ruser=bob", "vsftpd", "bob"])
        self.leave(session)

    def test_root_calling_here_needs_no_lock(self):
        session = self.stay(self.server("vsftpd", "alice", "alice"))
        self.assertEqual(self.ask([PLAIN, "--ruser=root", "rlogin", "bob"]), (0, "in without\n"))
        self.leave(session)


class LentIdTest(PersonsTest):
    """atd opens its sessions under daemon's real user id."""

    ATD = [PLAIN, "--real-uid=1", "atd"]

    def test_whose_job_it_is_is_the_person_and_not_the_lent_id(self):
        session = self.stay([*self.ATD, "alice"])
        self.assertHeldBy("alice")
        self.assertRefusedBy("alice", [*self.ATD, "bob"])
        self.leave(session)


class JobTest(PersonsTest):
    """Jobs, where an account line looks whether another person holds the lock, and no session line takes it."""

    JOBS = {"cron": [PLAIN, "cron"], "atd": [PLAIN, "--real-uid=1", "atd"]}

    def setUp(self):
        super().setUp()
        for service in self.JOBS:
            pam_file(service, f"account requisite {MODULE} guard=ops", "account required pam_permit.so",
                     "session required pam_permit.so")

    def test_a_job_does_not_start_while_another_person_holds_the_lock_and_takes_none(self):
        for service, job in self.JOBS.items():
            with self.subTest(service):
                self.assertEqual(self.ask([*job, "bob"]), (0, "in without\n"))
                self.assertFree()
                session = self.stay(PkexecTest.PKEXEC, "alice")
                self.assertRefusedBy("alice", [*job, "bob"])
                self.assertEqual(self.ask([*job, "alice"]), (0, "in without\n"))
                self.leave(session)
                self.wait_until_free()
                self.assertEqual(self.ask([*job, "bob"]), (0, "in without\n"))
