"""What the tests of lease files share: `awsflock hold`, its file and its process.

SPDX-License-Identifier: Apache-2.0
"""
import json

from awsflocktest import PATIENCE_S, kill_if_running, runs, wait_until

# For what comes with a renewal, every two seconds then.  Everything else has a lease that no slow machine runs out of.
SHORT = ("--lease-duration", "6s")


class Holding:
    """Mixed with a test on a store: ends each holder that a test leaves."""

    def setUp(self):
        super().setUp()
        self.file = self.directory / "lease"
        self.addCleanup(self.end_holder)

    def end_holder(self):
        try:
            if not self.file.is_file():
                return
            pid = json.loads(self.file.read_text())["pid"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return
        if pid:
            kill_if_running(pid)

    def hold_options(self, *options, lock="deploy"):
        return ["--lease-file", str(self.file), *options, "--", lock]

    def hold(self, *options, lock="deploy", **more):
        """`awsflock hold --detach`."""
        return self.flock("hold", "--detach", *self.hold_options(*options, lock=lock), **more)

    def start_hold(self, *options, lock="deploy"):
        """`awsflock hold` in the foreground, once it has the lock."""
        process = self.start(self.flock_command("hold", *self.hold_options(*options, lock=lock)))
        self.wait_for_state("held")
        return process

    def held(self, *options):
        """The record of a lock that a holder in the background has."""
        self.assertWorked(self.hold(*options))
        record = self.record()
        self.assertEqual(record["state"], "held")
        return record

    def record(self):
        return json.loads(self.file.read_text())

    def wait_for_state(self, state):
        def is_so():
            return self.file.exists() and self.file.stat().st_size > 0 and self.record()["state"] == state
        wait_until(is_so, what=f"a lease file that says {state}")
        return self.record()

    def wait_for_renewal(self, record):
        wait_until(lambda: self.record()["lease_id"] != record["lease_id"], what="a renewal")
        return self.record()

    def wait_until_gone(self, pid):
        wait_until(lambda: not runs(pid), what="the holder's end")

    def end_of(self, process):
        """Its exit code and what it said."""
        _, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, err.decode()

    def release(self, *options):
        return self.flock("release", "--lease-file", str(self.file), *options)

    def renew(self, *options):
        return self.flock("renew", "--lease-file", str(self.file), *options)

    def look(self, *options):
        return self.flock("status", "--lease-file", str(self.file), *options)

    def change_record(self, **changes):
        """As a person or a program could, not as one step."""
        self.file.write_text(json.dumps({**self.record(), **changes}))
