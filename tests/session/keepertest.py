"""What the tests of awsflock-keeper share: the place of the PAM module, which talks to a keeper over its socket, and
sessions that consist of real processes.

They run as root in mount and process namespaces of their own, so that /run, the system log and every process that is
left vanish with them.  SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
import unittest
import uuid

import awsflocktest
from awsflocktest import PATIENCE_S, kill_if_running, runs, status_field, wait_until  # noqa: F401
from systemlog import SystemLog

INSIDE = "KEEPER_TESTS_ARE_INSIDE"
BUILD = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."))

# ---- The namespace ----------------------------------------------------------------------------------------------

SET_UP = """
mount -n -t tmpfs -o mode=0755 tests /run && mkdir /run/dev /run/dev/pts &&
for name in null zero full random urandom tty; do
    touch /run/dev/$name && mount -n --bind /dev/$name /run/dev/$name || exit 1
done
ln -s pts/ptmx /run/dev/ptmx && ln -s /proc/self/fd /run/dev/fd &&
mount -n -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 tests /run/dev/pts &&
mount -n --rbind /run/dev /dev || exit 1
[ "$CONTROL_GROUPS" = yes ] || [ ! -d /sys/fs/cgroup ] || mount -n -t tmpfs -o ro tests /sys/fs/cgroup || exit 1
"$@" # not in the shell's place: as the namespace's init it takes in every orphan, or they would use up all ids
exit $?
"""


def enter(control_groups=True):
    """Runs this program again in namespaces of its own, as root; does nothing there.  CONTROL_GROUPS: with those of the
    machine, where it has any."""
    if os.geteuid() == 0 and not os.environ.get(INSIDE):
        os.environ[INSIDE] = "yes"
        os.environ["CONTROL_GROUPS"] = "yes" if control_groups else "no"
        os.execvp("unshare", ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
                              "--", "sh", "-c", SET_UP, "sh", *sys.orig_argv])


# ---- Messages, see wire.h ---------------------------------------------------------------------------------------

MAGIC, VERSION = 0x4B465741, 1
TYPES = {"OPEN": 1, "OPENED": 2, "RELEASE": 3, "ACCEPTED": 16, "NOTICE": 17, "GRANTED": 18, "DENIED": 19,
         "ADMITTED": 20, "CLEAR": 21, "RELEASED": 22, "LEFTOVERS": 23, "KEPT": 24,
         "SETTING": 32, "ACQUIRE": 34, "OWNER": 36, "ADOPT": 38, "A NEWER ONE": 4000, "ACQUIRED": 48, "VALID": 49, "LOG": 51, "LEASE_ID": 53}
KEYS = {"PERSON_UID": 1, "FLAGS": 2, "ANSWER_WITHIN_MS": 3, "FENCE": 4, "EXPIRATION_TIME": 5, "DEADLINE_BOOT_NS": 6,
        "WAITED_MS": 7, "REASON": 8, "BECAUSE": 9, "LEASE_S": 10, "WAIT_MS": 11, "STOP_MS": 12, "PRIORITY": 14,
        "HOST_SOCKET": 19, "SHARED": 20,
        "GUARD": 256, "CONF": 257, "SERVICE": 258, "USER": 259, "RUSER": 260,
        "PERSON": 261, "RHOST": 262, "TTY": 263, "KEY": 264, "SESSION": 265, "LOCK": 266, "SENTENCE": 267,
        "NAME": 268, "VALUE": 269, "OWNER_TEXT": 271, "ID": 274}
NAMES = {number: name for name, number in TYPES.items()}
KEY_NAMES = {number: name for name, number in KEYS.items()}
SILENT, DEBUG, LOOK = 1, 2, 4
HELD, UNREACHABLE, CONFIG, ACCESS, TLS, NO_TABLE, MEMORY, INTERNAL = range(1, 9)
EXEMPT, BREAK_GLASS, FAIL_SAFE = range(1, 4)


def encode(kind, **fields):
    data = struct.pack("=IHH", MAGIC, VERSION, TYPES[kind])
    for name, value in fields.items():
        contents = struct.pack("=q", value) if isinstance(value, int) else value.encode() + b"\0"
        data += struct.pack("=HH", KEYS[name], len(contents)) + contents
    return data


def decode(data):
    magic, version, kind = struct.unpack_from("=IHH", data)
    assert (magic, version) == (MAGIC, VERSION), data
    fields, offset = {"type": NAMES[kind]}, 8
    while offset < len(data):
        key, size = struct.unpack_from("=HH", data, offset)
        contents = data[offset + 4:offset + 4 + size]
        fields[KEY_NAMES[key]] = struct.unpack("=q", contents)[0] if key < 256 else contents[:-1].decode()
        offset += 4 + size
    return fields


# ---- Processes --------------------------------------------------------------------------------------------------


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and runs(name)]


def keepers(part=""):
    """The pids of all parts of keepers: guardians, standbys, renewers."""
    return [pid for pid in processes() if re.match(rf"awsflock-keeper(: {part}|)", command_line(pid))
            and part in command_line(pid)]


class Session:
    """A PAM host with its processes, and the module's end of the connection to its keeper.

    SCRIPT is what the host, a shell, runs; everything that it starts belongs to the session."""

    def __init__(self, test, script="exec sleep 300", **options):
        self.test = test
        self.id = options.pop("id", None) or uuid.uuid4().hex
        self.keeper_environment = options.pop("keeper_environment", {})
        environment = {"PATH": os.environ["PATH"], "DIR": str(test.directory), **options.pop("environment", {})}
        self.host = subprocess.Popen(["sh", "-c", script], env=environment, stdin=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, start_new_session=True, **options)
        self.pidfd = os.pidfd_open(self.host.pid)
        self.module, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.keeper = self._start_keeper(theirs.fileno())
        theirs.close()
        test.addCleanup(self.end)

    def _start_keeper(self, fd):
        # Out of the way of 3 and 4 first.
        high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 200) for number in (fd, self.pidfd)]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, high[0], 3),
                   (os.POSIX_SPAWN_DUP2, high[1], 4)]
        program = str(BUILD / "awsflock-keeper")
        pid = os.posix_spawn(program, ["awsflock-keeper", "--session-fd", "3", "--host-fd", "4"],
                             {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
                              "AWS_PROFILE": "of-the-caller", "HTTP_PROXY": "http://127.0.0.1:9", **self.keeper_environment},
                             file_actions=actions, setsid=True)
        for number in high:
            os.close(number)
        return pid

    def send(self, kind, **fields):
        """As wire_send() does it: with the sender's effective user."""
        credentials = struct.pack("3i", os.getpid(), os.geteuid(), os.getegid())
        self.module.sendmsg([encode(kind, **fields)], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials)])

    def ask(self, person="alice", uid=64101, guard="ops", **fields):
        self.send("OPEN", **{"GUARD": guard, "CONF": str(self.test.conf), "SERVICE": "sshd", "USER": person,
                             "PERSON": person, "PERSON_UID": uid, "SESSION": self.id, **fields})

    def receive(self, timeout=PATIENCE_S):
        """The next message; None where the keeper has closed the connection."""
        if not select.select([self.module], [], [], timeout)[0]:
            raise AssertionError(f"the keeper says nothing within {timeout} s; the log: {self.test.log_text()}")
        try:
            data = self.module.recv(65536)
        except ConnectionResetError:
            return None
        return decode(data) if data else None

    def answer(self):
        """The answer to OPEN; what came before it is kept."""
        self.notices = []
        while True:
            message = self.receive()
            if message is None or message["type"] not in ("ACCEPTED", "NOTICE"):
                return message
            if message["type"] == "NOTICE":
                self.notices.append(message["SENTENCE"])

    def open(self, **fields):
        """Asks, is granted the lock, and says OPENED."""
        self.ask(**fields)
        answer = self.answer()
        self.test.assertEqual(answer and answer["type"], "GRANTED", answer)
        self.send("OPENED")
        return answer

    def close(self):
        """Closes the session in order; the keeper's answer."""
        self.send("RELEASE")
        return self.receive()

    def kill_host(self):
        self.host.kill()
        self.host.wait()

    def end(self):
        self.module.close()
        if self.host.poll() is None:
            self.host.kill()
        self.host.wait()
        os.close(self.pidfd)


