#!/usr/bin/python3
"""What a guard costs: the time it adds to `ssh host true` and `sudo true`, the keeper's memory, and how soon the lock
is free.  As root, on an installed tree: `make bench-guard`.  SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import pathlib
import shutil
import signal
import statistics
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "session"))
import namespace  # noqa: E402
from guardtest import MODULE, DynamoDBSettings, GuardTest, configure, guard, keepers  # noqa: E402
from sessiontest import pam_file, processes, processes_like, runs, wait_until  # noqa: E402
from sudotest import PLUGIN, plugin_lines, sudo_conf  # noqa: E402
from awsflocktest import boto3_client, create_table, dynamodb_endpoint  # noqa: E402

TIMES = 25
IDLE_SESSIONS = int(os.environ.get("SESSIONS", "500"))
IDLE_S = 80  # two renewals
LOGINS = 20
LOGIN_ROUNDS = 5
BUILT = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests/support").resolve()
PAM_HOST = str(BUILT / "pam_host")
CROWD = pathlib.Path("/run/out/crowd")
KEPT_BY = "control groups" if namespace.has_control_groups() else "looks"


def private_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def processor_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


def waited(predicate):
    began = time.monotonic()
    while not predicate():
        time.sleep(0.002)
    return 1000 * (time.monotonic() - began)


def is_gone(process_group):
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return True
    return False


def prepare_crowd():
    CROWD.parent.mkdir(exist_ok=True)
    CROWD.parent.chmod(0o777)
    shutil.copyfile(BUILT / "crowd", CROWD)
    CROWD.chmod(0o755)


def pam_host_file(service, *lines):
    pam_file(service, "account required pam_permit.so", *lines, "session required pam_permit.so")


def processor_ms_in_here():
    """Of all that ran in these tests' control group so far, those that have ended too."""
    lines = (namespace.CGROUPS / "cpu.stat").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("usage_usec")) / 1000


