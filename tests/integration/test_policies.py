"""The policies in etc/iam: a server that judges every request by one of them as IAM does, and what works under each.

SPDX-License-Identifier: Apache-2.0
"""
import fnmatch
import json
import pathlib
import re
import unittest
import uuid

from awsflocktest import OnDynamoDB, unprotect_table
from proxy import Proxy, refused, then_pass

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
POLICIES = SOURCE / "etc" / "iam"
NAMES = ("operator", "bastion", "reader", "admin")
# Requests whose key DynamoDB shows to conditions as dynamodb:LeadingKeys.
KEYED = ("GetItem", "UpdateItem", "DeleteItem")


def policy(name):
    return json.loads((POLICIES / f"{name}.json").read_text(encoding="ascii"))


def actions_of(name):
    return {action for statement in policy(name)["Statement"] for action in statement["Action"]}


def condition_holds(condition, leading_keys):
    """LEADING_KEYS: None where the request has no such key."""
    for operator, wanted in condition.items():
        [(key, values)] = wanted.items()
        if key != "dynamodb:LeadingKeys":
            raise AssertionError(f"a condition on {key} cannot be judged here")
        if operator == "Null":
            if (leading_keys is None) != (values == "true"):
                return False
        elif operator == "ForAllValues:StringLike":  # true of no values at all: that is why Null stands beside it
            if not all(any(fnmatch.fnmatchcase(key, value) for value in values) for key in leading_keys or []):
                return False
        else:
            raise AssertionError(f"the operator {operator} cannot be judged here")
    return True


def allows(statements, action, resource, leading_keys):
    return any(statement["Effect"] == "Allow" and action in statement["Action"] and
               fnmatch.fnmatchcase(resource, statement["Resource"]) and
               condition_holds(statement.get("Condition", {}), leading_keys) for statement in statements)


class PolicyFileTest(unittest.TestCase):
    def test_each_is_a_policy_document_that_names_one_table_and_no_wildcard_action(self):
        self.assertEqual(sorted(path.stem for path in POLICIES.glob("*.json")), sorted(NAMES))
        for name in NAMES:
            with self.subTest(policy=name):
                document = policy(name)
                self.assertEqual(set(document), {"Version", "Statement"})
                self.assertEqual(document["Version"], "2012-10-17")
                for statement in document["Statement"]:
                    self.assertLessEqual(set(statement), {"Sid", "Effect", "Action", "Resource", "Condition"})
                    self.assertRegex(statement["Sid"], "^[A-Za-z0-9]+$")
                    self.assertEqual(statement["Effect"], "Allow")
                    self.assertEqual(statement["Resource"], "arn:aws:dynamodb:*:*:table/awsflock")
                    for action in statement["Action"]:
                        self.assertRegex(action, "^dynamodb:[A-Z][A-Za-z]+$")

    def test_the_readme_shows_the_policies_as_they_are(self):
        readme = (SOURCE / "README.md").read_text(encoding="utf-8")
        shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", readme, re.S)]
        self.assertEqual(shown, [policy("admin"), policy("operator")])

    def test_the_bastions_condition_holds_only_for_its_own_names(self):
        statements = policy("bastion")["Statement"]
        resource = "arn:aws:dynamodb:us-east-1:123456789012:table/awsflock"
        self.assertTrue(allows(statements, "dynamodb:UpdateItem", resource, ["ops-bastion-1"]))
        self.assertFalse(allows(statements, "dynamodb:UpdateItem", resource, ["deploy"]))
        self.assertFalse(allows(statements, "dynamodb:UpdateItem", resource, ["ops-bastion-1", "deploy"]))
        self.assertFalse(allows(statements, "dynamodb:UpdateItem", resource, None))
        self.assertFalse(allows(statements, "dynamodb:UpdateItem", resource + "2", ["ops-bastion-1"]))


class UnderPolicyTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.sent = set()
        self.denied = []
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.proxy.always = self.judge
        self.use_endpoint(self.proxy.url)

    def under(self, *names):
        self.statements = [statement for name in names for statement in policy(name)["Statement"]]

    def actions(self, request):
        """What IAM asks for: a table that is made with tags needs both."""
        yield f"dynamodb:{request.operation}"
        if request.operation == "CreateTable" and request.json().get("Tags"):
            yield "dynamodb:TagResource"

    def judge(self, exchange):
        request = exchange.request
        # the policies speak of the table awsflock, which in this test goes by another name
        resource = "arn:aws:dynamodb:us-east-1:123456789012:table/awsflock"
        leading_keys = [request.json()["Key"]["lock_id"]["S"]] if request.operation in KEYED else None
        for action in self.actions(request):
            self.sent.add(action)
            if not allows(self.statements, action, resource, leading_keys):
                self.denied.append(action)
                refused("AccessDeniedException", f"User: arn:aws:iam::123456789012:user/x is not authorized to perform: "
                                                 f"{action} on resource: {resource}")(exchange)
                return
        then_pass(exchange)

    def assertDenied(self, action, *arguments):
        result = self.flock(*arguments, "-q")
        self.assertSays(result, 1, f"dynamodb:{action}")

    def use_locks(self, lock):
        self.assertWorked(self.flock("run", lock, "true"))
        lease_id = self.acquire(lock)
        result = self.flock("renew", lock, lease_id)
        self.assertWorked(result)
        lease_id = self.assertLeaseId(result.out)
        self.assertHeld(lock, lease_id)
        self.assertEqual(self.flock("acquire", "--wait-time", "1", lock).code, 3)
        self.assertWorked(self.flock("release", lock, lease_id))

    def test_an_operator_can_do_everything_with_locks_and_nothing_with_the_table(self):
        self.under("operator")
        self.use_locks("deploy")
        self.assertWorked(self.flock("break", "--now", "--lease-id", self.acquire("deploy"), "deploy"))
        self.assertWorked(self.flock("release", "--delete", "deploy", self.acquire("deploy")))
        self.assertWorked(self.flock("list"))
        self.assertWorked(self.flock("doctor"))
        self.assertEqual(self.denied, [])
        self.assertEqual(self.sent, actions_of("operator"))
        self.assertDenied("CreateTable", "create-table", "--tablename", f"test-{uuid.uuid4()}")

    def test_a_bastion_can_hold_its_own_locks_and_no_others(self):
        self.under("bastion")
        self.use_locks("ops-bastion-1")
        self.assertEqual(self.sent, actions_of("bastion"))
        self.assertDenied("UpdateItem", "acquire", "deploy")
        self.assertDenied("GetItem", "status", "deploy")
        self.assertDenied("Scan", "list")
        self.assertEqual(self.flock("doctor", "ops-bastion-1").code, 0)
        self.assertEqual(self.flock("doctor").code, 1)

    def test_a_reader_can_look_and_touch_nothing(self):
        self.under("reader")
        self.assertFree("deploy")
        self.assertWorked(self.flock("list"))
        self.assertDenied("UpdateItem", "acquire", "deploy")
        self.assertEqual(self.flock("doctor").code, 1)
        self.assertEqual(self.sent - {"dynamodb:UpdateItem"}, actions_of("reader"))

    def test_an_admin_can_make_and_mend_the_table_and_hold_no_lock(self):
        self.under("admin")
        table = f"test-{uuid.uuid4()}"
        self.addCleanup(self.client.delete_table, TableName=table)
        self.addCleanup(unprotect_table, self.endpoint, table)
        for _ in range(2):
            self.assertWorked(self.flock("create-table", "--tablename", table, "--tag", "team=ops"))
        self.assertWorked(self.flock("create-table", "--tablename", table, "--deletion-protection"))
        self.assertEqual(self.denied, [])
        self.assertEqual(self.sent, actions_of("admin"))
        self.assertDenied("UpdateItem", "acquire", "deploy")

    def test_the_admins_first_table_may_be_used_by_the_operator(self):
        self.under("admin", "operator")
        table = f"test-{uuid.uuid4()}"
        self.addCleanup(self.client.delete_table, TableName=table)
        self.assertWorked(self.flock("create-table", "--tablename", table))
        self.assertWorked(self.flock("doctor", "--tablename", table))
        self.assertEqual(self.denied, [])


if __name__ == "__main__":
    unittest.main()
