"""What the tests of the session guard share: people who log in over ssh, use sudo, su and login, on a machine of the
tests' own (namespace.py).  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import socket
import subprocess
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[1] / "support")]
import namespace  # noqa: E402
from awsflocktest import (PATIENCE_S, EndedSubtests, Terminal, end_process, free_port, kill_at_end,  # noqa: E402,F401
                          kill_if_running, runs, status_field, wait_until)
from systemlog import SystemLog  # noqa: E402

PEOPLE = namespace.PEOPLE
PLAIN_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb"}


def processes():
    """pid -> command line, of everything that runs in here."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and runs(entry):
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(entry)] = " ".join(word.decode(errors="replace") for word in words).strip()
    return found


def processes_like(pattern):
    return sorted(pid for pid, line in processes().items() if re.search(pattern, line))


# ---- sshd -------------------------------------------------------------------------------------------------------


class Sshd:
    """A real sshd on a loopback port of its own, with key login for everybody in here."""

    directory = pathlib.Path("/run/ssh-of-tests")

    def __init__(self, *more_settings):
        self.directory.mkdir(exist_ok=True)
        self.log = self.directory / "log"
        self._make_keys()
        for _ in range(5):  # the port may be taken between the asking and the starting
            self.port = free_port()
            self.process = self._start(more_settings)
            if wait_until(self._answers_or_ended, what="sshd's answer") == "answers":
                break
        else:
            raise RuntimeError(f"sshd does not start: {self.log.read_text(encoding='utf-8')}")
        self.make_known()

    def _make_keys(self):
        for name in ("host", *PEOPLE):
            key = self.directory / name
            if not key.exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)
        for name, number in PEOPLE.items():
            directory = pathlib.Path("/home", name, ".ssh")
            directory.mkdir(exist_ok=True)
            (directory / "authorized_keys").write_bytes((self.directory / f"{name}.pub").read_bytes())
            for path in (directory, directory / "authorized_keys"):
                os.chown(path, number, number)

    def make_known(self):
        key = (self.directory / "host.pub").read_text(encoding="ascii")
        (self.directory / "known").write_text(f"[127.0.0.1]:{self.port} {key}", encoding="ascii")

    def _start(self, more_settings):
        settings = self.directory / "sshd_config"
        settings.write_text("\n".join([
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.directory}/host", "UsePAM yes",
            "PidFile none", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "MaxStartups 100",
            "PrintMotd no", "LogLevel DEBUG1", "Subsystem sftp internal-sftp", *more_settings, ""]),
            encoding="ascii")
        with open(self.log, "ab") as log:
            return subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", settings], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, env=PLAIN_ENVIRONMENT, cwd="/")

    def _answers_or_ended(self):
        if self.process.poll() is not None:
            return "ended"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                return "answers" if connection.recv(4) == b"SSH-" else None
        except OSError:
            return None

    def client(self, person, *arguments, options=()):
        """The command line of an ssh of PERSON's; ARGUMENTS: the remote command."""
        return ["ssh", "-F", "none", "-i", str(self.directory / person), "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={self.directory}/known", "-o", "BatchMode=yes", "-p", str(self.port),
                *options, f"{person}@127.0.0.1", *arguments]

    def monitors(self):
        """The pids of the privileged monitors of open connections: sshd's own children that still run as root."""
        return [pid for pid in processes_like(r"^sshd: .*\[priv\]")]

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


# ---- PAM files --------------------------------------------------------------------------------------------------


def pam_file(service, *first_lines):
    """Debian's file of SERVICE with FIRST_LINES before all others."""
    pristine = namespace.PRISTINE_PAM / service
    text = pristine.read_text(encoding="utf-8") if pristine.exists() else ""
    pathlib.Path("/etc/pam.d", service).write_text("\n".join([*first_lines, text]), encoding="utf-8")


def restore_pam_files():
    for file in pathlib.Path("/etc/pam.d").iterdir():
        pristine = namespace.PRISTINE_PAM / file.name
        if pristine.exists():
            file.write_bytes(pristine.read_bytes())
        else:
            file.unlink()


