"""One table, two implementations: this awsflock and a peer as the Python 0.2.0 behaves exclude each other.

SPDX-License-Identifier: Apache-2.0
"""
import time
import unittest

from awsflocktest import OnDynamoDB
from python_peer import PythonPeer

HOUR_S = 3600


class PeerTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.peer = PythonPeer(self.client, self.table)

    def peer_with_clock(self, offset_s):
        return PythonPeer(self.client, self.table, clock_offset_s=offset_s)

    def fence(self, lock):
        return int(self.item(lock)["fence"]["N"])


class ExclusionTest(PeerTest):
    def test_the_peer_does_not_get_what_awsflock_holds(self):
        lease_id = self.acquire("deploy")
        self.assertIsNone(self.peer.acquire("deploy"))
        self.assertHeld("deploy", lease_id)

    def test_awsflock_does_not_get_what_the_peer_holds_and_tells_who_and_until_when(self):
        lease_id = self.peer.acquire("deploy", 600)
        until = time.strftime("%H:%M:%S", time.gmtime(int(self.item("deploy")["expiration_time"]["N"])))
        result = self.flock("acquire", "deploy", "--no-wait")
        self.assertSays(result, 3, "python-peer", until)
        self.assertHeld("deploy", lease_id)

    def test_status_shows_the_peers_lease(self):
        lease_id = self.peer.acquire("deploy", 600)
        status = self.assertHeld("deploy", lease_id)
        self.assertEqual(status["owner"], "python-peer")
        self.assertEqual(status["lease_duration"], 600)
        self.assertAlmostEqual(status["remaining_seconds"], 600, delta=30)
        self.assertIn("deploy", self.listing())

    def test_a_peer_that_looked_before_awsflock_took_the_lock_does_not_get_it(self):
        seen = self.peer.look("deploy")
        lease_id = self.acquire("deploy")
        self.assertIsNone(self.peer.take("deploy", seen))
        self.assertHeld("deploy", lease_id)

    def test_a_peer_that_saw_the_expired_lease_that_awsflock_renewed_does_not_get_it(self):
        lease_id = self.acquire("deploy")
        self.let_expire("deploy")
        seen = self.peer.look("deploy")
        self.assertWorked(self.flock("renew", "deploy", lease_id))
        self.assertIsNone(self.peer.take("deploy", seen))

    def test_a_peer_that_saw_the_tombstone_that_awsflock_took_does_not_get_it(self):
        self.flock("release", "deploy", self.acquire("deploy"))
        seen = self.peer.look("deploy")
        lease_id = self.acquire("deploy")
        self.assertIsNone(self.peer.take("deploy", seen))
        self.assertHeld("deploy", lease_id)

    def test_a_run_keeps_the_peer_out_for_as_long_as_the_command_runs(self):
        running = self.start(self.flock_command("run", "deploy", *self.job()))
        self.wait_for_job(running)
        self.assertIsNone(self.peer.acquire("deploy"))
        code, err = self.finish_job(running)
        self.assertEqual(code, 0, err)
        self.assertTrue(self.peer.acquire("deploy"))


class ReclaimTest(PeerTest):
    def test_awsflock_takes_over_the_peers_expired_lease(self):
        self.peer_with_clock(-2 * HOUR_S).acquire("deploy", HOUR_S)
        lease_id = self.acquire("deploy")
        self.assertHeld("deploy", lease_id)
        self.assertGreater(self.fence("deploy"), 0)

    def test_awsflock_waits_for_the_grace_that_the_peer_allows(self):
        self.peer_with_clock(-602).acquire("deploy", 600)
        self.assertEqual(self.flock("acquire", "deploy", "--no-wait").code, 3)

    def test_the_peer_takes_over_an_expired_lease(self):
        old = self.acquire("deploy")
        self.let_expire("deploy")
        new = self.peer.acquire("deploy")
        self.assertTrue(new)
        self.assertSays(self.flock("renew", "deploy", old), 3, "python-peer")
        self.assertSays(self.flock("release", "deploy", old), 3, "python-peer")
        self.assertHeld("deploy", new)

    def test_the_peer_renews_its_expired_lease_unless_awsflock_took_it(self):
        lease_id = self.peer_with_clock(-2 * HOUR_S).acquire("deploy", HOUR_S)
        renewed = self.peer.renew("deploy", lease_id)
        self.assertTrue(renewed)
        self.assertEqual(self.flock("acquire", "deploy", "--no-wait").code, 3)
        self.let_expire("deploy")
        ours = self.acquire("deploy")
        self.assertIsNone(self.peer.renew("deploy", renewed))
        self.assertHeld("deploy", ours)


