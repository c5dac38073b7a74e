"""One person, several sessions: they share a lease, or are kept apart; other persons never share.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import GuardTest, configure, guard, keepers  # noqa: E402
from sessiontest import runs, wait_until  # noqa: E402


class SharingTest(GuardTest):
    def test_the_second_window_of_the_same_person_shares_the_lease(self):
        guard("sshd", account=True)
        first = self.enter("alice")
        fence, lease = self.status()["fence"], self.status()["lease_id"]
        second = self.enter("alice")
        self.assertEqual((self.status()["fence"], self.status()["lease_id"]), (fence, lease))
        self.assertNotEqual(self.ssh("bob", "true")[0], 0)
        self.leave(first)
        self.assertHeldBy("alice")
        self.assertNotEqual(self.ssh("bob", "true")[0], 0)
        self.leave(second)
        self.wait_until_free()
        self.assertEqual(self.ssh("bob", "true")[0], 0)

    def test_sudo_inside_of_a_guarded_login_shares_the_lease(self):
        guard("sshd")
        guard("sudo")
        script = "echo $AWSFLOCK_FENCE; sudo sh -c 'echo $AWSFLOCK_FENCE'; exec cat"
        session = self.start_ssh("alice", script, stdin=-1)
        fence = session.stdout.readline()
        self.assertEqual(session.stdout.readline(), fence)
        self.assertHeldBy("alice")
        self.leave(session)
        self.wait_until_free()

    def test_guards_of_one_lock_share_it(self):
        configure(login={"lock": "one"}, root={"lock": "one", "leftovers": "release"})
        guard("sshd", "guard=login")
        guard("sudo", "guard=root")
        session = self.start_ssh("alice", "echo $AWSFLOCK_FENCE; sudo sh -c 'echo $AWSFLOCK_FENCE'; exec cat", stdin=-1)
        self.assertEqual(session.stdout.readline(), session.stdout.readline())
        self.leave(session)
        self.wait_until_free("one")

    def test_another_person_never_shares(self):
        guard("sshd")
        guard("sudo")
        session = self.enter("alice")
        self.assertRefused(self.sudo_as("bob", "echo", "in"), "held by alice")
        self.assertEqual(self.ssh("bob", "true")[0], 254)
        self.leave(session)

    def test_sessions_that_do_not_share_are_refused_and_do_not_wait_for_each_other(self):
        configure(ops={"share": "session"})
        guard("sshd")
        guard("sudo")
        session = self.enter("alice", "echo entered; sudo -n true; echo code $?; exec cat")
        self.assertEqual(session.stdout.readline(), b"code 1\n")
        self.assertEqual(self.ssh("alice", "true")[0], 254)
        self.leave(session)
        self.wait_until_free()

    def test_what_joined_lives_on_when_the_first_session_is_killed(self):
        guard("sshd")
        first = self.enter("alice")
        monitor = self.only_monitor("alice")
        second = self.enter("alice")
        os.kill(monitor, 9)
        first.wait()
        wait_until(lambda: not runs(monitor), what="the end of the first session")
        second.stdin.write(b"still here\n")
        second.stdin.flush()
        self.assertEqual(second.stdout.readline(), b"still here\n")
        self.assertHeldBy("alice")
        self.leave(second)
        self.wait_until_free()
        wait_until(lambda: not keepers(), what="the end of the keepers")
