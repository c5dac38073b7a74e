"""awsflock-keeper when the lock is lost, the store out of reach, or a part of itself killed or stopped: the session is
gone before its lease ends, and what remains is safe.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import awsflocktest
import keepertest
import proxy
from awsflocktest import wait_until
from huge_environment import HUGE_ENVIRONMENT
from keepertest import HELD, LEASE_S, KeeperTest, Session, boot_s, keepers, runs

keepertest.enter()

# A child in another process group that ignores what can be ignored, and an orphan of it in a session of its own.
STUBBORN = """
trap '' HUP TERM INT
while [ ! -e $DIR/opened ]; do sleep 0.02; done
(trap '' HUP TERM; while :; do sleep 1; done) & echo $! >$DIR/stubborn
setsid sh -c '(trap "" HUP TERM; while :; do sleep 1; done) & echo $$ >$DIR/parent; echo $! >$DIR/orphan; sleep 1.5' &
wait
"""
GRACE_AND_END_S = 2
# Deaf, each in a session of its own, and gone within a fraction of a millisecond; the last ends after half a minute.
CHAIN = r"""
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	time_t end = time(NULL) + 30;

	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	for (unsigned long turn = 0; argc == 2 && time(NULL) < end; turn++) {
		if (turn % 100 == 0)
			close(open(argv[1], O_CREAT | O_WRONLY, 0600));
		if (fork() > 0)
			_exit(0);
		setsid();
	}
	return 0;
}
"""


class LossTest(KeeperTest):
    """Each test begins with an open session of three processes: the host, a stubborn child and an orphan."""

    def open_session(self, script=STUBBORN, **more):
        session = Session(self, script, **more)
        session.open()
        (self.directory / "opened").touch()
        session.pids = [session.host.pid]
        if script == STUBBORN:
            session.pids += [self.pid_in("stubborn"), self.pid_in("orphan")]
            self.wait_until_gone(self.pid_in("parent"))  # it was there long enough for a look
        return session

    def lease_end(self):
        """CLOCK_BOOTTIME until which nobody else can get the lock, as the store has it now."""
        return boot_s() + self.status()["remaining_seconds"] + 2 + 1  # two that nobody may use, and less than one cut off

    def assertEndsInTime(self, session, end):
        """Every process is gone before END."""
        self.wait_until_gone(*session.pids, timeout=max(end - boot_s(), 0.1))


class LocalLossTest(LossTest):
    def test_a_broken_lock_ends_the_session_at_once_and_tells_it_on_its_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        session = self.open_on_terminal(slave)
        os.close(slave)
        self.break_lock()
        self.wait_until_gone(*session.pids)
        said = self.read_terminal(master)
        self.assertIn("*** awsflock: the lock 'ops' is lost:", said)
        self.assertIn("This session ends now.", said)
        self.assertNotIn("\x1b", said)
        self.wait_for_log("lost: 'ops': this lease no longer holds 'ops': it was broken by")

    def open_on_terminal(self, slave):
        session = Session(self, f"setsid -c sh -c 'echo $$ >$DIR/shell; exec sleep 300' </dev/fd/{slave} & wait",
                          pass_fds=[slave])
        session.open()
        session.pids = [session.host.pid, self.pid_in("shell")]
        return session

    @staticmethod
    def read_terminal(master):
        text = b""
        while select.select([master], [], [], 0.5)[0]:
            try:
                text += os.read(master, 65536)
            except OSError:  # its last user is gone
                break
        return text.decode()

    def test_a_loss_ends_every_descendant_whatever_it_ignores(self):
        session = self.open_session()
        self.break_lock()
        self.wait_until_gone(*session.pids)

    def test_environments_that_end_nowhere_hold_up_neither_a_loss_nor_a_release(self):
        """Any user can have one."""
        program, told = self.directory / "huge.py", self.directory / "huge"
        program.write_text(HUGE_ENVIRONMENT, encoding="ascii")
        told.touch()
        told.chmod(0o666)
        session = self.open_session("exec sleep 300")
        with subprocess.Popen(["/usr/bin/python3", program, told], user=65534, group=65534, extra_groups=[]) as beside:
            self.addCleanup(beside.kill)
            self.assertEqual(self.pid_in("huge"), beside.pid)
            self.break_lock()
            self.wait_until_gone(session.host.pid)
            self.wait_for_log("closed: 'ops'")
            self.assertIsNone(beside.poll())
            beside.kill()

    def test_a_loss_only_warns_where_the_guard_says_so(self):
        self.configure(ops={"on_lost": "warn"})
        session = self.open_session("exec sleep 300")
        self.break_lock()
        self.wait_for_log("lost: 'ops'")
        time.sleep(GRACE_AND_END_S)
        self.assertRuns(*session.pids)
        session.kill_host()

    def replaced_renewer(self, killed):
        wait_until(lambda: keepers("renewer") not in ([], [killed]), what="another renewer")
        return self.part("renewer")

    def test_a_killed_renewer_is_replaced_and_the_session_goes_on_beyond_its_lease(self):
        session = self.open_session("exec sleep 300")
        fence, lease = self.status()["fence"], self.status()["lease_id"]
        renewer = self.part("renewer")
        end = self.lease_end()
        os.kill(renewer, signal.SIGKILL)
        self.replaced_renewer(renewer)
        wait_until(lambda: self.status()["lease_id"] != lease, what="a renewal")
        wait_until(lambda: boot_s() > end, what="the first lease's end")
        self.assertEqual((self.status()["held"], self.status()["fence"]), (True, fence))
        self.assertRuns(*session.pids)
        self.assertEqual(session.close()["type"], "RELEASED")
        self.assertFalse(self.is_held())

    def test_a_standby_that_takes_over_after_a_replaced_renewer_gives_the_lock_back(self):
        session = self.open_session("exec sleep 300")
        renewer, standby = self.part("renewer"), self.part("standby")
        os.kill(renewer, signal.SIGKILL)
        self.replaced_renewer(renewer)
        wait_until(lambda: keepers("standby") not in ([], [standby]), what="another standby")
        self.part("standby")
        os.kill(self.part("guardian"), signal.SIGKILL)
        self.assertEndsInTime(session, self.lease_end())
        self.wait_for_log("closed: 'ops' after .*: released")

    def test_a_renewer_whose_guardian_is_stopped_with_its_standby_renews_no_more(self):
        session = self.open_session("exec sleep 300")
        guardian, renewer = self.part("guardian"), self.part("renewer")
        self.abandoned = [guardian, self.part("standby")]
        for pid in self.abandoned:
            os.kill(pid, signal.SIGSTOP)
        self.wait_until_gone(renewer)
        self.assertTrue(self.is_held())
        self.wait_until_free()
        os.kill(guardian, signal.SIGCONT)
        self.wait_until_gone(*session.pids)
        self.wait_for_log("the guardian makes no progress")

    def test_after_a_stopped_renewer_the_guardian_warns_in_time(self):
        self.configure(ops={"lease": "12s", "grace": "3s", "end": "1s"})
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        session = self.open_on_terminal(slave)
        os.close(slave)
        self.abandoned = [self.part("renewer")]
        os.kill(*self.abandoned, signal.SIGSTOP)
        self.assertEndsInTime(session, self.lease_end())
        self.assertRegex(self.read_terminal(master), r"the lock 'ops' is being lost: no renewal has been confirmed in time\. "
                                                     r"This session ends in [1-9] s\.")
        self.assertNotIn("killed or stopped", self.log_text())

    def test_a_stopped_renewer_ends_the_session_before_its_lease(self):
        session = self.open_session()
        renewer = self.part("renewer")
        self.abandoned = [renewer]
        os.kill(renewer, signal.SIGSTOP)
        self.assertEndsInTime(session, self.lease_end())

    def test_a_killed_guardian_ends_the_session_before_its_lease_and_the_lock_is_freed(self):
        session = self.open_session()
        guardian = self.part("guardian")
        os.kill(guardian, signal.SIGKILL)
        self.assertEndsInTime(session, self.lease_end())
        self.wait_until_free(timeout=LEASE_S)
        self.wait_for_log("the guardian of 'ops' was killed or stopped")
        Session(self).open()

    def test_a_stopped_guardian_ends_the_session_before_its_lease(self):
        session = self.open_session()
        os.kill(self.part("guardian"), signal.SIGSTOP)
        # It hears of no renewal any more: the lease that counts is the one that it knew.
        self.assertEndsInTime(session, self.lease_end())
        wait_until(lambda: not keepers(), what="the end of the keeper")

    def test_a_guardian_that_was_stopped_before_it_heard_of_the_opening_ends_the_session_before_its_lease(self):
        session = Session(self, "trap '' HUP TERM; (trap '' HUP TERM; echo $(exec sh -c 'echo $PPID') >$DIR/child; "
                                "while :; do sleep 1; done) & wait")
        session.ask()
        self.assertEqual(session.answer()["type"], "GRANTED")
        self.part("standby")  # which is called a guardian until it runs
        self.abandoned = [self.part("renewer")]
        for pid in (self.part("guardian"), self.part("renewer")):
            os.kill(pid, signal.SIGSTOP)
        session.send("OPENED")
        session.pids = [session.host.pid, self.pid_in("child")]
        self.assertEndsInTime(session, self.lease_end())

    def test_a_guardian_that_is_stopped_while_it_ends_the_session_has_one_successor_even_without_renewals(self):
        session = Session(self, "(trap '' HUP TERM; echo $(exec sh -c 'echo $PPID') >$DIR/child; "
                                "while :; do sleep 1; done) & wait")
        session.open()
        session.pids = [session.host.pid, self.pid_in("child")]
        self.part("standby")
        renewer = self.part("renewer")
        session.kill_host()
        self.wait_for_log("its host ended without closing it")
        for pid in (self.part("guardian"), renewer):
            os.kill(pid, signal.SIGSTOP)
        self.assertEndsInTime(session, self.lease_end())
        os.kill(renewer, signal.SIGKILL)
        wait_until(lambda: not keepers("guardian"), what="the end of the guardian")
        self.assertEqual(self.log_text().count("its standby ends the session"), 1, self.log_text())
        self.assertNotIn("were lost", self.log_text())

    def test_a_killed_reserve_is_replaced(self):
        session = self.open_session("exec sleep 300")
        standby = self.part("standby")
        os.kill(standby, signal.SIGKILL)
        wait_until(lambda: keepers("standby") not in ([], [standby]), what="another standby")
        os.kill(self.part("guardian"), signal.SIGKILL)
        self.assertEndsInTime(session, self.lease_end())

    def test_a_lock_whose_whole_keeper_was_killed_is_taken_until_its_lease_ends(self):
        session = self.open_session("exec sleep 300")
        for pid in (self.part("standby"), self.part("guardian"), self.part("renewer")):
            with contextlib.suppress(ProcessLookupError):  # a renewer leaves with its guardian
                os.kill(pid, signal.SIGKILL)
        end = self.lease_end()
        for person, uid in (("alice", 64101), ("bob", 64102)):
            other = Session(self)
            other.ask(person=person, uid=uid)
            self.assertEqual(other.answer()["REASON"], HELD)
        self.assertIsNone(session.receive())  # a close is answered too: the connection is gone
        session.kill_host()
        wait_until(lambda: not self.is_held(), timeout=end - boot_s() + 20, what="the lease's end")
        self.assertGreater(boot_s(), end - 2)
        Session(self).open()

    def test_another_session_that_shares_a_killed_keepers_lease_ends_in_time(self):
        holder = self.open_session("exec sleep 300")
        client = self.open_session("exec sleep 300")
        holder_pids = set(keepers()) - {client.keeper}
        for pid in (keepers("standby") + [holder.keeper] + keepers("renewer")):
            if pid in holder_pids and pid not in self.standbys_of(client):
                with contextlib.suppress(ProcessLookupError):  # the renewer ends by itself without its guardian
                    os.kill(pid, signal.SIGKILL)
        self.assertEndsInTime(client, self.lease_end())
        self.assertRuns(holder.host.pid)

    def test_when_a_shared_leases_guardian_is_killed_the_lock_stays_taken_until_the_joined_session_is_gone(self):
        holder = self.open_session("exec sleep 300")
        client = self.open_session("exec sleep 300")
        os.kill(holder.keeper, signal.SIGKILL)
        while runs(client.host.pid):
            held = self.is_held()
            self.assertTrue(held or not runs(client.host.pid), "released under a session that relies on it")
        self.wait_until_gone(holder.host.pid)
        self.wait_for_log("not released: the keeper of a session that shared it was killed")

    @staticmethod
    def standbys_of(session):
        def parent(pid):
            return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return wait_until(lambda: [pid for pid in keepers("standby") if parent(pid) == session.keeper],
                          what="the standby")

    def test_a_lock_is_not_released_under_a_session_whose_own_keeper_was_killed(self):
        holder = self.open_session("exec sleep 300")
        client = self.open_session("exec sleep 300")
        for pid in self.standbys_of(client) + [client.keeper]:
            os.kill(pid, signal.SIGKILL)
        self.wait_for_log("the keeper of a session that shares 'ops' was killed")
        self.assertEqual(holder.close()["type"], "KEPT")
        self.assertTrue(self.is_held())
        self.assertRuns(client.host.pid)

    def test_a_process_that_starts_others_faster_than_it_can_be_ended_is_ended(self):
        session = self.open_session("while :; do (sleep 0.05 & sleep 0.05) & sleep 0.01; done")
        time.sleep(0.5)
        self.break_lock()
        self.wait_until_gone(session.host.pid)
        wait_until(lambda: not keepers(), what="the end of the keeper")
        self.assertEqual([pid for pid in keepertest.processes() if keepertest.command_line(pid) == "sleep 0.05"], [])

    def test_processes_that_each_start_the_next_and_end_are_ended_before_the_release(self):
        program, passed = self.directory / "chain", self.directory / "passed"
        program.with_suffix(".c").write_text(CHAIN)
        subprocess.run([*os.environ.get("CC", "cc").split(), "-o", program, program.with_suffix(".c")], check=True)
        session_id = uuid.uuid4().hex
        script = f"while [ ! -e $DIR/opened ]; do sleep 0.02; done; {program} $DIR/passed & {program} $DIR/passed & " \
                 "exec sleep 300"
        session = Session(self, script, id=session_id, environment={"AWSFLOCK_SESSION": session_id})
        session.open()
        (self.directory / "opened").touch()
        wait_until(passed.exists, what="the chains")
        self.break_lock()
        self.wait_for_log("closed: 'ops'")
        passed.unlink()
        time.sleep(0.5)
        self.assertFalse(passed.exists(), "one goes on")

    def test_a_session_of_its_own_control_group_is_killed_with_it(self):
        root = next((path for path in (pathlib.Path("/sys/fs/cgroup/unified"), pathlib.Path("/sys/fs/cgroup"))
                     if (path / "cgroup.procs").exists()), None)
        if root is None:
            self.skipTest("no unified control groups here")
        scope = root / f"session-{os.getpid()}-tests.scope"
        scope.mkdir()
        self.addCleanup(lambda: wait_until(lambda: self.remove(scope), what="an empty control group"))
        # In the group without being a descendant, or carrying a mark: nothing else could tell.
        stranger = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "300")
        session = self.open_session("trap '' HUP TERM; while :; do sleep 1; done")
        for pid in (stranger, session.host.pid):
            (scope / "cgroup.procs").write_text(str(pid))
        self.break_lock()
        os.waitpid(stranger, 0)
        self.wait_until_gone(*session.pids)

    @staticmethod
    def remove(directory):
        try:
            directory.rmdir()
        except OSError:
            return False
        return True


class OutageTest(LossTest, awsflocktest.OnDynamoDB):
    """The way to the table leads over a proxy that can be cut."""

    def setUp(self):
        self.proxy = proxy.Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        super().setUp()

    def store_keys(self):
        return {"table": self.table, "region": awsflocktest.REGION, "endpoint_url": self.proxy.url,
                "credentials_file": str(self.credentials()), "connect_timeout": "1s", "request_timeout": "1s"}

    def credentials(self):
        path = self.write("credentials", f"[default]\naws_access_key_id = {awsflocktest.ACCESS_KEY}\n"
                          f"aws_secret_access_key = {awsflocktest.SECRET_KEY}\n")
        os.chmod(path, 0o600)
        return path

    def store_options(self):
        return []

    def test_an_outage_shorter_than_the_lease_does_not_disturb_the_session(self):
        session = self.open_session("exec sleep 300")
        lease = self.status()["lease_id"]
        self.proxy.always = proxy.drop_before
        self.wait_for_log("cannot renew 'ops', retrying")
        self.proxy.always = proxy.then_pass
        self.wait_for_log("'ops' is renewed again")
        self.assertNotEqual(self.status()["lease_id"], lease)
        self.assertRuns(*session.pids)
        self.assertEqual(session.close()["type"], "RELEASED")

    def test_renewals_keep_one_connection_and_say_nothing(self):
        session = self.open_session("exec sleep 300")
        wait_until(lambda: self.proxy.count() >= 5, what="four renewals")
        self.assertEqual({request.connection for request in self.proxy.requests}, {1})
        self.assertEqual(set(self.proxy.operations()), {"UpdateItem"})
        self.assertEqual(session.close()["type"], "RELEASED")
        self.wait_for_log("closed: 'ops'")
        said = [line for line in self.log_text().splitlines() if "by looking at all processes" not in line]
        self.assertEqual(len(said), 2, said)

    def test_a_black_hole_ends_the_session_before_its_lease_and_then_the_lock_is_given_back(self):
        session = self.open_session()
        hole = threading.Event()
        self.addCleanup(hole.set)
        self.proxy.always = proxy.held_back(hole)
        end = self.lease_end()
        self.assertEndsInTime(session, end)
        hole.set()
        self.wait_for_log("closed: 'ops' after")
        self.assertRegex(self.log_text(), "lost: 'ops': the lease of 'ops' could not be renewed for")
        self.assertNotIn("killed or stopped", self.log_text())

    def test_a_table_that_is_gone_ends_the_session_before_its_lease(self):
        session = self.open_session()
        end = self.lease_end()
        self.proxy.always = proxy.refused("ResourceNotFoundException", "Requested resource not found")
        self.assertEndsInTime(session, end)
        self.wait_for_log("lost: 'ops'")


if __name__ == "__main__":
    unittest.main()
