#!/usr/bin/python3
"""What a lock costs, beside what else one would do.

usage: bench.py [-n RUNS] [acquire] [sign-in] [tls] [local]

  acquire   one cold `awsflock acquire`, beside one equivalent UpdateItem by curl(1) and by a boto3 client process,
            all against the same DynamoDB Local
  sign-in   one cold `awsflock acquire` with keys, beside one with a fresh token of single sign-on, whose portal is asked or
            not, as the AWS CLI's cache has the role's keys
  tls       the same over TLS 1.3 on the loopback, trusting a hashed directory of the system's certificates or their
            bundle, beside curl(1) and, where Debian's awscli is installed, `aws dynamodb update-item`
  local     an acquire and release pair on the local store, and a run, beside flock(1) on a file
  -n RUNS   how often each is run (default 40); they take turns, so that all meet the same weather, and in an order drawn
            anew each turn, as whoever follows a large process finds the processor's caches full of it

Whole processes are measured, from the start to the end: wall clock, and CPU time and peak memory as the kernel
counts them. `acquire` ends in what awsflock takes of curl's wall clock, of its CPU time, which says more where the
machine has other work, and, where valgrind is installed, of its instructions, which are the same in each run; `sign-in` in the requests of each.
Figures are medians; ratios are to awsflock. Environment: AWSFLOCK (the program), and for all but `local`
AWSFLOCK_TEST_ENDPOINT or AWSFLOCK_DYNAMODB_LOCAL, as for the tests. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import typing
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from awsflocktest import (ACCESS_KEY, REGION, SECRET_KEY, boto3_client, clean_environment, command, create_table,
                          dynamodb_endpoint)
from certificates import Authority, openssl
from proxy import Proxy
from signintest import RECORDED, SignInService, with_times

BOTO3_SCRIPT = """
import boto3, json, sys
request = json.load(open(sys.argv[2]))
request.pop("ReturnValuesOnConditionCheckFailure", None)  # newer than Debian 12's boto3
print(boto3.client("dynamodb", endpoint_url=sys.argv[1]).update_item(**request)["Attributes"]["lease_id"]["S"])
"""


class Cost(typing.NamedTuple):
    wall_ms: float
    cpu_ms: float
    peak_kib: int


class Meter:
    """Runs processes one at a time, each as the child of a small process that counts what it cost."""

    def __init__(self, scratch, environment):
        self.scratch = scratch
        self.environment = environment
        self.program = scratch / "measure"
        source = pathlib.Path(__file__).resolve().parent / "measure.c"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.program, source], check=True)

    def measure(self, arguments, output=os.devnull, changes=None):
        """A failure ends the bench: its time would mean nothing."""
        done = subprocess.run([self.program, output, *arguments], env={**self.environment, **(changes or {})},
                              stdout=subprocess.PIPE, check=True)
        wall_ns, cpu_ns, peak_kib, status = (int(word) for word in done.stdout.split())
        if status != 0:
            sys.exit(f"bench: {' '.join(arguments)[:200]} ended with {os.waitstatus_to_exitcode(status)}")
        return Cost(wall_ns / 1e6, cpu_ns / 1e6, peak_kib)


def added(costs):
    return Cost(sum(cost.wall_ms for cost in costs), sum(cost.cpu_ms for cost in costs),
                max(cost.peak_kib for cost in costs))


def compare(title, contenders, runs):
    """CONTENDERS: name -> function that runs once and returns its Cost.  The first one is what ratios are to."""
    costs = {name: [] for name in contenders}
    for turn in range(runs + 2):
        for name in random.sample(list(contenders), len(contenders)):
            cost = contenders[name]()
            if turn >= 2:  # two turns to warm files and the server
                costs[name].append(cost)
    print(f"{title}, median of {runs}")
    print(f"  {'':34}{'wall ms':>9}{'ratio':>8}{'CPU ms':>9}{'ratio':>8}{'peak KiB':>11}{'ratio':>8}")
    medians = {name: Cost(*(statistics.median(column) for column in zip(*each))) for name, each in costs.items()}
    base = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"  {name:34}{median.wall_ms:9.2f}{median.wall_ms / base.wall_ms:8.2f}"
              f"{median.cpu_ms:9.2f}{median.cpu_ms / base.cpu_ms:8.2f}"
              f"{median.peak_kib:11.0f}{median.peak_kib / base.peak_kib:8.2f}")
    print(flush=True)
    return medians


def instructions(arguments, environment):
    """In user space, from the loader's first to the last."""
    done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", *arguments],
                          env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def captured_request(meter, endpoint):
    """The headers and body that awsflock itself sends for an acquire."""
    with Proxy(endpoint) as proxy:
        meter.measure(command("acquire", "captured"), changes={"AWS_ENDPOINT_URL_DYNAMODB": proxy.url})
        return proxy.requests[0]


