"""What the tests of people who sign in share: the services behind `aws sso login` and `aws login`, on loopback, and
their files.

SPDX-License-Identifier: Apache-2.0
"""
import base64
import copy
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest
import urllib.parse

from awsflocktest import run
from awsservices import Service
from credentialstest import CredentialsTest

TESTS = pathlib.Path(__file__).resolve().parent.parent
RECORDED = json.loads((TESTS / "data/signin/recorded.json").read_text(encoding="utf-8"))
SSO_FILE = ".aws/sso/cache/" + hashlib.sha1(b"my-sso").hexdigest() + ".json"
KEYS_FILE = ".aws/cli/cache/9a746a46e0efb9c5d6ab1743ecff7b5d2454a03d.json"
LOGIN = "arn:aws:iam::123456789012:user/op"
LOGIN_FILE = ".aws/login/cache/" + hashlib.sha256(LOGIN.encode()).hexdigest() + ".json"
TIMES = ("expiresAt", "registrationExpiresAt", "Expiration")
SDK_JS = os.environ.get("AWSFLOCK_TEST_SDK_JS")
JSON = {"Content-Type": "application/json"}


def stamp(seconds):
    """The time SECONDS from now, as AWS writes it."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_left(text):
    then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00").replace("UTC", "+00:00"))
    return then.timestamp() - time.time()


def with_times(value):
    """VALUE with {"seconds": N} as the time N seconds from now."""
    if isinstance(value, dict):
        if list(value) == ["seconds"]:
            return stamp(value["seconds"])
        return {name: with_times(member) for name, member in value.items()}
    return value


def without_times(value, name=""):
    if name in TIMES:
        return "TIME"
    if isinstance(value, dict):
        return {name: without_times(member, name) for name, member in value.items()}
    return value


class SignInService(Service):
    """The portal and the token service of IAM Identity Center, and the token service of `aws login`."""

    def __init__(self):
        super().__init__()
        self.answers = {}  # "portal", "oidc", "signin" -> [status, body, headers]
        self.portal_lasts_s = 3600
        self.used = None  # a set: a refresh token serves once

    def serve(self, handler):
        path = handler.path.partition("?")[0]
        name, answer = {"/federation/credentials": ("portal", self.portal), "/token": ("oidc", self.oidc),
                        "/v1/token": ("signin", self.signin)}[path]
        status, body, headers = self.answers.get(name) or answer(handler)
        handler.reply(status, body if isinstance(body, str) else json.dumps(body), headers)

    def portal(self, _):
        return [200, {"roleCredentials": {"accessKeyId": "ASIAPORTAL", "secretAccessKey": "portalsecret",
                                          "sessionToken": "portaltoken",
                                          "expiration": int((time.time() + self.portal_lasts_s) * 1000)}}, JSON]

    def is_spent(self, handler):
        """With the lock held, since two may come at once."""
        if self.used is None:
            return False
        token = json.loads(handler.body)["refreshToken"]
        with self.server.lock:
            spent = token in self.used
            self.used.add(token)
        return spent

    def oidc(self, handler):
        if self.is_spent(handler):
            return [400, {"error": "invalid_grant", "error_description": "Invalid refresh token provided"},
                    {**JSON, "x-amzn-ErrorType": "InvalidGrantException"}]
        return [200, {"accessToken": "new-access", "tokenType": "Bearer", "expiresIn": 3600,
                      "refreshToken": "new-refresh"}, JSON]

    def signin(self, handler):
        if self.is_spent(handler):
            return [400, {"error": "INVALID_REQUEST", "message": "invalid grant"},
                    {**JSON, "x-amzn-ErrorType": "ValidationException"}]
        return [200, {"accessToken": {"accessKeyId": "ASIALOGINNEW", "secretAccessKey": "loginsecret",
                                      "sessionToken": "logintoken"}, "tokenType": "aws_sigv4", "expiresIn": 900,
                      "refreshToken": "login-refresh-2"}, JSON]

    def seen(self):
        """The requests in the form of tests/data/signin/recorded.json."""
        return [described(request) for request in self.requests()]


def described(request):
    path, _, query = request.path.partition("?")
    seen = {"method": request.command, "path": path}
    if query:
        seen["query"] = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
    if request.body:
        seen["body"] = json.loads(request.body)
    if "x-amz-sso_bearer_token" in request.headers:
        seen["bearer"] = request.headers["x-amz-sso_bearer_token"]
    if "DPoP" in request.headers:
        seen["dpop"] = True
    return seen


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def number(value):
    """A positive number as ASN.1 has it."""
    value = value.lstrip(b"\0")
    value = b"\0" + value if not value or value[0] & 0x80 else value
    return b"\x02" + bytes([len(value)]) + value


SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


class SignInTest(CredentialsTest):
    """A test with the services, and a home directory in which a person has signed in."""

    def setUp(self):
        super().setUp()
        self.home = self.directory / "home"
        self.service = SignInService()
        self.addCleanup(self.service.close)
        self.environment.update(AWS_ENDPOINT_URL_SSO=self.service.url, AWS_ENDPOINT_URL_SSO_OIDC=self.service.url,
                                AWS_ENDPOINT_URL_SIGNIN=self.service.url)

    def put(self, path, content, home=None):
        file = (home or self.home) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(with_times(content)), encoding="utf-8")
        file.chmod(0o600)
        return file

    def get(self, path, home=None):
        return json.loads(((home or self.home) / path).read_text(encoding="utf-8"))

    def start_from(self, case, **changes):
        """A recorded case; CHANGES are members of its file with a sign-in."""
        case = copy.deepcopy(RECORDED[case])
        shutil.rmtree(self.home / ".aws", ignore_errors=True)
        self.service.answers = case["answers"]
        self.put(".aws/config", "\n".join(case["config"]) + "\n")
        for path, content in case["files"].items():
            if isinstance(content, dict):
                content.update(changes)
            self.put(path, content)
        return case

    def files(self):
        return {str(path.relative_to(self.home)): without_times(json.loads(path.read_text(encoding="utf-8")))
                for path in self.home.rglob("*.json")}

    def ask(self, *arguments, **more):
        return super().ask(*(arguments or ("--profile", "p")), **more)

    def key(self):
        """Whose keys the last request to DynamoDB was signed with; None: there was none."""
        return self.services.dynamodb.signers()[-1] if self.services.dynamodb.signers() else None

    # ---- Oracles

    def client_environment(self, **more):
        return {**{name: value for name, value in self.environment.items()
                   if not name.startswith("AWS_ACCESS") and not name.startswith("AWS_SECRET")}, **more}

    def botocore(self):
        result = run(["/usr/bin/python3", str(TESTS / "support/botocore_sign_in.py"), "p"], self.client_environment())
        return json.loads(result.out)

    def sdk_js(self, *arguments, **more):
        if SDK_JS is None:
            raise unittest.SkipTest("AWSFLOCK_TEST_SDK_JS is not set, as ./check sets it")
        node = shutil.which("node")
        result = run([node, "--no-warnings", str(TESTS / "aws-sdk-js/oracle.mjs"), *(arguments or ("keys", "p"))],
                     self.client_environment(AWSFLOCK_TEST_SDK_JS=SDK_JS, **more))
        self.assertEqual(result.code, 0, result.err)
        return json.loads(result.out)

    # ---- Proofs

    def verified_by_openssl(self, proof):
        """The claims of a DPoP proof, once OpenSSL's command line has found its signature right."""
        head, claims, signature = proof.split(".")
        header = json.loads(decoded(head))
        self.assertEqual((header["typ"], header["alg"], header["jwk"]["kty"], header["jwk"]["crv"]),
                         ("dpop+jwt", "ES256", "EC", "P-256"))
        point = decoded(header["jwk"]["x"]) + decoded(header["jwk"]["y"])
        raw = decoded(signature)
        self.assertEqual((len(point), len(raw)), (64, 64))
        body = number(raw[:32]) + number(raw[32:])
        names = []
        for name, content in (("key.der", SPKI_HEAD + point), ("signature.der", b"\x30" + bytes([len(body)]) + body),
                              ("signed", f"{head}.{claims}".encode())):
            names.append(self.directory / name)
            names[-1].write_bytes(content)
        done = subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", names[0], "-signature",
                               names[1], names[2]], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(decoded(claims))
