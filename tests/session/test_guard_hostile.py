"""A caller of sudo who prepares everything that a process can hand down: nothing of it reaches the keeper.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import GuardTest, guard, keepers  # noqa: E402
from sessiontest import runs, status_field, sudoers  # noqa: E402

ENVIRONMENT = {
    "HTTPS_PROXY": "http://203.0.113.1:1", "http_proxy": "http://203.0.113.1:1", "AWS_PROFILE": "evil",
    "AWS_CONFIG_FILE": "/home/alice/aws", "AWS_SHARED_CREDENTIALS_FILE": "/home/alice/aws",
    "AWS_ENDPOINT_URL": "http://203.0.113.1:1", "AWSFLOCK_CONFIG": "/home/alice/awsflock.conf",
    "AWSFLOCK_TABLE": "evil", "SSL_CERT_FILE": "/home/alice/ca", "OPENSSL_CONF": "/home/alice/openssl.cnf",
    "LD_PRELOAD": "/home/alice/evil.so", "LD_LIBRARY_PATH": "/home/alice", "LC_ALL": "tr_TR.UTF-8",
    "HOME": "/home/alice", "TZ": ":/home/alice/tz", "MALLOC_CHECK_": "3",
}
# Runs its arguments under every handicap that an unprivileged caller can set.
HANDICAP = r"""
import ctypes, os, resource, signal, sys
for name, limit in (("NOFILE", 64), ("CPU", 5), ("FSIZE", 1 << 20), ("STACK", 1 << 20), ("CORE", 0),
                    ("AS", 256 << 20), ("DATA", 128 << 20), ("MEMLOCK", 0)):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
