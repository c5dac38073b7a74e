"""awsflock-keeper when parts of it are killed or stopped: the session is gone before its lease ends, and what remains is
safe.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import pty
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import keepertest
from awsflocktest import kill_if_running, wait_until
from keepertest import HELD, LEASE_S, LossTest, Session, boot_s, keepers, runs
from running import parent_of

keepertest.enter()


class KilledTest(LossTest):
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
        kill_if_running(renewer)
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
            kill_if_running(pid)  # a renewer leaves with its guardian
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
                kill_if_running(pid)  # the renewer ends by itself without its guardian
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
        return wait_until(lambda: [pid for pid in keepers("standby") if parent_of(pid) == session.keeper],
                          what="the standby")

    def test_a_lock_is_not_released_under_a_session_whose_own_keeper_was_killed(self):
        holder = self.open_session("exec sleep 300")
        client = self.open_session("exec sleep 300")
        for pid in self.standbys_of(client) + [client.keeper]:
            kill_if_running(pid)
        self.wait_for_log("the keeper of a session that shares 'ops' was killed")
        self.assertEqual(holder.close()["type"], "KEPT")
        self.assertTrue(self.is_held())
        self.assertRuns(client.host.pid)


if __name__ == "__main__":
    unittest.main()