class ReleaseTest(PeerTest):
    def test_what_awsflock_released_is_free_for_peers_whatever_their_clocks(self):
        for offset_s in (-20 * HOUR_S, -HOUR_S, 0, HOUR_S):
            with self.subTest(offset_s=offset_s):
                self.flock("release", "deploy", self.acquire("deploy"))
                peer = self.peer_with_clock(offset_s)
                lease_id = peer.acquire("deploy")
                self.assertTrue(lease_id)
                self.assertTrue(peer.release("deploy", lease_id))

    def test_what_the_peer_released_is_free_for_awsflock(self):
        self.assertTrue(self.peer.release("deploy", self.peer.acquire("deploy")))
        self.assertFree("deploy")
        self.acquire("deploy")

    def test_a_lease_can_be_handed_from_one_to_the_other(self):
        first = self.acquire("deploy")
        second = self.peer.renew("deploy", first)
        self.assertTrue(second)
        third = self.flock("renew", "deploy", second)
        self.assertWorked(third)
        self.assertTrue(self.peer.release("deploy", third.out.strip()))
        fourth = self.peer.acquire("deploy")
        self.assertWorked(self.flock("release", "deploy", fourth))
        self.assertFree("deploy")
        self.assertTrue(self.peer.acquire("deploy"))

    def test_the_peer_cannot_release_with_an_id_that_awsflock_replaced(self):
        first = self.acquire("deploy")
        second = self.flock("renew", "deploy", first).out.strip()
        self.assertFalse(self.peer.release("deploy", first))
        self.assertHeld("deploy", second)

    def test_what_awsflock_broke_the_peer_cannot_renew(self):
        lease_id = self.peer.acquire("deploy", 600)
        self.assertWorked(self.flock("break", "deploy", "--lease-id", lease_id, "--yes"))
        self.assertIsNone(self.peer.renew("deploy", lease_id))
        self.assertIsNone(self.peer.acquire("deploy"))


class FenceTest(PeerTest):
    def test_the_fence_goes_on_rising_after_the_peers_interludes(self):
        def by_deletion():
            self.peer.release("deploy", self.peer.acquire("deploy"))

        def by_expiry():
            self.peer_with_clock(-2 * HOUR_S).acquire("deploy", HOUR_S)

        def by_nothing():
            pass

        fences = []
        for interlude in (by_nothing, by_deletion, by_expiry, by_deletion, by_nothing, by_expiry):
            interlude()
            lease_id = self.acquire("deploy")
            fences.append(self.fence("deploy"))
            self.assertWorked(self.flock("release", "deploy", lease_id))
        self.assertEqual(fences, sorted(set(fences)))

    def test_a_lease_that_the_peer_renewed_has_no_fence_to_show(self):
        self.assertTrue(self.peer.renew("deploy", self.acquire("deploy")))
        self.assertIsNone(self.status("deploy")["fence"])


class ItemTest(PeerTest):
    def test_what_awsflock_writes_can_be_read_by_the_peer(self):
        """Whole seconds in expiration_time and a text in lease_id: the peer crashes on anything else."""
        lease_id = self.acquire("deploy")
        for step in ("held", "renewed", "broken", "released"):
            with self.subTest(step=step):
                if step == "renewed":
                    lease_id = self.flock("renew", "deploy", lease_id).out.strip()
                elif step == "broken":
                    self.flock("break", "deploy", "--lease-id", lease_id, "--yes")
                elif step == "released":
                    self.let_expire("deploy")
                    self.flock("release", "deploy", self.acquire("deploy"))
                item = self.item("deploy")
                int(item["expiration_time"]["N"])
                self.assertTrue(item["lease_id"]["S"])


if __name__ == "__main__":
    unittest.main()
