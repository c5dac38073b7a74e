"""A session guard and a set-id program have no home directory: a profile in which a person signs in is refused with a
sentence, and nothing of a person's sign-in is used.  SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import CONF, PROGRAM, GuardTest, configure, guard, section, write_conf  # noqa: E402
from sessiontest import PEOPLE, SessionTest  # noqa: E402
from awsflocktest import REGION  # noqa: E402

SET_ID = f"{PROGRAM}-set-id"
AWS_CONFIG = pathlib.Path("/etc/awsflock-aws-config")
LOGIN = "arn:aws:iam::123456789012:user/op"
PROFILES = {
    "sso": "sso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
           "sso_account_id = 123456789012\nsso_role_name = Operator\n",
    "login": f"login_session = {LOGIN}\n",
    "mfa": "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = base\n"
           "mfa_serial = arn:aws:iam::123456789012:mfa/op\n",
}
TOKENS = {
    ".aws/sso/cache/" + hashlib.sha1(b"https://example.awsapps.com/start").hexdigest() + ".json":
        {"accessToken": "access", "expiresAt": "2099-01-01T00:00:00Z"},
    ".aws/login/cache/" + hashlib.sha256(LOGIN.encode()).hexdigest() + ".json":
        {"accessToken": {"accessKeyId": "ASIALOGIN", "secretAccessKey": "secret", "sessionToken": "token",
                         "accountId": "123456789012", "expiresAt": "2099-01-01T00:00:00Z"},
         "clientId": "c", "refreshToken": "r", "dpopKey": "k"},
}
SAYS = r"profile '{}' signs in as a person, who has a home directory"


def settings(profile):
    """Nothing listens where the table would be: who gets as far as that says so instead."""
    return {"table": "table", "region": REGION, "endpoint_url": "http://127.0.0.1:9", "config_file": str(AWS_CONFIG),
            "profile": profile}


def write_aws_config():
    AWS_CONFIG.write_text("".join(f"[profile {name}]\n{text}" for name, text in PROFILES.items()) +
                          "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = secret\n",
                          encoding="ascii")
    AWS_CONFIG.chmod(0o644)


def sign_in(home, owner):
    for name, content in TOKENS.items():
        path = pathlib.Path(home, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="ascii")
        path.chmod(0o600)
    for path in (pathlib.Path(home, ".aws"), *pathlib.Path(home, ".aws").rglob("*")):
        os.chown(path, owner, owner)


class GuardSignInTest(GuardTest):
    def test_a_guard_refuses_each_kind(self):
        write_aws_config()
        home = os.path.expanduser("~root")
        sign_in(home, 0)
        self.addCleanup(shutil.rmtree, f"{home}/.aws")
        guard("sshd")
        for profile in PROFILES:
            with self.subTest(profile):
                configure(settings(profile))
                self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), SAYS.format(profile))


class SetIdSignInTest(SessionTest):
    def test_a_set_id_program_refuses_each_kind_and_its_caller_does_not(self):
        shutil.copyfile(PROGRAM, SET_ID)
        os.chown(SET_ID, PEOPLE["bob"], PEOPLE["bob"])
        os.chmod(SET_ID, 0o4755)
        self.addCleanup(os.unlink, SET_ID)
        self.addCleanup(CONF.unlink)
        write_aws_config()
        for person in ("alice", "bob"):
            sign_in(f"/home/{person}", PEOPLE[person])
            self.addCleanup(shutil.rmtree, f"/home/{person}/.aws")
        for profile in PROFILES:
            with self.subTest(profile):
                write_conf(section("awsflock", settings(profile)))
                for program, refuses in ((SET_ID, True), (PROGRAM, False)):
                    code, _, err = self.run_to_end(["setsid", "--wait", program, "status", "deploy"], "alice", environment={
                        "HOME": "/home/alice", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"})
                    self.assertEqual(code, 1, err)
                    (self.assertRegex if refuses else self.assertNotRegex)(err, SAYS.format(profile))
