"""What README says that one types and sees to sign in and hold a lock: each line is typed, on a terminal, and each answer
is as it stands there.  `aws` is a stand-in, which leaves the files that the AWS CLI leaves.

SPDX-License-Identifier: Apache-2.0
"""
import json
import re
import unittest

from awsflocktest import OnDynamoDB, program
from credentialstest import FILE, lines
from signintest import LOGIN_FILE, RECORDED, SSO_FILE, TESTS, SignInTest, with_times

CODE = "123456"


def examples():
    """README's, in order: of each its lines that are typed, with what is seen then."""
    section = (TESTS.parent / "README.md").read_text(encoding="utf-8").split("## From no table")[1].split("\n1. ")[0]
    return [re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M) for text in re.findall(r"```console\n(.*?)```", section, re.S)]


def without_fence(text):
    return re.sub(r"fence \d+", "fence N", text)


class ExamplesTest(OnDynamoDB, SignInTest):
    def setUp(self):
        super().setUp()
        tools = self.directory / "tools"
        tools.mkdir()
        (tools / "awsflock").symlink_to(program()[0][-1])
        (tools / "aws").symlink_to(self.program("aws-stand-in", f"cp -R {self.directory}/left/. {self.home}"))
        self.write("deploy.sh", "#!/bin/sh\nawsflock status --json --profile dev prod-deploy >seen\n"
                                "echo \"deploying, with fence $AWSFLOCK_FENCE\"\n").chmod(0o755)
        self.put(".aws/credentials", f"[base]\n{lines(FILE)}")
        self.environment["PATH"] = f"{tools}:{self.environment['PATH']}"

    def leave(self, path, content):
        """What `aws` is going to leave in the home directory."""
        file = self.directory / "left" / path
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(with_times(content)), encoding="utf-8")

    def type_line(self, line):
        terminal = self.on_terminal(["sh", "-c", f"cd {self.directory} && {line}"])
        if "awsflock" in line and "mfa_serial" in (self.home / ".aws/config").read_text(encoding="utf-8"):
            terminal.expect("Enter MFA code")
            terminal.type(CODE + "\n")
        terminal.wait()
        return re.sub(r" *\r\n", "\n", terminal.output)

    def check(self, number):
        """The first line shows the settings, which are made to be so."""
        [(shown, settings), *typed] = examples()[number]
        self.assertEqual(shown, "cat ~/.aws/config")
        self.put(".aws/config", settings)
        for line, seen in typed:
            self.assertEqual(without_fence(self.type_line(line)), without_fence(seen), line)
        self.assertTrue(json.loads((self.directory / "seen").read_text(encoding="utf-8"))["held"])
        self.assertIn("released_time", self.item("prod-deploy"))

    def test_single_sign_on(self):
        [content] = RECORDED["sso-session-valid"]["files"].values()
        self.leave(SSO_FILE, content)
        self.check(0)

    def test_the_consoles_login(self):
        self.leave(LOGIN_FILE, RECORDED["login-valid"]["files"][LOGIN_FILE])
        self.check(1)

    def test_a_role_with_mfa(self):
        self.check(2)
        self.assertEqual([form["TokenCode"] for form in self.services.sts.forms], [CODE])

    def test_there_is_one_for_each_way_to_sign_in(self):
        self.assertEqual(len(examples()), 3)


if __name__ == "__main__":
    unittest.main()
