#!/usr/bin/python3
"""soak.py [--seconds N] [--seed N] [--keep FILE]: many contenders, random faults, kills and stops; judges the history.

Contenders of every kind (a C program over the library, `awsflock run`, scripts around acquire, renew and release,
peers as Python 0.2.0 behaves) fight for a few locks in two tables and in a local store, through proxies that make
trouble, while their processes are killed, stopped and continued.  It ends with one line of figures and fails where
history.py finds a violation.  The same seed makes the same choices; what comes of them is up to the machine.

The environment is that of tests/support/awsflocktest.py, and AWSFLOCK_BUILD_DIR is where worker.c was built.
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import collections
import ctypes
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import history  # noqa: E402
import proxy  # noqa: E402
from awsflocktest import boto3_client, clean_environment, command, create_table, dynamodb_endpoint  # noqa: E402
from faketime import faked  # noqa: E402
from python_peer import PythonPeer  # noqa: E402
from running import children_of, parent_of, runs  # noqa: E402

LEASE_S = 4
SLACK_S = 20  # for a machine that has other things to do
END_WITHIN_S = 60
HOUR_S = 3600
ROUGH, SMOOTH = 0.12, 0.01  # the shares of the requests that go wrong: where much does, little work gets done
PR_SET_CHILD_SUBREAPER = 36
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}

# $1 lock, $2 history, $3 resource, $4 lease, $5 milliseconds of work; the rest is awsflock and its options.
BY_HAND = r"""
lock=$1 history=$2 resource=$3 lease=$4 work=$5
shift 5
doubt() { [ "$1" = 3 ] || "$WORKER" doubt "$lock" "$history"; exit 0; }
# The lease begins after this, and lasts as long but for the clocks' drift.
from_now() { echo $(($("$WORKER" now) + lease * 999500000)); }
deadline=$(from_now)
granted=$("$@" acquire "$lock" --json --lease-duration "${lease}s" --wait-time 2s) || doubt $?
id=$(echo "$granted" | sed -n 's/.*"lease_id":"\([^"]*\)".*/\1/p')
fence=$(echo "$granted" | sed -n 's/.*"fence":\([0-9]*\).*/\1/p')
"$WORKER" begin "$lock" "$history" "$resource" "$lease" "$work" "$$-$id" "$fence" "$deadline" || exit 0
holder=$$-$id
deadline=$(from_now)
id=$("$@" renew "$lock" "$id" --lease-duration "${lease}s") || doubt $?
"$WORKER" resume "$lock" "$history" "$resource" "$lease" "$work" "$holder" "$fence" "$deadline" || exit 0
"$WORKER" end "$lock" "$history" "$resource" "$lease" 0 "$holder" "$fence" "$deadline" || exit 0
"$@" release "$lock" "$id" || doubt $?
"""


def find_worker():
    """Libtool's wrapper script is stepped over, as with awsflock."""
    built = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests", "faults").resolve()
    real = built / ".libs" / "worker"
    return str(real if real.is_file() else built / "worker")


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class History:
    """The file that every contender appends to."""

    def __init__(self, path):
        self.path = str(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, kind, lock, holder="-", at=None, **values):
        words = "".join(f" {name}={value}" for name, value in values.items())
        os.write(self._fd, f"{at or now_ns()} {kind} {lock} {holder}{words}\n".encode())

    def lines(self):
        with open(self.path, encoding="ascii") as file:
            yield from file


# ---- Trouble on the way ------------------------------------------------------------------------------------------


def failed_after(exchange):
    """The server carries the request out and says that it failed."""
    exchange.forward()
    proxy.refused("InternalServerError", "oops", 500)(exchange)


