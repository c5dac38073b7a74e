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

    def refused(self, machine, person):
        """What PERSON is told whom the machine does not let in."""
        code, out, err = machine.run(f"ssh -o BatchMode=yes {person}@localhost true")
        self.assertNotEqual(code, 0)
        return out + err

    def grant(self, machine):
        """Who holds the lock, and by which grant."""
        status = self.status(machine)
        self.assertTrue(status["held"], status)
        return status["holder"]["user"], status["fence"]

    def test_one_person_on_one_of_them(self):
        session = self.enter(self.one, "alice")
        self.assertHeldBy(self.two, "alice")
        self.assertIn("'ops' is held by alice@one", self.refused(self.two, "bob"))
        self.leave(self.one, "alice", session)
        self.wait_until_free(self.two)
        session = self.enter(self.two, "bob")
        self.assertHeldBy(self.one, "bob")
        self.leave(self.two, "bob", session)

    def test_after_a_power_cut_or_a_forced_reboot_the_table_keeps_the_lock_for_its_lease_alone(self):
        for end in ("cut", "reboot"):
            with self.subTest(end=end):
                self.enter(self.one, "alice")
                self.done(self.one, "sync")
                if end == "reboot":
                    self.one.begin("reboot -f")
                    self.one.process.wait(600)
                self.one.cut_power()
                self.assertHeldBy(self.two, "alice")
                self.wait_until_free(self.two)
                other = self.enter(self.two, "bob")
                self.one.start()
                # Nothing of the old session comes up with it, and nothing there takes the lock back.
                self.assertNothingRuns(self.one, "alice")
                self.assertHeldBy(self.one, "bob")
                self.assertIn("'ops' is held by bob@two", self.refused(self.one, "alice"))
                self.leave(self.two, "bob", other)
                self.wait_until_free(self.one)

    def test_a_machine_that_was_paused_beyond_its_lease_ends_the_session_once_it_goes_on(self):
        session = self.enter(self.one, "alice")
        self.one.pause()
        self.wait_until_free(self.two)
        other = self.enter(self.two, "bob")
        granted = self.grant(self.two)
        self.one.go_on()
        # Its clocks stood still: the next renewal is refused, and that ends it.
        self.one.end(session)
        self.assertNothingRuns(self.one, "alice")
        self.assertEqual(self.grant(self.two), granted)
        self.leave(self.two, "bob", other)

    def test_a_machine_taken_back_to_a_snapshot_ends_the_session_whose_lease_another_took(self):
        session = self.enter(self.one, "alice")
        self.one.save("in")
        of_alice = self.grant(self.two)
        self.leave(self.one, "alice", session)
        self.wait_until_free(self.two)
        other = self.enter(self.two, "bob")
        of_bob = self.grant(self.two)
        self.assertGreater(of_bob[1], of_alice[1])
        self.one.go_back("in")
        # Her session runs again there, with a lease that is no more: it ends once more, and leaves bob's alone.
        self.one.end(session)
        self.assertNothingRuns(self.one, "alice")
        self.assertEqual(self.grant(self.two), of_bob)
        self.assertIn("'ops' is held by bob@two", self.refused(self.one, "alice"))
        self.leave(self.two, "bob", other)
        self.wait_until_free(self.one)

    def test_a_machine_taken_back_to_a_snapshot_gets_no_released_lock_back(self):
        session = self.enter(self.one, "alice")
        self.one.save("in")
        self.leave(self.one, "alice", session)
        self.wait_until_free(self.two)
        self.one.go_back("in")
        self.one.end(session)
        self.assertNothingRuns(self.one, "alice")
        self.assertFalse(self.status(self.two)["held"])


if __name__ == "__main__":
    unittest.main()