def sudoers(*lines):
    path = pathlib.Path("/etc/sudoers")
    path.write_text("\n".join(["Defaults !lecture, use_pty", "root ALL=(ALL:ALL) ALL",
                               *(f"{name} ALL=(ALL:ALL) NOPASSWD: ALL" for name in PEOPLE), *lines, ""]),
                    encoding="utf-8")
    os.chmod(path, 0o440)


# ---- Test cases -------------------------------------------------------------------------------------------------


@unittest.skipUnless(os.geteuid() == 0, "sessions are opened by root alone")
class SessionTest(EndedSubtests):
    """A test inside.  Each begins with Debian's own PAM files, and ends with every process ended that it started."""

    maxDiff = None
    log: SystemLog
    _log = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if SessionTest._log is None:
            SessionTest._log = SystemLog()

    def setUp(self):
        super().setUp()
        self.log = SessionTest._log
        self.log_start = len(self.log.lines())
        restore_pam_files()
        pam_file("su", "auth sufficient pam_permit.so")
        pam_file("su-l", "auth sufficient pam_permit.so")
        sudoers()

    # -- people at work

    def start(self, arguments, person=None, environment=None, **more):
        """Starts a command line as PERSON (root where None), killed at the end of the test where it still runs."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        as_person = {}
        if person is not None:
            as_person = {"user": person, "group": person, "extra_groups": os.getgrouplist(person, PEOPLE[person]),
                         "cwd": f"/home/{person}"}
        process = subprocess.Popen(arguments, env={**PLAIN_ENVIRONMENT, **(environment or {})},
                                   **{**as_person, **streams})
        self.addCleanup(end_process, process)
        return process

    def run_to_end(self, arguments, person=None, **more):
        """(exit code, stdout, stderr)"""
        process = self.start(arguments, person, **more)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")

    def on_terminal(self, arguments, person=None, environment=None):
        """The same on a terminal of its own."""
        if person is not None:
            arguments = ["setpriv", f"--reuid={person}", f"--regid={person}", "--init-groups", "--", *arguments]
        terminal = Terminal(arguments, {**PLAIN_ENVIRONMENT, **(environment or {})}, cwd="/")
        self.addCleanup(terminal.close)
        return terminal

    # -- what is seen

    def logged(self, pattern):
        """The first line of the system log since the test's start that matches, once it is there."""
        return wait_until(lambda: self.log.find(pattern, self.log_start), what=f"{pattern!r} in the log")[0]

    def not_logged(self, pattern):
        self.assertEqual(self.log.find(pattern, self.log_start), [])

    def wait_until_gone(self, *pids):
        wait_until(lambda: not any(runs(pid) for pid in pids), what=f"the end of {pids}")

    def pid_in(self, path):
        """The pid that a process in here writes to a file, whole lines only."""
        wait_until(lambda: os.path.exists(path) and pathlib.Path(path).read_text(encoding="ascii").endswith("\n"),
                   what=f"a pid in {path}")
        return int(pathlib.Path(path).read_text(encoding="ascii"))


class SshTest(SessionTest):
    """A test with an sshd, which one test class shares."""

    sshd: Sshd

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sshd = Sshd()
        cls.addClassCleanup(cls.sshd.end)

    def ssh(self, person, *arguments, options=()):
        """An ssh of PERSON's, run to its end: (exit code, stdout, stderr)."""
        return self.run_to_end(self.sshd.client(person, *arguments, options=options))

    def start_ssh(self, person, *arguments, options=(), **more):
        return self.start(self.sshd.client(person, *arguments, options=options), **more)

    @staticmethod
    def end_ssh(process):
        """Ends an ssh in order.  It misses a signal that comes between its look for one and its poll(): it is told again."""
        wait_until(lambda: process.poll() is not None or process.terminate(), what="the end of ssh")

    def ssh_terminal(self, person, *arguments, options=()):
        return self.on_terminal(self.sshd.client(person, *arguments, options=["-tt", *options]))


namespace.enter()