class Trouble:
    """What a proxy does to each request: mostly nothing.  Counts what it did."""

    def __init__(self, seed, counts, *, share=ROUGH, mild=False, date_shift_s=0, on_late=None):
        self.random = random.Random(seed)
        self.counts = counts
        self.share = share
        self.mild = mild
        self.date_shift_s = date_shift_s
        self.on_late = on_late
        self.lock = threading.Lock()

    def choose(self):
        seconds = self.random.uniform(0, 1.5)
        # What boto3 understands for what it is; the old client took a login page for a grant.
        kinds = [("drop before", proxy.drop_before), ("drop after", proxy.drop_after),
                 ("delay", proxy.delayed(seconds)), ("error 500", proxy.refused("InternalServerError", "oops", 500)),
                 ("error after", failed_after), ("throttle", proxy.refused("ThrottlingException", "slow down")),
                 ("late", proxy.arrives_late(seconds))]
        if not self.mild:
            kinds += [("duplicate", proxy.duplicated(seconds / 3)),
                      ("duplicate first", proxy.duplicated(answer_first=False)), ("cut", proxy.cut()),
                      ("html", proxy.html()), ("wrong crc", proxy.wrong_crc), ("no date", proxy.without_date),
                      ("black hole", proxy.black_hole), ("close", proxy.pass_and_close)]
        return self.random.choice(kinds)

    def __call__(self, exchange):
        with self.lock:
            name, action = self.choose() if self.random.random() < self.share else (None, proxy.then_pass)
            if name:
                self.counts[name] += 1
        if self.date_shift_s:
            self.shift_date(exchange)
        action(exchange)
        if name in ("late", "delay", "duplicate", "duplicate first"):
            self.tell_late(exchange.request)

    def tell_late(self, request):
        """Where items are deleted, an acquire that arrives late, or twice, may take the lock without a holder."""
        if self.on_late and request.operation in ("UpdateItem", "PutItem"):
            made = request.json()
            if "attribute_exists" not in made["ConditionExpression"]:
                self.on_late((made.get("Key") or made["Item"])["lock_id"]["S"])

    def shift_date(self, exchange):
        """Of whatever is sent on this exchange: the server's clock is another one altogether."""
        send = exchange.send

        def shifted(reply, *more):
            if reply.header("Date"):
                reply.set_header("Date", proxy.http_date(time.time() + self.date_shift_s))
            send(reply, *more)
        exchange.send = shifted


# ---- Contenders --------------------------------------------------------------------------------------------------


class Contender(threading.Thread):
    """Runs one command line after another until the soak stops."""

    def __init__(self, soak, lock, kind, arguments, environment, pause_s=0.0):
        super().__init__()
        self.soak, self.lock, self.kind = soak, lock, kind
        self.arguments, self.environment = arguments, environment
        self.pause_s = pause_s
        self.process = None
        self.busy = False  # with a stop that has not been continued yet
        self.random = random.Random(soak.random.random())

    def run(self):
        while not self.soak.stopping.is_set():
            arguments = self.arguments() if callable(self.arguments) else self.arguments
            process = subprocess.Popen(arguments, env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=self.soak.errors, start_new_session=True)
            self.process = process
            code = process.wait()
            if -code in CRASHES or code - 128 in CRASHES:
                self.soak.crashes.append(f"{self.kind} on {self.lock} ended with {code}")
            self.soak.stopping.wait(self.random.uniform(0, self.pause_s) if code >= 0 else 0.05)

    def processes(self):
        """Those that awsflock or its user consists of, the one that was started first."""
        process = self.process
        if process is None or process.poll() is not None:
            return []
        found = [process.pid]
        if self.kind in ("run", "hand"):
            for child in children_of(process.pid):
                found += [child, *children_of(child)]
        return found

    def stop(self):
        if self.kind == "worker" and self.process is not None and self.process.poll() is None:
            self.process.terminate()


