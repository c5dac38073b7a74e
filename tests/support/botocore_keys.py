#!/usr/bin/python3
"""botocore_keys.py [PROFILE]: what AWS's own library finds in this environment: access key id and token, or "none".

This botocore may be older than AWS_ENDPOINT_URL_STS, so that STS's URL is handed to it here.
SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

import botocore.session

session = botocore.session.Session(profile=sys.argv[1] if len(sys.argv) > 1 else None)
make_client = session.create_client


def create_client(name, **more):
    return make_client(name, endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"], **more)


session.create_client = create_client
try:
    credentials = session.get_credentials()
    frozen = credentials.get_frozen_credentials() if credentials else None
except Exception as error:  # any of botocore's many
    print(f"error {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1)
print(f"{frozen.access_key} {frozen.token}" if frozen else "none")
