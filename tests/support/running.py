"""What the tests of `awsflock run` share: short leases, and the processes that a run consists of.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import select
import shlex
import signal

from awsflocktest import PATIENCE_S, OnLocalStore, kill_at_end, runs, wait_until  # noqa: F401

LEASE_S = 4
SHORT = ("--lease-duration", f"{LEASE_S}s", "--kill-after", "0.5")

# Each writes its pid to the file $1 and runs on, two minutes at the most; STUBBORN whatever it is told, SLEEPER
# without forking: a shell that is stopped from the keyboard in the middle of a vfork() never stops.
SLEEPER = 'echo $$ >"$1.new"; mv "$1.new" "$1"; exec sleep 120'
IDLE = 'echo $$ >"$1.new"; mv "$1.new" "$1"; i=0; while [ $((i += 1)) -lt 1200 ]; do sleep 0.1; done'
STUBBORN = 'trap "" TERM INT HUP; ' + IDLE
# The same, and they write down when they were last alive, in seconds since boot: see lives_until().
BEATING = IDLE.replace("sleep 0.1", 'cut -d" " -f1 /proc/uptime >>"$1.beats"; sleep 0.1')
STUBBORN_BEATING = 'trap "" TERM INT HUP; ' + BEATING


def parent_of(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])


def children_of(pid):
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and parent_of(entry) == pid]


def arguments_of(pid):
    """What stands behind the program's name on its command line; none of a process that is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")[1:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def signal_set(pid, field):
    """The signals in a line of /proc/PID/status, such as SigIgn."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, mask = line.partition(":")
        if name == field:
            return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}
    raise AssertionError(f"no {field} of {pid}")


def blocks(pid, number):
    try:
        return number in signal_set(pid, "SigBlk")
    except (FileNotFoundError, ProcessLookupError):
        return False


class RunTest(OnLocalStore):
    """A test of `awsflock run` on a local store of its own."""

    def run_command(self, *arguments):
        """The command line of `awsflock run` with a short lease; ARGUMENTS: options, lock, command."""
        return self.flock_command("run", *SHORT, *arguments)

    def run_line(self, *arguments):
        """The same for a shell."""
        return shlex.join(self.run_command(*arguments))

    def flock_run(self, *arguments, **more):
        return self.flock("run", *SHORT, *arguments, **more)

    def start_run(self, *arguments, **more):
        return self.start(self.run_command(*arguments), **more)

    def path(self, name):
        return str(self.directory / name)

    def part(self, script, name):
        """A shell's text that runs SCRIPT with the file NAME as its $1."""
        return f"sh -c {shlex.quote(script)} {name} {shlex.quote(self.path(name))}"

    def pid_in(self, name):
        """The pid that a process writes to the file NAME, which is killed at the end of the test if it still runs."""
        file = self.directory / name
        wait_until(lambda: file.exists() and file.read_text(encoding="ascii").endswith("\n"), what=f"a pid in {name}")
        pid = int(file.read_text(encoding="ascii"))
        kill_at_end(self, pid)
        return pid

    def supervisor_of(self, launcher):
        """The pid of the awsflock process that keeps the lock for the one that was started."""
        # It alone blocks what nobody passes on; the launcher's first child may be one that starts credential programs.
        [pid] = wait_until(lambda: [child for child in children_of(launcher.pid) if blocks(child, signal.SIGALRM)],
                           what="the supervisor")
        kill_at_end(self, pid)
        return pid

    @staticmethod
    def next_line(process):
        """The next line that PROCESS says on stderr, and nothing of what follows it, which stays to be read."""
        line = b""
        while not line.endswith(b"\n") and select.select([process.stderr], [], [], PATIENCE_S)[0]:
            byte = os.read(process.stderr.fileno(), 1)
            if not byte:
                break
            line += byte
        return line.decode()

    def end_of(self, process):
        """The exit code and stderr of a process that ends."""
        _, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, err.decode()

    def assertGone(self, *pids):
        """At once: whoever says that they are gone says it after they are."""
        self.assertEqual([pid for pid in pids if runs(pid)], [], "still running")

    def record(self, lock, store=None):
        """The lock's record as the store has it (another directory: STORE), of whom nobody is asked."""
        return json.loads(((store or self.store) / f"{lock}.json").read_text(encoding="utf-8"))

    def assertNotReleased(self, lock, store=None):
        """Whoever had LOCK last has left it to run out, or has it still.  The record, when others may take it."""
        record = self.record(lock, store)
        self.assertNotIn("released_time", record)
        return record

    def lives_until(self, name):
        """When the BEATING process of the file NAME was last alive, in milliseconds since boot."""
        beats = (self.directory / f"{name}.beats").read_text(encoding="ascii")
        return int(float(beats.rpartition("\n")[0].splitlines()[-1]) * 1000)  # the last line may be torn

    def assertEndedBefore(self, lease_end_ms, *names):
        """By their own clocks, however late this test comes to look: BEATING processes of the files NAMES."""
        for name in names:
            self.assertLess(self.lives_until(name), lease_end_ms, f"{name} outlived the lease")

    def wait_until_gone(self, *pids):
        wait_until(lambda: not any(runs(pid) for pid in pids), what=f"the end of {pids}")

    def wait_until_free(self, lock):
        wait_until(lambda: not self.status(lock)["held"], what=f"the release of {lock}")

    def break_lock(self, lock, *options):
        """Evicts whoever holds LOCK, and may renew in between."""
        result = None
        while not result or result.code == 3:
            result = self.flock("break", *options, "--lease-id", self.status(lock)["lease_id"], lock)
        self.assertWorked(result)

    def break_now(self, lock):
        """Takes LOCK from whoever holds it."""
        self.break_lock(lock, "--now")

    def wait_for_renewal(self, lock):
        before = self.status(lock)["lease_id"]
        wait_until(lambda: self.status(lock)["lease_id"] != before, what="a renewal")
