"""A lease file that cannot be one: whatever stands at its name, nothing is taken, changed, signalled or released for it.

SPDX-License-Identifier: Apache-2.0
"""
import fcntl
import json
import os
import pathlib
import unittest

from awsflocktest import OnLocalStore, command, run, runs, wait_until, without_root_powers
from holding import Holding

COMMANDS = ("hold", "hold --detach", "acquire", "renew", "release", "status")
TAKING = COMMANDS[:3]


class LeaseFile(Holding, OnLocalStore):
    def command(self, name):
        lock = ["deploy"] if name in TAKING else []
        return self.flock_command(*name.split(), *lock, "--lease-file", str(self.file))

    def refused(self, *said, commands=COMMANDS, code=1, wrapper=lambda words: words):
        for name in commands:
            with self.subTest(command=name):
                self.assertSays(run(wrapper(self.command(name)), self.environment), code, *said)
        self.assertFree("deploy")

    def test_a_fifo_is_none(self):
        os.mkfifo(self.file, 0o600)
        self.refused("no regular file")

    def test_a_directory_is_none(self):
        self.file.mkdir()
        self.refused("no regular file")

    def test_a_device_is_none(self):
        self.file = self.file.__class__("/dev/null")
        self.refused("no regular file")

    def test_a_socket_is_none(self):
        import socket
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.file))
            self.refused("no regular file")

    def test_a_symbolic_link_is_none(self):
        target = self.directory / "target"
        for content in (None, ""):
            if content is not None:
                target.write_text(content)
            self.file.unlink(missing_ok=True)
            self.file.symlink_to(target)
            self.refused("symbolic link")
        self.assertEqual(target.read_text(), "")
        self.assertTrue(self.file.is_symlink())

    @unittest.skipUnless(os.geteuid() == 0, "only root gives files away")
    def test_another_users_file_is_none(self):
        self.file.touch(0o600)
        os.chown(self.file, 65534, 65534)
        self.refused("belongs to user 65534")

    def test_a_file_that_others_may_write_is_none(self):
        for mode in (0o620, 0o602):
            self.file.touch()
            self.file.chmod(mode)
            self.refused("others may write")

    def test_what_is_no_record_is_left_alone(self):
        good = self.good_record()
        for text in ("x", "{", "null", "[]", "{}", good[:-3], good[: len(good) // 2], good + "x", good + "\0", "\0" * 40,
                     good.replace('"format": 1', '"format": 2'), good.replace('"held"', '"hold"'),
                     good.replace('"lock_id": "deploy"', '"lock_id": ""'), good.replace('"lock_id": "deploy"', '"lock_id": 7'),
                     good.replace('"lock_id": "deploy"', '"lock_id": "a\\nb"'),
                     self.with_change(lease_id="nonsense"), self.with_change(lease_id=None), self.with_change(lease_id=5),
                     self.with_change(later_ids="x"), self.with_change(later_ids=[1]), self.with_change(later_ids=[good] * 200),
                     self.with_change(pid=-1), self.with_change(pid=2**40), self.with_change(pid="1"),
                     self.with_change(fence=2**64), self.with_change(expiration_time=1e300), self.with_change(store=["x"]),
                     self.with_change(reason="x" * 5000), self.with_change(more="x" * 70000), "[" * 5000 + "]" * 5000):
            with self.subTest(text=text[:80]):
                self.file.write_text(text)
                self.file.chmod(0o600)
                self.refused("no lease file, or a damaged one")
                self.assertEqual(self.file.read_text(), text)

    def good_record(self):
        self.good = {"format": 1, "state": "held", "lock_id": "deploy", "lease_id": "00000000-0000-4000-8000-000000000001",
                     "fence": 7, "lease_duration": 60, "expiration_time": 2000000000, "pid": None, "pid_start": None,
                     "machine": None, "store": f"local {self.store}", "reason": None}
        return json.dumps(self.good)

    def with_change(self, **changes):
        return json.dumps({**self.good, **changes})

    def test_what_is_not_there_holds_nothing(self):
        self.refused("there is no lease file", commands=("renew", "release", "status"), code=3)
        self.assertFalse(self.file.exists())

    def test_a_directory_that_is_missing_is_told(self):
        self.file = self.directory / "nowhere" / "lease"
        self.refused("cannot open the directory", "no such file")

    def test_a_directory_that_cannot_be_written_to_is_told_before_anything_is_taken(self):
        room = self.directory / "room"
        room.mkdir()
        self.file = room / "lease"
        room.chmod(0o500)
        self.addCleanup(room.chmod, 0o700)
        self.refused("cannot make the lease file", "denied", commands=TAKING, wrapper=without_root_powers)

    def test_a_name_that_is_too_long_is_told_before_anything_is_taken(self):
        for size in (255, 256):
            self.file = self.directory / ("x" * size)
            self.refused("the lease file", "too long", commands=TAKING)
            self.assertEqual([path for path in self.directory.iterdir() if path.name.startswith("x")], [])

    def test_the_lease_of_another_store_is_left_alone(self):
        self.assertWorked(self.flock("acquire", "deploy", "--lease-file", str(self.file)))
        lease_id = self.record()["lease_id"]
        here, self.store = self.store, self.directory / "other-store"
        for name in ("renew", "release", "status"):
            with self.subTest(command=name):
                self.assertSays(run(self.command(name), self.environment), 1, "in the store local", str(here))
        self.store = here
        self.assertHeld("deploy", lease_id)
        self.assertWorked(self.release())

    def test_settings_of_no_store_are_told_whose_lease_it_is(self):
        self.assertWorked(self.flock("acquire", "deploy", "--lease-file", str(self.file)))
        without = {name: value for name, value in self.environment.items() if "REGION" not in name}
        for name in ("renew", "release", "status"):
            with self.subTest(command=name):
                result = run(command(name, "--lease-file", str(self.file)), without)
                self.assertSays(result, 1, f"'deploy' in the store local {self.store}", "no AWS region is set")
        self.assertWorked(self.release())

    def test_a_holder_that_is_elsewhere_is_neither_signalled_nor_robbed(self):
        """Another machine, or a container with process ids of its own: its number may be anybody's here."""
        bystander = self.start(["sleep", "120"])
        self.assertWorked(self.flock("acquire", "deploy", "--lease-file", str(self.file)))
        self.change_record(pid=bystander.pid, pid_start=1, machine="another")
        lease_id = self.record()["lease_id"]
        for result in (self.release(), self.renew()):
            self.assertSays(result, 1, "in another container or on another machine")
        self.assertWorked(self.look())
        self.assertTrue(runs(bystander.pid))
        self.assertHeld("deploy", lease_id)
        # Once its lease has run out there is nothing that it could lose.
        self.let_expire("deploy")
        self.assertWorked(self.release())
        self.assertFalse(self.file.exists())

    def test_a_process_that_has_the_holders_number_by_chance_is_left_alone(self):
        bystander = self.start(["sleep", "120"])
        record = self.held()
        os.kill(record["pid"], 9)
        self.wait_until_gone(record["pid"])
        self.change_record(pid=bystander.pid, pid_start=1)
        self.assertWorked(self.release())
        self.assertTrue(runs(bystander.pid))
        self.assertFree("deploy")

    def test_a_holder_that_has_written_down_its_end_is_waited_for(self):
        """Which still has the file, for the moment until it is gone: here the test is the holder."""
        own_start = int(pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        record = self.held("--max-hold", "1s")
        self.wait_for_state("ended")
        self.wait_until_gone(record["pid"])
        self.change_record(pid=os.getpid(), pid_start=own_start)
        for command in ("status", "release"):
            with self.subTest(command=command):
                with self.file.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    process = self.start(self.flock_command(command, "--lease-file", str(self.file)))
                    wait_until(lambda: process.poll() is not None or self.has_open(process.pid), what="a look at the file")
                code, err = self.end_of(process)
                self.assertEqual(code, 3, err)
                self.assertIn("limit of 1s", err)

    def has_open(self, pid):
        try:
            return str(self.file) in [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
        except (FileNotFoundError, ProcessLookupError):
            return False

    def test_a_copy_tells_the_holder_too(self):
        record = self.held()
        copy = self.directory / "copy"
        copy.write_text(self.file.read_text())
        self.assertSays(self.flock("renew", "--lease-file", str(copy)), 1, "renews the lease")
        self.flock("release", "--lease-file", str(copy))
        self.assertFree("deploy")
        self.wait_until_gone(record["pid"])
        self.assertFalse(copy.exists())

    def test_a_release_or_renewal_of_a_lease_that_is_gone_says_so(self):
        self.assertWorked(self.flock("acquire", "deploy", "--lease-file", str(self.file)))
        self.assertWorked(self.flock("release", "deploy", self.record()["lease_id"]))
        self.assertSays(self.look(), 3, "does not hold 'deploy' any more")
        self.assertSays(self.renew(), 3)
        self.assertTrue(self.file.exists())
        self.assertSays(self.release(), 3)
        self.assertFalse(self.file.exists())


if __name__ == "__main__":
    unittest.main()
