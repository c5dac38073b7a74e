"""Two bastions on one table: DynamoDB Local on this machine is all that they reach.

SPDX-License-Identifier: Apache-2.0
"""
import unittest
import uuid

from vmtest import RESCUE, VmTest, table_port, table_store


class TwoBastions(VmTest):
    @classmethod
    def setUpClass(cls):
        cls.table = f"vm-{uuid.uuid4()}"
        cls.one = cls.new_machine("one", table_port=table_port())
        cls.two = cls.new_machine("two", table_port=table_port())

    def setUp(self):
        for machine, name in ((self.one, "one"), (self.two, "two")):
            self.done(machine, f"hostname {name}; groupadd -f {RESCUE}")
            self.configure(machine, table_store(self.table))
            self.guard(machine, "sshd")
        self.done(self.one, "awsflock create-table")
        self.wait_until_free(self.one)

    def test_one_person_on_one_of_them(self):
        session = self.enter(self.one, "alice")
        self.assertHeldBy(self.two, "alice")
        code, out, err = self.two.run("ssh -o BatchMode=yes bob@localhost true")
        self.assertNotEqual(code, 0)
        self.assertIn("'ops' is held by alice@one", out + err)
        self.leave(self.one, "alice", session)
        self.wait_until_free(self.two)
        session = self.enter(self.two, "bob")
        self.assertHeldBy(self.one, "bob")
        self.leave(self.two, "bob", session)

    def test_a_machine_without_power_keeps_the_lock_for_its_lease_alone(self):
        self.enter(self.one, "alice")
        self.one.cut_power()
        self.assertHeldBy(self.two, "alice")
        self.wait_until_free(self.two)
        self.one.start()
        self.assertNothingRuns(self.one, "alice")

    def test_a_machine_that_was_paused_beyond_its_lease_ends_the_session_once_it_goes_on(self):
        session = self.enter(self.one, "alice")
        self.one.pause()
        self.wait_until_free(self.two)
        other = self.enter(self.two, "bob")
        self.one.go_on()
        # Its clocks stood still: the next renewal is refused, and that ends it.
        self.one.end(session)
        self.assertNothingRuns(self.one, "alice")
        self.assertHeldBy(self.two, "bob")
        self.leave(self.two, "bob", other)


if __name__ == "__main__":
    unittest.main()
