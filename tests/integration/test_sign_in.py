"""People who sign in with `aws sso login` or `aws login`: awsflock asks what AWS's own tools ask, finds the keys that
they find, and leaves the files as they leave them.  What they did was recorded from botocore 1.43 and the SDK for
JavaScript (tests/data/signin/recorded.json); Debian's botocore and that SDK are asked again here.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

from signintest import RECORDED, SignInTest

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


class AgreementTest(unittest.TestCase):
    def test_botocore_and_the_sdk_for_javascript_differ_where_the_readme_says_and_nowhere_else(self):
        def what(case):
            return case["requests"], case["key"], without_keys(case["files"])
        self.assertEqual({name for name, case in RECORDED.items() if what(case["botocore"]) != what(case["js"])},
                         JS_DIFFERS)


if __name__ == "__main__":
    unittest.main()
