"""Sources of credentials that refuse or go wrong: one clear line, exit code 1, nothing sent to DynamoDB, and no other
source in place of the one that was meant.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import unittest

from awsflocktest import command, process_state, wait_until
from awsservices import PAST, Keys, answer, hang_up, slow, sts_error
from credentialstest import (ENVIRONMENT, FILE, PROCESS, ROLE, WEB, Case, CredentialsTest, lines, variables)

TEN_MEGABYTES = "x" * (10 * 1024 * 1024)
TOKEN_PATH = "/latest/api/token"
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"

# What any HTTP server can do wrong: the action, and what the line then says.
FAULTS = {
    "is_slow": (slow, ["no answer from", "timed out"]),
    "answers_404": (answer(404, "<html>404 - Not Found</html>"), ["404"]),
    "answers_403": (answer(403, "Forbidden"), ["403"]),
    "answers_500": (answer(500, "oops"), ["500"]),
    "hangs_up": (hang_up, ["no answer from"]),
    "answers_nonsense": (answer(200, "<html><body>Please sign in</body></html>"), []),
    "answers_nothing": (answer(200, ""), []),
    "answers_ten_megabytes": (answer(200, TEN_MEGABYTES), ["more than the 65536 bytes"]),
    "redirects": (answer(302, "", Location="http://127.0.0.1:1/"), ["302"]),
    "answers_a_control_character": (answer(200, "{\"AccessKeyId\":\"A\x1b[31m\"}"), []),
}


NONE_FOUND = "no AWS credentials were found"
SOURCE_COUNT = 10


class RefusalTest(CredentialsTest):
    def check(self, case, *words, **more):
        """CASE does not work, and the line that says so has WORDS; where nothing serves, those before it have them."""
        self.set_up(case)
        result = self.ask(*(["--profile", case.profile] if case.profile else []), **more)
        self.assertSays(result, 1, *words, lines=SOURCE_COUNT + 1 if NONE_FOUND in words else 1)
        self.assertNotIn("SECRETof", result.err)
        self.assertNotIn("TOKENof", result.err)
        self.assertEqual(self.services.dynamodb.requests(), [])
        return result


def add(cls, source, check):
    """A test of each of FAULTS: CHECK(test, action, words)."""
    for name, (action, words) in FAULTS.items():
        def test(self, action=action, words=words):
            check(self, action, words)
        setattr(cls, f"test_{source}_that_{name}", test)


class EnvironmentTest(RefusalTest):
    def test_an_id_without_its_secret_is_not_passed_over(self):
        self.check(Case(None, credentials=f"[default]\n{lines(FILE)}", variables={"AWS_ACCESS_KEY_ID": "AKIAX"}),
                   "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY")

    def test_a_line_end_in_the_token(self):
        self.check(Case(None, variables={**variables(ENVIRONMENT), "AWS_SESSION_TOKEN": "a\r\nX-Evil: b"}),
                   "session token from the environment")

    def test_an_expiration_that_is_no_time(self):
        self.check(Case(None, variables={**variables(ENVIRONMENT), "AWS_CREDENTIAL_EXPIRATION": "tomorrow"}),
                   "AWS_CREDENTIAL_EXPIRATION")


class FileTest(RefusalTest):
    def test_an_id_without_its_secret(self):
        self.check(Case(None, credentials="[default]\naws_access_key_id = AKIAX\n"), "without aws_secret_access_key")

    def test_a_profile_that_is_not_there(self):
        self.check(Case(None, credentials=f"[default]\n{lines(FILE)}", profile="x"), "no AWS profile 'x'")

    def test_a_profile_without_keys_does_not_fall_back_to_others(self):
        self.check(Case(None, "[profile x]\nregion = eu-west-1\n", f"[default]\n{lines(FILE)}",
                        variables(ENVIRONMENT), profile="x", instance=True), NONE_FOUND)
        self.assertEqual(self.services.instance.requests(), [])

    def test_a_profile_that_signs_in(self):
        for key, said in (("sso_account_id = 123456789012", "no sso_role_name: run aws configure sso"),
                          ("sso_role_name = admin", "no sso_account_id: run aws configure sso"),
                          ("login_session = arn:aws:x", "is not logged in: aws login --profile x")):
            with self.subTest(key):
                self.check(Case(None, f"[profile x]\n{key}\n", profile="x"), said)

    def test_where_there_is_nothing_each_source_has_a_line_with_its_reason(self):
        result = self.check(Case(None), NONE_FOUND)
        *told, last = result.err.splitlines()
        reasons = ["environment: AWS_ACCESS_KEY_ID is not set", "assumed role: no role_arn",
                   "web identity: no web_identity_token_file", "single sign-on: no sso_account_id",
                   "credentials file: no aws_access_key_id", "aws login: no login_session",
                   "credential process: no credential_process", "config file: no aws_access_key_id",
                   "container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set",
                   "instance metadata: AWS_EC2_METADATA_DISABLED is set"]
        self.assertEqual(len(told), len(reasons), told)
        for line, reason in zip(told, reasons):
            self.assertTrue(line.startswith(f"awsflock: no credentials from the {reason}"), line)
        self.assertRegex(last, f"^awsflock: {NONE_FOUND}: [^:;()]+$")

    def test_quiet_leaves_the_list_out(self):
        self.set_up(Case(None))
        self.assertSays(self.ask("-q"), 1, NONE_FOUND)

    def test_with_a_profile_that_was_given_only_the_sources_are_told_that_were_asked(self):
        result = self.check(Case(None, "[profile x]\nregion = eu-west-1\n", profile="x"), NONE_FOUND)
        self.assertIn("from the credential process: ", result.err)
        for source in ("environment", "container", "instance metadata"):
            self.assertNotIn(f"from the {source}: ", result.err)


def role(text, credentials=f"[y]\n{lines(FILE)}"):
    return Case(None, f"[profile x]\nrole_arn = {ROLE}\n{text}", credentials, profile="x")


class RoleTest(RefusalTest):
    def check_sts(self, action, words):
        self.services.sts.on("*", action)
        self.write("quick.conf", "[awsflock]\nrequest_timeout = 1\n")
        self.check(role("source_profile = y\n"), *words, changes={"AWSFLOCK_CONFIG": self.directory / "quick.conf"})

    def test_two_sources_at_once(self):
        self.check(role("source_profile = y\ncredential_source = Environment\n"), "both")

    def test_no_source(self):
        self.check(role(""), "nothing to assume it with")

    def test_a_source_that_is_none(self):
        self.check(role("credential_source = Keychain\n"), "EcsContainer", "'Keychain'")

    def test_a_source_that_has_nothing(self):
        for source, reason in (("Environment", "AWS_ACCESS_KEY_ID is not set"),
                               ("Ec2InstanceMetadata", "AWS_EC2_METADATA_DISABLED"),
                               ("EcsContainer", "RELATIVE_URI is not set")):
            with self.subTest(source):
                self.check(role(f"credential_source = {source}\n"), source, reason)

    def test_a_source_profile_that_is_not_there(self):
        self.check(role("source_profile = z\n"), "source_profile 'z'", "does not exist")

    def test_a_source_profile_without_keys(self):
        self.check(role("source_profile = y\n[profile y]\nregion = x\n", ""), "source_profile 'y' has no credentials")

    def test_source_profiles_in_a_circle(self):
        self.check(role(f"source_profile = y\n[profile y]\nrole_arn = {ROLE}\nsource_profile = z\n"
                        f"[profile z]\nrole_arn = {ROLE}\nsource_profile = x\n", ""),
                   "circle: 'x' -> 'y' -> 'z' -> 'x'")

    def test_a_source_profile_that_names_itself_without_keys(self):
        self.check(role("source_profile = x\n", ""), "circle: 'x' -> 'x'")

    def test_a_chain_without_end(self):
        more = "".join(f"[profile p{i}]\nrole_arn = {ROLE}\nsource_profile = p{i + 1}\n" for i in range(40))
        self.check(role(f"source_profile = p0\n{more}", ""), "more than 16 profiles")

    def test_sts_that_denies(self):
        self.services.sts.granted = {}
        self.check(role("source_profile = y\n"), ROLE, "AccessDenied", "sts:AssumeRole & nothing else")

    def test_sts_that_does_not_know_the_keys(self):
        self.services.sts.known = {}
        self.check(role("source_profile = y\n"), "from the credentials file", "expired or are unknown")

    def test_sts_that_finds_the_signature_wrong(self):
        self.services.sts.known = {FILE.id: Keys("FILE")}
        self.services.sts.known[FILE.id].secret = "another"
        self.check(role("source_profile = y\n"), "SignatureDoesNotMatch")

    def test_sts_that_throttles_is_asked_again(self):
        self.services.sts.on("*", sts_error(400, "Throttling", "Rate exceeded"))
        self.check(role("source_profile = y\n"), "Throttling")
        self.assertEqual(len(self.services.sts.requests()), 3)

    def test_sts_that_gives_expired_keys(self):
        self.services.sts.granted = {ROLE: Keys("GRANTED", PAST)}
        self.check(role("source_profile = y\n"), "expired")

    def test_sts_whose_message_repeats_what_was_signed(self):
        self.services.sts.on("*", sts_error(403, "SignatureDoesNotMatch", "AWS4-HMAC-SHA256 x-amz-security-token:" +
                                            FILE.token))
        self.check(role("source_profile = y\n"), "not shown")

    def test_sts_without_tls_beyond_this_machine(self):
        self.environment["AWS_ENDPOINT_URL_STS"] = "http://192.0.2.1/"
        self.check(role("source_profile = y\n"), "AWS_ENDPOINT_URL_STS", "not encrypted")


add(RoleTest, "sts", RoleTest.check_sts)


class WebIdentityTest(RefusalTest):
    def check_sts(self, action, words):
        self.services.sts.on("*", action)
        self.write("quick.conf", "[awsflock]\nrequest_timeout = 1\n")
        self.check(Case(None, credentials=f"[default]\n{lines(FILE)}", variables=WEB), *words,
                   changes={"AWSFLOCK_CONFIG": self.directory / "quick.conf"})

    def test_a_token_file_without_a_role(self):
        self.check(Case(None, variables={"AWS_WEB_IDENTITY_TOKEN_FILE": "{web_token}"}), "AWS_ROLE_ARN")

    def test_a_token_file_that_is_not_there(self):
        self.check(Case(None, variables={**WEB, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token"}), "/nowhere/token",
                   "No such file")

    def test_a_token_file_that_is_empty_too_long_binary_or_no_file(self):
        for name, content, word in (("empty", " \n", "is empty"), ("long", "x" * 70000, "longer"),
                                    ("binary", b"a\0b", "is not text")):
            with self.subTest(name):
                self.places["web_token"] = str(self.write(name, content))
                self.check(Case(None, variables=WEB), word)
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        for path in (self.directory, pipe, "/dev/zero"):
            with self.subTest(str(path)):
                self.places["web_token"] = str(path)
                self.check(Case(None, variables=WEB), "not a file")

    def test_a_token_that_sts_does_not_take(self):
        self.services.sts.web_tokens = set()
        self.check(Case(None, variables=WEB), ROLE, "InvalidIdentityToken")


add(WebIdentityTest, "sts", WebIdentityTest.check_sts)


PRINTER = "[default]\ncredential_process = {printer}\naws_access_key_id = AKIAX\naws_secret_access_key = x\n"


class ProcessTest(RefusalTest):
    def check_script(self, script, *words):
        self.places["printer"] = self.program("printer", script)
        self.check(Case(None, PRINTER), "credential_process of profile 'default'", *words)

    def check_output(self, text, *words):
        self.check_script(f"cat <<'END'\n{text}\nEND\n", *words)

    def test_one_that_fails_with_its_own_last_words(self):
        self.check_script("echo starting >&2; printf 'no ticket: run \\033[31mkinit\\n\\n' >&2; exit 3", "exit code 3",
                          "no ticket: run ?[31mkinit")

    def test_one_that_fails_after_printing_keys(self):
        self.check_script(f"echo '{PROCESS.json('SessionToken', Version=1)}'; exit 1", "exit code 1")

    def test_one_that_complains_with_its_secret(self):
        self.check_script(f"echo 'bad: {PROCESS.json('SessionToken')}' >&2; exit 1", "exit code 1")

    def test_one_that_is_killed(self):
        self.check_script("kill -SEGV $$", "killed by signal 11")

    def test_one_that_prints_nonsense(self):
        for text in ("hello", "[]", "{", "{\"Version\": 1} {\"Version\": 1}", "", "\x01", "7"):
            with self.subTest(text):
                self.check_output(text, "JSON object")

    def test_one_that_prints_ten_megabytes(self):
        self.check_script("head -c 10485760 /dev/zero | tr '\\0' x", "more than the 65536 bytes")

    def test_one_that_prints_without_end(self):
        self.check_script("exec yes", "more than the 65536 bytes")

    def test_one_of_another_version(self):
        self.check_output('{"AccessKeyId": "A", "SecretAccessKey": "B"}', 'no "Version": 1')
        for version in ('2', '"1"', '1.5', 'null'):
            with self.subTest(version):
                self.check_output(f'{{"Version": {version}, "AccessKeyId": "A", "SecretAccessKey": "B"}}', "Version")

    def test_one_whose_keys_are_incomplete_or_mistyped(self):
        for text, word in (('"SecretAccessKey": "B"', "AccessKeyId"), ('"AccessKeyId": "A"', "SecretAccessKey"),
                           ('"AccessKeyId": 7, "SecretAccessKey": "B"', "AccessKeyId"),
                           ('"AccessKeyId": "A", "SecretAccessKey": ""', "SecretAccessKey"),
                           ('"AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": "soon"', "Expiration"),
                           ('"AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": 7', "Expiration")):
            with self.subTest(text):
                self.check_output(f'{{"Version": 1, {text}}}', word)

    def test_one_whose_keys_have_expired(self):
        self.check_output(Keys("PROCESS", PAST).json("SessionToken", Version=1), "expired")

    def test_a_line_end_in_its_token(self):
        self.places["printer"] = self.program(
            "printer", 'cat <<\'E\'\n{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "SessionToken": "a\\r\\nb"}\nE')
        self.check(Case(None, PRINTER), "session token from the credential process")

    def test_one_that_is_not_there_or_cannot_be_run(self):
        for path, word in (("/nowhere/printer", "No such file"), (str(self.write("plain", "x")), "Permission denied")):
            self.places["printer"] = path
            self.check(Case(None, PRINTER), "cannot be run", path, word)

    def test_a_line_that_cannot_be_cut_into_words(self):
        for line in ("{printer} 'open", '{printer} "open', "{printer} \\"):
            with self.subTest(line):
                self.check(Case(None, f"[default]\ncredential_process = {line}\n"), "cannot be read")

    def test_no_shell_sees_the_line(self):
        mark = self.directory / "mark"
        self.check(Case(None, f"[default]\ncredential_process = /bin/echo $(touch {mark}) ; touch {mark} > {mark}\n"),
                   "JSON object")
        self.assertFalse(mark.exists())

    def test_one_that_hangs_ends_with_the_command_and_all_that_it_started(self):
        self.places["printer"] = self.program(
            "printer", f"sleep 120 & echo $! >{self.directory}/child; mv {self.directory}/child {self.directory}/pid; wait")
        self.set_up(Case(None, PRINTER))
        process = self.start(command("status", "deploy"))
        pid_file = self.directory / "pid"
        wait_until(pid_file.exists, what="the hanging program")
        pid = int(pid_file.read_text(encoding="ascii"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        wait_until(lambda: process_state(pid) in (None, "Z", "X"), what="the end of what it started")


class ContainerTest(RefusalTest):
    def case(self, **more):
        return Case(None, credentials="", variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}", **more},
                    instance=True)

    def check_final(self, case, *words):
        """The instance is not asked instead."""
        self.check(case, *words)
        self.assertEqual(self.services.instance.requests(), [])

    def check_fault(self, action, words):
        self.services.container.on("*", action)
        self.check_final(self.case(), "the container's credentials endpoint", *words)

    def test_its_own_refusal_is_told(self):
        self.services.container.token = "right"
        self.check_final(self.case(AWS_CONTAINER_AUTHORIZATION_TOKEN="wrong"), "HTTP 403", "AccessDenied: wrong token")
        self.assertEqual(len(self.services.container.requests()), 1)

    def test_one_that_fails_is_asked_three_times(self):
        self.services.container.on("*", answer(503))
        self.check_final(self.case(), "HTTP 503")
        self.assertEqual(len(self.services.container.requests()), 3)

    def test_keys_that_have_expired(self):
        self.services.container.keys = Keys("CONTAINER", PAST)
        self.check_final(self.case(), "expired")

    def test_keys_without_a_part(self):
        for part in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration"):
            with self.subTest(part):
                self.services.container.on(
                    self.services.container.path,
                    lambda handler, part=part: handler.reply(200, Keys("X").json().replace(f'"{part}"', '"x"')))
                self.check_final(self.case(), part)

    def test_hosts_that_are_not_asked_without_tls(self):
        port = self.services.container.server.server_port
        for host in ("192.0.2.1", "example.com", "127.0.0.1.example.com", "169.254.169.254", "169.254.170.22",
                     "[fd00:ec2::24]", "[::2]", "0.0.0.0", "2130706433", "localhost.example.com"):
            with self.subTest(host):
                self.check_final(self.case(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{host}:{port}/"),
                                 f"the host {host}")

    def test_urls_that_hide_their_host(self):
        for url in ("http://127.0.0.1@example.com/", "http://127.0.0.1:80@example.com/", "ftp://127.0.0.1/",
                    "http:///x", "//127.0.0.1/", "http://127.0.0.1\\@example.com/", "http://127.0.0.1#@example.com/",
                    "http://127.0.0.1/a\r\nHost: b", "http://[::1/"):
            with self.subTest(url):
                self.check_final(self.case(AWS_CONTAINER_CREDENTIALS_FULL_URI=url), "is not a valid URL")

    def test_relative_uris_that_lead_away(self):
        for uri in ("@example.com/", "example.com", ":80/x", ".example.com/x", "/a b", "/a\r\nHost: b", "/a#b"):
            with self.subTest(uri):
                self.check_final(self.case(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=uri),
                                 "RELATIVE_URI is not a path")

    def test_a_line_end_in_its_token(self):
        for token in ("a\r\nX-Evil: b", "a\nb", "a\rb"):
            with self.subTest(token):
                self.check_final(self.case(AWS_CONTAINER_AUTHORIZATION_TOKEN=token), "authorization token", "line's end")
                path = str(self.write("token", token))
                self.check_final(self.case(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=path), "authorization token", path)
        self.assertEqual(self.services.container.requests(), [])

    def test_a_token_file_that_is_not_there(self):
        self.check_final(self.case(AWS_CONTAINER_AUTHORIZATION_TOKEN="x",
                                   AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="/nowhere"), "/nowhere", "No such file")


add(ContainerTest, "an_endpoint", ContainerTest.check_fault)


class InstanceTest(RefusalTest):
    def check_instance(self, *words, **more):
        return self.check(Case(None, instance=True), NONE_FOUND, "instance metadata: ", *words, **more)

    def check_keys(self, action, words):
        self.services.instance.on(ROLE_PATH + "bastion-role", action)
        self.check_instance(*words)

    def check_session(self, action, words):
        self.services.instance.on(TOKEN_PATH, action)
        self.check_instance(*(word for word in words if word != "404"))
        # whatever it answers, no request without a session follows
        self.assertNotEqual(self.services.instance.paths(), [])
        self.assertTrue(all(path.startswith("PUT ") or not path.endswith("token")
                            for path in self.services.instance.paths()))
        self.assertTrue(all(request.command == "PUT" or request.headers.get("X-aws-ec2-metadata-token")
                            for request in self.services.instance.requests()))

    def test_one_that_knows_version_one_alone_is_not_used(self):
        for status in (404, 405):
            with self.subTest(status):
                self.services.instance.on(TOKEN_PATH, answer(status))
                self.check_instance("version 1 is never used")
        self.assertEqual(set(self.services.instance.paths()), {"PUT " + TOKEN_PATH})

    def test_one_that_is_switched_off(self):
        self.services.instance.on(TOKEN_PATH, answer(403))
        self.check_instance("switched off")

    def test_nothing_there(self):
        self.check_instance("127.0.0.1:1", changes={"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"})

    def test_a_line_end_in_its_session_token(self):
        self.services.instance.on(TOKEN_PATH, answer(200, "a\r\nX-Evil: b"))
        self.check_instance("session token that cannot be one")

    def test_no_role(self):
        self.services.instance.role = None
        self.check_instance("no role")

    def test_a_role_that_cannot_be_one(self):
        for name in ("../../user-data", "a b", "x" * 200, "a?b"):
            with self.subTest(name):
                self.services.instance.on(ROLE_PATH, answer(200, name))
                self.check_instance("role that cannot be one")

    def test_a_role_that_cannot_be_assumed(self):
        self.services.instance.on(ROLE_PATH + "bastion-role", answer(
            200, '{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"}'))
        self.check_instance("AssumeRoleUnauthorizedAccess: EC2 cannot assume the role")

    def test_a_session_that_is_refused_later(self):
        self.services.instance.on(ROLE_PATH, answer(401))
        self.check_instance("HTTP 401")

    def test_settings_that_cannot_be(self):
        for name, value in (("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ftp://x"), ("AWS_METADATA_SERVICE_TIMEOUT", "0"),
                            ("AWS_METADATA_SERVICE_TIMEOUT", "soon"), ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "99")):
            with self.subTest(name):
                self.check(Case(None, instance=True), name, changes={name: value})
        self.check(Case(None, instance=True), "ENDPOINT_MODE", changes={
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": None, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv5"})

    def test_switched_off_nothing_is_asked(self):
        self.check(Case(None), NONE_FOUND, "AWS_EC2_METADATA_DISABLED is set")
        self.assertEqual(self.services.instance.requests(), [])


add(InstanceTest, "a_session", InstanceTest.check_session)
add(InstanceTest, "a_role", InstanceTest.check_keys)


if __name__ == "__main__":
    unittest.main()