def bench_acquire(runs, scratch):
    endpoint = dynamodb_endpoint()
    client = boto3_client(endpoint)
    table = create_table(client, f"bench-{uuid.uuid4()}")
    meter = Meter(scratch, clean_environment(scratch, AWSFLOCK_TABLE=table, AWS_ENDPOINT_URL_DYNAMODB=endpoint,
                                             AWS_DEFAULT_REGION=REGION))
    request = captured_request(meter, endpoint)
    body = scratch / "body.json"

    def write_body():
        """The same request for a lock that nobody has taken yet."""
        fresh = request.json()
        fresh["Key"]["lock_id"]["S"] = f"bench-{uuid.uuid4()}"
        body.write_text(json.dumps(fresh), encoding="utf-8")

    def awsflock_command():
        return command("acquire", "--no-wait", f"bench-{uuid.uuid4()}")

    def curl_command():
        write_body()
        return ["curl", "-sS", "--fail", "--aws-sigv4", f"aws:amz:{REGION}:dynamodb", "-u",
                f"{ACCESS_KEY}:{SECRET_KEY}", "-H", "Content-Type: application/x-amz-json-1.0", "-H",
                "X-Amz-Target: DynamoDB_20120810.UpdateItem", "--data-binary", f"@{body}", endpoint + "/"]

    def by_awsflock():
        return meter.measure(awsflock_command())

    def by_curl():
        return meter.measure(curl_command())

    def by_boto3():
        write_body()
        return meter.measure(["/usr/bin/python3", "-c", BOTO3_SCRIPT, endpoint, str(body)])

    try:
        medians = compare("one cold acquire", {"awsflock acquire": by_awsflock, "curl, the same UpdateItem": by_curl,
                                               "boto3, the same update_item": by_boto3}, runs)
        ours, curls = medians["awsflock acquire"], medians["curl, the same UpdateItem"]
        print(f"  awsflock to curl: {ours.wall_ms / curls.wall_ms:.2f} of the wall clock, "
              f"{ours.cpu_ms / curls.cpu_ms:.2f} of the CPU time")
        if shutil.which("valgrind"):
            ours, curls = (instructions(each(), meter.environment) for each in (awsflock_command, curl_command))
            print(f"  awsflock to curl: {ours / curls:.3f} of the instructions ({ours:,} to {curls:,})")
        print(flush=True)
    finally:
        client.delete_table(TableName=table)


def bench_sign_in(runs, scratch):
    case = RECORDED["sso-session-valid"]
    endpoint, service = dynamodb_endpoint(), SignInService()
    client = boto3_client(endpoint)
    table = create_table(client, f"bench-{uuid.uuid4()}")
    environment = clean_environment(scratch, AWSFLOCK_TABLE=table, AWS_ENDPOINT_URL_DYNAMODB=endpoint,
                                    AWS_DEFAULT_REGION=REGION, AWS_ENDPOINT_URL_SSO=service.url)
    meter = Meter(scratch, environment)
    keys = f"[profile k]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    for path, content in {**case["files"], ".aws/config": "\n".join(case["config"]) + "\n" + keys}.items():
        file = scratch / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(with_times(content)), encoding="utf-8")
    requests = {}

    def acquire(name, profile, cached):
        if not cached:
            shutil.rmtree(scratch / ".aws/cli", ignore_errors=True)
        before = len(service.requests())
        cost = meter.measure(command("acquire", "--no-wait", "--profile", profile, f"bench-{uuid.uuid4()}"))
        requests[name] = 1 + len(service.requests()) - before
        return cost

    contenders = {name: lambda name=name, more=more: acquire(name, *more) for name, more in (
        ("keys", ("k", False)), ("single sign-on, the portal asked", ("p", False)),
        ("single sign-on, the CLI's cache", ("p", True)))}
    try:
        compare("one cold acquire, by how one has signed in", contenders, runs)
        print("  requests: " + ", ".join(f"{name}: {count}" for name, count in requests.items()) + "\n", flush=True)
    finally:
        service.close()
        client.delete_table(TableName=table)


def system_certificates(scratch, authority):
    """The system's certificates and our authority's: (a bundle, a hashed directory)."""
    pems = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text(encoding="ascii") + authority.bundle.read_text()
    bundle = scratch / "bundle.pem"
    bundle.write_text(pems, encoding="ascii")
    hashed = scratch / "hashed"
    hashed.mkdir()
    for number, pem in enumerate(pems.split("-----END CERTIFICATE-----")[:-1]):
        (hashed / f"{number}.pem").write_text(pem.lstrip() + "-----END CERTIFICATE-----\n", encoding="ascii")
    openssl("rehash", str(hashed), cwd=scratch)
    return bundle, hashed


