"""What the tests of credentials share: the ways in which machines are set up to have some.

SPDX-License-Identifier: Apache-2.0
"""
import dataclasses
import pathlib
import shlex
import typing

from awsflocktest import REGION, ProgramTest, run
from awsservices import Keys, Services

ROLE = "arn:aws:iam::123456789012:role/deployer"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"
ENVIRONMENT, FILE, CONFIG, PROCESS = Keys("ENVIRONMENT"), Keys("FILE"), Keys("CONFIG"), Keys("PROCESS")
GRANTED, OTHER = Keys("GRANTED"), Keys("OTHER")
ORACLE = pathlib.Path(__file__).resolve().parent.parent / "support" / "botocore_keys.py"


def variables(keys):
    return {"AWS_ACCESS_KEY_ID": keys.id, "AWS_SECRET_ACCESS_KEY": keys.secret, "AWS_SESSION_TOKEN": keys.token}


def lines(keys):
    return (f"aws_access_key_id = {keys.id}\naws_secret_access_key = {keys.secret}\n"
            f"aws_session_token = {keys.token}\n")


@dataclasses.dataclass
class Case:
    keys: Keys
    config: str = ""
    credentials: str = ""
    variables: dict = dataclasses.field(default_factory=dict)
    profile: typing.Optional[str] = None  # --profile
    instance: bool = False  # whether there is one
    newer: bool = False  # this botocore is older than that source: it is not asked


PRINT_KEYS = "credential_process = {printer} --for 'a team' \\\"x\\\"\n"
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "{web_token}", "AWS_ROLE_ARN": ROLE}

class CredentialsTest(ProgramTest):
    """A test with servers for all that credentials come from, and files of its own."""

    def setUp(self):
        super().setUp()
        self.services = Services()
        self.addCleanup(self.services.close)
        for name in variables(ENVIRONMENT):
            self.environment.pop(name, None)
        self.environment.update(self.services.variables(), HOME=str(self.directory / "home"))
        sts = self.services.sts
        sts.known = {keys.id: keys for keys in (ENVIRONMENT, FILE, PROCESS, GRANTED, self.services.instance.keys,
                                                self.services.container.keys)}
        sts.granted = {ROLE: GRANTED, OTHER_ROLE: OTHER}
        sts.web_tokens = {"web.identity.token"}
        self.places = {
            "printer": self.program("printer", f"printf '%s\\n' {shlex.quote(PROCESS.json('SessionToken', Version=1))}"),
            "web_token": str(self.write("web-token", "web.identity.token")),
            "container": self.services.container.url + self.services.container.path,
        }

    def program(self, name, script):
        path = self.write(name, f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def placed(self, text):
        for name, place in self.places.items():
            text = text.replace("{" + name + "}", place)
        return text

    def set_up(self, case):
        aws = self.directory / "home" / ".aws"
        aws.mkdir(exist_ok=True)
        (aws / "config").write_text(self.placed(case.config), encoding="utf-8")
        (aws / "credentials").write_text(self.placed(case.credentials), encoding="utf-8")
        self.environment.update({name: self.placed(value) for name, value in case.variables.items()})
        self.environment["AWS_EC2_METADATA_DISABLED"] = "false" if case.instance else "true"

    def ask(self, *arguments, **more):
        """One request, for a lock that is free."""
        return self.awsflock("status", "deploy", *arguments, **more)

    def ask_case(self, case):
        return self.ask(*(["--profile", case.profile] if case.profile else []))

    def botocore_finds(self, case):
        arguments = ["/usr/bin/python3", str(ORACLE)] + ([case.profile] if case.profile else [])
        return run(arguments, self.environment_with(AWS_DEFAULT_REGION=REGION))

    def assertSignedBy(self, keys):
        self.assertEqual(self.services.dynamodb.signers()[-1:], [keys.id])
        request = self.services.dynamodb.requests()[-1]
        self.assertEqual(request.headers.get("X-Amz-Security-Token"), keys.token)