# ---- Tests ------------------------------------------------------------------------------------------------------

LEASE_S = 6
SHORT = {"lock": "ops", "lease": f"{LEASE_S}s", "grace": "0.5", "end": "1.5", "user": "nobody"}


class KeeperTest(awsflocktest.EndedSubtests, awsflocktest.ProgramTest):
    """A test with a configuration, a store and a log of its own.  At its end no keeper is left."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can be a keeper")

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.conf = self.directory / "awsflock.conf"
        self.store = self.directory / "store"
        self.store.mkdir(mode=0o700)
        shutil.rmtree("/run/awsflock", ignore_errors=True)
        self.log = SystemLog()
        self.addCleanup(self.log.close)
        self.configure()
        self.addCleanup(self._end_keepers)

    def log_text(self):
        """All that has been logged so far."""
        return "\n".join(self.log.lines())

    def wait_for_log(self, pattern, timeout=PATIENCE_S):
        return wait_until(lambda: re.search(pattern, self.log_text()), timeout, f"a line with {pattern!r} in the log")

    def _end_keepers(self):
        """What was left on purpose is killed; the others come to their end."""
        for pid in self.abandoned:
            kill_if_running(pid)
        wait_until(lambda: not keepers(), what=f"the end of every keeper {[command_line(p) for p in keepers()]}")

    def settle(self):
        with contextlib.suppress(AssertionError):  # of a session that the subtests share
            wait_until(lambda: not keepers(), 10)

    abandoned = ()
    settings = SHORT

    def configure(self, store=None, **guards):
        """GUARDS: a section's keys each, over the class's settings; None takes one out."""
        text = "[awsflock]\n" + "".join(f"{key} = {value}\n" for key, value in (store or self.store_keys()).items())
        for name, keys in (guards or {"ops": {}}).items():
            merged = {key: value for key, value in {**self.settings, **keys}.items() if value is not None}
            text += f"[guard {name}]\n" + "".join(f"{key} = {value}\n" for key, value in merged.items())
        self.conf.write_text(text)
        os.chmod(self.conf, 0o644)

    def store_keys(self):
        return {"store": "local", "local_dir": str(self.store)}

    def store_options(self):
        return [f"--local={self.store}"]

    def status(self, lock="ops"):
        result = self.awsflock("status", *self.store_options(), "--json", lock)
        self.assertWorked(result)
        return json.loads(result.out)

    def break_lock(self, *options):
        """Evicts the holder of `ops`, who may renew in between; --now unless OPTIONS say otherwise."""
        result = None
        while not result or result.code == 3:
            result = self.awsflock("break", *self.store_options(), *(options or ("--now",)), "--lease-id",
                                   self.status()["lease_id"], "ops")
        self.assertWorked(result)

    def is_held(self, lock="ops"):
        return self.status(lock)["held"]

    def wait_until_free(self, lock="ops", timeout=PATIENCE_S):
        wait_until(lambda: not self.is_held(lock), timeout, f"the release of {lock}")

    def part(self, name):
        """The pid of the only part NAME: guardian, standby or renewer.  One that was just forked is called as its parent."""
        wait_until(lambda: len(keepers(name)) == 1, what=f"one {name} alone")
        return keepers(name)[0]

    def pid_in(self, name):
        """The pid that a process of a session writes to the file NAME."""
        file = self.directory / name
        wait_until(lambda: file.exists() and file.read_text().endswith("\n"), what=f"the file {name}")
        return int(file.read_text())

    def wait_until_gone(self, *pids, timeout=PATIENCE_S):
        wait_until(lambda: not any(runs(pid) for pid in pids), timeout, f"the end of {pids}")

    def assertRuns(self, *pids):
        self.assertEqual([pid for pid in pids if not runs(pid)], [], "ended too soon")


def boot_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# A child in another process group that ignores what can be ignored, and an orphan of it in a session of its own.
STUBBORN = """
trap '' HUP TERM INT
while [ ! -e $DIR/opened ]; do sleep 0.02; done
(trap '' HUP TERM; while :; do sleep 1; done) & echo $! >$DIR/stubborn
setsid sh -c '(trap "" HUP TERM; while :; do sleep 1; done) & echo $$ >$DIR/parent; echo $! >$DIR/orphan; sleep 1.5' &
wait
"""


class LossTest(KeeperTest):
    """Each test begins with an open session of three processes: the host, a stubborn child and an orphan."""

    def open_session(self, script=STUBBORN, **more):
        session = Session(self, script, **more)
        session.open()
        (self.directory / "opened").touch()
        session.pids = [session.host.pid]
        if script == STUBBORN:
            session.pids += [self.pid_in("stubborn"), self.pid_in("orphan")]
            self.wait_until_gone(self.pid_in("parent"))  # it was there long enough for a look
        return session

    def lease_end(self):
        """CLOCK_BOOTTIME until which nobody else can get the lock, as the store has it now."""
        return boot_s() + self.status()["remaining_seconds"] + 2 + 1  # two that nobody may use, and less than one cut off

    def assertEndsInTime(self, session, end):
        """Every process is gone before END."""
        self.wait_until_gone(*session.pids, timeout=max(end - boot_s(), 0.1))

    def open_on_terminal(self, slave):
        session = Session(self, f"setsid -c sh -c 'echo $$ >$DIR/shell; exec sleep 300' </dev/fd/{slave} & wait",
                          pass_fds=[slave])
        session.open()
        session.pids = [session.host.pid, self.pid_in("shell")]
        return session

    @staticmethod
    def read_terminal(master):
        text = b""
        while select.select([master], [], [], 0.5)[0]:
            try:
                text += os.read(master, 65536)
            except OSError:  # its last user is gone
                break
        return text.decode()
