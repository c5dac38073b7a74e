"""Attacks on keepers: parts of them that end, or are stopped, and sessions that share one of them, see tests/README.md.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from attacktest import CROWD, HOSTS, Attack, AttackTest, beside  # noqa: E402
from guardtest import DynamoDBSettings, configure, keepers  # noqa: E402
from membershiptest import OUT  # noqa: E402
from sessiontest import kill_if_running, processes_like, wait_until  # noqa: E402


class SharedTest(AttackTest):
    """Two sessions of one person's on one lease: what one of them does is the end of it alone."""

    def setUp(self):
        super().setUp()
        configure(ops={"lock": "ops", "leftovers": "end"})

    def open_two(self):
        self.attacks = [Attack(self, "ssh", "loss"), Attack(self, "sudo", "loss")]
        for attack in self.attacks:
            attack.lock = "ops"
            attack.start(beside(f"{CROWD} 3 crowd", "crowd"))
            self.addCleanup(self.end_all, attack)
            attack.wait_until_ready()
        self.logged("shared with an earlier session")

    def test_the_loss_ends_both_before_the_lock_is_free(self):
        self.open_two()
        self.attacks[0].end()
        self.assertHeldUntilAllGone(self.attacks)

    def test_the_end_of_either_leaves_the_other_and_the_lock_alone(self):
        for moment in ("logout", "kill"):
            for first in (0, 1):
                with self.subTest(moment=moment, first=first):
                    shutil.rmtree(OUT / "ssh-loss", ignore_errors=True)
                    shutil.rmtree(OUT / "sudo-loss", ignore_errors=True)
                    self.open_two()
                    one, other = self.attacks[first], self.attacks[1 - first]
                    one.moment = other.moment = moment
                    one.end()
                    self.wait_until_gone(*one.left())
                    self.assertGreaterEqual(len(other.left()), 4)
                    self.assertTrue(self.is_held())
                    other.end()
                    self.assertHeldUntilAllGone([other])
                    for attack in (one, other):
                        attack.close()
                    self.wait_for_no_keeper()


class KeeperTest(AttackTest):
    """A session over ssh whose keeper is killed; sudo's are in test_guard_sweep.py and test_guard_membership.py."""

    def setUp(self):
        super().setUp()
        configure(ops={"grace": "1s", "end": "1s", "lease": "6s"})
        self.attack_of_alice = Attack(self, "ssh", "loss")
        self.attack_of_alice.lock = "ops"
        self.attack_of_alice.start(beside(f"{CROWD} 3 crowd", "crowd"))
        self.addCleanup(self.end_all, self.attack_of_alice)
        self.attack_of_alice.wait_until_ready()

    @staticmethod
    def standbys():
        return processes_like(r"awsflock-keeper: standby")

    def standby(self):
        return wait_until(self.standbys, what="a standby")[0]


class KilledKeeperTest(KeeperTest):
    def test_the_standby_ends_the_session_of_a_guardian_that_was_killed(self):
        os.kill(self.guardian(), signal.SIGKILL)
        self.assertHeldUntilAllGone([self.attack_of_alice])
        self.logged("its standby ends the session")

    def test_a_standby_that_is_killed_after_it_took_over_has_a_standby_too(self):
        first, successor = self.guardian(), self.standby()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: set(self.standbys()) - {successor} or not keepers(), what="the successor's own standby")
        kill_if_running(successor)  # it may be faster than this test
        self.assertHeldUntilAllGone([self.attack_of_alice])


class KilledWholeTest(KeeperTest):
    """Whom the next keeper finds by their control group; by looks nobody would know who is left."""

    def test_what_both_leave_is_ended_before_the_next_one_is_let_in(self):
        self.standby()
        self.kill_keepers()
        self.assertGreaterEqual(len(self.attack_of_alice.left()), 4)
        configure(ops={"wait": "60s"})
        self.assertEqual(self.ssh("bob", "ps -o pid= -U alice; echo in")[1], "in\n")


class NobodyTest(DynamoDBSettings, AttackTest):
    """`user = nobody` is shared: another process of that user may send its renewer any signal."""

    def setUp(self):
        super().setUp()
        configure(self.settings(*self.set_up_table()),
                  ops={"user": "nobody", "lock": "%s-%u", "grace": "1s", "end": "1s"})

    def renewers(self):
        return processes_like(r"awsflock-keeper: renewer")

    def send(self, number, pids):
        """As another process of nobody's; how many got it."""
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
        return sum(self.run_to_end([*as_nobody, "kill", f"-{number}", str(pid)])[0] == 0 for pid in pids)

    def open_both(self):
        attacks = [Attack(self, host, "loss") for host in HOSTS]
        for attack in attacks:
            attack.start(beside(f"{CROWD} 3 crowd", "crowd"))
            self.addCleanup(self.end_all, attack)
        for attack in attacks:
            attack.wait_until_ready()
        wait_until(lambda: len(self.renewers()) == 2, what="both renewers")
        return attacks

    def test_a_renewer_that_they_kill_is_replaced_and_the_session_goes_on(self):
        attacks = self.open_both()
        before, leases = self.renewers(), [self.status(attack.lock)["lease_id"] for attack in attacks]
        self.assertEqual(self.send("KILL", before), 2)
        wait_until(lambda: len(set(self.renewers()) - set(before)) == 2, what="two others")
        for attack, lease in zip(attacks, leases):
            wait_until(lambda: self.status(attack.lock)["lease_id"] != lease, what="a renewal")
            self.assertGreaterEqual(len(attack.left()), 4)
        for attack in attacks:
            attack.end()
        self.assertHeldUntilAllGone(attacks)

    def test_a_renewer_that_they_stop_takes_the_session_with_it_in_time(self):
        attacks = self.open_both()
        stopped = self.renewers()
        self.assertEqual(self.send("STOP", stopped), 2)
        self.assertHeldUntilAllGone(attacks)
        self.send("KILL", stopped)
