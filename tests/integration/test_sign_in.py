"""People who sign in with `aws sso login` or `aws login`: awsflock asks what AWS's own tools ask, finds the keys that
they find, and leaves the files as they leave them.  What they did was recorded from botocore 1.43 and the SDK for
JavaScript (tests/data/signin/recorded.json); Debian's botocore and that SDK are asked again here.

SPDX-License-Identifier: Apache-2.0
"""
import shlex
import unittest

from credentialstest import FILE, PROCESS, lines
from signintest import RECORDED, TESTS, SignInTest

# Where the SDK for JavaScript does other things than botocore, whom we follow: tests/README.md says what.
JS_DIFFERS = {"sso-and-keys", "sso-session-10min-left", "sso-session-expired-registration-expired"}
# Debian's botocore is older than `aws login`, and than the check of an old profile's token.
DEBIAN_DIFFERS = {"sso-legacy-expired"}


def without_keys(files):
    """FILES without the cache of keys, which the CLI has botocore use, and nobody else."""
    return {path: content for path, content in files.items() if not path.startswith(".aws/cli/")}


class RecordedTest(SignInTest):
    """A test per case and client is added below."""

    def check_ours(self, name):
        case = self.start_from(name)
        expected = case["botocore"]
        result = self.ask()
        self.assertEqual(result.code, 0 if expected["key"] else 1, result.err)
        self.assertEqual(self.key(), expected["key"], result.err)
        self.assertEqual(self.service.seen(), expected["requests"])
        self.assertEqual(self.files(), expected["files"])
        for path in self.home.rglob("*.json"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.assertSecretsAbsent(result)

    def assertSecretsAbsent(self, result):
        for secret in ("old-access", "new-access", "old-refresh", "new-refresh", "client-secret", "portalsecret",
                       "login-refresh", "loginsecret", "BEGIN EC"):
            self.assertNotIn(secret, result.out + result.err)

    def check_oracle(self, name, client, find):
        case = self.start_from(name)
        expected = case[client]
        self.assertEqual(find().get("accessKeyId"), expected["key"])
        self.assertEqual(self.service.seen(), expected["requests"])
        self.assertEqual(self.files(), without_keys(expected["files"]))


def add_recorded_cases():
    for name in RECORDED:
        words = name.replace("-", "_")

        def ours(self, name=name):
            self.check_ours(name)

        def debian(self, name=name):
            self.check_oracle(name, "botocore", self.botocore)

        def javascript(self, name=name):
            self.check_oracle(name, "js", self.sdk_js)
        setattr(RecordedTest, f"test_{words}_is_as_botocore_has_it", ours)
        setattr(RecordedTest, f"test_the_sdk_for_javascript_still_does_with_{words}_what_was_recorded", javascript)
        if name.startswith("sso") and name not in DEBIAN_DIFFERS:
            setattr(RecordedTest, f"test_debians_botocore_does_with_{words}_what_was_recorded", debian)


add_recorded_cases()


class OrderTest(SignInTest):
    """A profile that says more than one thing, as aws-sso-util and people by hand write them."""

    def check(self, name, more, key, oracles):
        case = self.start_from(name)
        printer = self.program("printer", f"printf '%s' {shlex.quote(PROCESS.json('SessionToken', Version=1))}")
        config = "\n".join(case["config"]).replace("[profile p]", "[profile p]\n" + more.replace("{printer}", printer))
        self.put(".aws/config", config + "\n")
        self.assertWorked(self.ask())
        self.assertEqual(self.key(), key)
        for oracle in oracles:
            self.assertEqual(oracle().get("accessKeyId"), key)

    def test_single_sign_on_comes_before_a_process_and_before_keys(self):
        for more in ("credential_process = {printer}", lines(FILE), "credential_process = {printer}\n" + lines(FILE)):
            with self.subTest(more):
                self.check("sso-session-valid", more, "ASIAPORTAL", [self.botocore])

    def test_a_login_comes_before_a_process_and_before_keys_of_its_own_file(self):
        for more in ("credential_process = {printer}", lines(FILE)):
            with self.subTest(more):
                self.check("login-valid", more, "ASIALOGINOLD", [])

    def test_a_single_sign_on_that_has_ended_is_not_passed_over_for_the_process(self):
        case = self.start_from("sso-legacy-expired")
        printer = self.program("printer", f"printf '%s' {shlex.quote(PROCESS.json('SessionToken', Version=1))}")
        self.put(".aws/config", "\n".join(case["config"]).replace(
            "[profile p]", f"[profile p]\ncredential_process = {printer}") + "\n")
        self.assertSays(self.ask(), 1, "aws sso login --profile p")
        self.assertIsNone(self.key())


def row_of(name):
    """CASE's row of the table in tests/README.md: what botocore 1.43 asks and comes to, and what others do of it."""
    case = RECORDED[name]
    asked = [request["path"] for request in case["botocore"]["requests"]]
    cells = [f"`{name}`", ", ".join(f"`{path}`" for path in asked) or "none",
             "keys" if case["botocore"]["key"] else "an error", same(case, case["botocore"])]
    if name.startswith("login"):
        cells.append("")
    else:
        cells.append("0 of 0, 1 more; another result" if name in DEBIAN_DIFFERS else same(case, case["botocore"]))
    return "| " + " | ".join([*cells, same(case, case["js"])]) + " |"


def same(case, other):
    """How many of botocore's requests OTHER sends, and whether it comes to the same."""
    wanted, sent = case["botocore"]["requests"], other["requests"]
    equal = sum(1 for request in wanted if request in sent)
    what = "" if len(sent) == equal else f", {len(sent) - equal} more"
    return f"{equal} of {len(wanted)}{what}; {'the same' if other['key'] == case['botocore']['key'] else 'another result'}"


class AgreementTest(unittest.TestCase):
    def test_the_readme_has_the_table_of_cases_and_clients(self):
        readme = (TESTS / "README.md").read_text(encoding="utf-8")
        self.assertEqual([line for line in readme.splitlines() if line.startswith(("| `sso-", "| `login-")) and
                          line.count("|") == 7], [row_of(name) for name in sorted(RECORDED)])

    def test_botocore_and_the_sdk_for_javascript_differ_where_the_readme_says_and_nowhere_else(self):
        def what(case):
            return case["requests"], case["key"], without_keys(case["files"])
        self.assertEqual({name for name, case in RECORDED.items() if what(case["botocore"]) != what(case["js"])},
                         JS_DIFFERS)


if __name__ == "__main__":
    unittest.main()
