"""A peer as awsflock 0.2.0 in Python behaves on the table, written from the description of its protocol.

Its item has five attributes and no more.  It judges expiry by its own clock, which may be wrong: clock_offset_s.
SPDX-License-Identifier: Apache-2.0
"""
import time
import uuid

GRACE_S = 5


class PythonPeer:
    def __init__(self, client, table, owner="python-peer", clock_offset_s=0):
        self.client = client
        self.table = table
        self.owner = owner
        self.clock_offset_s = clock_offset_s

    def now(self):
        return int(time.time()) + self.clock_offset_s

    def look(self, lock):
        """The first half of acquire: a consistent read."""
        return self.client.get_item(TableName=self.table, Key={"lock_id": {"S": lock}}, ConsistentRead=True).get("Item")

    def take(self, lock, seen, duration_s=7200):
        """The second half, on what look() saw: the new lease id, or None where it is held."""
        if seen is None:
            return self._put(lock, duration_s, "NOT(attribute_exists(lock_id))")
        if self.now() - int(seen["expiration_time"]["N"]) > GRACE_S:
            return self._put(lock, duration_s, "attribute_exists(lock_id) AND lease_id = :seen", seen["lease_id"]["S"])
        return None

    def acquire(self, lock, duration_s=7200):
        return self.take(lock, self.look(lock), duration_s)

    def renew(self, lock, lease_id, duration_s=7200):
        """The new lease id, or None where LEASE_ID does not hold the lock; whatever the expiry says."""
        return self._put(lock, duration_s, "attribute_exists(lock_id) AND lease_id = :seen", lease_id)

    def release(self, lock, lease_id):
        """Whether LEASE_ID held the lock, which it does no more."""
        refused = self.client.exceptions.ConditionalCheckFailedException
        try:
            self.client.delete_item(TableName=self.table, Key={"lock_id": {"S": lock}},
                                    ConditionExpression="attribute_exists(lock_id) AND lease_id = :seen",
                                    ExpressionAttributeValues={":seen": {"S": lease_id}})
        except refused:
            return False
        return True

    def _put(self, lock, duration_s, condition, seen=None):
        lease_id = str(uuid.uuid4())
        request = {
            "TableName": self.table,
            "Item": {
                "lock_id": {"S": lock},
                "lease_id": {"S": lease_id},
                "lease_duration": {"N": str(duration_s)},
                "owner": {"S": self.owner},
                "expiration_time": {"N": str(self.now() + duration_s)},
            },
            "ConditionExpression": condition,
        }
        if seen is not None:
            request["ExpressionAttributeValues"] = {":seen": {"S": seen}}
        try:
            self.client.put_item(**request)
        except self.client.exceptions.ConditionalCheckFailedException:
            return None
        return lease_id
