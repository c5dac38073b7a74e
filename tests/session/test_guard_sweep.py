"""Sessions whose keepers were killed, the guardian with its standby: their control group is ended by the next keeper that
starts, or by `awsflock-keeper --sweep`, before the lease passes on.  SPDX-License-Identifier: Apache-2.0
"""
import fcntl
import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from guardtest import KEEPER, configure, guard  # noqa: E402
from membershiptest import DOUBLE_FORK, OUT, control_group, groups_of_sessions, move_sshd_to  # noqa: E402
from sessiontest import PEOPLE, kill_if_running, runs, wait_until  # noqa: E402
from straystest import StraysTest  # noqa: E402

RECORDS = pathlib.Path("/run/awsflock/groups")


def records():
    return sorted(path.name for path in RECORDS.iterdir()) if RECORDS.exists() else []


class SweepTest(StraysTest):
    def setUp(self):
        super().setUp()
        configure(ops={}, other={"lock": "other"})

    def sweep(self, person=None):
        return self.run_to_end([KEEPER, "--sweep"], person)

    def open_sudo(self, script="", lock="ops"):
        guard("sudo", f"guard={lock}")
        session = self.start(["sudo", "-u", "carol", "sh", "-c", f"{script} echo $$ >/run/out/in; exec sleep 1000"],
                             "alice")
        return session, self.pid_in(OUT / "in")

    def assertNothingLeft(self, session, *pids):
        session.communicate(timeout=60)
        self.assertEqual([pid for pid in pids if runs(pid)], [])
        self.assertEqual((groups_of_sessions(), records()), ([], []))

    def test_the_next_keeper_ends_what_killed_keepers_left_whichever_lock_it_is_for(self):
        session, command = self.open_sudo(f"{DOUBLE_FORK};")
        escaped = self.pid_in(OUT / "escaped")
        self.kill_keepers()
        self.assertTrue(runs(command) and runs(escaped))
        guard("sudo", "guard=other")
        self.assertEqual(self.sudo_as("bob", "echo", "in")[:2], (0, "in\n"))
        self.wait_for_no_keeper()
        self.assertNothingLeft(session, command, escaped)
        self.logged("the keepers of session [0-9a-f]{32} were killed: what is left of it is ended")
        self.assertTrue(self.is_held(), "nobody could release it")

    def test_it_is_ended_before_its_lease_can_pass_on(self):
        session, command = self.open_sudo()
        self.kill_keepers()
        configure(ops={"wait": "30s"})
        waits = self.start(["sudo", "true"], "bob")
        self.assertHeldUntilGone(command)
        self.assertEqual(waits.wait(60), 0)
        self.wait_for_no_keeper()
        self.assertNothingLeft(session, command)

    def test_sweep_ends_it_even_from_within(self):
        guard("sudo")
        os.mkfifo(OUT / "go")
        (OUT / "script").write_text(f"echo $$ >/run/out/in; read go </run/out/go; {KEEPER} --sweep; echo $? >/run/out/code",
                                    encoding="ascii")
        session = self.start(["sudo", "sh", "/run/out/script"], "alice")
        command = self.pid_in(OUT / "in")
        self.kill_keepers()
        (OUT / "go").write_text("go\n", encoding="ascii")
        self.assertNothingLeft(session, command)
        self.assertFalse((OUT / "code").exists(), "its shell was of the session")

    def test_sweep_ends_an_ssh_session_where_it_has_been_moved_to(self):
        guard("sshd")
        scope = namespace.CGROUPS / "session-8.scope"
        move_sshd_to(scope)
        session = self.enter("alice", "echo $$ >/run/out/in; echo entered; exec cat")
        command, monitor = self.pid_in(OUT / "in"), self.only_monitor("alice")
        wait_until(lambda: groups_of_sessions() == [], what="the move to the scope")
        self.assertEqual(control_group(command), "/session-8.scope")
        self.kill_keepers()
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertNothingLeft(session, command, monitor)
        scope.rmdir()

    def test_sweep_ends_what_a_users_manager_took_out_of_a_login(self):
        guard("sshd")
        group = self.manager_of("alice")
        session = self.start_ssh("alice", f"{self.bare()} exec cat", stdin=-1)
        pid = self.taken(group)
        [record] = [RECORDS / name for name in records()]
        wait_until(lambda: "\naudit " in record.read_text(encoding="ascii"), what="the record of its audit session")
        self.kill_keepers()
        self.assertTrue(runs(pid))
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertNothingLeft(session, pid)
        self.logged("were killed: what ran outside of its group is ended")

    def sweep_what_was_taken_out_of_a_sudo(self, call, what):
        """The person's own, which was taken to the same kind of group, is left alone."""
        alices, carols = self.manager_of("alice"), self.manager_of("carol")
        guard("sudo")
        session = call("sh", "-c", f"({self.bare('own')}); exec \"$@\"", "sh", "sudo", "-u", "carol", "sh", "-c",
                       what + " exec sleep 1000")
        own, pid = self.taken(alices, "own"), self.taken(carols)
        self.kill_keepers()
        self.assertTrue(runs(pid))
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertNothingLeft(session, pid)
        self.logged("were killed: what ran outside of its group is ended")
        self.assertTrue(runs(own))
        os.kill(own, signal.SIGKILL)

    def test_sweep_ends_what_a_users_manager_took_out_of_a_sudo(self):
        self.sweep_what_was_taken_out_of_a_sudo(self.called_in_a_login, self.bare())

    def test_sweep_knows_it_by_its_mark_where_the_caller_has_no_audit_session(self):
        self.sweep_what_was_taken_out_of_a_sudo(lambda *words: self.start(words, "alice"),
                                                self.bare().replace("env -i ", ""))

    def test_a_sudo_whose_command_has_ended_is_swept_with_what_was_taken_out_of_it(self):
        carols = self.manager_of("carol")
        guard("sudo")
        session = self.called_in_a_login("sudo", "-u", "carol", "sh", "-c", self.bare() + " exec sleep 1000")
        pid = self.taken(carols)
        [group] = groups_of_sessions()
        self.kill_keepers()
        session.kill()
        (namespace.CGROUPS / group / "cgroup.kill").write_text("1", encoding="ascii")
        wait_until(lambda: self.is_removed(namespace.CGROUPS / group), what="the end of the group")
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertNothingLeft(session, pid)

    def with_one_of_the_persons_outside(self):
        configure(ops={"ends": "user"})
        guard("sshd")
        session = self.enter("alice")
        own, others = (self.start(["sleep", "1000"], person) for person in ("alice", "bob"))
        self.kill_keepers()
        return session, own, others

    def test_sweep_ends_all_that_the_person_runs_where_that_ends_with_the_session(self):
        session, own, others = self.with_one_of_the_persons_outside()
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertNothingLeft(session, own.pid)
        self.assertIsNone(others.poll())

    def test_sweep_ends_nobody_for_what_was_written_down_before_the_machine_was_started(self):
        session, own, _ = self.with_one_of_the_persons_outside()
        [record] = [RECORDS / name for name in records()]
        boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        text = record.read_text(encoding="ascii")
        self.assertIn(f"\nuser {PEOPLE['alice']} {boot_id}\n", text)
        record.write_text(text.replace(boot_id, boot_id[::-1]), encoding="ascii")
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertNothingLeft(session)
        self.assertIsNone(own.poll())

    def test_a_scope_that_has_come_by_the_name_of_one_that_is_gone_is_left_alone(self):
        guard("sshd")
        scope = namespace.CGROUPS / "session-9.scope"
        move_sshd_to(scope)
        session = self.enter("alice", "echo $$ >/run/out/in; echo entered; exec cat")
        command = self.pid_in(OUT / "in")
        wait_until(lambda: groups_of_sessions() == [], what="the move to the scope")
        self.kill_keepers()
        for pid in (self.only_monitor("alice"), command):
            kill_if_running(pid)
        session.communicate(timeout=60)
        wait_until(lambda: "populated 0" in (scope / "cgroup.events").read_text(encoding="ascii"), what="its end")
        scope.rmdir()
        scope.mkdir()
        other = self.start(["sleep", "1000"], "bob")
        (scope / "cgroup.procs").write_text(f"{other.pid}\n", encoding="ascii")
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertEqual(records(), [])
        self.assertIsNone(other.poll())
        self.not_logged("were killed: what is left of it is ended")
        other.kill()
        other.communicate(timeout=60)
        scope.rmdir()

    def test_a_guarded_session_is_left_alone_even_when_run_was_wiped(self):
        session, command = self.open_sudo()
        self.assertEqual(len(records()), 1)
        self.assertEqual(self.sweep(), (0, "", ""))
        shutil.rmtree("/run/awsflock")
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertTrue(runs(command))
        os.kill(command, signal.SIGKILL)
        session.communicate(timeout=60)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertNothingLeft(session, command)

    def test_a_standby_that_takes_over_has_the_session_still(self):
        session, command = self.open_sudo()
        os.kill(self.guardian(), signal.SIGKILL)
        self.logged("its standby ends the session")
        self.assertEqual(self.sweep(), (0, "", ""))
        self.not_logged("were killed: what is left of it is ended")
        self.assertHeldUntilGone(command)
        session.communicate(timeout=60)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertNothingLeft(session, command)

    def test_what_a_session_may_leave_is_not_ended_and_its_group_is_removed_once_it_is_empty(self):
        configure(ops={"leftovers": "release"})
        guard("sudo")
        self.assertEqual(self.sudo_as("alice", "-u", "carol", "sh", "-c", DOUBLE_FORK)[0], 0)
        left = self.pid_in(OUT / "escaped")
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertTrue(runs(left))
        self.assertEqual(len(groups_of_sessions()), 1)
        os.kill(left, signal.SIGKILL)
        self.wait_until_gone(left)
        self.assertEqual(self.sweep(), (0, "", ""))
        self.assertEqual((groups_of_sessions(), records()), ([], []))

    def test_a_sweep_that_does_not_go_on_keeps_nobody_out(self):
        RECORDS.mkdir(mode=0o700, parents=True, exist_ok=True)
        RECORDS.parent.chmod(0o700)
        directory = os.open(RECORDS, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        guard("sudo")
        self.assertEqual(self.sudo_as("alice", "echo", "in")[:2], (0, "in\n"))
        self.logged("what killed keepers left cannot be found or ended")

    def test_only_root_can_sweep(self):
        self.assertEqual(self.sweep("alice"), (2, "", "awsflock-keeper: only root can sweep\n"))
