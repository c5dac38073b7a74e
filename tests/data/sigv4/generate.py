#!/usr/bin/python3
"""Makes cases.json: requests and the signatures that botocore gives them.

botocore (Debian's python3-botocore) is the oracle here: an independent signer that AWS itself ships.  The keys are
the ones of AWS's own documentation, which open nothing.  Run it in this directory and commit what changes:

    /usr/bin/python3 generate.py > cases.json

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import json
import sys
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "AQoEXAMPLEH4aoAH0gNCAPyJxz4BlCFFxWNE1OPTgk5TthT+FvwqnKwRcOIfrRh3c/LTo6UDdyJwOOvEVPvLXCrrrUtdnniCEXAMPLE/IvU1dYUg2RVAJBanLiHb4IgRmpRV3zrkuWJOgQs8IZZaIv2BXIa2R4OlgkBN9bkUDNCJiBeb/AXlzBBko7b15fjrBs2+cTQtpZ3CYWFXG8C5zqx37wnOE49mRl/+OtkIKGO7fAE"

AWS_HOST = "dynamodb.us-east-1.amazonaws.com"
JSON_TYPE = "application/x-amz-json-1.0"


def dynamodb_headers(host=AWS_HOST, operation="UpdateItem"):
    return [["Host", host], ["Content-Type", JSON_TYPE], ["X-Amz-Target", "DynamoDB_20120810." + operation]]


def case(name, headers, body="{}", **changes):
    result = {
        "name": name,
        "method": "POST",
        "scheme": "https",
        "path": "/",
        "query": "",
        "region": "us-east-1",
        "service": "dynamodb",
        "time_seconds": 1440938160,
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "session_token": None,
        "headers": headers,
        "body": body,
    }
    result.update(changes)
    return result


CASES = [
    case("an_update_with_long_term_keys", dynamodb_headers()),
    case("an_update_with_a_session_token", dynamodb_headers(), session_token=TOKEN),
    case("an_endpoint_on_a_port_of_its_own", dynamodb_headers("127.0.0.1:8000"), scheme="http"),
    case("a_port_and_a_session_token", dynamodb_headers("localhost:4566"), scheme="http", session_token=TOKEN),
    case("an_address_of_version_six", dynamodb_headers("[::1]:8000"), scheme="http"),
    case("a_body_beyond_ascii", dynamodb_headers(), '{"Key":{"lock_id":{"S":"Schlüssel-鍵-🔒"}}}'),
    case("an_empty_body", dynamodb_headers(), ""),
    case("a_body_with_line_breaks", dynamodb_headers(), '{\n\t"TableName": "awsflock"\r\n}\n'),
    case("a_body_longer_than_a_block_of_the_digest", dynamodb_headers(), '{"a":"' + "x" * 5000 + '"}'),
    case("a_path", dynamodb_headers("gateway.example.com"), path="/dynamodb/v1"),
    case("a_path_that_is_encoded_already", dynamodb_headers("gateway.example.com"), path="/team%20a/d%C3%BC~db"),
    case("a_query", [["Host", "sts.us-east-1.amazonaws.com"]], "", method="GET",
         query="Action=GetCallerIdentity&Version=2011-06-15", service="sts"),
    case("a_get_without_a_body", [["Host", "example.amazonaws.com"]], "", method="GET", service="service"),
    case("another_region", dynamodb_headers("dynamodb.eu-central-1.amazonaws.com"), region="eu-central-1"),
    case("a_leap_day", dynamodb_headers(), time_seconds=1709210096),
    case("the_last_second_of_a_year", dynamodb_headers(), time_seconds=1798761599),
    case("a_header_with_outer_and_inner_blanks",
         dynamodb_headers() + [["X-Amz-Note", "  one   two \t three  "]]),
    case("headers_given_out_of_order",
         [["X-Amz-Target", "DynamoDB_20120810.GetItem"], ["Host", AWS_HOST], ["Content-Type", JSON_TYPE],
          ["A-First", "1"]]),
    case("a_secret_with_every_kind_of_sign", dynamodb_headers(), secret_access_key="EXAMPLE/+=KEY " + "z" * 100),
]


def sign(case):
    moment = datetime.datetime.utcfromtimestamp(case["time_seconds"])
    host = dict(case["headers"])["Host"]
    url = case["scheme"] + "://" + host + case["path"] + ("?" + case["query"] if case["query"] else "")
    request = botocore.awsrequest.AWSRequest(case["method"], url, dict(case["headers"]), case["body"].encode())
    credentials = botocore.credentials.Credentials(
        case["access_key_id"], case["secret_access_key"], case["session_token"])
    with mock.patch("botocore.auth.datetime") as clock:
        clock.datetime.utcnow.return_value = moment
        botocore.auth.SigV4Auth(credentials, case["service"], case["region"]).add_auth(request)
    return {"date": request.headers["X-Amz-Date"], "authorization": request.headers["Authorization"]}


def main():
    for one in CASES:
        one["expected"] = sign(one)
        del one["scheme"]
    json.dump(CASES, sys.stdout, indent=1, ensure_ascii=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
