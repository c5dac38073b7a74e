"""Wrong wall clocks, by libfaketime, and other CLOCK_BOOTTIMEs, in time namespaces: on both stores.

Wall clocks are hours and days off, both ways, and jump.  The clocks that only count are left alone, as by every real
wrong clock.  SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import json
import pathlib
import time
import unittest

from awsflocktest import OnDynamoDB, command, on_both_stores, run, wait_until
from faketime import faked
from proxy import Proxy, drop_after, drop_before

HOUR_S = 3600
DAY_S = 24 * HOUR_S
OFFSETS = (HOUR_S, -HOUR_S, 3 * DAY_S, -3 * DAY_S, 400 * DAY_S)
GRACE_S = 5


class ClockTest:
    """Mixed with a store."""

    def by_clock(self, offset, subcommand, *arguments, **more):
        """awsflock on a machine whose wall clock is OFFSET seconds off."""
        return run(command(subcommand, *self.store_options(), *arguments), faked(self.environment, offset), **more)

    def at_once(self, body, offsets):
        """What takes its time, for all OFFSETS side by side."""
        with concurrent.futures.ThreadPoolExecutor(len(offsets)) as pool:
            done = {offset: pool.submit(body, offset) for offset in offsets}
        for offset in offsets:
            with self.subTest(offset=offset):
                done[offset].result()

    def lease_of(self, result):
        self.assertWorked(result)
        return json.loads(result.out)


@on_both_stores
class WrongWallClock(ClockTest):
    def test_one_life_of_a_lock_by_each_clock(self):
        fence = 0
        for offset in OFFSETS:
            with self.subTest(offset=offset):
                lease = self.lease_of(self.by_clock(offset, "acquire", "x", "--no-wait", "--json"))
                self.assertGreater(lease["fence"], fence)
                fence = lease["fence"]
                renewed = self.lease_of(self.by_clock(-offset, "renew", "x", lease["lease_id"], "--json"))
                self.assertHeld("x", renewed["lease_id"])
                self.assertWorked(self.by_clock(offset, "release", "x", renewed["lease_id"]))
                self.assertFree("x")

    def test_no_clock_gets_a_held_lock(self):
        lease_id = self.acquire("x", "--lease-duration", "1h")
        for offset in OFFSETS:
            with self.subTest(offset=offset):
                self.assertSays(self.by_clock(offset, "acquire", "x", "--no-wait"), 3)
                self.assertHeld("x", lease_id)

    def test_what_a_wrong_clock_holds_nobody_gets(self):
        for offset in OFFSETS:
            with self.subTest(offset=offset):
                lock = f"x{offset}"
                lease = self.lease_of(self.by_clock(offset, "acquire", lock, "--lease-duration", "1h", "--json"))
                for other in (0, -offset):
                    self.assertSays(self.by_clock(other, "acquire", lock, "--no-wait"), 3)
                self.assertHeld(lock, lease["lease_id"])

    def test_a_lease_written_by_a_wrong_clock_lasts_as_long_as_any(self):
        """It keeps others out for its time, and its time and the grace later it does not."""
        def live(offset):
            began = time.monotonic()
            self.assertWorked(self.by_clock(offset, "acquire", f"x{offset}", "--lease-duration", "2s"))
            self.assertWorked(self.by_clock(-offset, "acquire", f"x{offset}", "--wait-time", "60s"))
            self.assertGreaterEqual(time.monotonic() - began, 2 + GRACE_S)

        self.at_once(live, OFFSETS[:4])

    def test_a_run_holds_on_by_any_clock(self):
        def live(offset):
            done = self.by_clock(offset, "run", "--lease-duration", "3s", "--kill-after", "0.3", f"x{offset}", "sh",
                                 "-c", "sleep 4; echo worked")  # beyond the first deadline
            self.assertEqual((done.code, done.out, done.err), (0, "worked\n", ""))

        self.at_once(live, OFFSETS[:4])

    def test_fences_rise_over_clocks_that_disagree(self):
        fences = []
        for offset in (3 * DAY_S, 0, -3 * DAY_S, HOUR_S, -HOUR_S, 0):
            lease = self.lease_of(self.by_clock(offset, "acquire", "x", "--json"))
            fences.append(lease["fence"])
            self.assertWorked(self.by_clock(-offset, "release", "x", lease["lease_id"]))
        self.assertEqual(fences, sorted(set(fences)))


class LostToAWrongClock(ClockTest, OnDynamoDB):
    def test_what_a_wrong_clock_wrote_and_could_not_correct_is_taken_once_it_was_watched_for_its_duration(self):
        with Proxy(self.endpoint) as proxy:
            proxy.on("UpdateItem", drop_after)
            proxy.always = drop_before
            self.environment["AWS_MAX_ATTEMPTS"] = "1"
            self.use_endpoint(proxy.url)
            self.assertInDoubt(self.by_clock(2 * DAY_S, "acquire", "-v", "x", "--no-wait", "--lease-duration", "2s"), "x")
        self.use_endpoint(self.endpoint)
        self.assertGreater(self.status("x")["remaining_seconds"], DAY_S)
        began = time.monotonic()
        self.assertWorked(self.flock("acquire", "x", "--wait-time", "60s"))
        self.assertGreater(time.monotonic() - began, 2 + GRACE_S)


@on_both_stores
class JumpingWallClock(ClockTest):
    """The clock is set while a command runs: libfaketime reads a file anew at every call."""

    def start_run(self, offset):
        self.clock_file = self.write("clock", f"{offset:+d}\n")
        environment = {**faked(self.environment, 0), "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
                       "FAKETIME_NO_CACHE": "1"}
        del environment["FAKETIME"]
        self.environment = environment
        running = self.start(command("run", *self.store_options(), "--lease-duration", "3s", "--kill-after", "0.3", "x",
                                     *self.job()))
        self.wait_for_job(running)
        return running

    def set_clock(self, offset):
        new = self.write("clock.new", f"{offset:+d}\n")
        new.rename(self.clock_file)

    def wait_for_renewals(self, running, count):
        seen = {self.status("x")["lease_id"]}
        wait_until(lambda: running.poll() is not None or seen.add(self.status("x")["lease_id"]) or len(seen) > count,
                   what="the renewals")
        self.assertIsNone(running.poll(), "the run has ended")

    def test_a_clock_that_is_set_back_changes_nothing(self):
        running = self.start_run(HOUR_S)
        self.set_clock(-DAY_S)
        self.wait_for_renewals(running, 3)
        self.assertEqual(self.finish_job(running), (0, ""))
        self.assertFree("x")

    def test_a_clock_that_is_set_forward_ends_no_other_than_a_dynamodb_lease(self):
        """Whose CLOCK_BOOTTIME may have stood still meanwhile, as a paused virtual machine's does: then its lease is
        over.  The local store is on the machine that was paused."""
        running = self.start_run(0)
        self.set_clock(DAY_S)
        if self.store_kind == "local":
            self.wait_for_renewals(running, 3)
            self.assertEqual(self.finish_job(running), (0, ""))
            self.assertFree("x")
        else:
            _, err = running.communicate(timeout=60)
            self.assertEqual(running.returncode, 124, err)
            self.assertIn(b"LOCK LOST", err)


@on_both_stores
class TimeNamespace(ClockTest):
    """Containers whose CLOCK_BOOTTIME differs by days: unshare(1), as root."""

    def setUp(self):
        super().setUp()
        done = run(["unshare", "--time", "--boottime", "1", "true"], self.environment)
        if done.code != 0:
            self.skipTest(f"no time namespaces: {done.err.strip()}")

    def apart(self, offset, subcommand, *arguments):
        return run(["unshare", "--time", "--fork", "--boottime", str(offset), "--monotonic", str(offset),
                    *command(subcommand, *self.store_options(), *arguments)], self.environment)

    def offsets(self):
        """Back as far as this machine's uptime lets, and far forward."""
        up_s = int(float(pathlib.Path("/proc/uptime").read_text(encoding="ascii").split()[0]))
        return (-max(1, up_s - 5), 30 * DAY_S)

    def test_both_sides_exclude_each_other(self):
        for offset in self.offsets():
            with self.subTest(offset=offset):
                mine, theirs = f"mine{offset}", f"theirs{offset}"
                lease_id = self.acquire(mine, "--lease-duration", "1h")
                self.assertSays(self.apart(offset, "acquire", mine, "--no-wait"), 3)
                self.assertHeld(mine, lease_id)
                lease = self.lease_of(self.apart(offset, "acquire", theirs, "--lease-duration", "1h", "--json"))
                self.assertSays(self.flock("acquire", theirs, "--no-wait"), 3)
                self.assertHeld(theirs, lease["lease_id"])

    def test_a_lease_is_renewed_and_released_from_the_other_side(self):
        for offset in self.offsets():
            with self.subTest(offset=offset):
                renewed = self.apart(offset, "renew", "x", self.acquire("x"))
                self.assertWorked(renewed)
                again = self.flock("renew", "x", self.assertLeaseId(renewed.out))
                self.assertWorked(again)
                self.assertWorked(self.apart(offset, "release", "x", self.assertLeaseId(again.out)))
                self.assertFree("x")

    def test_an_expired_lease_is_taken_over_from_the_other_side_and_not_before(self):
        def live(offset):
            began = time.monotonic()
            self.assertWorked(self.flock("acquire", f"x{offset}", "--lease-duration", "2s"))
            self.assertWorked(self.apart(offset, "acquire", f"x{offset}", "--wait-time", "60s"))
            self.assertGreaterEqual(time.monotonic() - began, 2 + GRACE_S)

        self.at_once(live, self.offsets())

    def test_a_run_holds_on_in_there(self):
        def live(offset):
            done = self.apart(offset, "run", "--lease-duration", "3s", "--kill-after", "0.3", f"x{offset}", "sh", "-c",
                              "sleep 4; echo worked")
            self.assertEqual((done.code, done.out, done.err), (0, "worked\n", ""))

        self.at_once(live, self.offsets())


if __name__ == "__main__":
    unittest.main()
