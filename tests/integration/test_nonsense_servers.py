"""Servers that answer nonsense, and tables that hold it: one clear line, exit 1, and no lock orphaned.

SPDX-License-Identifier: Apache-2.0
"""
import socket
import threading
import time
import unittest

from awsflocktest import OnDynamoDB, UNKNOWN_LEASE_ID, closed_port
from proxy import Proxy, answered, changed_json, cut, html, refused

TEN_MEGABYTES = 10 * 1024 * 1024


def mistyped(name, value):
    """The server's answer with one attribute replaced; None takes it out."""
    def change(reply):
        for key in ("Attributes", "Item"):
            if key in reply:
                reply[key].pop(name, None)
                if value is not None:
                    reply[key][name] = value
    return changed_json(change)


NONSENSE = {
    "html": html(),
    "html in a 403": html(403),
    "html in a 503": html(503),
    "nothing in a 200": answered(200),
    "an empty object": answered(200, {}),
    "an array": answered(200, []),
    "a number": answered(200, b"17"),
    "null": answered(200, b"null"),
    "no utf-8": answered(200, b'{"Attributes": {"lock_id": {"S": "\xff\xfe"}}}'),
    "two objects": answered(200, b'{"Attributes": {}} {"Attributes": {}}'),
    "a deep nest": answered(200, b'{"a":' * 20000 + b"1" + b"}" * 20000),
    "ten megabytes of spaces": answered(200, b" " * TEN_MEGABYTES),
    "ten megabytes in a string": answered(200, b'{"Attributes": {"lease_id": {"S": "' + b"x" * TEN_MEGABYTES + b'"}}}'),
    "ten megabytes in a 500": answered(500, b"x" * TEN_MEGABYTES),
    "an error without a type": answered(400, {"message": "?"}),
    "an error whose type is a number": answered(400, {"__type": 7, "message": ["?"]}),
    "a redirect": answered(302, b"", [("Location", "http://127.0.0.1:1/")]),
    "an unknown error": refused("SomethingNewException", "a sentence with \x1b[31mcolour\x07"),
    "a server's fault": refused("InternalServerError", "oops", 500),
    "too much load": refused("ThrottlingException", "Rate exceeded"),
    "another's attributes": answered(200, {"Attributes": {"lock_id": {"S": "other"}, "lease_id": {"S": "other"}}}),
    "attributes that are an array": answered(200, {"Attributes": [1]}),
    "no lease id": mistyped("lease_id", None),
    "a lease id that is a number": mistyped("lease_id", {"N": "7"}),
    "no expiration": mistyped("expiration_time", None),
    "an expiration that is a string": mistyped("expiration_time", {"S": "soon"}),
    "an expiration that is no number": mistyped("expiration_time", {"N": "soon"}),
    "an expiration beyond all bounds": mistyped("expiration_time", {"N": "9" * 38}),
}
NO_ITEM = answered(400, {"__type": "x#ConditionalCheckFailedException", "Item": 7})


class NonsenseTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)

    def held_in_the_table(self, lock):
        item = self.item(lock)
        return item is not None and "released_time" not in item

    def test_an_acquire_fails_with_one_line_and_takes_nothing(self):
        for name, action in NONSENSE.items():
            with self.subTest(answer=name):
                self.proxy.on("UpdateItem", action)  # what comes after, such as giving back, gets through
                result = self.flock("acquire", "-v", name, "--no-wait", changes={"AWS_MAX_ATTEMPTS": 1})
                result = self.after_giving_back(result)
                self.assertSays(result, 1)
                self.assertEqual(result.out, "")
                self.assertFalse(self.held_in_the_table(name), self.item(name))
                self.proxy.forget_orders()

    def test_an_acquire_from_a_server_that_speaks_nothing_but_nonsense_tells_the_doubt(self):
        for name in ("html", "an empty object", "ten megabytes of spaces"):
            with self.subTest(answer=name):
                self.proxy.always = NONSENSE[name]
                self.assertInDoubt(self.flock("acquire", "-v", "deploy", "--no-wait"), "deploy")

    def test_a_failed_condition_without_an_item_is_looked_into(self):
        self.proxy.on("UpdateItem", NO_ITEM)
        self.acquire("deploy")
        self.assertEqual(self.proxy.operations(), ["UpdateItem", "GetItem", "UpdateItem"])

    def test_a_read_that_is_answered_as_no_read_can_be_is_no_proof_of_loss(self):
        lease_id = self.acquire("deploy")
        self.proxy.always = NO_ITEM
        self.assertSays(self.flock("renew", "deploy", lease_id, changes={"AWS_MAX_ATTEMPTS": 1}), 1, lines=2)

    def test_a_renew_or_release_fails_with_one_line(self):
        lease_id = self.acquire("deploy")
        never_carried_out = [name for name in NONSENSE if "expiration" not in name and "lease id" not in name]
        for name in never_carried_out:
            for operation in ("renew", "release"):
                with self.subTest(answer=name, operation=operation):
                    self.proxy.always = NONSENSE[name]
                    result = self.flock(operation, "deploy", lease_id, changes={"AWS_MAX_ATTEMPTS": 1})
                    self.assertEqual(result.code, 1, result)
                    self.assertTrue(result.err.startswith("awsflock: "), result)
                    self.assertTrue(all(line.isprintable() for line in result.err.splitlines()), result)
                    self.assertEqual(result.out, "")
        self.assertEqual(self.item("deploy")["lease_id"]["S"], lease_id)

    def test_a_status_or_list_fails_with_one_line(self):
        for name in ("html", "nothing in a 200", "an array", "ten megabytes of spaces", "a deep nest", "no utf-8"):
            for arguments in (("status", "deploy"), ("status", "--watch", "deploy"), ("list",)):
                with self.subTest(answer=name, operation=arguments):
                    self.proxy.always = NONSENSE[name]
                    self.assertSays(self.flock(*arguments, changes={"AWS_MAX_ATTEMPTS": 1}), 1)

    def test_listed_items_without_a_name_are_damaged_and_hide_no_others(self):
        def nameless(reply):
            reply["Items"] += [{**item, "lock_id": {"S": ""}} for item in reply["Items"]]

        self.acquire("deploy")
        self.proxy.always = changed_json(nameless)
        for options in (["--json"], []):
            with self.subTest(options=options):
                result = self.flock("list", *options)
                self.assertSays(result, 1, "lock_id is not a name", lines=2)
                self.assertIn("deploy", result.out)

    def test_names_to_complete_are_shown_however_many_there_are(self):
        names = ["deploy"] + [f"{number:04}" + "x" * 2000 for number in range(700)]

        def many(reply):
            reply["Items"] = [{**reply["Items"][0], "lock_id": {"S": name}} for name in names]

        self.acquire("deploy")
        self.proxy.always = changed_json(many)
        result = self.flock("list", "--names", changes={"AWSFLOCK_COMPLETE_TABLE": "1"})
        self.assertWorked(result)
        self.assertEqual(result.out.split(), names)

    def test_a_cut_answer_is_not_taken_for_a_whole_one(self):
        self.proxy.always = cut()
        self.assertInDoubt(self.flock("acquire", "-v", "deploy", "--no-wait", changes={"AWS_MAX_ATTEMPTS": 2}), "deploy")

    def test_a_cut_answer_is_asked_for_again(self):
        self.proxy.on("UpdateItem", cut())
        result = self.flock("acquire", "deploy")
        self.assertWorked(result)
        self.assertEqual(self.item("deploy")["lease_id"]["S"], self.assertLeaseId(result.out))

    def test_load_and_access_are_named(self):
        for kind, words in (("ThrottlingException", ["load"]), ("AccessDeniedException", ["denied"]),
                            ("UnrecognizedClientException", ["credentials"])):
            with self.subTest(kind=kind):
                self.proxy.always = refused(kind, "User: arn:aws:iam::123456789012:user/x is not authorized (denied; "
                                                  "credentials; load)")
                self.assertSays(self.flock("acquire", "deploy", changes={"AWS_MAX_ATTEMPTS": 1}), 1, *words)

    def test_a_server_that_never_answers_is_given_up_in_time(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.use_endpoint("http://127.0.0.1:%d" % listener.getsockname()[1])
        config = self.write("short.conf", "[awsflock]\nrequest_timeout = 1s\n")
        result = self.flock("acquire", "-v", "deploy", "--no-wait",
                            changes={"AWS_MAX_ATTEMPTS": 1, "AWSFLOCK_CONFIG": config})
        self.assertInDoubt(result, "deploy")

    def test_a_server_that_speaks_no_http_is_an_error(self):
        def chatter(listener):
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"220 mail.example.com ESMTP\r\n")

        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=chatter, args=(listener,), daemon=True).start()
        self.use_endpoint("http://127.0.0.1:%d" % listener.getsockname()[1])
        self.assertInDoubt(self.flock("acquire", "-v", "deploy", changes={"AWS_MAX_ATTEMPTS": 1}), "deploy")

    def test_a_port_where_nobody_listens_is_an_error(self):
        port = closed_port()
        self.use_endpoint(f"http://127.0.0.1:{port}")
        self.assertSays(self.flock("acquire", "deploy", changes={"AWS_MAX_ATTEMPTS": 1}), 1, str(port))


