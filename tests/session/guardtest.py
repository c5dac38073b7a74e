"""What the tests of a guard share: its configuration, the PAM lines, and a look at the lock and its keepers.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import uuid

from sessiontest import (PLAIN_ENVIRONMENT, SshTest, kill_if_running, pam_file, processes_like, runs, status_field,
                         wait_until)
from awsflocktest import ACCESS_KEY, REGION, SECRET_KEY, boto3_client, create_table, dynamodb_endpoint

KEEPER = os.environ.get("AWSFLOCK_KEEPER", "/usr/local/libexec/awsflock-keeper")
MODULE = os.environ.get("AWSFLOCK_PAM_MODULE", "/usr/local/lib/security/pam_awsflock.so")
PROGRAM = os.environ.get("AWSFLOCK_PREFIX", "/usr/local") + "/bin/awsflock"
CONF = pathlib.Path(os.environ.get("AWSFLOCK_SYSCONFDIR", "/usr/local/etc"), "awsflock.conf")
STORE = pathlib.Path("/run/store-of-tests")
LEASE_S = 12  # the shortest with grace = 2 and end = 2 is this
SHORT = {"lock": "ops", "lease": f"{LEASE_S}s", "grace": "2s", "end": "2s"}
LOCAL = {"store": "local", "local_dir": str(STORE)}
PF_EXITING = 0x4  # linux/sched.h
SU_AUTH = "auth sufficient pam_permit.so"
SERVICES = ("sshd", "sudo", "sudo-i", "su", "su-l", "login")


def is_ending(pid):
    """The kernel ends it: none of its code runs any more.  The first of a process namespace waits so for all others."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return bool(int(stat.rpartition(")")[2].split()[6]) & PF_EXITING)


def may_run(pid):
    """Whoever is ended may stand there for a while yet, on a busy machine."""
    try:
        return runs(pid) and not is_ending(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False


def section(name, keys):
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in keys.items()), ""])


def configure(store=None, **guards):
    """Writes awsflock.conf; GUARDS: a section's keys each, over SHORT (None takes one out)."""
    text = section("awsflock", store or LOCAL)
    for name, keys in (guards or {"ops": {}}).items():
        merged = {key: value for key, value in {**SHORT, **keys}.items() if value is not None}
        text += section(f"guard {name}", merged)
    write_conf(text)


