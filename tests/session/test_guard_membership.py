"""Who belongs to a session: in a control group of its own the kernel keeps everybody who was born in it, and where there is
none, looks find them.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from guardtest import KEEPER, MODULE, GuardTest, configure, guard, keepers  # noqa: E402
from membershiptest import DOUBLE_FORK, OUT, GroupTest, control_group, groups_of_sessions, move_sshd_to  # noqa: E402
from sessiontest import pam_file, runs, wait_until  # noqa: E402


class MembershipTest(GroupTest):
    def test_a_session_is_in_a_group_of_its_own_and_its_keeper_is_not(self):
        guard("sudo")
        before = control_group(os.getpid())
        session = self.start(["sudo", "sh", "-c", "echo $$ >/run/out/in; exec sleep 1000"], "alice")
        group = control_group(self.found("in"))
        self.assertRegex(group, r"^/awsflock-[0-9a-f]{32}$")
        self.assertEqual(control_group(session.pid), group)
        self.assertEqual({control_group(pid) for pid in keepers()}, {before})
        self.not_logged("looking at all processes")
        session.kill()
        self.wait_until_free()

    def test_the_end_of_an_inner_session_leaves_the_outer_one_alone_and_not_the_other_way_round(self):
        guard("sshd")
        guard("sudo")
        script = "sudo sh -c 'echo $$ >/run/out/inner; exec sleep 1000' & echo $$ >/run/out/outer; exec cat"
        session = self.start_ssh("alice", script, stdin=-1)
        outer, inner = self.found("outer"), self.found("inner")
        self.assertTrue(control_group(inner).startswith(control_group(outer) + "/awsflock-"), control_group(inner))
        for pid in keepers():
            self.assertNotIn("awsflock-", control_group(pid))
        os.kill(inner, signal.SIGKILL)
        wait_until(lambda: len(groups_of_sessions()) == 1, what="the removal of the inner group")
        self.assertTrue(runs(outer))
        (OUT / "inner").unlink()
        self.leave(session)
        session = self.start_ssh("alice", script, stdin=-1)
        inner = self.found("inner")
        os.kill(self.only_monitor("alice"), signal.SIGKILL)
        self.assertHeldUntilGone(inner)
        session.wait(60)
        self.wait_until_free()

    def test_who_is_moved_by_a_later_module_is_followed(self):
        guard("sshd")
        scope = namespace.CGROUPS / "session-7.scope"
        move_sshd_to(scope)
        configure(ops={"leftovers": "end"})
        session = self.enter("alice", f"{DOUBLE_FORK}; echo entered; exec cat")
        escaped = self.found("escaped")
        self.assertEqual(control_group(escaped), "/session-7.scope")
        wait_until(lambda: groups_of_sessions() == [], what="the removal of the group that was left")
        self.leave(session)
        self.assertHeldUntilGone(escaped)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertEqual(groups_of_sessions(), [])
        self.assertTrue(scope.exists(), "logind's own to remove")
        scope.rmdir()

    def test_the_helper_of_a_host_that_closes_is_left_alone_and_sudo_tells_how_its_command_ended(self):
        helper = pathlib.Path("/run/out/helper")
        helper.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\nsleep 0.2\necho done >/run/out/helped\n",
                          encoding="ascii")
        helper.chmod(0o755)
        configure(ops={"end": "12s", "lease": "48s"})  # a sixth of the end is sudo's to close, before it is killed too
        guard("sudo")
        with open("/etc/pam.d/sudo", "a", encoding="ascii") as file:
            file.write(f"session optional pam_exec.so {helper}\n")
        session = self.start(["sudo", "sh", "-c", "trap '' TERM HUP; echo $$ >/run/out/in; while :; do sleep 1; done"],
                             "alice")
        command = self.found("in")
        self.lose()
        self.assertHeldUntilGone(command)
        _, err = session.communicate(timeout=60)
        self.assertNotIn(b"unable to execute", err)
        wait_until((OUT / "helped").exists, what="the helper's end")

    def test_of_two_guards_of_one_service_neither_takes_the_session_from_the_other_when_it_closes(self):
        waits = OUT / "waits"
        waits.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\nsleep 1.5\n", encoding="ascii")
        tells = OUT / "tells"
        tells.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\n"
                         "cat /proc/$PPID/cgroup >/run/out/host\n", encoding="ascii")
        configure(ops={}, other={"lock": "other"})
        for program in (waits, tells):
            program.chmod(0o755)
        pam_file("sudo", f"session requisite {MODULE} guard=ops", f"session optional pam_exec.so {waits}",
                 f"session requisite {MODULE} guard=other", f"session optional pam_exec.so {tells}")
        before = control_group(os.getpid())
        self.assertEqual(self.sudo_as("alice", "sh", "-c", DOUBLE_FORK)[0], 0)
        left = self.found("escaped")
        self.assertRegex(control_group(left), r"^/awsflock-[0-9a-f]{32}/awsflock-[0-9a-f]{32}$")
        self.assertIn(f"0::{before}\n", (OUT / "host").read_text(encoding="utf-8"))
        self.assertTrue(self.is_held() and self.is_held("other"))
        os.kill(left, signal.SIGKILL)
        for lock in ("ops", "other"):
            self.wait_until_free(lock)

    def test_a_session_is_not_taken_over_by_the_next_sudo_of_the_shell_that_began_it(self):
        configure(ops={"leftovers": "end"}, other={"lock": "other", "leftovers": "end"})
        guard("sudo")
        pam_file("sudo-i", f"session requisite {MODULE} guard=other")
        first = "sudo -u carol sh -c 'echo $$ >/run/out/first; exec sleep 1000' & while ! test -s /run/out/first; do " \
            "sleep 0.05; done; "
        session = self.start(["sh", "-c", first + "exec sudo -i -u carol sh -c 'echo $$ >/run/out/second; exec sleep 1000'"],
                             "alice")
        command, second = self.found("first"), self.found("second")
        self.assertRegex(control_group(command), r"^/awsflock-[0-9a-f]{32}$")
        self.assertNotEqual(control_group(command), control_group(second))
        self.lose()
        self.assertHeldUntilGone(command)
        self.assertTrue(runs(second))
        os.kill(second, signal.SIGKILL)
        session.communicate(timeout=60)

    def test_a_standby_ends_what_has_escaped_every_look(self):
        guard("sudo")
        session = self.start(["sudo", "sh", "-c", f"{DOUBLE_FORK}; exec sleep 1000"], "alice")
        escaped = self.found("escaped")
        os.kill(self.guardian(), signal.SIGKILL)
        self.assertHeldUntilGone(escaped)
        session.wait(60)


class LooksTest(GuardTest):
    """Where no control group can be written to."""

    def setUp(self):
        super().setUp()
        self.hide_control_groups()

    def hide_control_groups(self):
        if namespace.has_control_groups():
            namespace.command("mount", "-o", "remount,bind,ro", str(namespace.CGROUPS))
            self.addCleanup(namespace.command, "mount", "-o", "remount,bind,rw", str(namespace.CGROUPS))

    def test_a_session_is_guarded_by_looks(self):
        guard("sudo")
        self.assertEqual(self.sudo_as("alice", "echo", "in")[:2], (0, "in\n"))
        self.logged("the session is watched by looking at all processes: no writable cgroup2 is mounted")
        self.wait_until_free()

    def test_what_killed_keepers_left_is_not_swept_and_its_lock_remains_held(self):
        configure(ops={"ends": "user"})
        guard("sshd")
        session = self.enter("alice")
        monitor = self.only_monitor("alice")
        self.kill_keepers()
        self.assertEqual(self.run_to_end([KEEPER, "--sweep"]), (0, "", ""))
        self.assertTrue(runs(monitor) and self.is_held())
        session.stdin.close()
        session.wait(60)

    def test_require_cgroup_refuses_it(self):
        configure(ops={"require_cgroup": "yes"})
        guard("sudo")
        self.assertRefusedWithoutReason(self.sudo_as("alice", "echo", "in"), "require_cgroup = yes")
        self.logged("require_cgroup = yes, but no writable cgroup2 is mounted")
        self.assertFree()


class FullGroupTest(GroupTest):
    """Where the host's group may have no group below it."""

    def test_what_escaped_every_look_in_a_logins_scope_is_killed_with_a_host_that_does_not_close(self):
        service = namespace.CGROUPS / "sshd.service"
        service.mkdir()
        (service / "cgroup.max.descendants").write_text("0", encoding="ascii")
        (service / "cgroup.procs").write_text(str(self.sshd.process.pid), encoding="ascii")
        self.addCleanup((namespace.CGROUPS / "cgroup.procs").write_text, str(self.sshd.process.pid), encoding="ascii")
        guard("sshd")
        pam = pathlib.Path("/etc/pam.d/sshd")
        pam.write_text(re.sub(r"(?m)^.*pam_loginuid.*$", "", pam.read_text(encoding="utf-8")), encoding="utf-8")
        scope = namespace.CGROUPS / "session-7.scope"
        move_sshd_to(scope)
        session = self.start_ssh("alice", f"{DOUBLE_FORK}; exec cat", stdin=-1)
        escaped, monitor = self.found("escaped"), self.only_monitor("alice")
        self.logged("the session is watched by looking at all processes: no control group can be made")
        self.assertEqual(control_group(escaped), "/session-7.scope")
        os.kill(monitor, signal.SIGSTOP)
        self.lose()
        self.wait_until_gone(escaped, monitor)
        session.communicate(timeout=60)
