"""A lost lease ends the session in time: warned on its terminals, then every process of it gone, before anybody else
can get the lock.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys
import threading
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import DynamoDBSettings, GuardTest, configure, guard, keepers  # noqa: E402
from sessiontest import runs, wait_until  # noqa: E402
from awsflocktest import REGION, boto3_client, create_table, dynamodb_endpoint  # noqa: E402
from proxy import Proxy, held_back  # noqa: E402

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
        for pid in filter(runs, pids):
            os.kill(pid, signal.SIGKILL)

    def break_lock(self, *options):
        lease = self.status()["lease_id"]
        code, _, err = self.awsflock("break", *options, "--lease-id", lease, "ops")
        self.assertEqual(code, 0, err)

    def test_breaking_the_lock_ends_an_ssh_session_with_all_that_it_started(self):
        guard("sshd")
        session = self.enter("alice", stayers_script(), terminal=True)
        pids = self.stayers()
        self.break_lock()
        session.expect("awsflock")  # the line on the terminal
        self.assertHeldUntilGone(*pids)
        session.wait()
        self.logged("awsflock-keeper.*(lost|broken)")
        self.wait_until_free()

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


class OutageTest(DynamoDBSettings, GuardTest):
    """On DynamoDB Local, over a proxy that stops answering."""

    def setUp(self):
        super().setUp()
        endpoint = dynamodb_endpoint()
        client = boto3_client(endpoint)
        self.table = create_table(client, f"session-{uuid.uuid4()}")
        self.addCleanup(client.delete_table, TableName=self.table)
        self.proxy = self.enterContext(Proxy(endpoint))
        configure(self.settings(self.proxy.url, self.table))
        guard("sshd")
        self.store_options = []
        self.store_environment = {"AWSFLOCK_TABLE": self.table, "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
                                  "AWS_REGION": REGION, "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials)}

    def test_a_session_on_dynamodb_is_renewed_and_released(self):
        session = self.enter("alice")
        first = self.status()["lease_id"]
        wait_until(lambda: self.status()["lease_id"] != first, what="a renewal")
        self.assertEqual(self.ssh("bob", "true")[0], 254)
        self.leave(session)
        self.wait_until_free()

    def test_a_black_holed_session_is_gone_before_the_lock_can_be_taken(self):
        session = self.enter("alice", terminal=True)
        session.type("id -u\n")
        wait_until(lambda: len(self.proxy.operations()) >= 1, what="the first request")
        self.proxy.always = held_back(threading.Event())
        monitor = self.only_monitor("alice")
        session.expect("awsflock")
        self.assertHeldUntilGone(monitor)
        session.wait()
        self.logged("awsflock-keeper.*lost")

    def test_nobody_gets_in_while_the_table_cannot_be_reached(self):
        self.proxy.always = held_back(threading.Event())
        configure(self.settings(self.proxy.url, self.table, connect_timeout="0.2", request_timeout="0.3"))
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), f"no answer from {self.proxy.url}")
        self.not_logged("opened")

    def test_with_fail_safe_everybody_does_and_it_is_an_alert(self):
        self.proxy.always = held_back(threading.Event())
        configure(self.settings(self.proxy.url, self.table, connect_timeout="0.2", request_timeout="0.3"),
                  ops={"fail": "safe"})
        code, out, err = self.ssh("alice", "echo in; echo lock=$AWSFLOCK_LOCK.")
        self.assertEqual(code, 0)
        self.assertIn("lock=.\n", out)
        self.assertNotIn(self.proxy.url, out + err)
        self.logged(r"^<81>.*awsflock-keeper.*alice enters without the lock")

    def test_fail_safe_opens_no_door_for_a_table_that_is_not_there(self):
        configure(self.settings(self.proxy.url, "no-such-table"), ops={"fail": "safe"})
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), "no-such-table")
