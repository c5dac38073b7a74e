"""doctor: what it checks, what it says of each fault and how to mend it, and that it leaves nothing behind.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import time
import unittest
import uuid

from awsflocktest import ACCESS_KEY, SECRET_KEY, OnDynamoDB, OnLocalStore, closed_port, command, create_table, run, without_root_powers
import awsservices
from aws_server import Keys, SigningServer
from proxy import Proxy, answered, changed, changed_json, date_shifted, http_date, refused, then_pass, without_date

FOLLOWS = ["config", "region", "endpoint", "credentials", "connection", "clock", "table", "global-table", "ttl", "lock"]


def ttl_enabled(shift):
    """The table has a TTL, says a server whose clock is fast by SHIFT seconds."""
    told = {"TimeToLiveDescription": {"AttributeName": "expiration_time", "TimeToLiveStatus": "ENABLED"}}

    def tell(reply):
        reply.body = json.dumps(told).encode()
        reply.set_header("x-amz-crc32", None)
        reply.set_header("Date", http_date(time.time() + shift))
    return changed(tell)


class Doctor:
    def doctor(self, *arguments, **more):
        """The exit code, and the checks by name, in order."""
        result = self.flock("doctor", "--json", *arguments, **more)
        self.assertNotEqual(result.out, "", result)
        told = json.loads(result.out)
        checks = {check["check"]: check for check in told["checks"]}
        self.assertEqual(len(checks), len(told["checks"]), told)
        failed = [name for name, check in checks.items() if check["verdict"] == "failed"]
        self.assertEqual(told["ok"], not failed)
        self.assertEqual(result.code, 1 if failed else 0, told)
        for check in told["checks"]:
            self.assertEqual(check["mend"] is None, check["verdict"] == "ok", check)
        return checks

    def verdicts(self, checks):
        return {name: check["verdict"] for name, check in checks.items() if check["verdict"] != "ok"}

    def assertOnly(self, checks, verdict, name, *words):
        """NAME alone is not ok, and its finding and mend hold WORDS."""
        self.assertEqual(self.verdicts(checks), {name: verdict}, checks)
        text = (checks[name]["finding"] + " | " + checks[name]["mend"]).lower()
        for word in words:
            self.assertIn(word.lower(), text)

    def assertEndsWith(self, checks, name, *words):
        """NAME failed, and nothing was checked after it."""
        self.assertOnly(checks, "failed", name, *words)
        self.assertEqual(list(checks)[-1], name)


class DoctorOnTheTableTest(Doctor, OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.client.update_time_to_live(TableName=self.table, TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "expiration_time"})

    def through_a_proxy(self):
        proxy = Proxy(self.endpoint)
        self.addCleanup(proxy.close)
        self.use_endpoint(proxy.url)
        return proxy

    def test_on_a_good_table_everything_is_ok_and_nothing_is_left_behind(self):
        checks = self.doctor()
        self.assertEqual(list(checks), FOLLOWS)
        self.assertEqual(self.verdicts(checks), {})
        self.assertIn("environment", checks["credentials"]["finding"])
        self.assertIn("AWS_REGION", checks["region"]["finding"])
        self.assertEqual(self.item_count(), 0)

    def test_shows_people_a_line_for_each_check_and_its_mend(self):
        result = self.flock("doctor", "--tablename", "missing-" + self.table)
        self.assertEqual(result.code, 1)
        lines = result.out.splitlines()
        self.assertEqual([line.split()[:2] for line in lines[:6]], [["ok", name] for name in FOLLOWS[:6]])
        self.assertEqual(lines[6].split()[:2], ["failed", "table"])
        self.assertRegex(lines[7], "^ +mend: awsflock create-table")
        self.assertEqual((len(lines), result.err), (8, ""))

    def test_a_reader_who_leaves_early_is_told_as_that(self):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            result = run(self.flock_command("doctor"), self.environment, stdout=pipe)
        self.assertEqual((result.code, result.err), (1, "awsflock: cannot print all findings: Broken pipe\n"))
        self.assertEqual(self.item_count(), 0)

    def assertReleasedAtLast(self, proxy):
        """By the request, since TTL may delete the item at once."""
        self.assertEqual(proxy.operations()[-1], "UpdateItem")
        self.assertIn("released_time = :", proxy.requests[-1].json()["UpdateExpression"])

    def test_tries_the_lock_that_it_is_given_and_leaves_it_free(self):
        proxy = self.through_a_proxy()
        self.assertEqual(self.verdicts(self.doctor("team-a/try")), {})
        self.assertReleasedAtLast(proxy)
        self.assertEqual(proxy.count("DeleteItem"), 0)
        self.assertFree("team-a/try")

    def test_leaves_a_lock_alone_that_is_held(self):
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        self.assertOnly(self.doctor("deploy"), "warning", "lock", "the-holder")
        self.assertHeld("deploy", lease_id)

    def test_no_secret_is_shown(self):
        changes = {"AWS_SESSION_TOKEN": "secret-session-token"}
        result = self.flock("doctor", "-v", changes=changes)
        for secret in (self.environment["AWS_SECRET_ACCESS_KEY"], "secret-session-token",
                       self.environment["AWS_ACCESS_KEY_ID"]):
            self.assertNotIn(secret, result.out + result.err)

    def test_a_broken_configuration_is_a_failed_check(self):
        broken = self.write("broken.conf", "[awsflock]\nregoin = us-east-1\n")
        checks = self.doctor(changes={"AWSFLOCK_CONFIG": broken})
        self.assertEndsWith(checks, "config", "regoin", "broken.conf:2")

    def test_a_missing_region_bad_profile_or_proxy_is_named(self):
        self.assertEndsWith(self.doctor(changes={"AWS_REGION": None}), "endpoint", "--region")
        self.assertEndsWith(self.doctor(changes={"AWS_PROFILE": "nobody"}), "profile", "nobody")
        self.assertEndsWith(self.doctor("--endpoint-url", "ftp://x"), "endpoint", "from the command line")

    def test_missing_credentials_are_told_once_with_a_line_for_each_source(self):
        changes = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        self.assertEndsWith(self.doctor(changes=changes), "credentials", "awsflock(1)")
        result = self.flock("doctor", changes=changes)
        for source in ("environment", "single sign-on", "instance metadata"):
            self.assertEqual((result.out + result.err).count(f"no credentials from the {source}: "), 1, result)
        for once in ("no AWS credentials were found", "AWS_SECRET_ACCESS_KEY"):
            self.assertEqual((result.out + result.err).count(once), 1, result)

    def test_credentials_that_aws_does_not_know_are_a_failed_check(self):
        server = SigningServer(self.endpoint, {"AKIDOTHER": Keys("other")})
        self.addCleanup(server.close)
        self.use_endpoint(server.proxy.url)
        checks = self.doctor()
        self.assertEndsWith(checks, "access", "does not know the credentials")

    def test_a_closed_port_is_a_failed_connection(self):
        self.use_endpoint(f"http://127.0.0.1:{closed_port()}")
        self.assertEndsWith(self.doctor(), "connection", "proxy")

    def test_a_login_page_is_a_failed_connection(self):
        self.through_a_proxy().always = answered(200, "<html>", [("Content-Type", "text/html")])
        self.assertEndsWith(self.doctor(), "connection", "not DynamoDB")

    def test_a_wrong_clock_is_a_warning(self):
        bare = create_table(self.client, f"test-{uuid.uuid4()}")  # a TTL by the right clock would delete what a slow one writes
        self.addCleanup(self.client.delete_table, TableName=bare)
        for shift, words in ((7230, "behind"), (-7230, "ahead of")):
            with self.subTest(shift=shift):
                proxy = self.through_a_proxy()
                proxy.always = date_shifted(shift)
                proxy.on("DescribeTimeToLive", ttl_enabled(shift))
                self.assertOnly(self.doctor("--tablename", bare), "warning", "clock", words, "timedatectl", "2h")

    def test_answers_without_a_date_are_a_failure(self):
        self.through_a_proxy().always = without_date
        self.assertEndsWith(self.doctor(), "clock", "Date")

    def test_a_missing_table_is_a_failed_check(self):
        self.assertEndsWith(self.doctor("--tablename", "missing-" + self.table), "table", "create-table")

    def test_a_table_with_another_key_is_a_failed_check(self):
        other = create_table(self.client, f"test-{uuid.uuid4()}", key="id")
        self.addCleanup(self.client.delete_table, TableName=other)
        self.assertEndsWith(self.doctor("--tablename", other), "table", "lock_id")

    def test_a_ttl_that_is_off_or_elsewhere_is_a_warning(self):
        bare = create_table(self.client, f"test-{uuid.uuid4()}")
        self.addCleanup(self.client.delete_table, TableName=bare)
        self.assertOnly(self.doctor("--tablename", bare), "warning", "ttl", "create-table")
        self.client.update_time_to_live(TableName=bare, TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "expires"})
        self.assertOnly(self.doctor("--tablename", bare), "warning", "ttl", "expires")

    def with_description(self, **members):
        def change(reply):
            if "Table" in reply:
                reply["Table"].update(members)
        self.through_a_proxy().always = changed_json(change)

    def test_replicas_with_eventual_consistency_are_a_warning_and_strong_ones_are_not(self):
        self.with_description(Replicas=[{"RegionName": "eu-west-1"}])
        self.assertOnly(self.doctor(), "warning", "global-table", "eventual", "one region")
        self.with_description(Replicas=[{"RegionName": "eu-west-1"}], MultiRegionConsistency="STRONG")
        self.assertEqual(self.verdicts(self.doctor()), {})

    def test_a_table_that_is_being_deleted_is_a_failed_check(self):
        self.with_description(TableStatus="DELETING")
        self.assertEndsWith(self.doctor(), "table", "DELETING")

    def test_who_may_lock_but_not_look_at_the_table_is_told_so(self):
        proxy = self.through_a_proxy()
        proxy.on("DescribeTable", refused("AccessDeniedException", "not authorized to perform: dynamodb:DescribeTable"))
        self.assertOnly(self.doctor(), "warning", "table", "dynamodb:DescribeTable")

    def test_who_may_only_read_is_told_so(self):
        proxy = self.through_a_proxy()
        proxy.on("UpdateItem", refused("AccessDeniedException", "not authorized to perform: dynamodb:UpdateItem"))
        self.assertOnly(self.doctor(), "failed", "lock", "UpdateItem", "policy")

    def test_who_may_not_read_the_random_name_is_told_to_name_a_lock(self):
        proxy = self.through_a_proxy()
        proxy.on("GetItem", refused("AccessDeniedException", "not authorized to perform: dynamodb:GetItem"))
        self.assertEndsWith(self.doctor(), "access", "doctor LOCK")

    def test_who_may_not_delete_leaves_a_released_lock(self):
        proxy = self.through_a_proxy()
        proxy.on("DeleteItem", refused("AccessDeniedException", "not authorized to perform: dynamodb:DeleteItem"))
        self.assertEqual(self.verdicts(self.doctor()), {})
        self.assertReleasedAtLast(proxy)


ROLE = "arn:aws:iam::123456789012:role/deployer"


class MendTest(Doctor, OnDynamoDB):
    """Each mend is done as it is told, and then everything is ok."""

    def setUp(self):
        super().setUp()
        self.client.update_time_to_live(TableName=self.table, TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "expiration_time"})
        self.server = SigningServer(self.endpoint, {ACCESS_KEY: Keys(SECRET_KEY)})
        self.addCleanup(self.server.close)
        self.use_endpoint(self.server.proxy.url)

    def assertMend(self, name, mend, *arguments):
        checks = self.doctor(*arguments)
        self.assertEqual(self.verdicts(checks), {name: "failed"}, checks)
        self.assertIn(mend, checks[name]["mend"])
        self.assertNotIn("log in", checks[name]["mend"])

    def assertMended(self, *arguments):
        self.assertEqual(self.verdicts(self.doctor(*arguments)), {})

    def test_a_secret_that_belongs_to_another_id(self):
        self.environment["AWS_SECRET_ACCESS_KEY"] = "example" * 5
        self.assertMend("access", "copy the secret access key anew")
        self.environment["AWS_SECRET_ACCESS_KEY"] = SECRET_KEY
        self.assertMended()

    def test_an_id_that_aws_does_not_know(self):
        self.environment["AWS_ACCESS_KEY_ID"] = "AKIAANOTHEREXAMPLE"
        self.assertMend("access", "copy the access key id")
        self.environment["AWS_ACCESS_KEY_ID"] = ACCESS_KEY
        self.assertMended()

    def test_a_session_token_that_has_expired(self):
        old, new = Keys(SECRET_KEY, "an-old-token"), Keys(SECRET_KEY, "a-new-token")
        for kind in ("ExpiredTokenException", "ExpiredToken"):
            with self.subTest(kind=kind):
                self.environment["AWS_SESSION_TOKEN"] = old.token
                self.server.proxy.always = refused(kind, "The security token included in the request is expired")
                self.assertMend("access", "get new ones from where these came")
                self.environment["AWS_SESSION_TOKEN"] = new.token
                self.server.keys[ACCESS_KEY] = new
                self.server.proxy.always = self.server.judge
                self.assertMended()

    def test_a_program_that_gives_no_keys(self):
        program = self.write("keys", "#!/bin/sh\necho {}\n")
        program.chmod(0o755)
        config = self.write("aws-config", f"[profile ops]\ncredential_process = {program}\n")
        self.environment["AWS_CONFIG_FILE"] = str(config)
        self.assertMend("credentials", "put right what is named", "--profile=ops")
        keys = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}
        program.write_text(f"#!/bin/sh\necho '{json.dumps(keys)}'\n", encoding="ascii")
        self.assertMended("--profile=ops")

    def test_a_policy_that_allows_some_locks_alone(self):
        def judge(exchange):
            if b"team-a/" in exchange.request.body or exchange.request.operation.startswith("Describe"):
                return then_pass(exchange)
            return refused("AccessDeniedException", "is not authorized to perform: dynamodb:GetItem")(exchange)
        self.server.proxy.always = judge
        self.assertMend("access", "or try a lock that it allows, awsflock doctor LOCK")
        self.assertMended("team-a/try")

    def test_a_proxy_that_takes_the_signature_away(self):
        for kind in ("MissingAuthenticationTokenException", "IncompleteSignatureException"):
            with self.subTest(kind=kind):
                self.server.proxy.always = refused(kind, "Request is missing Authentication Token")
                self.assertMend("access", "look for a proxy on the way")
                self.server.proxy.always = self.server.judge
                self.assertMended()

    def with_role(self):
        """A role of the keys in the environment, and the service that gives it."""
        sts = awsservices.SecurityTokenService()
        self.addCleanup(sts.close)
        given = awsservices.Keys("GIVEN")
        caller = awsservices.Keys("CALLER")
        sts.known, sts.granted = {caller.id: caller}, {ROLE: given}
        self.server.keys[given.id] = Keys(given.secret, given.token)
        config = self.write("aws-config", f"[profile deployer]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
        self.environment.update(AWS_CONFIG_FILE=str(config), AWS_ENDPOINT_URL_STS=sts.url,
                                AWS_ACCESS_KEY_ID=caller.id, AWS_SECRET_ACCESS_KEY=caller.secret,
                                AWS_SESSION_TOKEN=caller.token)
        return sts, caller

    def test_a_role_that_is_not_given_to_its_caller(self):
        sts, _ = self.with_role()
        granted, sts.granted = sts.granted, {}
        self.assertMend("credentials", "have the role's trust policy name who asks for it", "--profile=deployer")
        sts.granted = granted
        self.assertMended("--profile=deployer")

    def test_a_role_whose_caller_has_expired(self):
        sts, _ = self.with_role()
        sts.on("*", awsservices.sts_error(403, "ExpiredToken", "The security token included in the request is expired"))
        self.assertMend("credentials", "get new ones from where these came", "--profile=deployer")
        sts.on("*", sts.serve)
        self.assertMended("--profile=deployer")

    def test_a_role_whose_caller_has_a_wrong_secret_or_is_unknown(self):
        _, caller = self.with_role()
        self.environment["AWS_SECRET_ACCESS_KEY"] = "example" * 5
        self.assertMend("credentials", "copy the secret access key anew", "--profile=deployer")
        self.environment["AWS_SECRET_ACCESS_KEY"] = caller.secret
        self.environment["AWS_SESSION_TOKEN"] = "of-another"
        self.assertMend("credentials", "and the session token where there is one, anew", "--profile=deployer")
        self.environment["AWS_SESSION_TOKEN"] = caller.token
        self.assertMended("--profile=deployer")


class DoctorOnTheLocalStoreTest(Doctor, OnLocalStore):
    def test_a_good_directory_is_ok(self):
        for _ in ("before it exists", "after"):
            checks = self.doctor()
            self.assertEqual(list(checks), ["config", "directory", "boot", "lock"])
            self.assertEqual(self.verdicts(checks), {})
        self.assertEqual(self.store_files(), [])

    def test_a_directory_that_others_may_change_is_a_failed_check(self):
        self.store.mkdir(mode=0o700)
        self.store.chmod(0o777)
        self.assertEndsWith(self.doctor(), "directory", str(self.store))

    def test_a_directory_that_cannot_be_written_to_is_a_failed_check(self):
        self.store.mkdir(mode=0o500)
        result = run(without_root_powers(command("doctor", *self.store_options(), "--json")), self.environment)
        self.assertEqual(result.code, 1, result)
        self.assertEqual(json.loads(result.out)["checks"][-1]["check"], "directory")

    def test_an_impossible_lock_is_wrong_use(self):
        self.assertSays(self.flock("doctor", "a\nb"), 2)


if __name__ == "__main__":
    unittest.main()
