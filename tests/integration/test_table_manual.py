"""awsflock-table(5) says what the program sends: who writes a peer by it writes one that fits.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import unittest

from awsflocktest import OnDynamoDB
from proxy import Proxy

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MANUAL = SOURCE / "etc" / "awsflock-table.5"
HOLDS = "Renew 1"  # the condition under which a write is the holder's
# Each constant of the code, and the words of the manual that tell it.
CONSTANTS = (
    ("src/base/lease_ids.h", "LEASE_IDS_MAX", 96, "at most 96"),
    ("src/lock/operation.h", "EXPIRY_MARGIN_MS", 2000, "plus the duration, plus 2 s, rounded up"),
    ("src/lock/operation.h", "DEADLINE_DRIFT_DIVISOR", 2000, "less a two-thousandth of the duration"),
    ("src/lock/operation.h", "LEASE_LOSS_TOLERATED_MS", 1000, "when it has lost at most a second"),
    ("src/lock/operation.h", "TOMBSTONE_KEPT_TIME", 1, "or 1 where its fence lies more than a second ahead"),
    ("src/lock/operation.c", "FENCE_LAG_TOLERATED_MS", 1000, "fence lies more than a second behind"),
    ("src/lock/operation.c", "SECONDS_OF_A_DAY", 86400, "a day before"),
    ("src/lock/lease_time.h", "RECLAIM_GRACE_MS", 5000, "grace: 5 s, or a thousandth"),
    ("src/lock/lease_time.h", "RECLAIM_GRACE_DIVISOR", 1000, "grace: 5 s, or a thousandth"),
    ("src/base/servertime.h", "CLOCK_DRIFT_PPM", 500, "500 millionths"),
)


def expressions():
    """Each expression of the manual as one line, by "SECTION N"."""
    found, section, count = {}, None, 0
    for name, text in re.findall(r"^\.S[sh] (.*)\n|^\.Bd -literal -offset indent\n((?:(?!\.Ed).*\n)*)", MANUAL.read_text(), re.M):
        if name:
            section, count = name, 0
        else:
            found[f"{section} {count}"] = " ".join(text.split())
            count += 1
    return found


def attributes():
    """Each attribute of the manual, and its type."""
    return dict(re.findall(r"^\.It Va (\w+) Pq ([A-Z])$", MANUAL.read_text(), re.M))


class TableManual(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.manual = expressions()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)

    def sent(self, *arguments):
        """The requests of one command, which works."""
        self.proxy.forget_requests()
        self.assertWorked(self.flock(*arguments))
        return [request.json() for request in self.proxy.requests]

    def assertSent(self, request, update, condition, returned="ALL_NEW"):
        self.assertEqual(request.get("UpdateExpression"), update)
        self.assertEqual(request["ConditionExpression"], condition)
        self.assertEqual(request["ReturnValues"], returned)
        self.assertEqual(request["ReturnValuesOnConditionCheckFailure"], "ALL_OLD")
        self.assertEqual(request["Key"], {"lock_id": {"S": "deploy"}})

    def evict(self, lease_id, *options):
        look, request = self.sent("break", "deploy", "--lease-id", lease_id, *options)
        self.assertTrue(look["ConsistentRead"])
        return request

    def lose_attribute(self, name):
        self.client.update_item(TableName=self.table, Key={"lock_id": {"S": "deploy"}}, UpdateExpression=f"REMOVE {name}")

    def test_acquire(self):
        [request] = self.sent("acquire", "deploy", "--owner", "me", "--purpose", "a test")
        self.assertSent(request, self.manual["Acquire 0"], self.manual["Acquire 1"])

    def test_reclaim(self):
        self.acquire("deploy")
        self.let_expire("deploy")
        self.assertSent(self.sent("acquire", "deploy")[1], self.manual["Acquire 0"], self.manual["Reclaim 0"])

    def test_renew_before_the_time_is_known_and_after(self):
        lease_id = self.acquire("deploy", "--lease-duration", "2h")
        first, second = self.sent("renew", "deploy", lease_id, "--lease-duration", "1m")
        self.assertSent(first, self.manual["Renew 0"], f'{self.manual[HOLDS]} {self.manual["Renew 2"]}')
        several = second["ConditionExpression"].replace(":accepted0, :accepted1", ":accepted0")
        self.assertSent({**second, "ConditionExpression": several}, self.manual["Renew 0"], self.manual[HOLDS])

    def test_renew_with_an_owner(self):
        [request] = self.sent("renew", "deploy", self.acquire("deploy"), "--owner", "another")
        self.assertEqual(request["UpdateExpression"], self.manual["Renew 0"] + ", #owner = :owner")

    def test_correct(self):
        lease_id = self.acquire("deploy")
        self.lose_attribute("fence")
        _, request = self.sent("renew", "deploy", lease_id)
        self.assertEqual(request["UpdateExpression"], self.manual["Renew 0"] + ", #fence = :fence")

    def test_release(self):
        [request] = self.sent("release", "deploy", self.acquire("deploy"))
        self.assertSent(request, self.manual["Release 0"], self.manual[HOLDS])

    def test_settle(self):
        lease_id = self.acquire("deploy")
        self.client.update_item(TableName=self.table, Key={"lock_id": {"S": "deploy"}},
                                UpdateExpression="SET fence = fence + :day",
                                ExpressionAttributeValues={":day": {"N": "86400000"}})
        _, request = self.sent("release", "deploy", lease_id)
        self.assertSent(request, self.manual["Settle 0"], self.manual["Reclaim 0"])
        self.assertEqual(self.item("deploy")["expiration_time"], {"N": "1"})

    def test_break(self):
        self.assertSent(self.evict(self.acquire("deploy")), self.manual["Break 0"], self.manual[HOLDS])

    def test_break_now(self):
        update = self.manual["Release 0"].replace(
            " REMOVE", ", #broken_by = :broken_by, #broken_time = :broken_time REMOVE")
        self.assertSent(self.evict(self.acquire("deploy"), "--now"), update, self.manual[HOLDS])

    def test_delete(self):
        [request] = self.sent("release", "deploy", self.acquire("deploy"), "--delete")
        self.assertSent(request, None, self.manual[HOLDS], returned="ALL_OLD")

    def test_the_attributes_are_those_of_the_item(self):
        lease_id = self.acquire("deploy", "--owner", "me")
        item = self.item("deploy")
        self.evict(lease_id)
        item.update(self.item("deploy"))
        self.evict(self.item("deploy")["lease_id"]["S"], "--now")
        item.update(self.item("deploy"))
        self.assertEqual({name: next(iter(value)) for name, value in item.items()}, attributes())


class ManualAndSource(unittest.TestCase):
    def test_every_kind_of_write_has_its_section(self):
        enum = re.search(r"enum store_write_kind \{(.*?)\};", (SOURCE / "src/lock/store.h").read_text(), re.S).group(1)
        kinds = set(re.findall(r"^\tSTORE_([A-Z]+)", enum, re.M))
        self.assertIn("ACQUIRE", kinds)
        sections = {name.upper() for name in re.findall(r"^\.Ss (.*)$", MANUAL.read_text(), re.M)}
        self.assertEqual(kinds - sections, set())

    def test_the_holders_members_are_those_of_the_source(self):
        source = (SOURCE / "src/lock/dynamodb/expression.c").read_text()
        members = set(re.findall(r'"(\w+)", holder->\1\b', source)) | set(re.findall(r'put\(expression, map, "(\w+)"', source))
        told = re.search(r"^Its members are\n(.*?)\na number", MANUAL.read_text(), re.S | re.M).group(1)
        self.assertEqual(set(re.findall(r"\b(?!Va\b|and\b|strings\b)\w+", told)), members)

    def test_its_numbers_are_those_of_the_source(self):
        text = " ".join(line for line in MANUAL.read_text().splitlines() if not line.startswith(".\\"))
        for file, name, value, words in CONSTANTS:
            with self.subTest(name=name):
                self.assertRegex((SOURCE / file).read_text(), rf"(?m)^#define {name} (?:INT64_C\()?{value}\b")
                self.assertIn(words, text)


if __name__ == "__main__":
    unittest.main()