class Peer(threading.Thread):
    """A client as Python 0.2.0 behaves, in this process; its clock may be a second off."""

    def __init__(self, soak, lock, client, table, number):
        super().__init__()
        self.soak, self.lock = soak, lock
        self.peer = PythonPeer(client, table, clock_offset_s=number % 2)
        self.random = random.Random(soak.random.random())
        self.count = 0

    def run(self):
        while not self.soak.stopping.is_set():
            try:
                self.contend()
            except Exception:  # it would have crashed, and its lease, if it has one, runs out
                self.soak.history.note("doubt", self.lock)
            self.soak.stopping.wait(self.random.uniform(0.02, 0.3))

    def deadline(self):
        """By its own account: the seconds are cut, and its clock may be fast."""
        return now_ns() + (LEASE_S - 1) * history.NS_PER_S

    def contend(self):
        note, deadline = self.soak.history.note, self.deadline()
        lease_id = self.peer.acquire(self.lock, LEASE_S)
        at = now_ns()
        if lease_id is None or at >= deadline:
            return
        self.count += 1
        holder = f"{os.getpid()}-{self.name}-{self.count}"
        note("begin", self.lock, holder, at=at, by="python", lease=LEASE_S, deadline=deadline)
        time.sleep(self.random.uniform(0, 0.05))
        if self.random.random() < 0.3:
            later = self.deadline()
            lease_id = self.peer.renew(self.lock, lease_id, LEASE_S)
            if lease_id is None:
                return
            note("renew", self.lock, holder, deadline=later)
        note("end", self.lock, holder)
        self.peer.release(self.lock, lease_id)


# ---- Kills and stops ---------------------------------------------------------------------------------------------


