"""A server that does what AWS does with a signature: it recomputes it, by botocore's signer, and refuses what differs.

    server = SigningServer(endpoint, {"AKID": Keys("secret", None)})
    server.proxy.url        where it listens; what is signed well is carried on to ENDPOINT, which is DynamoDB Local
    server.clock_s = 3600   its clock is an hour fast: it refuses what is dated more than five minutes away

SPDX-License-Identifier: Apache-2.0
"""
import calendar
import datetime
import email.utils
import re
import time
import typing
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from proxy import Proxy, refused, then_pass

AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
                           r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")
MUST_BE_SIGNED = {"host", "x-amz-date", "x-amz-target", "x-amz-security-token"}
WINDOW_S = 300


class Keys(typing.NamedTuple):
    secret: str
    token: typing.Optional[str] = None


def botocores_authorization(request, keys, key_id, region, service, signed):
    """What botocore would have written into Authorization for the same request."""
    headers = {name: request.headers[name] for name in signed if name not in ("x-amz-date", "x-amz-security-token")}
    again = botocore.awsrequest.AWSRequest(request.method, f"http://{request.headers['host']}{request.path}", headers,
                                           request.body)
    moment = datetime.datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    credentials = botocore.credentials.Credentials(key_id, keys.secret, keys.token)
    with mock.patch("botocore.auth.datetime") as clock:
        clock.datetime.utcnow.return_value = moment
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(again)
    return again.headers["Authorization"]


class SigningServer:
    def __init__(self, endpoint, keys, region="us-east-1", tls=None):
        self.keys = keys
        self.region = region
        self.clock_s = 0
        self.good = 0
        self.refusals = []
        self.proxy = Proxy(endpoint, tls)
        self.proxy.always = self.judge

    def close(self):
        self.proxy.close()

    def refuse(self, exchange, kind, message, status=400):
        self.refusals.append(kind)
        date = email.utils.formatdate(time.time() + self.clock_s, usegmt=True)

        def with_own_date(exchange):
            original = exchange.send
            def send(reply, cut_at=None):
                reply.set_header("Date", date)
                original(reply, cut_at)
            exchange.send = send
            refused(kind, message, status)(exchange)
        with_own_date(exchange)

    def judge(self, exchange):
        request = exchange.request
        match = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if match is None:
            return self.refuse(exchange, "IncompleteSignatureException", "no usable Authorization header")
        key_id, day, region, service, signed, _ = match.groups()
        keys = self.keys.get(key_id)
        if keys is None or keys.token != request.headers.get("x-amz-security-token"):
            return self.refuse(exchange, "UnrecognizedClientException",
                               "The security token included in the request is invalid.")
        date = request.headers.get("x-amz-date", "")
        age_s = time.time() + self.clock_s - calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
        if age_s > WINDOW_S:
            return self.refuse(exchange, "InvalidSignatureException", f"Signature expired: {date} is now earlier than")
        if age_s < -WINDOW_S:
            return self.refuse(exchange, "InvalidSignatureException", f"Signature not yet current: {date} is still later")
        missing = (MUST_BE_SIGNED & set(request.headers)) - set(signed.split(";"))
        expected = botocores_authorization(request, keys, key_id, region, service, signed.split(";"))
        if (missing or day != date[:8] or region != self.region or service != "dynamodb" or
                request.headers["authorization"] != expected):
            return self.refuse(exchange, "InvalidSignatureException",
                               "The request signature we calculated does not match the signature you provided.")
        self.good += 1
        if self.clock_s == 0:
            return then_pass(exchange)
        reply = exchange.forward()
        reply.set_header("Date", email.utils.formatdate(time.time() + self.clock_s, usegmt=True))
        exchange.send(reply)
