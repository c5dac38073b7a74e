"""The local store under kill -9, on a full disk, and seen from another time namespace.

It drives tests/support/store_local_driver below AWSFLOCK_BUILD_DIR, or what STORE_LOCAL_DRIVER names.  What needs a
file system or a time namespace of its own is skipped unless run as root.  SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import fcntl
import os
import pathlib
import random
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest
import uuid

from awsflocktest import wait_until

STORAGE = 28  # awsflock_code
CLONE_NEWNS = 0x00020000
PATIENCE_S = 60
BLOCK = 4096


def driver(*arguments):
    built = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests", "support", "store_local_driver")
    return [os.environ.get("STORE_LOCAL_DRIVER", str(built)), *map(str, arguments)]


class LocalStoreTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="awsflock-test-")
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name).resolve()
        self.directory = self.root / "locks"

    def run_driver(self, *arguments, wrapped_in=()):
        return subprocess.run([*wrapped_in, *driver(self.directory, *arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def ask(self, *arguments, **more):
        """The words of a driver's answer, which must be one."""
        done = self.run_driver(*arguments, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def take(self, lock="deploy", fence=1):
        lease_id = str(uuid.uuid4())
        self.assertEqual(self.ask("acquire", lock, lease_id, fence)[:3], ["applied", "held", lease_id])
        return lease_id

    def start_churning(self, count):
        return [subprocess.Popen(driver(self.directory, "churn", "deploy"), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(count)]

    def wait_for_grants(self, writers, lines):
        """Until the writers have printed that many fences together, which stay in their pipes."""
        def printed():
            return sum(struct.unpack("i", fcntl.ioctl(writer.stdout, termios.FIONREAD, bytes(4)))[0]
                       for writer in writers)

        wait_until(lambda: printed() >= lines * len("999\n"))  # fences start at 1 here

    def kill(self, writers):
        """Ends the writers at once, and returns the fences that they were granted."""
        for writer in writers:
            self.assertIsNone(writer.poll(), "a writer ended by itself")
            writer.send_signal(signal.SIGKILL)
        fences = []
        for writer in writers:
            out, err = writer.communicate(timeout=PATIENCE_S)
            self.assertEqual(err, "")
            lines = out.splitlines(keepends=True)
            fences += [int(line) for line in lines if line.endswith("\n")]
        return fences

    def kill_writers_again_and_again(self, rounds):
        seen = 0
        granted = []
        for _ in range(rounds):
            writers = self.start_churning(3)
            self.wait_for_grants(writers, 1)
            time.sleep(random.uniform(0, 0.02))  # any moment will do
            granted += self.kill(writers)
            answer = self.ask("look", "deploy")
            fence = int(answer[2]) if answer != ["free"] else 0
            self.assertGreaterEqual(fence, seen, "the fence fell")
            self.assertGreaterEqual(fence, max(granted, default=0), "a grant was forgotten")
            seen = fence
        self.assertGreaterEqual(len(granted), rounds)
        self.assertEqual(len(granted), len(set(granted)), "a fence was granted twice")


class KilledWriters(LocalStoreTest):
    def test_writers_killed_at_any_moment_leave_a_good_record_and_the_fence_never_falls(self):
        self.kill_writers_again_and_again(12)

    def test_what_a_killed_writer_left_is_cleared_away_by_the_next(self):
        self.kill_writers_again_and_again(2)
        (self.directory / ".deploy.json.tmp").write_text("half a rec", encoding="ascii")
        lease_id = self.ask("look", "deploy")[1]
        if self.ask("renew", "deploy", lease_id, str(uuid.uuid4()))[0] == "refused":  # a tombstone
            self.take(fence=10**9)
        self.assertEqual(os.listdir(self.directory), ["deploy.json"])

    def test_several_processes_never_get_the_same_fence(self):
        writers = self.start_churning(4)
        self.wait_for_grants(writers, 50)
        fences = self.kill(writers)
        self.assertGreaterEqual(len(fences), 50)
        self.assertEqual(len(fences), len(set(fences)))


@unittest.skipUnless(os.geteuid() == 0, "needs root, for a small file system of its own")
class FullDisk(LocalStoreTest):
    @classmethod
    def setUpClass(cls):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise unittest.SkipTest("no mount namespace: " + os.strerror(ctypes.get_errno()))
        done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest("no private mounts: " + done.stderr.strip())

    def setUp(self):
        super().setUp()
        disk = self.root / "disk"
        disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(disk)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest("no tmpfs: " + done.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True)
        self.directory = disk / "locks"
        self.filler = disk / "filler"

    def fill(self):
        with open(self.filler, "ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(BLOCK))
            except OSError:
                pass

    def test_a_holder_renews_and_releases_on_a_full_disk(self):
        first, second, third = self.take(), str(uuid.uuid4()), str(uuid.uuid4())
        self.fill()
        self.assertEqual(self.ask("renew", "deploy", first, second)[:4], ["applied", "held", second, "1"])
        self.assertEqual(self.ask("look", "deploy")[:2], ["held", second])
        self.assertEqual(self.ask("release", "deploy", second, third)[:4], ["applied", "released", third, "2"])
        self.assertEqual(self.ask("look", "deploy")[:3], ["released", third, "2"])
        self.take(fence=3)
        self.assertEqual(os.listdir(self.directory), ["deploy.json"])

    def test_a_first_acquire_on_a_full_disk_fails_and_leaves_nothing(self):
        self.take(lock="other")
        self.fill()
        done = self.run_driver("acquire", "deploy", uuid.uuid4(), 1)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith(f"{STORAGE} "), done.stderr)
        self.assertIn("No space left on device", done.stderr)
        self.assertIn("nothing was changed", done.stderr)
        self.assertEqual(os.listdir(self.directory), ["other.json"])
        self.assertEqual(self.ask("look", "deploy"), ["free"])
        self.filler.unlink()
        self.take()

    def test_writers_killed_on_a_full_disk_leave_a_good_record_and_the_fence_never_falls(self):
        self.take()
        self.fill()
        self.kill_writers_again_and_again(8)

    def test_readers_never_see_a_mixture_of_two_records_on_a_full_disk(self):
        self.take()
        self.fill()
        writers = self.start_churning(2)
        try:
            self.ask("watch", "deploy", 100)
        finally:
            self.kill(writers)


@unittest.skipUnless(os.geteuid() == 0, "needs root, for a time namespace of its own")
class TimeNamespace(LocalStoreTest):
    elsewhere = ("unshare", "--time", "--boottime", "100000")

    def setUp(self):
        super().setUp()
        done = subprocess.run([*self.elsewhere, "cat", "/proc/uptime"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest("no time namespace: " + done.stderr.strip())
        here = pathlib.Path("/proc/uptime").read_text(encoding="ascii")
        self.assertGreater(float(done.stdout.split()[0]) - float(here.split()[0]), 90000)

    def test_the_stores_time_is_the_same_in_a_time_namespace(self):
        before = int(self.ask("time")[0])
        there = int(self.ask("time", wrapped_in=self.elsewhere)[0])
        after = int(self.ask("time")[0])
        self.assertLessEqual(before, there)
        self.assertLessEqual(there, after)

    def test_a_lease_taken_in_a_time_namespace_has_the_same_end_outside(self):
        lease_id = str(uuid.uuid4())
        inside = self.ask("acquire", "deploy", lease_id, 1, wrapped_in=self.elsewhere)
        outside = self.ask("look", "deploy")
        self.assertEqual(inside[2], outside[1])
        self.assertLessEqual(int(outside[3]), int(inside[4]))
        self.assertGreater(int(outside[3]), int(inside[4]) - PATIENCE_S * 1000)


if __name__ == "__main__":
    unittest.main()