class Chaos(threading.Thread):
    """Kills, stops and continues processes of contenders, one at a time each."""

    def __init__(self, soak):
        super().__init__()
        self.soak = soak
        self.random = random.Random(soak.random.random())
        self.counts = collections.Counter()
        self.continues = []  # (when, contender, pidfds)

    def run(self):
        while not self.soak.stopping.wait(self.random.uniform(0.1, 1.0)):
            self.continue_those_due(time.monotonic())
            idle = [each for each in self.soak.contenders if not each.busy]
            weights = [10 if each.lock in self.soak.rough else 1 for each in idle]
            self.disturb(self.random.choices(idle, weights)[0])
        self.continue_those_due(float("inf"))

    def continue_those_due(self, now):
        for entry in [entry for entry in self.continues if entry[0] <= now]:
            self.continues.remove(entry)
            for pidfd in entry[2]:
                self.send(pidfd, signal.SIGCONT)
                os.close(pidfd)
            entry[1].busy = False

    @staticmethod
    def send(pidfd, number):
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass

    @staticmethod
    def open(contender, pid):
        """A pidfd of what still is a process of CONTENDER, or None."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        above = pid
        while above and above != contender.process.pid:
            above = parent_of(above)
        if above:
            return pidfd
        os.close(pidfd)
        return None

    def disturb(self, contender):
        pids = contender.processes()
        if not pids:
            return
        if contender.kind == "run" and len(pids) == 3 and self.random.random() < 0.1:
            self.stop_for_a_while(contender, pids, "suspend")
            return
        pid = self.random.choice(pids)
        if self.random.random() < 0.5:
            self.kill(contender, pid)
        else:
            self.stop_for_a_while(contender, [pid], "stop")

    def kill(self, contender, pid):
        pidfd = self.open(contender, pid)
        if pidfd is None:
            return
        self.counts["kill"] += 1
        self.send(pidfd, signal.SIGKILL)
        self.soak.history.note("killed", contender.lock, f"{pid}-")
        os.close(pidfd)

    def stop_for_a_while(self, contender, pids, kind):
        pidfds = [pidfd for pidfd in (self.open(contender, pid) for pid in pids) if pidfd is not None]
        self.counts[kind] += 1
        contender.busy = True
        if kind == "suspend":
            self.soak.history.note("suspend", contender.lock, f"{pids[-1]}-")
        for pidfd in pidfds:
            self.send(pidfd, signal.SIGSTOP)
        long = LEASE_S + history.GRACE_S + 2
        seconds = self.random.choice([self.random.uniform(0.05, 1), self.random.uniform(1, long)])
        self.continues.append((time.monotonic() + seconds, contender, pidfds))


# ---- The soak ----------------------------------------------------------------------------------------------------


class Soak:
    def __init__(self, directory, seed):
        self.random = random.Random(seed)
        self.directory = pathlib.Path(directory)
        self.history = History(self.directory / "history")
        self.worker = find_worker()
        self.errors = open(self.directory / "errors", "ab")
        self.stopping = threading.Event()
        self.faults = collections.Counter()
        self.crashes = []  # and what hangs
        self.contenders, self.peers, self.proxies, self.tables = [], [], [], []
        self.rough = {"p0", "c0", "l0"}
        self.final = {}  # the undisturbed environment in which each lock is looked at in the end
        self.endpoint = dynamodb_endpoint()
        self.client = boto3_client(self.endpoint)
        self.set_up_peers()
        self.set_up_clocks()
        self.set_up_local()
        self.chaos = Chaos(self)

    # -- Who contends for what

    def new_proxy(self, **more):
        made = proxy.Proxy(self.endpoint, keep=False)
        made.always = Trouble(self.random.random(), self.faults, **more)
        self.proxies.append(made)
        return made

    def new_table(self):
        self.tables.append(create_table(self.client, f"soak-{uuid.uuid4()}"))
        return self.tables[-1]

    def environment(self, store, fake=None, **more):
        home = self.directory / f"home-{len(os.listdir(self.directory))}"
        home.mkdir()
        config = home / "awsflock.conf"
        config.write_text(f"[awsflock]\n{store}connect_timeout = 1s\nrequest_timeout = 1s\npoll_interval = 0.02\n",
                          encoding="ascii")
        environment = clean_environment(home, AWSFLOCK_CONFIG=str(config), WORKER=self.worker, **more)
        return faked(environment, fake) if fake else environment

    def on_table(self, table, url, fake=None):
        return self.environment("", fake, AWSFLOCK_TABLE=table, AWS_ENDPOINT_URL_DYNAMODB=url)

    def add(self, lock, kind, environment):
        resource = str(self.directory / f"resource-{lock}")
        common = [lock, self.history.path, resource, str(LEASE_S)]
        seeds = random.Random(self.random.random())

        def work_ms():
            return str(seeds.choices([5, 20, 100, LEASE_S * 500], [4, 4, 4, 1])[0])

        if kind == "worker":
            make = lambda: [self.worker, "loop", *common, str(seeds.randrange(2 ** 31))]
        elif kind == "run":
            make = lambda: command("run", "--lease-duration", f"{LEASE_S}s", "--kill-after", "0.3", "-w", "5", lock,
                                   self.worker, "section", *common, work_ms())
        else:
            make = lambda: ["sh", "-c", BY_HAND, "by-hand", *common, work_ms(), *command()]
        pause_s = 0.5 if lock in self.rough else 3
        self.contenders.append(Contender(self, lock, kind, make, environment, pause_s))

    def set_up_peers(self):
        """Everybody on one table, with clocks that agree."""
        table = self.new_table()

        def on_late(lock):
            self.history.note("doubt", lock)

        for number, (lock, share) in enumerate((("p0", ROUGH), ("p1", SMOOTH))):
            self.final[lock] = self.on_table(table, self.endpoint)
            through = self.new_proxy(share=share, on_late=on_late)
            for kind in ("worker", "worker", "run", "hand"):
                self.add(lock, kind, self.on_table(table, through.url))
            mild = self.new_proxy(share=share, mild=True, on_late=on_late)
            client = boto3_client(mild.url, read_timeout=1, connect_timeout=1)
            self.peers.append(Peer(self, lock, client, table, number))

    def set_up_clocks(self):
        """A server hours away from this machine's clock, and clients hours away from both."""
        table = self.new_table()
        shift_s = self.random.randrange(-36 * HOUR_S, 36 * HOUR_S)
        clean = self.new_proxy(date_shift_s=shift_s, share=0)
        for lock, share in (("c0", ROUGH), ("c1", SMOOTH), ("c2", SMOOTH)):
            through = self.new_proxy(date_shift_s=shift_s, share=share)
            self.final[lock] = self.on_table(table, clean.url)
            for kind in ("worker", "worker", "run"):
                fake = self.random.choice([None, self.random.randrange(-100 * HOUR_S, 100 * HOUR_S)])
                self.add(lock, kind, self.on_table(table, through.url, fake))

    def set_up_local(self):
        store = f"store = local\nlocal_dir = {self.directory}/store\n"
        for lock in ("l0", "l1"):
            self.final[lock] = self.environment(store)
            for kind in ("worker", "worker", "run", "hand"):
                fake = self.random.choice([None, self.random.randrange(-100 * HOUR_S, 100 * HOUR_S)])
                self.add(lock, kind, self.environment(store, fake))

    # -- How it goes

    def run(self, seconds):
        everybody = [*self.contenders, *self.peers, self.chaos]
        for each in everybody:
            each.start()
        try:
            self.stopping.wait(seconds)
        finally:
            self.stopping.set()
            self.chaos.join()
            for each in self.contenders:
                each.stop()
            end = time.monotonic() + END_WITHIN_S
            for each in everybody:
                each.join(max(0.0, end - time.monotonic()))
                if each.is_alive():
                    self.end_what_hangs(each)
            self.wait_for_orphans()

    def end_what_hangs(self, contender):
        self.crashes.append(f"{contender.kind} on {contender.lock} did not end: {contender.process.args}")
        os.killpg(contender.process.pid, signal.SIGKILL)
        contender.join()

    @staticmethod
    def wait_for_orphans():
        """What a killed one left behind is this process's child now, and ends by itself."""
        end = time.monotonic() + 60
        while left := [pid for pid in children_of(os.getpid()) if runs(pid)]:
            if time.monotonic() > end:
                raise AssertionError(f"still running: {left}")
            time.sleep(0.05)

    def look_at_the_end(self):
        patience = str(LEASE_S + history.GRACE_S + SLACK_S)
        waiting = {lock: subprocess.Popen(command("acquire", "--json", "--lease-duration", "60s", "--wait-time",
                                                  patience, lock), env=environment, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, stderr=self.errors)
                   for lock, environment in self.final.items()}
        lookers = [threading.Thread(target=self.note_whether_free, args=entry) for entry in waiting.items()]
        for each in lookers:
            each.start()
        for each in lookers:
            each.join()

    def note_whether_free(self, lock, acquiring):
        out, _ = acquiring.communicate(timeout=120)
        if acquiring.returncode == 0:
            self.history.note("free", lock)
            subprocess.run(command("release", lock, json.loads(out)["lease_id"]), env=self.final[lock], check=False,
                           stderr=self.errors, timeout=60)

    def close(self):
        for each in self.proxies:
            each.close()
        for table in self.tables:
            self.client.delete_table(TableName=table)
        self.errors.close()


