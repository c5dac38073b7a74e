"""A lost lease ends the session in time: warned on its terminals, then every process of it gone, before anybody else
can get the lock.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import GuardTest, configure, guard, keepers  # noqa: E402
from sessiontest import kill_if_running, runs, wait_until  # noqa: E402

# Everything that a process can do to stay: each writes its pid to /run/out/NAME.
STAYERS = {
    "child": "sleep 300",
    "group": "setsid sleep 300",
    "deaf": """sh -c 'trap "" HUP INT TERM; while :; do sleep 1; done'""",
    "nohup": "nohup sleep 300",
    "stripped": "env -i /bin/sh -c 'setsid /bin/sleep 300'",
}


def stayers_script():
    """Starts all of STAYERS and one that is an orphan before it begins, then says that it did."""
    parts = [f"({line} </dev/null >/dev/null 2>&1 & echo $! >/run/out/{name})" for name, line in STAYERS.items()]
    parts.append("sh -c '(sleep 300 >/dev/null 2>&1 & echo $! >/run/out/orphan) &'")
    return "; ".join([*parts, "echo entered", "exec cat"])


class LosingTest(GuardTest):
    def setUp(self):
        super().setUp()
        out = pathlib.Path("/run/out")
        out.mkdir(exist_ok=True)
        os.chmod(out, 0o777)
        for file in out.iterdir():
            file.unlink()

    def stayers(self):
        pids = [self.pid_in(f"/run/out/{name}") for name in [*STAYERS, "orphan"]]
        self.assertTrue(all(runs(pid) for pid in pids))
        self.addCleanup(self.kill_all, pids)
        return pids

    @staticmethod
    def kill_all(pids):
        for pid in pids:
            kill_if_running(pid)

    def test_breaking_the_lock_ends_an_ssh_session_with_all_that_it_started(self):
        guard("sshd")
        session = self.enter("alice", stayers_script(), terminal=True)
        pids = self.stayers()
        self.break_lock()
        session.expect("awsflock")  # the line on the terminal
        self.assertHeldUntilGone(*pids)
        session.wait()
        self.logged("awsflock-keeper.*(lost|broken)")

    def test_breaking_the_lock_ends_sudos_command(self):
        guard("sudo")
        sudo = self.on_terminal(["sudo", "sh", "-c", stayers_script()], "alice")
        sudo.expect("entered")
        pids = self.stayers()
        self.break_lock()
        self.assertHeldUntilGone(*pids)
        sudo.wait()

    def test_on_lost_warn_leaves_the_session_alone(self):
        configure(ops={"on_lost": "warn"})
        guard("sshd")
        session = self.enter("alice", terminal=True)
        self.break_lock("--now")
        session.expect("awsflock")
        session.type("hello\n")
        session.expect("hello\r\nhello")
        session.type("\x04")
        session.wait()

    def test_all_sessions_that_share_a_lease_end_with_it(self):
        guard("sshd")
        guard("sudo")
        first = self.enter("alice")
        second = self.start(["sudo", "sh", "-c", "echo entered; exec sleep 300"], "alice")
        self.assertEqual(second.stdout.readline(), b"entered\n")
        self.break_lock()
        first.wait(60)
        second.wait(60)
        wait_until(lambda: not keepers(), what="the end of the keepers")
