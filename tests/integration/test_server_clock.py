"""No machine's clock has to be right: servers whose Date is an hour away from this machine's clock, or missing.

SPDX-License-Identifier: Apache-2.0
"""
import time
import unittest

from awsflocktest import OnDynamoDB
from proxy import Proxy, date_shifted, without_date

HOUR_S = 3600
GRACE_S = 5


class ClockTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)

    def put_lease(self, lock, expiration_time):
        self.put_item(lock, lease_id={"S": "11111111-1111-4111-8111-111111111111"}, owner={"S": "the-holder"},
                      lease_duration={"N": "600"}, expiration_time={"N": str(int(expiration_time))},
                      fence={"N": "1000"}, acquired_time={"N": "1000"})

    def expiration_time(self, lock):
        return int(self.item(lock)["expiration_time"]["N"])


class WrongClockTest(ClockTest):
    def test_a_lease_written_too_short_by_a_slow_clock_is_corrected_before_it_is_reported(self):
        self.proxy.always = date_shifted(HOUR_S)
        began = time.time()
        result = self.flock("acquire", "deploy", "--lease-duration", "10m")
        self.assertWorked(result)
        lease_id = self.assertLeaseId(result.out)
        operations = self.proxy.operations()  # two, or three where an answer took more than a second
        self.assertEqual(operations, ["UpdateItem"] * len(operations))
        self.assertIn(len(operations), (2, 3))
        item = self.item("deploy")
        self.assertEqual(item["lease_id"]["S"], lease_id)
        self.assertTimeSince(began, int(item["expiration_time"]["N"]) - HOUR_S - 600)
        # the fence as well: a later grant by a machine with the right time must be above it
        self.assertGreater(int(item["fence"]["N"]), (began + HOUR_S - 3) * 1000)

    def test_a_fast_clock_never_makes_the_lease_shorter_than_asked(self):
        self.proxy.always = date_shifted(-HOUR_S)
        began = time.time()
        self.assertWorked(self.flock("acquire", "deploy", "--lease-duration", "10m"))
        self.assertGreaterEqual(self.expiration_time("deploy"), began - HOUR_S + 600)

    def test_a_renew_by_a_slow_clock_is_corrected_too(self):
        lease_id = self.acquire("deploy")
        self.proxy.always = date_shifted(HOUR_S)
        began = time.time()
        result = self.flock("renew", "deploy", lease_id, "--lease-duration", "10m")
        self.assertWorked(result)
        self.assertEqual(self.item("deploy")["lease_id"]["S"], self.assertLeaseId(result.out))
        self.assertTimeSince(began, self.expiration_time("deploy") - HOUR_S - 600)

    def test_a_lease_that_ended_by_the_servers_time_is_taken_over(self):
        self.put_lease("deploy", time.time() + HOUR_S / 2)  # by this machine's clock it runs for half an hour yet
        self.proxy.always = date_shifted(HOUR_S)
        self.assertWorked(self.flock("acquire", "deploy", "--no-wait"))

    def test_a_lease_that_runs_by_the_servers_time_is_not_taken_over(self):
        self.put_lease("deploy", time.time() - HOUR_S / 2)  # by this machine's clock it ended half an hour ago
        self.proxy.always = date_shifted(-HOUR_S)
        self.assertSays(self.flock("acquire", "deploy", "--no-wait"), 3, "the-holder")

    def test_a_lease_is_not_taken_over_within_the_grace(self):
        expired = 0
        while time.time() >= int(expired) + GRACE_S:  # on a busy machine a try may come after the grace, and says nothing
            expired = time.time() - 2
            self.put_lease("deploy", expired)
            result = self.flock("acquire", "deploy", "--no-wait")
        self.assertSays(result, 3, "the-holder")

    def test_the_grace_grows_with_the_lease(self):
        self.put_item("deploy", lease_id={"S": "11111111-1111-4111-8111-111111111111"}, owner={"S": "the-holder"},
                      lease_duration={"N": "100000"}, expiration_time={"N": str(int(time.time()) - 60)},
                      fence={"N": "1000"})
        self.assertSays(self.flock("acquire", "deploy", "--no-wait"), 3, "the-holder")

    def test_fences_rise_when_clocks_disagree(self):
        fences = []
        for shift in (HOUR_S, 0, -HOUR_S, 0):
            self.proxy.always = date_shifted(shift)
            lease_id = self.acquire("deploy")
            fences.append(int(self.item("deploy")["fence"]["N"]))
            self.assertWorked(self.flock("release", "deploy", lease_id))
        self.assertEqual(fences, sorted(set(fences)))

    def test_a_released_lock_is_free_for_a_python_peer_whatever_the_clocks_say(self):
        self.proxy.always = date_shifted(HOUR_S)
        self.assertWorked(self.flock("release", "deploy", self.acquire("deploy")))
        self.assertLess(self.expiration_time("deploy"), time.time() - 2 * HOUR_S)


class NoDateTest(ClockTest):
    """A server that does not tell its time grants nothing."""

    def test_a_grant_without_a_date_is_an_error_and_is_given_back(self):
        self.proxy.always = without_date
        result = self.flock("acquire", "deploy")
        self.assertSays(result, 1, "Date")
        self.assertEqual(result.out, "")
        self.use_endpoint(self.endpoint)
        self.assertFree("deploy")

    def test_a_refusal_without_a_date_takes_nothing_over(self):
        self.put_lease("deploy", time.time() - 10 * HOUR_S)
        self.proxy.always = without_date
        self.assertSays(self.flock("acquire", "deploy", "--no-wait"), 1)
        self.assertEqual(self.item("deploy")["lease_id"]["S"], "11111111-1111-4111-8111-111111111111")


if __name__ == "__main__":
    unittest.main()
