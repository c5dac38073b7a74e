"""Every source of credentials, as it is set up on the machines that have it: awsflock signs with the keys that AWS's
own library finds in the same environment and files.

SPDX-License-Identifier: Apache-2.0
"""
import dataclasses
import json
import shlex
import unittest

import awsservices
from awsservices import PAST, Keys, answer, soon
from credentialstest import (CONFIG, ENVIRONMENT, FILE, GRANTED, OTHER, OTHER_ROLE, PRINT_KEYS, PROCESS, ROLE, WEB, Case,
                             CredentialsTest, lines, variables)

CASES = {
    "environment": Case(ENVIRONMENT, variables=variables(ENVIRONMENT)),
    "environment_before_all_else": Case(
        ENVIRONMENT, f"[default]\nrole_arn = {ROLE}\nsource_profile = x\n", f"[default]\n{lines(FILE)}",
        {**variables(ENVIRONMENT), **WEB, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}"}, instance=True),
    "credentials_file": Case(FILE, credentials=f"[default]\n{lines(FILE)}"),
    "credentials_file_before_process_and_config_file": Case(
        FILE, f"[default]\n{PRINT_KEYS}{lines(CONFIG)}", f"[default]\n{lines(FILE)}"),
    "config_file": Case(CONFIG, f"[profile x]\n{lines(CONFIG)}", variables={"AWS_PROFILE": "x"}),
    "profile_by_option_instead_of_the_environment": Case(
        FILE, credentials=f"[x]\n{lines(FILE)}", variables=variables(ENVIRONMENT), profile="x"),
    "process": Case(PROCESS, f"[default]\n{PRINT_KEYS}"),
    "process_before_config_file": Case(PROCESS, f"[default]\n{PRINT_KEYS}{lines(CONFIG)}"),
    "process_in_the_credentials_file": Case(PROCESS, credentials=f"[default]\n{PRINT_KEYS}"),
    "role_with_source_profile": Case(
        GRANTED, f"[profile x]\nrole_arn = {ROLE}\nsource_profile = y\n", f"[y]\n{lines(FILE)}", profile="x"),
    "role_whose_source_is_a_role": Case(
        OTHER, f"[profile x]\nrole_arn = {OTHER_ROLE}\nsource_profile = y\n"
               f"[profile y]\nrole_arn = {ROLE}\nsource_profile = z\n", f"[z]\n{lines(FILE)}", profile="x"),
    "role_with_keys_beside_it": Case(
        GRANTED, f"[profile x]\nrole_arn = {ROLE}\nsource_profile = x\n", f"[x]\n{lines(FILE)}", profile="x"),
    "role_whose_source_is_a_process": Case(
        GRANTED, f"[profile x]\nrole_arn = {ROLE}\nsource_profile = y\n[profile y]\n{PRINT_KEYS}", profile="x"),
    "role_whose_source_is_web_identity": Case(
        OTHER, f"[profile x]\nrole_arn = {OTHER_ROLE}\nsource_profile = y\n"
               f"[profile y]\nrole_arn = {ROLE}\nweb_identity_token_file = {{web_token}}\n", profile="x"),
    "role_from_the_environment": Case(
        GRANTED, f"[profile x]\nrole_arn = {ROLE}\ncredential_source = Environment\n",
        variables=variables(ENVIRONMENT), profile="x"),
    "role_from_the_instance": Case(
        GRANTED, f"[default]\nrole_arn = {ROLE}\ncredential_source = Ec2InstanceMetadata\n", instance=True),
    "role_from_the_container": Case(
        GRANTED, f"[default]\nrole_arn = {ROLE}\ncredential_source = EcsContainer\n",
        variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}"}),
    "web_identity": Case(GRANTED, credentials=f"[default]\n{lines(FILE)}",
                         variables={**WEB, "AWS_ROLE_SESSION_NAME": "pod"}),
    "web_identity_in_a_profile": Case(
        GRANTED, f"[profile x]\nrole_arn = {ROLE}\nweb_identity_token_file = {{web_token}}\n", profile="x"),
    "container": Case(Keys("CONTAINER"), variables={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}"},
                      instance=True),
    "instance": Case(Keys("INSTANCE"), instance=True),
}


class SourceTest(CredentialsTest):
    """A test per case is added below."""

    def check_case(self, case):
        self.set_up(case)
        self.assertWorked(self.ask_case(case))
        self.assertSignedBy(case.keys)
        found = self.botocore_finds(case)
        self.assertEqual(found.out, f"{case.keys.id} {case.keys.token}\n", found.err)


def add_cases():
    for name, case in CASES.items():
        def test(self, case=case):
            self.check_case(case)
        setattr(SourceTest, f"test_keys_come_from_the_{name}_as_botocore_has_it", test)


add_cases()


class DetailTest(CredentialsTest):
    def test_a_role_is_asked_for_with_all_that_its_profile_says(self):
        self.set_up(Case(GRANTED, f"[profile x]\nrole_arn = {ROLE}\nsource_profile = y\nexternal_id = a&b=c/d e\n"
                                  "role_session_name = night@job\nduration_seconds = 900\n", f"[y]\n{lines(FILE)}"))
        self.assertWorked(self.ask("--profile", "x"))
        self.assertEqual(self.services.sts.forms, [{
            "Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ROLE, "RoleSessionName": "night@job",
            "ExternalId": "a&b=c/d e", "DurationSeconds": "900"}])

    def test_a_role_session_that_has_no_name_gets_one(self):
        self.set_up(CASES["role_with_source_profile"])
        self.assertWorked(self.ask("--profile", "x"))
        self.assertRegex(self.services.sts.forms[0]["RoleSessionName"], r"^awsflock-session-\d+$")

    def test_web_identity_shows_its_token_and_signs_nothing(self):
        self.set_up(CASES["web_identity"])
        self.assertWorked(self.ask())
        [form] = self.services.sts.forms
        self.assertEqual(form, {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": ROLE,
                                "RoleSessionName": "pod", "WebIdentityToken": "web.identity.token"})
        self.assertIsNone(self.services.sts.requests()[0].headers.get("Authorization"))

    def test_sts_may_be_named_by_the_services_of_the_profile(self):
        self.set_up(Case(GRANTED, f"[profile x]\nrole_arn = {ROLE}\nsource_profile = y\nservices = mine\n"
                                  f"[services mine]\nsts =\n  endpoint_url = {self.services.sts.url}\n",
                         f"[y]\n{lines(FILE)}"))
        self.environment.pop("AWS_ENDPOINT_URL_STS")
        self.assertWorked(self.ask("--profile", "x"))
        self.assertSignedBy(GRANTED)

    def test_a_wrong_clock_is_corrected_by_what_sts_says(self):
        self.set_up(CASES["role_with_source_profile"])
        sts, refusals = self.services.sts, []

        def skewed(handler):
            if refusals:
                return sts.serve(handler)
            refusals.append(handler.headers["X-Amz-Date"])
            return awsservices.sts_error(403, "SignatureDoesNotMatch", "Signature expired: x is now earlier")(handler)
        sts.on("*", skewed)
        self.assertWorked(self.ask("--profile", "x"))
        self.assertSignedBy(GRANTED)

    def test_a_container_is_shown_its_token(self):
        self.services.container.token = "Basic QWxhZGRpbg=="
        for name, value in (("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic QWxhZGRpbg=="),
                            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", self.write("token", "Basic QWxhZGRpbg==\n"))):
            with self.subTest(name):
                self.set_up(CASES["container"])
                self.assertWorked(self.ask(changes={name: value}))
                self.assertSignedBy(self.services.container.keys)

    def test_a_containers_token_file_comes_before_its_variable(self):
        self.services.container.token = "file"
        self.set_up(CASES["container"])
        self.assertWorked(self.ask(changes={"AWS_CONTAINER_AUTHORIZATION_TOKEN": "variable",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self.write("token", "file")}))

    def test_the_instance_is_asked_in_version_two_alone(self):
        self.set_up(CASES["instance"])
        self.assertWorked(self.ask())
        requests = self.services.instance.requests()
        self.assertEqual(self.services.instance.paths(), [
            "PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/bastion-role"])
        self.assertEqual([request.headers.get("X-aws-ec2-metadata-token") for request in requests],
                         [None, "SESSIONTOKEN==", "SESSIONTOKEN=="])

    def test_an_instance_whose_keys_have_expired_is_believed_with_a_warning(self):
        self.services.instance.keys = Keys("INSTANCE", PAST)
        self.set_up(CASES["instance"])
        result = self.ask()
        self.assertWorked(result)
        self.assertIn("used all the same", result.err)
        self.assertSignedBy(self.services.instance.keys)

    def test_metadata_and_containers_are_never_asked_through_a_proxy(self):
        dead = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
                "ALL_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}
        for name in ("instance", "container"):
            with self.subTest(name):
                self.set_up(CASES[name])
                self.ask(changes=dead)  # DynamoDB itself is out of reach then
                self.assertTrue(getattr(self.services, name).requests())

    def test_the_region_is_the_instances_where_nothing_else_names_one(self):
        self.set_up(CASES["instance"])
        self.assertWorked(self.ask(changes={"AWS_REGION": None}))
        scope = self.services.dynamodb.requests()[-1].headers["Authorization"].split("/")
        self.assertEqual(scope[2], "eu-central-1")

    def test_no_region_is_asked_for_where_metadata_is_switched_off(self):
        self.set_up(CASES["instance"])
        result = self.ask(changes={"AWS_REGION": None, "AWS_EC2_METADATA_DISABLED": "TRUE"})
        self.assertSays(result, 1, "no AWS region is set")
        self.assertEqual(self.services.instance.requests(), [])

    def test_a_process_gets_its_words_as_a_shell_would_cut_them(self):
        script = f"""[ "$#" = 3 ] && [ "$1" = --for ] && [ "$2" = 'a team' ] && [ "$3" = '"x"' ] || exit 9
printf '%s' {shlex.quote(PROCESS.json('SessionToken', Version=1))}"""
        self.places["printer"] = self.program("strict-printer", script)
        self.set_up(CASES["process"])
        self.assertWorked(self.ask())

    def test_a_process_starts_with_nothing_of_ours(self):
        out = self.directory / "seen"
        script = f"""{{ ls -l /proc/self/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; cat; ps -o sid=,pid= -p $$; }} >{out}
tr '\\0' ' ' </proc/$PPID/cmdline >>{out}
printf '%s' {shlex.quote(PROCESS.json('SessionToken', Version=1))}"""
        self.places["printer"] = self.program("looker", script)
        self.set_up(CASES["process"])
        self.assertWorked(self.ask(stdin=None))
        seen = out.read_text(encoding="utf-8")
        descriptors = [line.split()[-3] for line in seen.splitlines() if "->" in line]
        self.assertEqual(sorted(descriptors), ["0", "1", "2", "3"])  # 3: the directory that ls reads
        self.assertRegex(seen, r"\b0 -> /dev/null")
        # 32 and 33, which the C library keeps for itself, it lets spawned programs ignore
        self.assertRegex(seen, r"SigBlk:\s+0{16}\nSigIgn:\s+0{7}[01][08]0{7}\n")
        session, pid = [line.split() for line in seen.splitlines() if line.strip().replace(" ", "").isdigit()][0]
        self.assertEqual(session, pid)

    def test_a_process_without_an_end_to_its_keys_is_asked_once(self):
        count = self.directory / "count"
        text = json.dumps({"Version": 1, "AccessKeyId": PROCESS.id, "SecretAccessKey": PROCESS.secret})
        self.places["printer"] = self.program("counter", f"echo >>{count}; printf '%s' {shlex.quote(text)}")
        self.set_up(CASES["process"])
        self.assertWorked(self.ask())
        self.assertEqual(count.read_text(encoding="utf-8"), "\n")
        self.assertIsNone(self.services.dynamodb.requests()[-1].headers.get("X-Amz-Security-Token"))

    def test_keys_that_the_server_does_not_take_any_more_are_read_anew_once(self):
        for refusal in ("ExpiredTokenException", "UnrecognizedClientException"):
            with self.subTest(refusal):
                self.set_up(CASES["credentials_file"])
                file = self.directory / "home" / ".aws" / "credentials"

                def refuse(handler, refusal=refusal):
                    if OTHER.id in handler.headers["Authorization"]:
                        return self.services.dynamodb.serve(handler)
                    file.write_text(f"[default]\n{lines(OTHER)}", encoding="utf-8")
                    return answer(400, json.dumps({"__type": f"x#{refusal}", "message": "no"}))(handler)
                self.services.dynamodb.on("*", refuse)
                self.assertWorked(self.ask())
                self.assertSignedBy(OTHER)

    def test_a_name_for_the_caller_goes_into_the_user_agent_as_botocore_has_it(self):
        for case, changes, expected in ((CASES["config_file"], {}, "app/of-profile"),
                                        (CASES["config_file"], {"AWS_SDK_UA_APP_ID": "night job/(1)\u00e9"},
                                         "app/night-job--1---")):
            with self.subTest(expected):
                self.set_up(dataclasses.replace(case, config=case.config + "sdk_ua_app_id = of-profile\n"))
                self.assertWorked(self.ask(changes=changes))
                agent = self.services.dynamodb.requests()[-1].headers["User-Agent"]
                self.assertRegex(agent, f"^awsflock/[0-9a-z.~+-]+ {expected}$")

    def test_a_name_for_the_caller_may_be_long_but_not_longer_than_a_header(self):
        self.set_up(CASES["config_file"])
        self.assertWorked(self.ask(changes={"AWS_SDK_UA_APP_ID": 4000 * "x"}))
        self.assertIn(f"app/{4000 * 'x'}", self.services.dynamodb.requests()[-1].headers["User-Agent"])
        asked = len(self.services.dynamodb.requests())
        self.assertSays(self.ask(changes={"AWS_SDK_UA_APP_ID": 5000 * "x"}), 1, "longer than a header can be")
        self.assertEqual(len(self.services.dynamodb.requests()), asked)

    def test_no_name_for_the_caller_can_begin_another_header(self):
        self.set_up(CASES["config_file"])
        self.assertWorked(self.ask(changes={"AWS_SDK_UA_APP_ID": "a\r\nX-Evil: b\x01"}))
        request = self.services.dynamodb.requests()[-1]
        self.assertTrue(request.headers["User-Agent"].endswith("app/a--X-Evil--b-"), request.headers["User-Agent"])
        self.assertNotIn("X-Evil", request.headers)

    def test_keys_that_are_refused_and_have_not_changed_are_an_error_after_one_more_try(self):
        self.set_up(CASES["instance"])
        self.services.dynamodb.on("*", answer(400, json.dumps({"__type": "x#ExpiredTokenException", "message": "m"})))
        self.assertSays(self.ask(), 1, "instance metadata", "expired")
        self.assertEqual(len(self.services.dynamodb.requests()), 2)
        self.assertEqual(self.services.instance.paths().count("PUT /latest/api/token"), 2)

    def test_keys_that_expire_within_minutes_serve(self):
        self.services.container.keys = Keys("CONTAINER", soon(120))
        self.set_up(CASES["container"])
        self.assertWorked(self.ask())
        self.assertSignedBy(self.services.container.keys)


if __name__ == "__main__":
    unittest.main()
