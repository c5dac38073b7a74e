#!/usr/bin/python3
"""Makes cases.json: settings, and the URL and signing region that botocore comes to for DynamoDB with them.

Each case is what a user may have: a region, environment variables, an AWS config file. botocore makes a client of it and
a request, which is caught before it is sent. Needs a botocore of 2025 or later, for Debian 12's knows no
AWS_ENDPOINT_URL yet; tests/interop/test_endpoints.py holds what that one knows against the same table. Run it in this
directory and commit what changes:

    python3 generate.py > cases.json

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import json
import os
import re
import tempfile
from unittest import mock

import botocore
import botocore.awsrequest
import botocore.session

INVENTED_REGIONS = ["us-east-9", "eu-mars-1", "cn-south-9", "us-gov-north-9", "us-iso-north-9", "us-isob-north-9",
                    "eu-isoe-north-9", "us-isof-north-9", "eusc-de-north-9", "mars-north-1"]
PSEUDO_REGIONS = ["us-east-1-fips", "ca-central-1-fips", "fips-us-west-2", "us-gov-west-1-fips", "local"]
# What we do otherwise on purpose, by the case's name: awsflock's answer, and why.
DIFFERENT = {
    "two names of a profile": {"url": "https://dynamodb.eu-west-3.amazonaws.com", "region": "eu-west-3",
                               "why": "as aws(1) 2 does: AWS_PROFILE before AWS_DEFAULT_PROFILE"},
}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "EXAMPLEKEY", "AWS_EC2_METADATA_DISABLED": "true"}


class Caught(Exception):
    pass


def resolve(environment, config):
    """{"url", "region"} of a request, or {"error"}: the kind of error that botocore gives."""
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        surroundings = {**KEYS, "HOME": home, "AWS_CONFIG_FILE": path, **environment}
        with mock.patch.dict(os.environ, surroundings, clear=True):
            return resolve_here()


def resolve_here():
    caught = []

    def catch(request, **_):
        caught.append(request)
        raise Caught

    try:
        client = botocore.session.Session().create_client("dynamodb")
        client.meta.events.register("before-send.dynamodb.*", catch)
        client.list_tables()
    except Caught:
        pass
    except Exception as error:  # whatever it is, its name is the answer
        return {"error": type(error).__name__}
    authorization = caught[0].headers["Authorization"]
    if isinstance(authorization, bytes):
        authorization = authorization.decode()
    # The scheme's own port and no path say the same with and without.
    url = re.sub(r"^(https://[^/]*):443(/|$)|^(http://[^/]*):80(/|$)", r"\1\3\2\4", caught[0].url).rstrip("/")
    return {"url": url, "region": re.search(r"/\d{8}/(\S+)/dynamodb/", authorization).group(1)}


def case(name, environment, config=""):
    return {"name": name, "environment": environment, "config": config}


def real_regions():
    data = botocore.session.Session().get_component("data_loader").load_data("endpoints")
    return [region for partition in data["partitions"] for region in partition["regions"]]


def region_cases():
    """Every region, with every setting of the two switches."""
    for region in real_regions() + INVENTED_REGIONS + PSEUDO_REGIONS:
        for fips, dual_stack in itertools.product(("", "true", "false"), repeat=2):
            environment = {"AWS_DEFAULT_REGION": region}
            if fips:
                environment["AWS_USE_FIPS_ENDPOINT"] = fips
            if dual_stack:
                environment["AWS_USE_DUALSTACK_ENDPOINT"] = dual_stack
            yield case(f"{region} fips={fips or '-'} dual-stack={dual_stack or '-'}", environment)


def switch_cases():
    """The switches in the profile, and against the environment."""
    values = (None, "true", "false", "True")
    for region in ("us-east-1", "us-gov-west-1", "cn-north-1"):
        for fips, dual_stack, over in itertools.product(values, values, (None, "true", "false")):
            config = f"[default]\nregion = {region}\n"
            config += f"use_fips_endpoint = {fips}\n" if fips else ""
            config += f"use_dualstack_endpoint = {dual_stack}\n" if dual_stack else ""
            environment = {"AWS_USE_FIPS_ENDPOINT": over} if over else {}
            yield case(f"{region} in a profile, fips={fips} dual-stack={dual_stack} over={over}", environment, config)


def place_cases():
    """Every set of the places that may name a URL."""
    for bits in itertools.product((False, True), repeat=7):
        own, general, services, profile, ignored, ignored_by_profile, named = bits
        section = "profile ops" if named else "default"
        config = f"[{section}]\nregion = eu-west-1\n"
        config += "services = local-things\n" if services else ""
        config += "endpoint_url = https://profile.example.com\n" if profile else ""
        config += "ignore_configured_endpoint_urls = true\n" if ignored_by_profile else ""
        config += "[services local-things]\ndynamodb =\n  endpoint_url = https://services.example.com:8443/db\n"
        config += "s3 =\n  endpoint_url = https://s3.example.com\n"
        environment = {}
        if own:
            environment["AWS_ENDPOINT_URL_DYNAMODB"] = "https://own.example.com/"
        if general:
            environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:8000"
        if ignored:
            environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
        if named:
            environment["AWS_PROFILE"] = "ops"
        words = ("own", "general", "services", "profile", "ignored", "ignored-by-profile", "named")
        yield case("places: " + (" ".join(word for word, bit in zip(words, bits) if bit) or "none"), environment, config)


def spelling_cases():
    for url in ("https://db.example.com", "https://db.example.com/", "https://db.example.com:443", "http://[::1]:8000",
                "http://127.0.0.1:80", "https://db.example.com:8443/a/b", "https://db.example.com/a/",
                "http://localhost:4566", "https://vpce-0a1b-2c3d.dynamodb.us-east-1.vpce.amazonaws.com"):
        for switches in ({}, {"AWS_USE_DUALSTACK_ENDPOINT": "false"}):
            yield case(f"URL {url} {len(switches)}",
                       {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url, **switches})
    for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"):
        yield case(f"the profile of {name}", {name: "ops"},
                   "[profile ops]\nregion=us-west-2\n[default]\nregion=eu-west-3\n")
    yield case("two names of a profile", {"AWS_DEFAULT_PROFILE": "ops", "AWS_PROFILE": "dev"},
               "[profile ops]\nregion=us-west-2\n[profile dev]\nregion=eu-west-3\n")
    yield case("a profile in quotes", {"AWS_PROFILE": "two words"}, '[profile "two words"]\nregion = us-west-2\n')
    yield case("the default profile with its word", {}, "[profile default]\nregion = us-west-2\n")
    yield case("both spellings of the default profile", {},
               "[default]\nregion = us-west-1\n[profile default]\nregion = us-west-2\n")
    yield case("a variable before the profile", {"AWS_DEFAULT_REGION": "sa-east-1"}, "[default]\nregion = us-west-2\n")
    yield case("local with a URL", {"AWS_DEFAULT_REGION": "local", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})
    yield case("an empty URL", {"AWS_DEFAULT_REGION": "sa-east-1", "AWS_ENDPOINT_URL": ""})
    yield case("no region", {})
    yield case("a region that is no host label", {"AWS_DEFAULT_REGION": "us_east.example.com/x"})
    yield case("services that do not exist", {}, "[default]\nregion = us-west-2\nservices = nowhere\n")
    yield case("services without dynamodb", {},
               "[default]\nregion = us-west-2\nservices = some\n[services some]\ns3 =\n"
               "  endpoint_url = https://s3.example.com\n")


def main():
    cases = [*region_cases(), *switch_cases(), *place_cases(), *spelling_cases()]
    for one in cases:
        one["expected"] = resolve(one["environment"], one["config"])
        if one["name"] in DIFFERENT:
            one["ours"] = DIFFERENT[one["name"]]
    print('{"botocore": ' + json.dumps(botocore.__version__) + ', "cases": [')
    print(",\n".join(json.dumps(one) for one in cases))
    print("]}")


if __name__ == "__main__":
    main()
