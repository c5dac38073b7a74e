#!/usr/bin/python3
"""What a guard costs: the time it adds to `ssh host true` and `sudo true`, the keeper's memory, and how soon the lock
is free.  As root, on an installed tree: `make bench-guard`.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import statistics
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "session"))
import namespace  # noqa: E402
from guardtest import DynamoDBSettings, GuardTest, configure, guard, keepers  # noqa: E402
from sessiontest import pam_file, processes, runs  # noqa: E402
from membershiptest import MANY, control_group  # noqa: E402
from awsflocktest import boto3_client, create_table, dynamodb_endpoint  # noqa: E402

TIMES = 25
IDLE_SESSIONS = 10
IDLE_S = 60


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


def is_populated(group):
    try:
        return "populated 1" in (group / "cgroup.events").read_text(encoding="ascii")
    except OSError:
        return False


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
        endpoint = dynamodb_endpoint()
        client = boto3_client(endpoint)
        table = create_table(client, f"bench-{uuid.uuid4()}")
        self.addCleanup(client.delete_table, TableName=table)
        configure(self.settings(endpoint, table))
        requests = []
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
        out = pathlib.Path("/run/out")
        out.mkdir(exist_ok=True)
        out.chmod(0o777)
        (out / "many.py").write_text(MANY, encoding="ascii")
        configure(ops={"end": "3s", "lease": "15s"})
        guard("sudo")
        for count in (1, 1000, 20000):
            session = self.start(["sudo", "-u", "carol", "python3", str(out / "many.py"), str(count - 1)], "alice")
            group = pathlib.Path(f"{namespace.CGROUPS}{control_group(self.pid_in('/run/out/many'))}")
            start = len(self.log.lines())
            code, _, err = self.awsflock("break", "--lease-id", self.status()["lease_id"], "ops")
            self.assertEqual(code, 0, err)
            waited(lambda: self.log.find("ending what is left", start))
            took = waited(lambda: not is_populated(group))
            print(f"# {count} processes: the last is gone {took:.0f} ms after the end began, SIGKILL being due after 2000")
            session.wait()
            self.wait_until_free()
            self.wait_for_no_keeper()
            os.unlink("/run/out/many")

    def test_4_an_idle_session(self):
        """With the lease that guards have by default; what a host itself uses is not counted."""
        configure(ops={"lease": "120s", "grace": "10s", "end": "6s"})
        guard("sshd")
        sessions = [self.enter("alice")]
        holder = set(keepers())
        sessions += [self.enter("alice") for _ in range(IDLE_SESSIONS - 1)]
        time.sleep(5)  # what a session does at first is over
        before = {pid: processor_ns(pid) for pid in keepers()}
        time.sleep(IDLE_S)
        used = {pid: (processor_ns(pid) - ns) / 1e9 * 3600 / IDLE_S for pid, ns in before.items()}
        memory = {pid: private_kib(pid) for pid in before}
        for what, pids in (("that holds the lease", holder), ("that shares it", set(before) - holder)):
            count = 1 if pids == holder else IDLE_SESSIONS - 1
            print(f"# an idle session {what}: {sum(used[pid] for pid in pids) / count:.3f} s of processor an hour, "
                  f"{sum(memory[pid] for pid in pids) / count:.0f} KiB private")
        for session in sessions:
            self.leave(session)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
