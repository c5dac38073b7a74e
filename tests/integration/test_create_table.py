"""create-table: makes what is missing, checks what is there, and can be repeated.

SPDX-License-Identifier: Apache-2.0
"""
import json
import signal
import unittest
import uuid

from awsflocktest import (PATIENCE_S, OnLocalStore, ProgramTest, boto3_client, command, create_table, dynamodb_endpoint,
                          unprotect_table, wait_until)
from proxy import Proxy, answered, changed_json, drop_after, refused
from python_peer import PythonPeer


class TableMaker(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint = dynamodb_endpoint()
        cls.client = boto3_client(cls.endpoint)

    def setUp(self):
        super().setUp()
        self.table = f"test-{uuid.uuid4()}"
        self.environment.update(AWS_ENDPOINT_URL_DYNAMODB=self.endpoint, AWSFLOCK_TABLE=self.table)
        self.addCleanup(self.remove)

    def remove(self):
        try:
            self.client.delete_table(TableName=self.table)
        except self.client.exceptions.ResourceNotFoundException:
            pass

    def described(self):
        return self.client.describe_table(TableName=self.table)["Table"]

    def ttl(self):
        return self.client.describe_time_to_live(TableName=self.table)["TimeToLiveDescription"]


class CreateTableTest(TableMaker):
    def test_makes_a_table_that_locks_can_be_taken_in(self):
        self.assertWorked(self.awsflock("create-table"))
        self.assertEqual(self.described()["KeySchema"], [{"AttributeName": "lock_id", "KeyType": "HASH"}])
        self.assertEqual(self.described()["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST")
        self.assertEqual(self.ttl()["AttributeName"], "expiration_time")
        self.assertIn(self.ttl()["TimeToLiveStatus"], ("ENABLED", "ENABLING"))
        self.assertWorked(self.awsflock("acquire", "deploy", "--no-wait"))

    def test_by_its_old_name_makes_the_same_table(self):
        self.assertWorked(self.awsflock("table-create"))
        self.assertEqual(self.described()["TableStatus"], "ACTIVE")

    def test_takes_the_tables_name_as_an_option(self):
        other, self.table = self.table, f"test-{uuid.uuid4()}"
        self.assertWorked(self.awsflock("create-table", "--tablename", self.table))
        self.assertEqual(self.described()["TableStatus"], "ACTIVE")
        self.assertNotIn(other, self.client.list_tables()["TableNames"])

    def test_provisioned_makes_the_python_ones_table(self):
        self.assertWorked(self.awsflock("create-table", "--billing", "provisioned", "--read-units", "5",
                                        "--write-units", "5"))
        units = self.described()["ProvisionedThroughput"]
        self.assertEqual((units["ReadCapacityUnits"], units["WriteCapacityUnits"]), (5, 5))

    def test_can_be_repeated_and_leaves_the_locks_alone(self):
        self.assertWorked(self.awsflock("create-table"))
        self.assertWorked(self.awsflock("acquire", "deploy", "--no-wait"))
        self.assertWorked(self.awsflock("create-table"))
        self.assertEqual(self.awsflock("acquire", "deploy", "--no-wait").code, 3)

    def test_adds_the_ttl_that_a_table_lacks(self):
        self.client.create_table(TableName=self.table, BillingMode="PAY_PER_REQUEST",
                                 AttributeDefinitions=[{"AttributeName": "lock_id", "AttributeType": "S"}],
                                 KeySchema=[{"AttributeName": "lock_id", "KeyType": "HASH"}])
        self.assertWorked(self.awsflock("create-table"))
        self.assertEqual(self.ttl()["AttributeName"], "expiration_time")

    def test_protection_is_set_on_a_new_table_and_on_one_that_exists(self):
        for table in (self.table, f"test-{uuid.uuid4()}"):
            with self.subTest(table=table):
                self.addCleanup(self.client.delete_table, TableName=table)
                self.addCleanup(unprotect_table, self.endpoint, table)
                if table != self.table:
                    self.assertWorked(self.awsflock("create-table", "--tablename", table))
                self.assertWorked(self.awsflock("create-table", "--tablename", table, "--deletion-protection"))
                with self.assertRaisesRegex(self.client.exceptions.ClientError, "protect"):
                    self.client.delete_table(TableName=table)

    def test_a_table_with_another_key_is_refused_and_left_alone(self):
        create_table(self.client, self.table, key="id")
        result = self.awsflock("create-table", "-q")
        self.assertSays(result, 1, "lock_id", "another table name")
        self.assertNotIn("AttributeName", self.ttl())

    def test_a_ttl_on_another_attribute_is_a_warning_and_left_alone(self):
        create_table(self.client, self.table)
        self.client.update_time_to_live(TableName=self.table, TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "expires"})
        result = self.awsflock("create-table")
        self.assertWorked(result)
        self.assertIn("warning: TTL is on expires", result.err)
        self.assertEqual(self.ttl()["AttributeName"], "expires")

    def test_many_at_once_make_one_table_and_all_succeed(self):
        started = [self.start(command("create-table", "-q")) for _ in range(6)]
        for each in started:
            _, err = each.communicate(timeout=PATIENCE_S)
            self.assertEqual((each.returncode, err), (0, b""))
        self.assertEqual(self.ttl()["AttributeName"], "expiration_time")

    def test_the_result_as_json_comes_once_the_table_is_ready(self):
        result = self.awsflock("create-table", "--json")
        self.assertWorked(result)
        self.assertEqual(json.loads(result.out)["ready"], True)


    def test_the_python_peer_can_use_the_table(self):
        self.assertWorked(self.awsflock("create-table"))
        peer = PythonPeer(self.client, self.table)
        self.assertTrue(peer.release("deploy", peer.acquire("deploy")))


class ProxiedCreateTest(TableMaker):
    """A server that takes its time, loses answers, or knows less than DynamoDB."""

    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.proxy.url

    def test_waits_until_the_table_is_active(self):
        def creating(reply):
            reply["Table"]["TableStatus"] = "CREATING"
        self.proxy.on("DescribeTable", refused("ResourceNotFoundException", "not yet"),
                      refused("ResourceNotFoundException", "not yet"), changed_json(creating), changed_json(creating))
        self.assertWorked(self.awsflock("create-table"))
        self.assertEqual(self.proxy.operations(), ["DescribeTable", "CreateTable", *["DescribeTable"] * 4,
                                                   "DescribeTimeToLive", "UpdateTimeToLive"])

    def test_tags_are_given_to_a_new_table_and_to_one_that_exists(self):
        tags = [{"Key": "team", "Value": "ops"}, {"Key": "cost", "Value": "a=b"}]
        for operation in ("CreateTable", "TagResource"):
            self.proxy.on("TagResource", answered(200))  # DynamoDB's answer has no body; DynamoDB Local has none at all
            self.proxy.forget_requests()
            self.assertWorked(self.awsflock("create-table", "--tag", "team=ops", "--tag", "cost=a=b"))
            sent = [request.json() for request in self.proxy.requests if request.operation == operation]
            self.assertEqual([request["Tags"] for request in sent], [tags])
        self.assertEqual(sent[0]["ResourceArn"], self.described()["TableArn"])

    def test_a_creation_whose_answer_is_lost_goes_on(self):
        self.proxy.on("CreateTable", drop_after)
        self.assertWorked(self.awsflock("create-table"))
        self.assertEqual(self.ttl()["AttributeName"], "expiration_time")

    def test_an_emulator_without_ttl_or_protection_is_a_warning(self):
        self.proxy.on("CreateTable", refused("ValidationException", "Unexpected key 'DeletionProtectionEnabled'"))
        for operation in ("DescribeTimeToLive", "UpdateTimeToLive"):
            self.proxy.on(operation, refused("UnknownOperationException", "no such operation"))
        result = self.awsflock("create-table", "--deletion-protection")
        self.assertWorked(result)
        self.assertEqual(result.err.count("warning:"), 2, result.err)
        self.assertWorked(self.awsflock("acquire", "deploy"))

    def test_an_interrupted_wait_says_so(self):
        def creating(reply):
            reply["Table"]["TableStatus"] = "CREATING"
        self.proxy.always = changed_json(lambda reply: creating(reply) if "Table" in reply else None)
        running = self.start(command("create-table"))
        wait_until(lambda: self.proxy.count("DescribeTable") >= 2, what="the wait")
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(PATIENCE_S), 130)


class CreateLocalStoreTest(OnLocalStore):
    def test_makes_the_directory_and_can_be_repeated(self):
        for _ in range(2):
            self.assertWorked(self.flock("create-table"))
        self.assertEqual(self.store.stat().st_mode & 0o777, 0o700)


if __name__ == "__main__":
    unittest.main()
