#!/usr/bin/python3
"""botocore_sign_in.py PROFILE [CODE]: what AWS's own library finds for a profile that signs in, as JSON.  With CODE, which answers the question
for an MFA code, keys are cached as the AWS CLI has it.

This botocore may be older than AWS_ENDPOINT_URL_SSO and its like, so that the URLs are handed to it here.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import sys

import botocore.credentials
import botocore.session

URLS = {"sso": "AWS_ENDPOINT_URL_SSO", "sso-oidc": "AWS_ENDPOINT_URL_SSO_OIDC", "sts": "AWS_ENDPOINT_URL_STS"}

session = botocore.session.Session(profile=sys.argv[1])
make_client = session.create_client


def create_client(name, **more):
    return make_client(name, **{**more, "endpoint_url": os.environ[URLS[name]]})


session.create_client = create_client
if len(sys.argv) > 2:
    role = session.get_component("credential_provider").get_provider("assume-role")
    role.cache = botocore.credentials.JSONFileCache(os.path.expanduser("~/.aws/cli/cache"))
    role._prompter = lambda _: sys.argv[2]
try:
    frozen = session.get_credentials().get_frozen_credentials()
    print(json.dumps({"accessKeyId": frozen.access_key}))
except Exception as error:  # any of botocore's many
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
