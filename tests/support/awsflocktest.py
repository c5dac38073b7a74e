"""What the whole-program tests share: the program under test, DynamoDB Local, clean surroundings, terminals.

The environment says where things are:
  AWSFLOCK                 the program under test (default: awsflock in PATH)
  AWSFLOCK_TEST_ENDPOINT   a running DynamoDB Local, or
  AWSFLOCK_DYNAMODB_LOCAL  the directory of DynamoDBLocal.jar: one is started for this test file, and ended with it

Nothing is shared between test files but that server; every test has its own table, directory and home.
SPDX-License-Identifier: Apache-2.0
"""
import atexit
import contextlib
import errno
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import typing
import unittest
import urllib.error
import urllib.request
import uuid

ACCESS_KEY = "AKIAEXAMPLEEXAMPLE"
SECRET_KEY = "exampleexampleexampleexampleexampleexam"
REGION = "us-east-1"
PATIENCE_S = 60  # how long a test waits for something that should come at once
LEASE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
UNKNOWN_LEASE_ID = "00000000-0000-4000-8000-000000000000"


class Result(typing.NamedTuple):
    code: int
    out: str
    err: str


def ignore_no_signals():
    """What this process ignores from its start (SIGHUP under nohup, SIGINT and SIGQUIT in the background of a script)
    the programs that it starts would ignore too.  What it catches it does not hand down: so it catches them, and goes on.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
                   signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


ignore_no_signals()


# ---- The program ------------------------------------------------------------------------------------------------


def program():
    """The command line of the program under test, and what its environment needs.

    Libtool's wrapper script is stepped over: it is a shell, which minds closed descriptors and takes its time.
    """
    words = shlex.split(os.environ.get("AWSFLOCK", "awsflock"))
    found = shutil.which(words[-1])
    if found is None:
        raise FileNotFoundError(f"no awsflock to test: {words[-1]!r} (set AWSFLOCK)")
    path = pathlib.Path(found).resolve()
    real = path.parent / ".libs" / path.name
    if real.is_file():
        return words[:-1] + [str(real)], {"LD_LIBRARY_PATH": str(real.parent)}
    return words[:-1] + [str(path)], {}


KEPT_VARIABLES = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "LLVM_PROFILE_FILE", "GCOV_PREFIX")


def clean_environment(home, **more):
    """An environment with nothing of the caller's that awsflock or AWS tools would read."""
    config = pathlib.Path(home) / "no-settings.conf"
    config.touch()
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment.update(program()[1])
    environment.update(HOME=str(home), TMPDIR=str(home), LC_ALL="C.UTF-8", TZ="UTC", TERM="dumb",
                       AWSFLOCK_CONFIG=str(config), AWS_EC2_METADATA_DISABLED="true",
                       AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
    environment.update(more)
    return environment


def command(*arguments):
    return program()[0] + list(arguments)


def run(arguments, environment, *, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE_S, **more):
    """Runs a whole command line to its end.  One that hangs is killed and fails the test."""
    done = subprocess.run(arguments, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                          timeout=timeout, check=False, **more)
    return Result(done.returncode, (done.stdout or b"").decode(errors="surrogateescape"),
                  done.stderr.decode(errors="surrogateescape"))


# Root reads and writes everything; without these two capabilities file modes count for root too.
def without_root_powers(arguments):
    if os.geteuid() != 0:
        return list(arguments)
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--", *arguments]


def process_state(pid):
    """R, S, T, Z, ... of a process; None where there is none."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return re.search(r"^State:\s+(\S)", status, re.M).group(1)


def runs(pid):
    return process_state(pid) not in (None, "Z", "X")


def kill_if_running(pid, number=signal.SIGKILL):
    """For who may end at any moment: by itself, or with another one that was just killed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_at_end(test, pid):
    """Kills the process PID at the end of TEST if it still runs by then, and nobody who got its number since."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    test.addCleanup(os.close, pidfd)

    def kill():
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    test.addCleanup(kill)


def status_field(pid, field):
    """A line of /proc/PID/status, as its words."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.split()
    raise AssertionError(f"no {field} of {pid}")


def end_process(process):
    """Kills a process that still runs, and closes what it was connected by."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def wait_until(predicate, timeout=PATIENCE_S, what="what was waited for"):
    """Returns what PREDICATE returns once that is true.  The longer it takes to ask, the seldomer it is asked: what is
    waited for needs the processors too."""
    end = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        value = predicate()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"{what} did not come within {timeout} s")
        time.sleep(min(max(0.01, 4 * (now - began)), 0.1))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


_closed = socket.socket()


def closed_port():
    """A port of the loopback where nobody listens, and nobody can begin to as long as this test file runs."""
    if _closed.getsockname()[1] == 0:
        _closed.bind(("127.0.0.1", 0))
    return _closed.getsockname()[1]


# ---- A terminal -------------------------------------------------------------------------------------------------


class Terminal:
    """A command on a terminal of its own, as its session's leader, with a person at the keyboard: the test."""

    def __init__(self, arguments, environment, cwd=None):
        self.output = ""
        self.code = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                if cwd is not None:
                    os.chdir(cwd)
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                os.execvpe(arguments[0], arguments, environment)
            finally:
                os._exit(127)

    def type(self, text):
        os.write(self.master, text.encode())

    def resize(self, rows, columns):
        import struct
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def foreground_group(self):
        return os.tcgetpgrp(self.master)

    def pump(self, seconds=0.05):
        """Takes in what has been written; False once the terminal is closed."""
        readable, _, _ = select.select([self.master], [], [], seconds)
        if not readable:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno == errno.EIO:  # the last user of the other side is gone
                return False
            raise
        self.output += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, timeout=PATIENCE_S):
        """The first match of PATTERN in everything written so far."""
        end = time.monotonic() + timeout
        is_open = True
        while True:
            match = re.search(pattern, self.output)
            if match:
                return match
            if not is_open or time.monotonic() > end:
                raise AssertionError(f"{pattern!r} did not appear on the terminal: {self.output!r}")
            is_open = self.pump()

    def wait(self, timeout=PATIENCE_S):
        """The exit code (negative: the signal), once the command has ended."""
        end = time.monotonic() + timeout
        is_open = True
        while self.code is None:
            if is_open:
                is_open = self.pump()
            else:
                time.sleep(0.01)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError(f"still running after {timeout} s; wrote {self.output!r}")
        while is_open and select.select([self.master], [], [], 0)[0]:
            is_open = self.pump(0)
        return self.code

    def close(self):
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.code = -signal.SIGKILL
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