def bench_tls(runs, scratch):
    endpoint = dynamodb_endpoint()
    client = boto3_client(endpoint)
    table = create_table(client, f"bench-{uuid.uuid4()}")
    authority = Authority(scratch / "authority")
    bundle, hashed = system_certificates(scratch, authority)
    server = Proxy(endpoint, authority.server())
    meter = Meter(scratch, clean_environment(scratch, AWSFLOCK_TABLE=table, AWS_DEFAULT_REGION=REGION))
    request = captured_request(meter, endpoint)
    body = scratch / "body.json"

    def write_body(without=()):
        fresh = {name: value for name, value in request.json().items() if name not in without}
        fresh["Key"]["lock_id"]["S"] = f"bench-{uuid.uuid4()}"
        body.write_text(json.dumps(fresh), encoding="utf-8")

    def by_awsflock(trusted):
        return meter.measure(command("acquire", "--no-wait", f"bench-{uuid.uuid4()}"),
                             changes={"AWS_CA_BUNDLE": str(trusted), "AWS_ENDPOINT_URL_DYNAMODB": server.url})

    def by_curl(*trusted):
        write_body()
        return meter.measure(["curl", "-sS", "--fail", *trusted, "--aws-sigv4", f"aws:amz:{REGION}:dynamodb", "-u",
                              f"{ACCESS_KEY}:{SECRET_KEY}", "-H", "Content-Type: application/x-amz-json-1.0", "-H",
                              "X-Amz-Target: DynamoDB_20120810.UpdateItem", "--data-binary", f"@{body}",
                              server.url + "/"])

    def by_aws():
        write_body(without=["ReturnValuesOnConditionCheckFailure"])  # newer than Debian 12's
        return meter.measure(["/usr/bin/aws", "dynamodb", "update-item", "--endpoint-url", server.url, "--region", REGION,
                              "--cli-input-json", f"file://{body}"], changes={"AWS_CA_BUNDLE": str(bundle)})

    contenders = {"awsflock, hashed directory": lambda: by_awsflock(hashed),
                  "awsflock, bundle": lambda: by_awsflock(bundle),
                  "curl, hashed directory": lambda: by_curl("--cacert", str(authority.bundle), "--capath", str(hashed)),
                  "curl, bundle": lambda: by_curl("--cacert", str(bundle))}
    if os.access("/usr/bin/aws", os.X_OK):
        contenders["aws dynamodb update-item, bundle"] = by_aws
    try:
        compare("one cold acquire over TLS 1.3", contenders, runs)
        assert set(server.tls_versions) == {"TLSv1.3"}, server.tls_versions
    finally:
        server.close()
        client.delete_table(TableName=table)


def bench_local(runs, scratch):
    meter = Meter(scratch, clean_environment(scratch))
    store = f"--local={scratch}/store"
    lock_file = str(scratch / "file")
    lease_id = scratch / "lease-id"

    def by_pair():
        """Two processes; the lease id passes through a file, as a script would keep it."""
        taken = meter.measure(command("acquire", store, "--no-wait", "bench"), lease_id)
        given = meter.measure(command("release", store, "bench", lease_id.read_text(encoding="ascii").strip()))
        return added([taken, given])

    def by_run():
        return meter.measure(command("run", store, "bench", "true"))

    def by_flock():
        return meter.measure(["flock", lock_file, "true"])

    def by_nothing():
        return meter.measure(["true"])

    compare("one lock on this machine", {"awsflock acquire + release": by_pair, "awsflock run LOCK true": by_run,
                                         "flock FILE true": by_flock, "true alone": by_nothing}, runs)


def main():
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=40, metavar="RUNS", dest="runs", help="default 40")
    parser.add_argument("what", nargs="*", metavar="acquire|sign-in|tls|local", help="default: all")
    given = parser.parse_args()
    benches = {"acquire": bench_acquire, "sign-in": bench_sign_in, "tls": bench_tls, "local": bench_local}
    unknown = [name for name in given.what if name not in benches]
    if unknown or given.runs < 1:
        parser.error(f"no such bench: {' '.join(unknown)}" if unknown else "RUNS must be at least 1")
    for name in given.what or benches:
        with tempfile.TemporaryDirectory(prefix="awsflock-bench-") as scratch:
            benches[name](given.runs, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
