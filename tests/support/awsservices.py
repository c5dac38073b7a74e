"""Loopback servers that behave like the ones that AWS's credentials come from, and refuse as those do: the instance
metadata service, a container's endpoint, STS; and a DynamoDB that only notes who asks.

    services = Services()
    services.instance.keys = keys("INSTANCE")
    services.instance.on("/latest/api/token", answer(404))     # what happens instead, from now on
    services.dynamodb.signers()                                # the access key ids of the requests so far

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import email.utils
import http.server
import json
import threading
import urllib.parse
import xml.sax.saxutils

FAR = "2099-01-01T00:00:00Z"
PAST = "2020-01-01T00:00:00Z"


def soon(seconds):
    """The time SECONDS from now, as AWS writes it."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


class Keys:
    """One set of keys; every part of it can be told from all others."""

    def __init__(self, name, expiration=FAR):
        self.id = f"ASIA{name.upper()}"
        self.secret = f"SECRETof{name}SECRETof{name}"
        self.token = f"TOKENof{name}/+=TOKENof{name}"
        self.expiration = expiration

    def json(self, token="Token", **more):
        return json.dumps({"AccessKeyId": self.id, "SecretAccessKey": self.secret, token: self.token,
                           "Expiration": self.expiration, **more})


def answer(status, body="", **headers):
    """An action: answers so, whatever was asked."""
    def action(handler):
        handler.reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
    return action


def slow(handler):
    """An action: says nothing, until the test is over or the other side gives up."""
    handler.server.stopping.wait(60)
    handler.close_connection = True


def hang_up(handler):
    handler.close_connection = True


