"""awsflock-keeper when the lock is lost or the store out of reach: the session is gone before its lease ends, and what
remains is safe.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import pty
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
from keepertest import LossTest, Session, keepers

keepertest.enter()

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