# ---- DynamoDB Local ---------------------------------------------------------------------------------------------


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:  # an answer all the same: a bare GET is no DynamoDB request
        error.close()
        return True
    except OSError:
        return False
    return True


class DynamoDBLocal:
    """AWS's emulator, started from its jar on a free port."""

    def __init__(self, directory, log):
        self.process = None
        for _ in range(5):  # the port may be taken between the asking and the starting
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            with open(log, "ab") as output:
                self.process = subprocess.Popen(
                    # ended with this process, however that ends
                    ["setpriv", "--pdeathsig", "TERM", "java", "-Xmx512m", "-Djava.library.path=DynamoDBLocal_lib",
                     "-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)],
                    cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            wait_until(lambda: self.process.poll() is not None or answers(self.url), 90, "DynamoDB Local's answer")
            if self.process.poll() is None:
                return
        raise RuntimeError(f"DynamoDB Local does not start, see {log}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_own_server = None


def dynamodb_endpoint():
    """The URL of a DynamoDB Local that answers, or SkipTest where there is none."""
    global _own_server
    given = os.environ.get("AWSFLOCK_TEST_ENDPOINT")
    if given:
        return given
    directory = os.environ.get("AWSFLOCK_DYNAMODB_LOCAL")
    if not directory:
        raise unittest.SkipTest("no DynamoDB Local: set AWSFLOCK_TEST_ENDPOINT or AWSFLOCK_DYNAMODB_LOCAL")
    if _own_server is None:
        scratch = tempfile.mkdtemp(prefix="awsflock-dynamodb-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        _own_server = DynamoDBLocal(directory, os.path.join(scratch, "log"))
        atexit.register(_own_server.end)
    return _own_server.url


def boto3_client(endpoint, **more):
    """An independent client: AWS's own library, with no retries and no settings but these."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise unittest.SkipTest(f"no boto3: {error}")
    return boto3.client("dynamodb", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=ACCESS_KEY,
                        aws_secret_access_key=SECRET_KEY,
                        config=Config(retries={"total_max_attempts": 1}, proxies={}, **more))


def create_table(client, name, key="lock_id", key_type="S"):
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                        AttributeDefinitions=[{"AttributeName": key, "AttributeType": key_type}],
                        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}])
    return name


def unprotect_table(endpoint, name):
    """Turns deletion protection off, which Debian 12's boto3 does not know yet.  DynamoDB Local reads no signatures."""
    request = urllib.request.Request(endpoint, json.dumps({"TableName": name, "DeletionProtectionEnabled": False}).encode(), {
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.UpdateTable",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/dynamodb/aws4_request, "
                         "SignedHeaders=host, Signature=0"})
    urllib.request.urlopen(request, timeout=30).close()


# ---- Test cases -------------------------------------------------------------------------------------------------


class EndedSubtests(unittest.TestCase):
    """What a subtest starts ends with it: so one that fails takes no other along."""

    @contextlib.contextmanager
    def subTest(self, *message, **parameters):
        outer, self._cleanups = self._cleanups, []
        failed = True
        try:
            with super().subTest(*message, **parameters):
                yield
                failed = False
        finally:
            self.doCleanups()
            self._cleanups = outer
        if failed:
            self.settle()

    def settle(self):
        """Waits, after a subtest that failed, for what ends by itself behind what has been ended."""


class ProgramTest(unittest.TestCase):
    """A test with a directory and an environment of its own, and awsflock."""

    maxDiff = None

    def setUp(self):
        super().setUp()
        scratch = tempfile.TemporaryDirectory(prefix="awsflock-test-", ignore_cleanup_errors=True)
        self.addCleanup(scratch.cleanup)
        self.directory = pathlib.Path(scratch.name)
        home = self.directory / "home"
        home.mkdir()
        self.environment = clean_environment(home)

    def environment_with(self, **changes):
        """The test's environment with CHANGES; None takes a variable out."""
        environment = {**self.environment, **changes}
        return {name: str(value) for name, value in environment.items() if value is not None}

    def awsflock(self, *arguments, changes=None, **more):
        """awsflock with just these arguments, run to its end."""
        return run(command(*arguments), self.environment_with(**(changes or {})), **more)

    def start(self, arguments, changes=None, **more):
        """Starts a command line that is killed at the end of the test where it still runs."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen(arguments, env=self.environment_with(**(changes or {})), **streams)
        self.addCleanup(end_process, process)
        return process

    def job(self):
        """A command line that creates the file `started` and works on until the file `finish` is there."""
        return ["sh", "-c", 'touch "$0/started"; while [ -d "$0" ] && [ ! -e "$0/finish" ]; do sleep 0.02; done',
                str(self.directory)]

    def wait_for_job(self, process):
        wait_until(lambda: (self.directory / "started").exists() or process.poll() is not None, what="the job's start")

    def finish_job(self, process):
        """Lets the job end; the exit code and stderr of PROCESS, which ran it."""
        (self.directory / "finish").touch()
        _, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, err.decode()

    def on_terminal(self, arguments, changes=None):
        terminal = Terminal(arguments, self.environment_with(**{"TERM": "xterm", **(changes or {})}))
        self.addCleanup(terminal.close)
        return terminal

    def write(self, name, content):
        """A file of the test's own; its path."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def assertSays(self, result, code, *words, lines=1):
        """The exit code, and one clear line on stderr (at most LINES) that holds each of WORDS."""
        shown = f"exit {result.code}, stdout {result.out!r}, stderr {result.err!r}"
        self.assertEqual(result.code, code, shown)
        said = result.err.splitlines()
        self.assertTrue(1 <= len(said) <= lines, f"at most {lines} were expected: {shown}")
        for line in said:
            self.assertTrue(line.startswith("awsflock: ") and line.isprintable() and len(line) > 20, shown)
        for word in words:
            self.assertIn(word.lower(), result.err.lower(), shown)

    def assertInDoubt(self, result, lock):
        """What an acquire -v says after a request of unknown outcome: what it may have taken is given back meanwhile."""
        self.assertEqual((result.code, result.out), (1, ""), result)
        self.assertRegex(result.err, rf"'{lock}' may have been taken: process \d+ gives it back\n")

    def after_giving_back(self, result):
        """RESULT, of a command with -v, without what -v adds; the process that it names as giving back has ended then."""
        for process in re.findall(r"may have been taken: process (\d+) gives it back", result.err):
            wait_until(lambda process=process: process_state(process) is None, what="the end of the giving back")
        added = re.compile(r"awsflock: (credentials come from|[A-Z][A-Za-z]+Item: |'.*' may have been taken: process )")
        kept = "".join(line for line in result.err.splitlines(True) if not added.match(line))
        return result._replace(err=kept)

    def assertTimeSince(self, began, moment):
        """The epoch seconds MOMENT lie between BEGAN and now, whole seconds and estimates to a second being allowed for."""
        self.assertLessEqual(began - 3, moment)
        self.assertLessEqual(moment, time.time() + 8)

    def assertWorked(self, result):
        self.assertEqual(result.code, 0, f"stdout {result.out!r}, stderr {result.err!r}")

    def assertLeaseId(self, text):
        """TEXT is a lease id alone on its line; returned."""
        self.assertTrue(text.endswith("\n"), repr(text))
        self.assertRegex(text[:-1], f"^{LEASE_ID.pattern}$")
        return text[:-1]


class StoreTest(ProgramTest):
    """A test of what any store must do.  Mixed with one of the two below."""

    def flock(self, subcommand, *arguments, **more):
        """awsflock SUBCOMMAND on this test's store."""
        return self.awsflock(subcommand, *self.store_options(), *arguments, **more)

    def flock_command(self, subcommand, *arguments):
        return command(subcommand, *self.store_options(), *arguments)

    def acquire(self, lock, *options):
        """Takes a lock that must be free; the lease id."""
        result = self.flock("acquire", *options, "--no-wait", "--", lock)
        self.assertWorked(result)
        return self.assertLeaseId(result.out)

    def status(self, lock):
        result = self.flock("status", "--json", "--", lock)
        self.assertWorked(result)
        return json.loads(result.out)

    def listing(self, *arguments):
        result = self.flock("list", "--json", *arguments)
        self.assertWorked(result)
        return {entry["lock_id"]: entry for entry in json.loads(result.out)}

    def assertFree(self, lock):
        status = self.status(lock)
        self.assertFalse(status["held"], status)

    def assertHeld(self, lock, lease_id):
        status = self.status(lock)
        self.assertTrue(status["held"], status)
        self.assertEqual(status["lease_id"], lease_id)
        return status


class OnLocalStore(StoreTest):
    store_kind = "local"

    def setUp(self):
        super().setUp()
        self.store = self.directory / "store"

    def store_options(self):
        return [f"--local={self.store}"]

    def store_files(self):
        """The files that hold the locks."""
        found = []
        for path in self.store.rglob("*"):
            if path.is_file() and path.read_bytes().startswith(b"{"):
                found.append(path)
        return found

    def let_expire(self, lock):
        """Makes LOCK's lease one of an earlier boot, which is over."""
        this_boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        changed = 0
        for path in self.store_files():
            text = path.read_text(encoding="utf-8")
            if json.loads(text).get("lock_id") == lock and this_boot in text:
                path.write_text(text.replace(this_boot, str(uuid.uuid4())), encoding="utf-8")
                changed += 1
        self.assertEqual(changed, 1, "no file of that lock names this boot")


class OnDynamoDB(StoreTest):
    store_kind = "dynamodb"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint = dynamodb_endpoint()
        cls.client = boto3_client(cls.endpoint)

    def setUp(self):
        super().setUp()
        self.table = create_table(self.client, f"test-{uuid.uuid4()}")
        self.addCleanup(self.client.delete_table, TableName=self.table)
        self.environment["AWSFLOCK_TABLE"] = self.table
        self.use_endpoint(self.endpoint)

    def use_endpoint(self, url):
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = url

    def store_options(self):
        return []

    def item(self, lock):
        """The lock's item as the table has it, or None."""
        return self.client.get_item(TableName=self.table, Key={"lock_id": {"S": lock}}, ConsistentRead=True).get("Item")

    def put_item(self, lock, **attributes):
        item = {"lock_id": {"S": lock}, **attributes}
        self.client.put_item(TableName=self.table, Item=item)
        return item

    def item_count(self):
        return self.client.scan(TableName=self.table, ConsistentRead=True)["Count"]

    def let_expire(self, lock):
        """Makes LOCK's lease one that ended two hours ago."""
        self.client.update_item(TableName=self.table, Key={"lock_id": {"S": lock}},
                                UpdateExpression="SET expiration_time = :then",
                                ConditionExpression="attribute_exists(lock_id)",
                                ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 7200)}})


def on_both_stores(body):
    """Decorates a class of test bodies: puts BodyOnDynamoDB and BodyOnLocalStore beside it.

    The body itself is no TestCase, so only these two are run."""
    module = sys.modules[body.__module__]
    for store in (OnDynamoDB, OnLocalStore):
        name = body.__name__ + store.__name__
        made = type(name, (body, store), {"__module__": body.__module__, "__qualname__": name})
        setattr(module, name, made)
    return body