def write_conf(text, path=CONF):
    os.makedirs(path.parent, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.chmod(path, 0o644)


def guard(service, arguments="guard=ops", account=False):
    """Puts the guard's line before all others of SERVICE's file."""
    lines = [SU_AUTH] if service in ("su", "su-l") else []
    lines += [f"account requisite {MODULE} {arguments}"] if account else []
    pam_file(service, *lines, f"session requisite {MODULE} {arguments}")


def keepers():
    """The pids of all that belongs to keepers: guardians, standbys and renewers."""
    return processes_like(r"awsflock-keeper")


class GuardTest(SshTest):
    """A test of guards on a local store, which is empty at the start."""

    def setUp(self):
        super().setUp()
        shutil.rmtree(STORE, ignore_errors=True)
        STORE.mkdir(mode=0o700)
        configure()
        self.addCleanup(self.wait_for_no_keeper)

    def wait_for_no_keeper(self):
        """Registered first, so done last: whoever was there has been ended, and every keeper follows."""
        wait_until(lambda: not keepers(), what="the end of every keeper")

    def settle(self):
        with contextlib.suppress(AssertionError):  # of a session that the subtests share
            wait_until(lambda: not keepers(), 10)

    def kill_keepers(self):
        """None of them sees another's end."""
        parts = keepers()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in parts:
                kill_if_running(pid, number)  # a renewer leaves with its guardian
        self.wait_until_gone(*parts)

    # -- the lock

    store_options = [f"--local={STORE}"]
    store_environment = {}

    def awsflock(self, *arguments):
        """awsflock as root on the guard's store: (exit code, stdout, stderr)."""
        subcommand, *rest = arguments
        environment = {**PLAIN_ENVIRONMENT, **self.store_environment}
        return self.run_to_end([PROGRAM, subcommand, *self.store_options, *rest], environment=environment)

    def status(self, lock="ops"):
        code, out, err = self.awsflock("status", "--json", lock)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def is_held(self, lock="ops"):
        return self.status(lock)["held"]

    def assertFree(self, lock="ops"):
        status = self.status(lock)
        self.assertFalse(status["held"], status)

    def assertHeldBy(self, person, lock="ops"):
        status = self.status(lock)
        self.assertTrue(status["held"], status)
        self.assertEqual(status["holder"]["user"], person)
        return status["holder"]

    def break_lock(self, *options, lock="ops"):
        """Evicts the holder, who may renew in between."""
        code = 3
        while code == 3:
            code, _, err = self.awsflock("break", *options, "--lease-id", self.status(lock)["lease_id"], lock)
        self.assertEqual(code, 0, err)

    def wait_until_free(self, lock="ops"):
        wait_until(lambda: not self.is_held(lock), what=f"the release of {lock}")

    def wait_until_held(self, lock="ops"):
        return wait_until(lambda: self.status(lock) if self.is_held(lock) else None, what=f"the taking of {lock}")

    def assertHeldUntilGone(self, *pids, lock="ops"):
        """The lock is held as long as one of the processes runs, whoever asks whenever; at last none does."""
        while any(runs(pid) for pid in pids):
            held = self.is_held(lock)
            self.assertTrue(held or not any(may_run(pid) for pid in pids), "free while a process of the session was alive")

    # -- sessions

    ENTERED = "echo entered; exec cat"

    def enter(self, person, script=ENTERED, terminal=False, options=()):
        """An ssh session of PERSON's that stays until its input ends; it has been let in."""
        if terminal:
            session = self.ssh_terminal(person, script, options=options)
            session.expect("entered")
            return session
        session = self.start_ssh(person, script, options=options, stdin=-1)
        line = session.stdout.readline().decode()
        if line != "entered\n":
            self.fail(f"not let in: {line!r}, then {session.communicate()}")
        return session

    @staticmethod
    def leave(session):
        session.stdin.close()
        session.wait(60)

    def sudo_as(self, person, *command, environment=None):
        return self.run_to_end(["sudo", *command], person, environment=environment)

    def assertRefused(self, result, *words):
        """RESULT of a command that was not run: nothing on stdout but the reason."""
        code, out, err = result
        self.assertNotEqual(code, 0, (out, err))
        for word in words:
            self.assertRegex(out + err, word)

    def assertRefusedWithoutReason(self, result, *words):
        """The person learns no more than that the administrator's log says why; and that has WORDS."""
        self.assertRefused(result, "the administrator's log says why")
        for word in words:
            self.logged(word)
            self.assertNotRegex(result[1] + result[2], word)

    def guardian(self):
        """The pid of the only guardian: root, and not the one in standby."""
        def find():
            return [pid for pid in processes_like(r"awsflock-keeper: guardian") if status_field(pid, "Uid")[0] == "0"]
        wait_until(lambda: len(find()) == 1, what="one guardian alone")
        return find()[0]

    def only_monitor(self, person):
        [pid] = processes_like(rf"^sshd: {person} \[priv\]")
        return pid


class DynamoDBSettings:
    """Where a guard finds the tests' DynamoDB Local, over the proxy or directly."""

    credentials = pathlib.Path("/etc/awsflock-credentials")

    def set_up_table(self):
        """A table of the test's own, which awsflock() uses from now on; returns its endpoint and its name."""
        endpoint = dynamodb_endpoint()
        client = boto3_client(endpoint)
        table = create_table(client, f"session-{uuid.uuid4()}")
        self.addCleanup(client.delete_table, TableName=table)
        self.store_options = []
        self.store_environment = {"AWSFLOCK_TABLE": table, "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
                                  "AWS_REGION": REGION, "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials)}
        return endpoint, table

    @classmethod
    def write_credentials(cls):
        cls.credentials.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\n"
                                   f"aws_secret_access_key = {SECRET_KEY}\n", encoding="ascii")
        os.chmod(cls.credentials, 0o600)

    @classmethod
    def settings(cls, url, table, **more):
        cls.write_credentials()
        return {"table": table, "region": REGION, "endpoint_url": url, "credentials_file": str(cls.credentials),
                "connect_timeout": "1s", "request_timeout": "2s", **more}