class Measure(DynamoDBSettings, GuardTest):
    def milliseconds(self, command, person):
        began = time.monotonic()
        code, out, err = self.run_to_end(command, person)
        if code != 0:
            self.fail((command, out, err))
        return 1000 * (time.monotonic() - began)

    def compare(self, what, service, command, person):
        """With and without in turns, so that a busy machine is busy for both."""
        plain, guarded = [], []
        for _ in range(TIMES):
            pam_file(service)
            plain.append(self.milliseconds(command, person))
            guard(service)
            guarded.append(self.milliseconds(command, person))
            self.wait_for_no_keeper()
        without, with_guard = statistics.median(plain), statistics.median(guarded)
        print(f"# {what}: {without:.1f} ms without, {with_guard:.1f} ms with: {with_guard - without:+.1f} ms")

    def compare_hosts(self, store):
        self.compare(f"sudo true, {store}", "sudo", ["sudo", "true"], "alice")
        self.compare(f"ssh host true, {store}", "sshd", self.sshd.client("alice", "true"), None)

    def test_1_time_on_the_local_store(self):
        self.compare_hosts("local store")

    def test_2_time_on_dynamodb_local(self):
        settings = self.new_table()
        configure(settings)
        client, table, requests = boto3_client(settings["endpoint_url"]), settings["table"], []
        for number in range(TIMES):
            began = time.monotonic()
            client.update_item(TableName=table, Key={"lock_id": {"S": "x"}}, UpdateExpression="SET n = :n",
                               ExpressionAttributeValues={":n": {"N": str(number)}})
            requests.append(1000 * (time.monotonic() - began))
        print(f"# one UpdateItem by boto3: {statistics.median(requests):.1f} ms")
        self.compare_hosts("DynamoDB Local")
        guard("sshd")
        session = self.enter("alice")
        self.show_memory("DynamoDB Local")
        self.leave(session)

    def show_memory(self, store):
        for pid in keepers():
            print(f"# private memory, {store}: {private_kib(pid)} KiB, {processes().get(pid)}")

    def test_3_memory_and_ends_on_the_local_store(self):
        guard("sshd")
        ends, kills = [], []
        for number in range(7):
            session = self.enter("alice")
            if number == 0:
                self.show_memory("local store")
            monitor = self.only_monitor("alice")
            session.stdin.close()
            waited(lambda: not runs(monitor))
            ends.append(waited(lambda: not self.is_held()))
            session.wait()
        pathlib.Path("/run/out").mkdir()
        os.chmod("/run/out", 0o777)
        stayer = "setsid sh -c 'trap \"\" HUP TERM; echo $$ >/run/out/left; exec sleep 300' >/dev/null 2>&1 &"
        for _ in range(3):
            session = self.enter("alice", f"{stayer} sleep 0.2; echo entered; exec cat")
            left = self.pid_in("/run/out/left")
            os.kill(self.only_monitor("alice"), signal.SIGKILL)
            kills.append(waited(lambda: not runs(left)))
            self.wait_until_free()
            session.wait()
            os.unlink("/run/out/left")
        print(f"# session's end to lock free: median {statistics.median(ends):.0f} ms, most {max(ends):.0f} ms")
        print(f"# SIGKILL of the monitor to the last process gone (end = 2s): {[round(k) for k in kills]} ms")

    def test_4_from_the_loss_to_the_last_process_gone(self):
        """Of processes that ignore every signal but the last, which comes after two thirds of `end`."""
        prepare_crowd()
        configure(ops={"end": "3s", "lease": "15s"})
        guard("sudo")
        for count in (1, 1000, 20000):
            session = self.start(["sudo", "-u", "carol", "setsid", str(CROWD), str(count - 1), "/run/out/many"], "alice")
            group = os.getpgid(self.pid_in("/run/out/many"))
            start, guardian = len(self.log.lines()), self.guardian()
            before = processor_ns(guardian)
            self.break_lock()
            waited(lambda: self.log.find("ending what is left", start))
            took, used = self.watch_end(group, guardian)
            code, out, err = self.awsflock("acquire", "ops")
            self.assertEqual((code, is_gone(group)), (0, True), err)
            self.awsflock("release", "ops", out.strip())
            print(f"# {count} processes, {KEPT_BY}: the last is gone {took:.0f} ms after the end began, SIGKILL being due "
                  f"after 2000; {(used - before) / 1e6:.0f} ms of processor for the guardian; the next one met none")
            session.wait()
            self.wait_for_no_keeper()
            os.unlink("/run/out/many")

    @staticmethod
    def watch_end(group, guardian):
        """(milliseconds until the last one of GROUP is gone, the processor time of the guardian by then)"""
        used = 0

        def is_over():
            nonlocal used
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                used = processor_ns(guardian)
            return is_gone(group)
        return waited(is_over), used

    def new_table(self):
        """The settings of a table of its own on DynamoDB Local, which is not encrypted."""
        endpoint = dynamodb_endpoint()
        client = boto3_client(endpoint)
        table = create_table(client, f"bench-{uuid.uuid4()}")
        self.addCleanup(client.delete_table, TableName=table)
        return self.settings(endpoint, table)

    def test_5_many_idle_sessions(self):
        """With the lease that guards have by default, each on a lock of its own, or all on one.  What a host itself uses is
        not counted."""
        table = self.new_table()
        for store, what, lock in ((None, "each with its own lease, local store", "%s"),
                                  (table, "each with its own lease, DynamoDB Local", "%s"),
                                  (table, "sharing one lease, DynamoDB Local", "ops")):
            configure(store, ops={"lease": "120s", "grace": "10s", "end": "6s", "lock": lock})
            with self.sessions(IDLE_SESSIONS):
                time.sleep(5)  # what a session does at first is over
                before = {pid: processor_ns(pid) for pid in keepers()}
                time.sleep(IDLE_S)
                used = sum(processor_ns(pid) - ns for pid, ns in before.items()) / 1e9 * 3600 / IDLE_S / IDLE_SESSIONS
                memory = sum(private_kib(pid) for pid in before) / IDLE_SESSIONS
                print(f"# {IDLE_SESSIONS} idle sessions, {what}, {KEPT_BY}: each {used:.3f} s of processor an hour, "
                      f"{memory:.0f} KiB private")

    @contextlib.contextmanager
    def sessions(self, count):
        """COUNT sessions that are open, by the tests' own host."""
        sessions = []
        for number in range(count):
            service = f"bench-{number}"
            pam_host_file(service, f"session requisite {MODULE} guard=ops")
            sessions.append(self.start([PAM_HOST, "--ruser=alice", service, "alice", "/bin/cat"], stdin=-1))
        wait_until(lambda: len(processes_like("^/bin/cat$")) == count, what="the sessions")
        yield
        for session in sessions:
            session.communicate()
        self.wait_for_no_keeper()

    def test_6_processor_time_of_a_login(self):
        """By the tests' own host, which does next to nothing itself, with and without the guard's line in turns."""
        if not namespace.has_control_groups():
            self.skipTest("the time of all processes is counted by a control group")
        for store, what in ((None, "local store"), (self.new_table(), "DynamoDB Local")):
            configure(store)
            plain, guarded = [], []
            for _ in range(LOGIN_ROUNDS):
                pam_host_file("bench")
                plain.append(self.processor_ms_of_logins())
                pam_host_file("bench", f"session requisite {MODULE} guard=ops")
                guarded.append(self.processor_ms_of_logins())
            without, with_guard = statistics.median(plain), statistics.median(guarded)
            print(f"# a login and its end, {what}: {without:.1f} ms of processor without, {with_guard:.1f} ms with: "
                  f"{2000 / (with_guard - without):.0f} guards a second on two processors")

    def test_7_sudo_by_plugin_and_by_pam_line(self):
        """Each in its turn, so that a busy machine is busy for all."""
        if not os.path.exists(PLUGIN):
            self.skipTest("there is no plugin")
        self.addCleanup(sudo_conf)
        took = {"plain": [], "PAM line": [], "plugin": [], "both": []}
        for _ in range(TIMES):
            for way, times in took.items():
                pam_file("sudo")
                if way in ("PAM line", "both"):
                    guard("sudo")
                sudo_conf(*(plugin_lines() if way in ("plugin", "both") else ()))
                times.append(self.milliseconds(["sudo", "true"], "alice"))
                self.wait_for_no_keeper()
        medians = {way: statistics.median(times) for way, times in took.items()}
        told = ", ".join(f"{way} {median:.1f} ms (x{median / medians['plain']:.2f})" for way, median in medians.items())
        print(f"# sudo true, local store: {told}")

    def processor_ms_of_logins(self):
        before = processor_ms_in_here()
        for _ in range(LOGINS):
            self.assertEqual(self.run_to_end([PAM_HOST, "--ruser=alice", "bench", "alice", "/bin/true"])[0], 0)
        self.wait_for_no_keeper()
        return (processor_ms_in_here() - before) / LOGINS


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
