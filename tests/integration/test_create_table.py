"""create-table: makes what is missing, checks what is there, and can be repeated.

SPDX-License-Identifier: Apache-2.0
"""
import unittest
import uuid

from awsflocktest import OnLocalStore, ProgramTest, boto3_client, dynamodb_endpoint
from python_peer import PythonPeer


class CreateTableTest(ProgramTest):
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

    def test_the_python_peer_can_use_the_table(self):
        self.assertWorked(self.awsflock("create-table"))
        peer = PythonPeer(self.client, self.table)
        self.assertTrue(peer.release("deploy", peer.acquire("deploy")))


class CreateLocalStoreTest(OnLocalStore):
    def test_makes_the_directory_and_can_be_repeated(self):
        for _ in range(2):
            self.assertWorked(self.flock("create-table"))
        self.assertEqual(self.store.stat().st_mode & 0o777, 0o700)


if __name__ == "__main__":
    unittest.main()
