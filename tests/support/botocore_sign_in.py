#!/usr/bin/python3
"""botocore_sign_in.py PROFILE: what AWS's own library finds for a profile that signs in, as JSON.

This botocore may be older than AWS_ENDPOINT_URL_SSO and its like, so that the URLs are handed to it here.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import sys

import botocore.session

URLS = {"sso": "AWS_ENDPOINT_URL_SSO", "sso-oidc": "AWS_ENDPOINT_URL_SSO_OIDC", "sts": "AWS_ENDPOINT_URL_STS"}

session = botocore.session.Session(profile=sys.argv[1])
make_client = session.create_client


def create_client(name, **more):
    return make_client(name, **{**more, "endpoint_url": os.environ[URLS[name]]})


session.create_client = create_client
try:
    frozen = session.get_credentials().get_frozen_credentials()
    print(json.dumps({"accessKeyId": frozen.access_key}))
except Exception as error:  # any of botocore's many
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