class Request:
    """What was asked."""

    def __init__(self, handler):
        self.command, self.path = handler.command, handler.path
        self.headers, self.body = handler.headers, handler.body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size).decode()
        with self.server.lock:
            self.server.requests.append(Request(self))
            action = self.server.orders.get(self.path, self.server.orders.get("*", self.server.service.serve))
        try:
            action(self)
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = handle_any

    def reply(self, status, body="", headers=None):
        body = body.encode() if isinstance(body, str) else body
        self.send_response_only(status)
        for name, value in {"Date": email.utils.formatdate(usegmt=True), "Content-Length": str(len(body)),
                            **(headers or {})}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Service:
    """One server on a port of its own."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.server.service = self
        self.server.lock = threading.Lock()
        self.server.requests = []
        self.server.orders = {}
        self.server.stopping = threading.Event()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def on(self, path, action):
        """What happens to requests for PATH ("*": for any)."""
        with self.server.lock:
            self.server.orders[path] = action

    def requests(self):
        with self.server.lock:
            return list(self.server.requests)

    def paths(self):
        return [f"{request.command} {request.path}" for request in self.requests()]

    def serve(self, handler):
        raise NotImplementedError


class Instance(Service):
    """IMDS as an instance that requires version 2 shows it."""

    role = "bastion-role"
    session = "SESSIONTOKEN=="
    region = "eu-central-1"
    keys = Keys("INSTANCE")

    def serve(self, handler):
        if handler.path == "/latest/api/token":
            self.open_session(handler)
        elif handler.headers.get("X-aws-ec2-metadata-token") != self.session:
            handler.reply(401, "Unauthorized")
        else:
            self.document(handler)

    def open_session(self, handler):
        if handler.command != "PUT":
            handler.reply(405)
        elif handler.headers.get("X-Forwarded-For"):
            handler.reply(403)
        elif not (handler.headers.get("X-aws-ec2-metadata-token-ttl-seconds") or "").isdigit():
            handler.reply(400)
        else:
            handler.reply(200, self.session)

    def document(self, handler):
        documents = {"/latest/meta-data/placement/region": self.region}
        if self.role:
            path = "/latest/meta-data/iam/security-credentials/"
            documents[path] = self.role
            documents[path + self.role] = self.keys.json(Code="Success", Type="AWS-HMAC",
                                                         LastUpdated="2026-11-23T12:00:00Z")
        if handler.path in documents:
            handler.reply(200, documents[handler.path])
        else:
            handler.reply(404, "<html>404 - Not Found</html>")


class Container(Service):
    """The endpoint of ECS, or with a token that of EKS pod identity."""

    path = "/v2/credentials/1234"
    token = None
    keys = Keys("CONTAINER")

    def serve(self, handler):
        if handler.path != self.path:
            handler.reply(404, json.dumps({"code": "NotFound", "message": "no such credentials"}))
        elif handler.headers.get("Authorization") != self.token:
            handler.reply(403, json.dumps({"code": "AccessDenied", "message": "wrong token"}))
        else:
            handler.reply(200, self.keys.json(RoleArn="arn:aws:iam::123456789012:role/task"))


NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def sts_error(status, code, message):
    return answer(status, f'<ErrorResponse xmlns="{NAMESPACE}">\n  <Error>\n    <Type>Sender</Type>\n'
                          f"    <Code>{code}</Code>\n    <Message>{xml.sax.saxutils.escape(message)}</Message>\n"
                          "  </Error>\n  <RequestId>01234567-89ab-cdef</RequestId>\n</ErrorResponse>\n",
                  Content_Type="text/xml")


class SecurityTokenService(Service):
    """STS: knows some keys and checks what they sign, and some tokens of identity providers."""

    def __init__(self):
        super().__init__()
        self.known = {}  # access key id -> Keys
        self.web_tokens = set()
        self.granted = {}  # role arn -> Keys
        self.forms = []

    def serve(self, handler):
        form = dict(urllib.parse.parse_qsl(handler.body, strict_parsing=True))
        self.forms.append(form)
        keys = self.granted.get(form.get("RoleArn"))
        refusal = self.refusal(handler, form)
        if refusal:
            sts_error(403, *refusal)(handler)
        elif keys is None:
            sts_error(403, "AccessDenied", f"not authorized to perform: sts:{form['Action']} & nothing else")(handler)
        else:
            handler.reply(200, self.success(form["Action"], form["RoleArn"], keys), {"Content-Type": "text/xml"})

    def refusal(self, handler, form):
        if form.get("Version") != "2011-06-15" or not form.get("RoleSessionName"):
            return "ValidationError", "a required field is missing"
        if form["Action"] == "AssumeRoleWithWebIdentity":
            known = form.get("WebIdentityToken") in self.web_tokens and "Authorization" not in handler.headers
            return None if known else ("InvalidIdentityToken", "the token is not known")
        return self.check_signature(handler)

    def check_signature(self, handler):
        """With botocore's signer, over the request as it came in."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        given = handler.headers.get("Authorization", "")
        keys = self.known.get(signer_of(given))
        if keys is None:
            return "InvalidClientTokenId", "The security token included in the request is invalid"
        if handler.headers.get("X-Amz-Security-Token") != keys.token:
            return "InvalidClientTokenId", "another session token"
        scope = given.split("Credential=")[1].split(",")[0].split("/")
        signed = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        request = AWSRequest("POST", self.url + handler.path, data=handler.body,
                             headers={name: handler.headers[name] for name in signed})
        request.context["timestamp"] = handler.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(keys.id, keys.secret, keys.token), "sts", scope[2])
        canonical = signer.canonical_request(request)
        signature = signer.signature(signer.string_to_sign(request, canonical), request)
        if signature != given.rpartition("Signature=")[2]:
            return "SignatureDoesNotMatch", "The request signature we calculated does not match"
        return None

    @staticmethod
    def success(action, arn, keys):
        return (f'<{action}Response xmlns="{NAMESPACE}">\n  <{action}Result>\n    <AssumedRoleUser>\n'
                f"      <AssumedRoleId>AROAEXAMPLE:x</AssumedRoleId>\n      <Arn>{arn}</Arn>\n"
                "    </AssumedRoleUser>\n    <Credentials>\n"
                f"      <AccessKeyId>{keys.id}</AccessKeyId>\n"
                f"      <SecretAccessKey>{xml.sax.saxutils.escape(keys.secret)}</SecretAccessKey>\n"
                f"      <SessionToken>{xml.sax.saxutils.escape(keys.token)}</SessionToken>\n"
                f"      <Expiration>{keys.expiration}</Expiration>\n    </Credentials>\n"
                f"  </{action}Result>\n  <ResponseMetadata>\n    <RequestId>0123</RequestId>\n"
                f"  </ResponseMetadata>\n</{action}Response>\n")


def signer_of(authorization):
    """The access key id in an Authorization header."""
    return authorization.partition("Credential=")[2].partition("/")[0]


class NotingDynamoDB(Service):
    """Every lock is free; who asked is noted."""

    def serve(self, handler):
        handler.reply(200, "{}", {"Content-Type": "application/x-amz-json-1.0"})

    def signers(self):
        return [signer_of(request.headers.get("Authorization", "")) for request in self.requests()]


class Services:
    """All of them, and the variables that lead to them."""

    def __init__(self):
        self.instance = Instance()
        self.container = Container()
        self.sts = SecurityTokenService()
        self.dynamodb = NotingDynamoDB()

    def close(self):
        for service in (self.instance, self.container, self.sts, self.dynamodb):
            service.close()

    def variables(self):
        return {"AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb.url, "AWS_ENDPOINT_URL_STS": self.sts.url,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.instance.url}