os.nice(19)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
open("/proc/self/oom_score_adj", "w").write("1000")
ctypes.CDLL(None).prctl(29, 10 ** 10, 0, 0, 0)  # PR_SET_TIMERSLACK: ten seconds
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
os.umask(0)
os.chdir("/home/alice")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def read(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")


def limit(pid, name):
    [line] = [line for line in read(pid, "limits").splitlines() if line.startswith(name)]
    return line[len("Max file locks            "):].split()[0]


class HostileCallerTest(GuardTest):
    def setUp(self):
        super().setUp()
        sudoers("Defaults !env_reset, setenv, !closefrom_override")
        guard("sudo")
        pathlib.Path("/home/alice/aws").write_text(
            "[profile evil]\ncredential_process = /usr/bin/touch /run/pwned\n"
            "[default]\ncredential_process = /usr/bin/touch /run/pwned\n", encoding="ascii")
        pathlib.Path("/home/alice/awsflock.conf").write_text("[awsflock]\nlocal_dir = /home/alice/store\n",
                                                             encoding="ascii")
        self.session = None

    def open_handicapped(self):
        session = self.start(["/usr/bin/python3", "-c", HANDICAP, "sudo", "-E", "sh", "-c",
                              "echo entered; exec sleep 300 >&2"], "alice", environment=ENVIRONMENT)
        line = session.stdout.readline()
        if line != b"entered\n":
            self.fail(session.communicate())
        self.addCleanup(self.end_sudo, session)
        self.keeper = keepers()
        self.assertEqual(len(self.keeper), 3, "guardian, standby and renewer")
        return session

    @staticmethod
    def end_sudo(session):
        session.kill()
        session.wait()

    def test_the_keeper_is_a_clean_process(self):
        self.open_handicapped()
        self.assertHeldBy("alice")
        self.assertFalse(os.path.exists("/run/pwned"))
        self.assertFalse(os.path.exists("/home/alice/store"))
        tty = 5
        for pid in self.keeper:
            line = read(pid, "cmdline").replace("\0", " ")
            with self.subTest(line):
                self.assertEqual(len(set(status_field(pid, "Uid"))), 1, "one user, real and effective")
                self.assertNotIn("64101", status_field(pid, "Uid"))
                self.assertNotIn("64101", status_field(pid, "Gid"))
                self.assertLessEqual(set(status_field(pid, "Groups")), {str(tty)})
                environment = read(pid, "environ")
                self.assertNotRegex(environment, "alice|evil|203.0.113|LC_ALL|LD_|HTTP|AWS")
                self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
                self.assertEqual(int(status_field(pid, "Umask")[0], 8), 0o077)
                ignored = int(status_field(pid, "SigIgn")[0], 16)
                for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
                    self.assertFalse(ignored >> (number - 1) & 1, number)
                blocked = int(status_field(pid, "SigBlk")[0], 16)
                self.assertFalse(blocked >> (9 - 1) & 1)
                statistics = read(pid, "stat").rpartition(")")[2].split()
                self.assertEqual(statistics[16], "0", "nice")
                self.assertEqual(statistics[38], "0", "the scheduling policy")
                self.assertEqual(len(os.sched_getaffinity(pid)), len(os.sched_getaffinity(0)))
                self.assertNotEqual(read(pid, "oom_score_adj").strip(), "1000")
                self.assertLessEqual(int(read(pid, "timerslack_ns")), 50000)

    def test_the_keeper_is_no_child_of_the_hosts_and_out_of_its_session(self):
        session = self.open_handicapped()
        for pid in self.keeper:
            parent = int(status_field(pid, "PPid")[0])
            self.assertNotEqual(parent, session.pid)
            self.assertNotEqual(os.getsid(pid), os.getsid(session.pid))
            self.assertEqual(read(pid, "stat").rpartition(")")[2].split()[4], "0", "no terminal")

    def test_the_keepers_standard_streams_are_nobodys_and_it_holds_nothing_of_the_hosts(self):
        self.open_handicapped()
        for pid in self.keeper:
            for entry in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{entry}")
                if int(entry) < 3:
                    self.assertIn(target.split(":")[0], ("/dev/null", "socket"), (pid, entry))
                self.assertNotRegex(target, "pts|pipe|sudo|alice")

    def test_the_caller_can_neither_signal_nor_trace_the_keeper(self):
        self.open_handicapped()
        for pid in self.keeper:
            code, _, _ = self.run_to_end(["kill", "-9", str(pid)], "alice")
            self.assertNotEqual(code, 0)
            self.assertTrue(runs(pid))
            self.assertNotEqual(self.run_to_end(["cat", f"/proc/{pid}/environ"], "alice")[0], 0)

    def test_no_descriptor_of_the_modules_is_in_the_session(self):
        sudoers()
        code, out, _ = self.sudo_as("alice", "ls", "-l", "/proc/self/fd")
        self.assertEqual(code, 0)
        self.assertNotIn("socket:", out)
        self.assertNotIn("pidfd", out)
        guard("sshd")
        self.assertNotRegex(self.ssh("alice", "ls -l /proc/self/fd")[1], "pidfd")

    def test_closed_standard_streams_change_nothing(self):
        script = "exec <&- >&- 2>&-; exec sudo sh -c 'echo $AWSFLOCK_LOCK >/run/closed'"
        self.assertEqual(self.run_to_end(["sh", "-c", script], "alice")[0], 0)
        self.assertEqual(pathlib.Path("/run/closed").read_text(encoding="ascii"), "ops\n")

    def test_a_caller_without_descriptors_left_gets_nowhere(self):
        for limit_to in range(4, 12):
            script = f"ulimit -n {limit_to}; exec sudo sh -c 'echo lock=$AWSFLOCK_LOCK.'"
            code, out, _ = self.run_to_end(["sh", "-c", script], "alice")
            self.assertIn((code == 0, out), ((True, "lock=ops.\n"), (False, "")), limit_to)

    def test_a_file_that_others_may_write_is_no_configuration(self):
        path = pathlib.Path("/home/alice/awsflock.conf")
        path.write_text("[awsflock]\nstore = local\nlocal_dir = /run/store-of-tests\n[guard ops]\nlock = mine\n",
                        encoding="ascii")
        os.chown(path, 64101, 64101)
        guard("sudo", f"guard=ops conf={path}")
        self.assertRefusedWithoutReason(self.sudo_as("alice", "echo", "in"), "make it root's")
