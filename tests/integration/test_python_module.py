"""python/awsflock.py over the library of this build: one holder, a loss that is told, and nothing left taken.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import unittest

from awsflocktest import PATIENCE_S, OnLocalStore, wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", ".")).resolve()
# The library of a sanitizers' build can be loaded by a program of such a build alone.
IS_SANITIZED = "sanitize" in os.environ.get("AWSFLOCK_TEST_CFLAGS", "")


@unittest.skipIf(IS_SANITIZED, "the sanitizers' runtime must come before everything")
class PythonModule(OnLocalStore):
    def python(self, script):
        return [sys.executable, "-c", "import awsflock\nSTORE = dict(store='local', local_dir=" + repr(str(self.store)) + ")\n"
                + textwrap.dedent(script)]

    def paths(self):
        return {"PYTHONPATH": str(SOURCE / "python"), "LD_LIBRARY_PATH": str(BUILD / ".libs"), "PYTHONDONTWRITEBYTECODE": "1"}

    def start_python(self, script):
        return subprocess.Popen(self.python(script), env=self.environment_with(**self.paths()), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_python(self, script):
        """What SCRIPT prints."""
        process = self.start_python(script)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, err), (0, ""), out)
        return out

    def enter(self, script):
        """A program that has printed a line, in its block."""
        process = self.start_python(script)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "in\n")
        return process

    def assertFree(self):
        self.assertEqual(self.run_python("print(awsflock.status('deploy', **STORE).held)"), "False\n")

    def evict(self):
        """The holder learns it at its next renewal."""
        code = 3
        while code == 3:  # it may renew in between
            lease_id = self.run_python("print(awsflock.status('deploy', **STORE).lease_id)").strip()
            code, _, err = self.flock("break", "-y", "--lease-id", lease_id, "deploy")
        self.assertEqual(code, 0, err)

    def test_a_block_holds_the_lock_and_gives_it_back(self):
        out = self.run_python("""
            with awsflock.lock("deploy", owner="me", purpose="a test", **STORE) as lease:
                first = lease.fence
                print(0 < first, 0 < lease.remaining(), lease.check())
                found = awsflock.status("deploy", **STORE)
                print(found.held, found.owner, found.purpose, found.fence == lease.fence)
                try:
                    with awsflock.lock("deploy", **STORE):
                        print("two are in")
                except awsflock.Held as error:
                    print("held" if "me" in str(error) else error)
            print(awsflock.status("deploy", **STORE).held)
            with awsflock.lock("deploy", **STORE) as lease:
                print(first < lease.fence)
        """)
        self.assertEqual(out, "True True None\nTrue me a test True\nheld\nFalse\nTrue\n")

    def test_a_block_that_fails_gives_the_lock_back(self):
        out = self.run_python("""
            try:
                with awsflock.lock("deploy", **STORE):
                    raise ValueError("the block's own")
            except ValueError as error:
                print(error)
        """)
        self.assertEqual(out, "the block's own\n")
        self.assertFree()

    def test_one_lock_object_serves_several_blocks(self):
        out = self.run_python("""
            lock = awsflock.lock("deploy", **STORE)
            fences = []
            for _ in range(3):
                with lock as lease:
                    fences.append(lease.fence)
            print(fences == sorted(set(fences)))
        """)
        self.assertEqual(out, "True\n")

    def test_a_forked_child_that_leaves_the_block_takes_nothing_from_its_parent(self):
        out = self.run_python("""
            import os, sys
            with awsflock.lock("deploy", **STORE) as lease:
                child = os.fork()
                if child == 0:
                    sys.exit(lease.remaining() != 0)
                print(os.waitpid(child, 0)[1], lease.check(), lease._thread.is_alive())
                print(awsflock.status("deploy", **STORE).held)
            print(awsflock.status("deploy", **STORE).held)
        """)
        self.assertEqual(out, "0 None True\nTrue\nFalse\n")

    def test_a_wait_ends_when_the_lock_is_free(self):
        holder = self.enter("""
            import sys
            with awsflock.lock("deploy", **STORE):
                print("in", flush=True)
                sys.stdin.readline()
        """)
        waiter = self.start_python("""
            with awsflock.lock("deploy", wait="5m", **STORE):
                print("in")
        """)
        holder.stdin.write("\n")
        holder.stdin.flush()
        self.assertEqual(waiter.communicate(timeout=PATIENCE_S), ("in\n", ""))

    def test_an_interrupted_wait_takes_nothing(self):
        self.enter("""
            import sys
            with awsflock.lock("deploy", **STORE):
                print("in", flush=True)
                sys.stdin.readline()
        """)
        waiter = self.start_python("""
            try:
                print("waits", flush=True)
                with awsflock.lock("deploy", wait=awsflock.FOREVER, **STORE):
                    print("two are in")
            except KeyboardInterrupt:
                print("interrupted")
        """)
        self.assertEqual(waiter.stdout.readline(), "waits\n")
        waiter.send_signal(signal.SIGINT)
        self.assertEqual(waiter.communicate(timeout=PATIENCE_S), ("interrupted\n", ""))

    def test_an_interrupted_block_gives_the_lock_back(self):
        holder = self.enter("""
            import time
            try:
                with awsflock.lock("deploy", **STORE):
                    print("in", flush=True)
                    time.sleep(600)
            except KeyboardInterrupt:
                print("interrupted")
        """)
        holder.send_signal(signal.SIGINT)
        self.assertEqual(holder.communicate(timeout=PATIENCE_S), ("interrupted\n", ""))
        self.assertFree()

    def test_a_loss_interrupts_the_block_and_is_told(self):
        holder = self.enter("""
            import time
            try:
                with awsflock.lock("deploy", lease=3, stop=1, **STORE) as lease:
                    print("in", flush=True)
                    time.sleep(600)
            except awsflock.Lost as error:
                print("lost", lease.remaining())
        """)
        self.evict()
        self.assertEqual(holder.communicate(timeout=PATIENCE_S), ("lost 0.0\n", ""))

    def test_a_loss_is_told_to_whoever_asked_for_it(self):
        holder = self.enter("""
            import threading
            told = threading.Event()
            try:
                with awsflock.lock("deploy", lease=3, stop=1, on_lost=lambda lease: told.set(), **STORE) as lease:
                    print("in", flush=True)
                    told.wait()
                    try:
                        lease.check()
                    except awsflock.Lost:
                        print("checked")
            except awsflock.Lost:
                print("lost")
        """)
        self.evict()
        self.assertEqual(holder.communicate(timeout=PATIENCE_S), ("checked\nlost\n", ""))

    def test_a_block_in_another_thread_asks_for_the_loss(self):
        holder = self.enter("""
            import threading, time
            def work():
                try:
                    with awsflock.lock("deploy", lease=3, stop=1, **STORE) as lease:
                        print("in", flush=True)
                        while True:
                            lease.check()
                            time.sleep(0.01)
                except awsflock.Lost:
                    print("lost")
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """)
        self.evict()
        self.assertEqual(holder.communicate(timeout=PATIENCE_S), ("lost\n", ""))

    def test_what_cannot_be_is_refused_with_the_librarys_words(self):
        out = self.run_python("""
            for arguments in (dict(name=""), dict(name="deploy", lease="soon"), dict(name="deploy", unknown=1),
                              dict(name="deploy", lease=6, stop="3s")):
                try:
                    with awsflock.lock(**{**STORE, **arguments}):
                        print("in")
                except awsflock.Invalid as error:
                    print(bool(str(error)))
                except awsflock.Error as error:
                    print(type(error), error)
        """)
        self.assertEqual(out, "True\n" * 4)
        self.assertFree()

    def test_a_killed_holder_leaves_a_lease_that_ends(self):
        holder = self.enter("""
            import time
            with awsflock.lock("deploy", **STORE):
                print("in", flush=True)
                time.sleep(600)
        """)
        holder.kill()
        holder.wait()
        wait_until(lambda: self.run_python("print(awsflock.status('deploy', **STORE).held)") == "True\n")
        self.let_expire("deploy")
        self.assertFree()

    def test_the_page_shows_programs_that_run(self):
        page = (SOURCE / "docs/python.md").read_text(encoding="utf-8")
        programs = re.findall(r"```python\n(.*?)```", page, re.S)
        self.assertGreater(len(programs), 1)
        config = self.write("awsflock.conf", f"[awsflock]\nstore = local\nlocal_dir = {self.store}\n")
        for program in programs:
            with self.subTest(program):
                known = "from unittest.mock import Mock\ndeploy = database = migrate = abort = Mock()\n"
                process = subprocess.run([sys.executable, "-c", known + program], stdin=subprocess.DEVNULL, capture_output=True,
                                         text=True, timeout=PATIENCE_S, env=self.environment_with(
                                             **self.paths(), AWSFLOCK_CONFIG=str(config)))
                self.assertEqual((process.returncode, process.stderr), (0, ""))

    def test_the_module_knows_every_code_of_the_header(self):
        header = (SOURCE / "include/awsflock.h").read_text(encoding="utf-8")
        codes = header.split("typedef enum awsflock_code {")[1].split("}")[0].count("AWSFLOCK_")
        self.assertEqual(self.run_python("print(len(awsflock._ERRORS))"), f"{codes - 1}\n")


if __name__ == "__main__":
    unittest.main()
