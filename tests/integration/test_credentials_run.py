"""Credentials in a long run: renewed before they expire, kept where that fails; and the secrets in them stay secret.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import resource
import shlex
import signal
import threading
import unittest
import uuid

from awsflocktest import OnDynamoDB, command, kill_at_end, runs, wait_until
from awsservices import Keys, answer, signer_of, soon
from credentialstest import ENVIRONMENT, FILE, GRANTED, PROCESS, ROLE, WEB, Case, CredentialsTest, lines, variables
from proxy import Proxy, held_back

HUGE_BYTES = 1 << 28
SHORT_LEASE = ("--lease-duration", "3", "--kill-after", "0.4")


class RunTest(OnDynamoDB, CredentialsTest):
    """Requests go through a proxy to a real table, so that who signed them is seen."""

    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)

    def signers(self):
        return [signer_of(request.headers.get("authorization", "")) for request in list(self.proxy.requests)]

    def run_until(self, predicate, *arguments):
        """A run that ends once PREDICATE is true; its stderr."""
        running = self.start(self.flock_command("run", *SHORT_LEASE, *arguments, "deploy", *self.job()))
        wait_until(lambda: predicate() or running.poll() is not None, what="the renewals")
        code, err = self.finish_job(running)
        self.assertEqual(code, 0, err)
        return err

    def rotate(self, life_s):
        """A container that gives other keys each time."""
        container = self.services.container

        def action(handler):
            container.keys = Keys(f"ROTATED{len(container.requests())}", soon(life_s))
            container.serve(handler)
        container.on("*", action)

    def test_keys_are_renewed_before_they_expire(self):
        self.rotate(4)
        self.set_up(Case(None, variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}"}))
        self.run_until(lambda: len(set(self.signers())) >= 3)
        self.assertEqual(self.signers()[0], "ASIAROTATED1")

    def test_a_web_identity_gives_new_keys_for_the_token_that_its_file_has_then(self):
        """As CI systems rotate it: each token is good for one request here."""
        sts, file = self.services.sts, self.write("web-token", "identity.1")

        def action(handler):
            count = len(sts.requests())
            sts.web_tokens, sts.granted = {f"identity.{count}"}, {ROLE: Keys(f"ROTATED{count}", soon(4))}
            self.write("web-token.new", f"identity.{count + 1}").rename(file)
            sts.serve(handler)
        sts.on("*", action)
        self.set_up(Case(None, variables=WEB))
        self.assertNotIn("end in", self.run_until(lambda: len(set(self.signers())) >= 3))
        self.assertEqual(self.signers()[0], "ASIAROTATED1")

    def test_keys_in_the_environment_that_end_within_the_wanted_time_are_warned_of(self):
        lease = str(self.directory / "lease")
        for left_s, words, command, warned in (
                (1800, "acquire --lease-duration 1m", (), "within the hour"), (5000, "acquire --lease-duration 2h", (), "the lease"),
                (5000, "acquire --lease-duration 1h", (), None), (1800, "run", ("true",), "within the hour"),
                (5000, "run", ("true",), None), (1800, "hold --detach", (), "within the hour"),
                (5000, "hold --detach --max-hold 2h", (), "the limit"), (1800, "hold --detach --max-hold 10m", (), None)):
            with self.subTest(words, left_s=left_s):
                self.set_up(Case(None, variables={**variables(ENVIRONMENT), "AWS_CREDENTIAL_EXPIRATION": soon(left_s)}))
                is_hold = words.startswith("hold")
                result = self.flock(*words.split(), *(("--lease-file", lease) if is_hold else ()), f"deploy-{uuid.uuid4()}",
                                    *command)
                self.assertWorked(result)
                self.assertEqual(result.err.count("the keys from the environment end in"), 1 if warned else 0, result.err)
                self.assertEqual(result.err.count("\n"), 1 if warned else 0, result.err)
                if is_hold:
                    self.assertWorked(self.flock("release", "--lease-file", lease))

    def test_keys_in_the_environment_without_an_end_are_not_warned_of(self):
        self.set_up(Case(None, variables=variables(ENVIRONMENT)))
        self.assertEqual(self.flock("acquire", "--lease-duration", "2h", "--", str(uuid.uuid4())).err, "")

    def test_keys_that_last_are_not_asked_for_again(self):
        self.set_up(Case(None, variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}"}))
        self.run_until(lambda: self.proxy.count() >= 4)
        self.assertEqual(len(self.services.container.requests()), 1)

    def test_a_renewal_that_fails_leaves_the_old_keys_in_use(self):
        container = self.services.container
        container.keys = Keys("CONTAINER", soon(10))

        def once(handler):
            if len(container.requests()) == 1:
                container.serve(handler)
            else:
                handler.reply(404)
        container.on("*", once)
        # After half of such a short life keys are renewed.
        self.set_up(Case(None, variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}"}))
        running = self.start(self.flock_command("run", *SHORT_LEASE, "deploy", *self.job()))
        wait_until(lambda: len(container.requests()) >= 2 or running.poll() is not None, what="a renewal of the keys")
        code, err = self.finish_job(running)
        self.assertEqual(code, 0, err)
        self.assertIn("could not be renewed, and stay in use", err)

    def test_a_credential_process_renews_keys_while_a_command_runs(self):
        count = self.directory / "count"
        script = (f'echo >>{count}; n=$(wc -l <{count}); printf \'{{"Version": 1, "AccessKeyId": "ASIAPROCESS%s", '
                  '"SecretAccessKey": "s", "SessionToken": "t", "Expiration": "%s"}\' "$n" '
                  '"$(date -u -d "+4 seconds" +%Y-%m-%dT%H:%M:%SZ)"')
        self.places["printer"] = self.program("printer", script)
        self.set_up(Case(None, "[default]\ncredential_process = {printer}\n"))
        self.run_until(lambda: len(set(self.signers())) >= 3)

    def test_who_gives_a_lock_back_after_run_has_ended_runs_the_credential_process_by_itself(self):
        count = self.directory / "count"
        self.places["printer"] = self.program("printer", f"echo >>{count}; printf '%s' '{PROCESS.json('SessionToken', Version=1)}'")
        self.set_up(Case(None, "[default]\ncredential_process = {printer}\n"))
        answer = threading.Event()
        self.addCleanup(answer.set)
        self.proxy.on("UpdateItem", held_back(answer, after_server=True))
        running = self.start(self.flock_command("run", "--lease-duration", "600", "deploy", *self.job()))
        wait_until(lambda: self.item("deploy") is not None, what="the grant")
        running.terminate()
        _, err = running.communicate()
        self.assertEqual(running.returncode, 143, err)
        wait_until(lambda: "released_time" in self.item("deploy"), what="the giving back")
        self.assertEqual(count.read_text(), "\n\n")

    def set_up_with_agent(self):
        """A credential_process that leaves a process running; where its id is written."""
        agent = self.directory / "agent"
        script = (f"sh -c 'setsid sh -c \"echo \\$\\$ >{agent}.new; mv {agent}.new {agent}; exec sleep 120\" >/dev/null 2>&1 &'; "
                  f"while [ ! -e {agent} ]; do sleep 0.02; done; printf '%s' '{PROCESS.json('SessionToken', Version=1)}'")
        self.places["printer"] = self.program("printer", script)
        self.set_up(Case(None, "[default]\ncredential_process = {printer}\n"))
        return agent

    def assertAgentGoesOn(self, agent):
        pid = int(agent.read_text())
        kill_at_end(self, pid)
        self.assertTrue(runs(pid))
        agent.unlink()

    def test_doctor_waits_for_no_agent_and_ends_none(self):
        agent = self.set_up_with_agent()
        result = self.flock("doctor")
        self.assertEqual(result.code, 0, result)
        self.assertAgentGoesOn(agent)

    def test_an_agent_that_a_credential_process_starts_is_not_the_commands(self):
        agent = self.set_up_with_agent()
        for leftovers in ("hold", "end"):
            with self.subTest(leftovers=leftovers):
                result = self.flock("run", *SHORT_LEASE, "--leftovers", leftovers, "deploy", "sh", "-c", "sleep 1; exit 6")
                self.assertEqual((result.code, result.err), (6, ""))
                self.assertAgentGoesOn(agent)
                item = self.item("deploy")
                self.assertIn("released_time", item)

    def test_a_credential_process_that_hangs_does_not_cost_the_lock_while_the_old_keys_are_good(self):
        count = self.directory / "count"
        script = (f'[ -e {count} ] && exec sleep 120; touch {count}; printf \'{{"Version": 1, "AccessKeyId": "ASIAFIRST", '
                  '"SecretAccessKey": "s", "SessionToken": "t", "Expiration": "%s"}\' '
                  '"$(date -u -d "+10 seconds" +%Y-%m-%dT%H:%M:%SZ)"')
        self.places["printer"] = self.program("printer", script)
        self.set_up(Case(None, "[default]\ncredential_process = {printer}\n"))
        running = self.start(self.flock_command("run", "--lease-duration", "6", "--kill-after", "0.4", "deploy",
                                                *self.job()))
        said = wait_until(lambda: running.stderr.readline().decode() if running.poll() is None else "ended",
                          what="the failed renewal of the keys")
        self.assertIn("could not be renewed, and stay in use", said)
        before = self.proxy.count()
        wait_until(lambda: self.proxy.count() > before or running.poll() is not None, what="a renewal of the lease")
        code, err = self.finish_job(running)
        self.assertEqual(code, 0, err)


class SecretTest(CredentialsTest):
    def test_no_source_shows_a_secret_at_any_verbosity(self):
        cases = {
            "file": Case(FILE, credentials=f"[default]\n{lines(FILE)}"),
            "role": Case(GRANTED, f"[default]\nrole_arn = {ROLE}\nsource_profile = y\n", f"[y]\n{lines(FILE)}"),
            "web identity": Case(GRANTED, variables=WEB),
            "process": Case(None, "[default]\ncredential_process = {printer}\n"),
            "container": Case(None, variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}",
                                               "AWS_CONTAINER_AUTHORIZATION_TOKEN": "SECRETofTOKEN"}),
            "instance": Case(None, instance=True),
        }
        kept = dict(self.environment)
        for name, case in cases.items():
            for works in (True, False):
                with self.subTest(name, works=works):
                    self.environment = dict(kept)
                    self.services.container.token = "SECRETofTOKEN"
                    self.services.dynamodb.on("*", self.services.dynamodb.serve if works else answer(
                        400, '{"__type": "x#ExpiredTokenException", "message": "m"}'))
                    self.set_up(case)
                    result = self.ask("-v", "-v")
                    self.assertEqual(result.code, 0 if works else 1, result)
                    self.assertIn("credentials come from the", result.err)
                    for secret in ("SECRETof", "TOKENof", "web.identity.token", "SESSIONTOKEN", "AWS4-HMAC"):
                        self.assertNotIn(secret, result.err + result.out)

    def test_no_child_is_given_a_secret_in_its_arguments(self):
        seen = self.directory / "seen"
        self.places["printer"] = self.program(
            "printer", f"tr '\\0' ' ' </proc/$$/cmdline >{seen}; tr '\\0' ' ' </proc/$PPID/cmdline >>{seen}\n"
            f"printf '%s' {shlex.quote(FILE.json('SessionToken', Version=1))}")
        self.set_up(Case(None, "[default]\ncredential_process = {printer} one two\n", f"[y]\n{lines(FILE)}"))
        self.assertWorked(self.ask())
        self.assertRegex(seen.read_text(encoding="utf-8"), r"printer one two .*status deploy $")
        self.assertNotIn("SECRETof", seen.read_text(encoding="utf-8"))

    def running(self, **more):
        """An awsflock that holds keys and waits for the server's next answer."""
        self.services.dynamodb.on("*", lambda handler: handler.server.stopping.wait(60))
        self.set_up(Case(None, "[default]\ncredential_process = {printer}\n"))
        process = self.start(command("status", "deploy"), **more)
        wait_until(self.services.dynamodb.requests, what="the request")
        return process

    def test_a_crash_leaves_no_core_dump(self):
        def allow_core():
            soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        process = self.running(cwd=self.directory, preexec_fn=allow_core)
        # A process that may not be dumped is root's in /proc, whoever runs it.
        if os.geteuid() != 0:
            self.assertEqual(os.stat(f"/proc/{process.pid}/environ").st_uid, 0)
        os.kill(process.pid, signal.SIGABRT)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -signal.SIGABRT
        self.assertTrue(os.WIFSIGNALED(status))
        self.assertFalse(os.WCOREDUMP(status))
        self.assertEqual(list(self.directory.glob("core*")), [])

    def test_the_secret_key_is_only_in_memory_that_dumps_leave_out(self):
        """As any program that uses the library would be dumped: every mapping but those that it has excluded.  The
        session token, which is part of each request, is in libcurl's buffers too; alone it opens nothing."""
        process = self.running()
        self.assertEqual([], list(self.dumped(process.pid, PROCESS.secret)))
        for secret in (PROCESS.secret, PROCESS.token):  # there they are
            self.assertEqual(1, len(list(self.dumped(process.pid, secret, excluded=True))))

    @staticmethod
    def dumped(pid, secret, excluded=False):
        """The mappings of PID, those that dumps leave out or all others, that hold SECRET."""
        smaps = pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace")
        with open(f"/proc/{pid}/mem", "rb") as memory:
            for entry in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", smaps, flags=re.M)[1:]:
                low, high = (int(part, 16) for part in entry.split(" ", 1)[0].split("-"))
                flags = re.search(r"^VmFlags:(.*)$", entry, re.M).group(1).split()
                if ("dd" in flags) != excluded or "rd" not in flags or "[vvar" in entry or "[vsyscall" in entry:
                    continue
                if high - low > HUGE_BYTES:  # a sanitizer's shadow memory
                    continue
                memory.seek(low)
                if secret.encode() in memory.read(high - low):
                    yield entry.splitlines()[0]


if __name__ == "__main__":
    unittest.main()