class DamagedItemTest(OnDynamoDB):
    GOOD = {"lease_id": {"S": UNKNOWN_LEASE_ID}, "owner": {"S": "the-holder"}, "lease_duration": {"N": "600"},
            "expiration_time": {"N": "1"}, "fence": {"N": "7"}}
    DAMAGED = {
        "no lease id": {"lease_id": None},
        "a lease id that is a number": {"lease_id": {"N": "7"}},
        "no expiration": {"expiration_time": None},
        "an expiration that is a string": {"expiration_time": {"S": "soon"}},
        "an expiration that is a fraction": {"expiration_time": {"N": "17.5"}},
        "an expiration beyond all bounds": {"expiration_time": {"N": "9" * 38}},
        "an expiration near the end of numbers": {"expiration_time": {"N": str((2 ** 63 - 1) // 1000)}},
        "an expiration near their beginning": {"expiration_time": {"N": str(-((2 ** 63 - 1) // 1000))}},
        "a duration near the end of numbers": {"lease_duration": {"N": str(2 ** 63 - 1)}},
    }

    def put(self, lock, changes):
        attributes = {name: value for name, value in {**self.GOOD, **changes}.items() if value is not None}
        return self.put_item(lock, **attributes)

    def test_an_item_that_cannot_be_read_is_an_error_and_is_left_alone(self):
        for name, changes in self.DAMAGED.items():
            with self.subTest(item=name):
                before = self.put(name, changes)
                self.assertSays(self.flock("acquire", name, "--no-wait"), 1, name)
                self.assertSays(self.flock("status", name), 1, name)
                self.assertEqual(self.item(name), before)

    def test_a_listing_names_the_damaged_and_shows_the_others(self):
        self.put("damaged", {"expiration_time": None})
        self.acquire("good")
        result = self.flock("list")
        self.assertSays(result, 1, "'damaged'", lines=2)
        self.assertIn("good", result.out)

    def test_a_fence_that_cannot_be_used_is_no_obstacle(self):
        for name, fence in (("text", {"S": "high"}), ("negative", {"N": "-1"}), ("fraction", {"N": "1.5"}),
                            ("huge", {"N": "9" * 38})):
            with self.subTest(fence=name):
                self.put(name, {"fence": fence})
                self.acquire(name)
                self.assertGreater(int(self.item(name)["fence"]["N"]), 10 ** 12)

    def test_a_tombstone_with_an_unusable_fence_can_be_taken(self):
        for name, fence in (("none", None), ("huge", {"N": "9" * 38})):
            with self.subTest(fence=name):
                self.put(name, {"fence": fence, "released_time": {"N": "1"}})
                self.acquire(name)
                self.assertGreater(int(self.item(name)["fence"]["N"]), 10 ** 12)

    def test_an_owner_of_another_type_does_not_hide_the_lock(self):
        self.put("deploy", {"owner": {"N": "7"}, "holder": {"S": "?"},
                            "expiration_time": {"N": str(int(time.time()) + 600)}})
        self.assertEqual(self.flock("acquire", "deploy", "--no-wait").code, 3)
        self.assertEqual(self.item("deploy")["lease_id"]["S"], UNKNOWN_LEASE_ID)


if __name__ == "__main__":
    unittest.main()