def figures(soak, verdict, seed, seconds):
    chaos = soak.chaos.counts
    return (f"soak: seed {seed}, {seconds:.0f} s, {sum(soak.faults.values())} faults, "
            f"{chaos['stop'] + chaos['suspend']} stops, {verdict.line()}")


def soak_for(seconds, seed, directory):
    """(the figures in one line, the violations in sentences, more to read where it went wrong)"""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    began = time.monotonic()
    soak = Soak(directory, seed)
    try:
        soak.run(seconds)
        soak.look_at_the_end()
    finally:
        soak.close()
    verdict = history.check(soak.history.lines(), SLACK_S)
    violations = [f"{kind}: {sentence}" for kind, sentence in verdict.violations] + soak.crashes
    violations += [f"nobody ever worked under {lock}" for lock in soak.final if not verdict.by_lock[lock]]
    return figures(soak, verdict, seed, time.monotonic() - began), violations, soak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2 ** 32))
    parser.add_argument("--keep", help="keep the history in this file")
    arguments = parser.parse_args()
    print(f"soak: seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="awsflock-soak-") as directory:
        line, violations, soak = soak_for(arguments.seconds, arguments.seed, directory)
        if arguments.keep:
            os.replace(soak.history.path, arguments.keep)
        print("faults:", ", ".join(f"{count} {name}" for name, count in sorted(soak.faults.items())))
        if violations:
            print("\n".join(violations[:50]))
            print((soak.directory / "errors").read_text(encoding="utf-8", errors="replace")[-4000:])
        print(line)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
