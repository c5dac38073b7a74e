"""Every fault of the way to the table, in every operation, at its first attempt, at a later one, and at every one.

What must come of each follows from the protocol: a fault that passes is not seen in the answer, one that stays is an
error in one or two clear lines, an answer is never wrong, nothing is orphaned without a word, and fences rise.
SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import json
import pathlib
import re
import time
import traceback
import unittest
import uuid

from awsflocktest import LEASE_ID, PATIENCE_S, OnDynamoDB, boto3_client, command, run, wait_until
from proxy import (Proxy, arrives_late, black_hole, cut, date_shifted, delayed, drop_after, drop_before, duplicated,
                   html, pass_and_close, refused, then_pass, without_date, wrong_crc)

HOUR_S = 3600
OLD_ID = "11111111-1111-4111-8111-111111111111"
THREADS = 6
# Where a run should keep its lease and loses it, the machine may have been too busy for that lease: then a longer one is
# tried.  What is wrong with the program is wrong with each.
LEASES_S = (3, 8, 20)


def failed_after(exchange):
    """The server carries the request out and says that it failed."""
    exchange.forward()
    refused("InternalServerError", "oops", 500)(exchange)


PASSING = {
    "drop before the table": drop_before,
    "drop after commit": drop_after,
    "cut": cut(),
    "500": refused("InternalServerError", "oops", 500),
    "500 after commit": failed_after,
    "throttle": refused("ThrottlingException", "Rate exceeded"),
    "wrong CRC": wrong_crc,
    "black hole": black_hole,
    "late arrival": arrives_late(0.05),
}
HARMLESS = {  # the answer comes, and is right
    "delay": delayed(0.1),
    "duplicate": duplicated(),
    "late duplicate": duplicated(after_s=0.1),
    "close after the answer": pass_and_close,
}
FINAL = {  # no retry would help against what these stand for
    "HTML with 200": html(),
}
# One reply with a time that is not the server's.  Where all have it, it is the server's: see test_server_clock.py.
# Who only looks has no other reply to judge by, and whoever finds a lock held lets it be.
WRONG_DATE = {"fast Date": date_shifted(2 * HOUR_S), "slow Date": date_shifted(-2 * HOUR_S)}
NO_DATE = {"no Date": without_date}
FAULTS = {**PASSING, **HARMLESS, **FINAL, **WRONG_DATE, **NO_DATE}

# What -v adds for each request.
ADDED_BY_V = re.compile(r"awsflock: (credentials come from|[A-Z][A-Za-z]+Item: )")


class LeaseLost(AssertionError):
    pass


class Lock:
    """One lock of a case: its name, how it stands, and a proxy of its own."""

    def __init__(self, test, orders, attempts, answer_comes):
        self.test = test
        self.answer_comes = answer_comes
        self.orders = orders  # (for the attempts in turn, what happens to all others)
        self.name = f"lock-{uuid.uuid4()}"
        self.proxy = Proxy(test.endpoint)
        self.attempts = attempts
        self.fence = 0
        self.lease_id = None

    def close(self):
        self.proxy.close()

    def start_trouble(self):
        first, self.proxy.always = self.orders
        self.proxy.on("*", *first)

    def item(self):
        item = self.test.item(self.name)
        if item and "fence" in item:
            self.fence = max(self.fence, int(item["fence"]["N"]))
        return item

    def holder(self):
        item = self.item()
        return None if item is None or "released_time" in item else item["lease_id"]["S"]

    def put(self, ends_in_s):
        self.lease_id = OLD_ID
        self.fence = int(time.time() * 1000) - 10 * HOUR_S * 1000
        self.test.put_item(self.name, lease_id={"S": OLD_ID}, owner={"S": "the-holder"}, lease_duration={"N": "600"},
                           expiration_time={"N": str(int(time.time()) + ends_in_s)}, fence={"N": str(self.fence)})

    def environment(self, url):
        config = self.test.patient if self.answer_comes or url == self.test.endpoint else self.test.impatient
        return self.test.environment_with(AWS_ENDPOINT_URL_DYNAMODB=url, AWS_MAX_ATTEMPTS=self.attempts,
                                          AWSFLOCK_CONFIG=config)

    def through_proxy(self, operation, *arguments):
        return run(command(operation, *arguments), self.environment(self.proxy.url))

    def direct(self, operation, *arguments):
        return run(command(operation, *arguments), self.environment(self.test.endpoint))


class Case:
    """An operation.  prepare() makes the lock as it should stand, make() is the operation, worked(lock, result) says
    what is right where the fault passes, failed(lock, result) where it stays."""

    from_the_first_request = True
    without_date_fails = False

    def stays(self, fault, attempt):
        """Whether the operation fails."""
        return (fault in FINAL or (attempt == "every" and fault in PASSING) or
                (fault in NO_DATE and self.without_date_fails))

    def skips(self, fault):
        return False

    def __init__(self, test):
        self.test = test

    def prepare(self, lock):
        lock.put(HOUR_S)

    def worked(self, lock, result):
        raise NotImplementedError

    def failed(self, lock, result):
        self.test.assertTold(result, 1)
        self.test.assertEqual(result.out, "")


class AcquireFree(Case):
    without_date_fails = True

    def prepare(self, lock):
        pass

    def make(self, lock):
        return lock.through_proxy("acquire", "-v", lock.name, "--no-wait", "--lease-duration", "1m")

    def worked(self, lock, result):
        before = lock.fence
        self.test.assertEqual(result.code, 0, result)
        self.test.assertEqual(lock.holder(), self.test.assertLeaseId(result.out))
        self.test.assertGreater(lock.fence, before)
        lock.lease_id = lock.holder()

    def failed(self, lock, result):
        super().failed(lock, result)
        self.test.assertTrue(lock.holder() in (None, lock.lease_id) or "may have been taken" in result.err, result)


class AcquireReleased(AcquireFree):
    def prepare(self, lock):
        lock.put(HOUR_S)
        self.test.assertWorked(lock.direct("release", lock.name, OLD_ID))
        lock.item()
        lock.lease_id = None


class Reclaim(AcquireFree):
    def skips(self, fault):
        return fault == "slow Date"

    def prepare(self, lock):
        lock.put(-HOUR_S)


class AcquireHeld(Case):
    without_date_fails = True

    def make(self, lock):
        return lock.through_proxy("acquire", lock.name, "--no-wait")

    def worked(self, lock, result):
        self.test.assertTold(result, 3, "the-holder")
        self.test.assertEqual(lock.holder(), OLD_ID)

    def failed(self, lock, result):
        super().failed(lock, result)
        self.test.assertEqual(lock.holder(), OLD_ID)


class Renew(Case):
    without_date_fails = True

    def make(self, lock):
        return lock.through_proxy("renew", lock.name, OLD_ID, "--lease-duration", "2h")

    def worked(self, lock, result):
        before = lock.fence
        self.test.assertEqual(result.code, 0, result)
        lock.lease_id = lock.holder()
        self.test.assertEqual(lock.lease_id, self.test.assertLeaseId(result.out))
        self.test.assertEqual(lock.fence, before)
        self.test.assertGreater(int(lock.item()["expiration_time"]["N"]), time.time() + 1.5 * HOUR_S)

    def failed(self, lock, result):
        """Both ids are told, each alone on its line, unless it is certain that nothing was renewed."""
        self.test.assertEqual((result.code, result.out), (1, ""), result)
        self.test.assertTrue(result.err.startswith("awsflock: "), result)
        lock.lease_id = lock.holder()
        self.test.assertIn(lock.lease_id, {OLD_ID, *LEASE_ID.findall(result.err)}, result)


class Release(Case):
    def make(self, lock):
        return lock.through_proxy("release", lock.name, OLD_ID)

    def worked(self, lock, result):
        before = lock.fence
        self.test.assertEqual((result.code, result.out, result.err), (0, "", ""))
        self.test.assertIsNone(lock.holder())
        self.test.assertGreater(lock.fence, before)
        lock.lease_id = None

    def failed(self, lock, result):
        super().failed(lock, result)
        self.test.assertIn(lock.holder(), (None, OLD_ID))
        again = lock.direct("release", lock.name, OLD_ID)
        self.test.assertEqual(again.code, 0 if lock.lease_id == lock.holder() else again.code, again)
        self.test.assertIsNone(lock.holder())


class ReleaseDelete(Release):
    def make(self, lock):
        return lock.through_proxy("release", lock.name, OLD_ID, "--delete")

    def worked(self, lock, result):
        self.test.assertEqual((result.code, result.out, result.err), (0, "", ""))
        self.test.assertIsNone(lock.item())
        lock.lease_id = None


class Break(Case):
    def skips(self, fault):
        return fault == "fast Date"

    def make(self, lock):
        return lock.through_proxy("break", lock.name, "--lease-id", OLD_ID)

    def worked(self, lock, result):
        self.test.assertEqual(result.code, 0, result)
        item = lock.item()
        self.test.assertNotEqual(item["lease_id"]["S"], OLD_ID)
        self.test.assertIn("broken_by", item)
        self.test.assertGreater(int(item["expiration_time"]["N"]), time.time() + HOUR_S / 2)
        lock.lease_id = item["lease_id"]["S"]

    def failed(self, lock, result):
        self.test.assertTold(result, 1, lines=3)  # whom it is about to evict, too
        item = lock.item()
        self.test.assertEqual(item["lease_id"]["S"] != OLD_ID, "broken_by" in item, item)


class BreakNow(Break):
    def make(self, lock):
        return lock.through_proxy("break", lock.name, "--lease-id", OLD_ID, "--now")

    def worked(self, lock, result):
        before = lock.fence
        self.test.assertEqual(result.code, 0, result)
        self.test.assertIsNone(lock.holder())
        self.test.assertIn("broken_by", lock.item())
        self.test.assertGreater(lock.fence, before)
        lock.lease_id = None

    def failed(self, lock, result):
        self.test.assertTold(result, 1, lines=3)
        self.test.assertIn(lock.holder(), (None, OLD_ID))


class Status(Case):
    def skips(self, fault):
        return fault == "fast Date"

    def make(self, lock):
        return lock.through_proxy("status", lock.name, "--json")

    def worked(self, lock, result):
        self.test.assertEqual((result.code, result.err), (0, ""))
        told = json.loads(result.out)
        self.test.assertEqual((told["held"], told["lease_id"]), (True, OLD_ID))
        self.test.assertEqual(lock.holder(), OLD_ID)


class List(Case):
    def skips(self, fault):
        return fault == "fast Date"

    def make(self, lock):
        return lock.through_proxy("list", lock.name, "--json")

    def worked(self, lock, result):
        self.test.assertEqual((result.code, result.err), (0, ""))
        [told] = json.loads(result.out)
        self.test.assertEqual((told["lock_id"], told["lease_id"]), (lock.name, OLD_ID))

    def failed(self, lock, result):
        self.test.assertTold(result, 1)
        self.test.assertIn(result.out.strip(), ("", "[]"))


class Heartbeat(Case):
    """The first heartbeat of a run.  The command ends by itself after the second, or is ended with the lease."""

    from_the_first_request = False

    def stays(self, fault, attempt):
        return attempt == "every" and fault not in HARMLESS  # otherwise it goes on trying

    def prepare(self, lock):
        lock.finish = pathlib.Path(self.test.directory, lock.name)

    def make(self, lock):
        job = ["sh", "-c", 'i=0; while [ ! -e "$0" ] && [ $((i += 1)) -lt 3000 ]; do sleep 0.02; done',
               str(lock.finish)]
        process = self.test.start(command("run", "--lease-duration", f"{self.lease_s}s", "--kill-after", "0.3", lock.name, *job),
                                  changes=lock.environment(lock.proxy.url))
        wait_until(lambda: lock.holder() or process.poll() is not None, what="the grant")
        first = lock.holder()
        lock.start_trouble()
        # Two, so that one is confirmed; where it cannot be, awsflock ends the command.
        wait_until(lambda: process.poll() is not None or (not lock.stays and self.renewals(lock, first) >= 2),
                   what="the heartbeats, or the end of the lease")
        lock.finish.touch()
        out, err = process.communicate(timeout=PATIENCE_S)
        return type("Result", (), {"code": process.returncode, "out": out.decode(), "err": err.decode()})()

    @staticmethod
    def renewals(lock, first):
        seen = lock.__dict__.setdefault("seen", [first])
        now = lock.holder()
        if now != seen[-1]:
            seen.append(now)
        return len(seen) - 1

    def worked(self, lock, result):
        if result.code == 124:
            raise LeaseLost(result.err)
        self.test.assertEqual((result.code, result.out), (0, ""), result.err)
        self.test.assertIsNone(lock.holder())

    def failed(self, lock, result):
        self.test.assertEqual(result.code, 124, result.err)
        self.test.assertIn("LOCK LOST", result.err)
        self.test.assertIsNotNone(lock.holder(), "on a lost lease nothing is released")
        lock.lease_id = lock.holder()


class FaultTable(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.client = boto3_client(self.endpoint, max_pool_connections=2 * THREADS)
        # Nobody waits long for an answer that does not come; the others may take their time on a busy machine.
        self.impatient = self.write("impatient.conf", "[awsflock]\nrequest_timeout = 1s\n")
        self.patient = self.write("patient.conf", "[awsflock]\nrequest_timeout = 10s\n")

    def assertTold(self, result, code, *words, lines=2):
        said = [line for line in result.err.splitlines() if not ADDED_BY_V.match(line)]
        self.assertEqual(result.code, code, result)
        self.assertTrue(1 <= len(said) <= lines, result)
        self.assertTrue(all(line.startswith("awsflock: ") and line.isprintable() for line in said), result)
        for word in words:
            self.assertIn(word, result.err)

    def orders(self, fault, attempt):
        action = FAULTS[fault]
        return {"first": ([action], then_pass), "later": ([drop_before, action], then_pass),
                "every": ([], action)}[attempt]

    def check_one(self, case, fault, attempt):
        for case.lease_s in LEASES_S:
            try:
                return self.check_once(case, fault, attempt)
            except LeaseLost:
                if case.lease_s == LEASES_S[-1]:
                    raise

    def check_once(self, case, fault, attempt):
        lock = Lock(self, self.orders(fault, attempt), 3 if attempt == "every" else 5, fault != "black hole")
        lock.stays = case.stays(fault, attempt)
        try:
            case.prepare(lock)
            if case.from_the_first_request:
                lock.start_trouble()
            result = case.make(lock)
            time.sleep(0.1 if "late" in fault else 0)  # what is still on its way arrives
            (case.failed if lock.stays else case.worked)(lock, result)
            self.check_later(lock)
        finally:
            lock.close()

    def check_later(self, lock):
        """Whatever has happened: who knows the id can give the lock back, and the next grant's fence is higher."""
        if lock.lease_id is not None and lock.holder() == lock.lease_id:
            self.assertEqual(lock.direct("release", lock.name, lock.lease_id).code, 0)
        if lock.holder() is not None:  # without a holder, until its lease expires: that was told
            return
        before = lock.fence
        self.assertWorked(lock.direct("acquire", lock.name, "--no-wait"))
        lock.item()
        self.assertGreater(lock.fence, before)

    def check_all(self, case):
        table = [(fault, attempt) for fault in FAULTS for attempt in ("first", "later", "every")
                 if not case(self).skips(fault) and (attempt != "every" or fault not in WRONG_DATE)]
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            results = {entry: pool.submit(self.check_one, case(self), *entry) for entry in table}
        for (fault, attempt), done in results.items():
            with self.subTest(fault=fault, attempt=attempt):
                if done.exception():
                    self.fail("".join(traceback.format_exception(done.exception())[-3:]))

    def test_acquire_a_free_lock(self):
        self.check_all(AcquireFree)

    def test_acquire_a_released_lock(self):
        self.check_all(AcquireReleased)

    def test_acquire_a_held_lock(self):
        self.check_all(AcquireHeld)

    def test_reclaim_an_expired_lease(self):
        self.check_all(Reclaim)

    def test_renew(self):
        self.check_all(Renew)

    def test_release(self):
        self.check_all(Release)

    def test_release_and_delete(self):
        self.check_all(ReleaseDelete)

    def test_break(self):
        self.check_all(Break)

    def test_break_now(self):
        self.check_all(BreakNow)

    def test_status(self):
        self.check_all(Status)

    def test_list(self):
        self.check_all(List)

    def test_heartbeat_of_a_run(self):
        self.check_all(Heartbeat)


if __name__ == "__main__":
    unittest.main()
