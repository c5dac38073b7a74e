"""AWS's files and variables as people have them: files in default places that are none, paths that start in the home
directory, sections and keys that come twice, and what a CI system puts into a variable.

SPDX-License-Identifier: Apache-2.0
"""
import json
import unittest

from awsflocktest import REGION, command, run, without_root_powers
from awsservices import answer
from certificates import Authority
from credentialstest import (CONFIG, ENVIRONMENT, FILE, GRANTED, ROLE, Case, CredentialsTest, lines, variables)
from proxy import Proxy

AWS_FILES = (".aws/config", ".aws/credentials")


class FilesTest(CredentialsTest):
    def setUp(self):
        super().setUp()
        self.home = self.directory / "home"

    def powerless(self, *arguments, **changes):
        return run(without_root_powers(command(*arguments)), self.environment_with(**changes))


class DefaultPlaceTest(FilesTest):
    """What stands in a file's default place, and cannot be read."""

    def spoil(self, name):
        """A function for each way: a directory as a container's mount leaves it, and a file that is locked away."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)

        def lock_away():
            path.write_text(f"[default]\n{lines(FILE)}", encoding="utf-8")
            path.chmod(0)
        return path, {"is a directory": path.mkdir, "Permission denied": lock_away}

    def test_it_is_passed_over_with_one_notice_where_the_environment_has_keys(self):
        for name in AWS_FILES:
            path, ways = self.spoil(name)
            for word, way in ways.items():
                with self.subTest(name, word=word):
                    way()
                    result = self.powerless("status", "deploy", **variables(ENVIRONMENT))
                    self.assertWorked(result)
                    self.assertSignedBy(ENVIRONMENT)
                    [line] = result.err.splitlines()
                    self.assertRegex(line, f"{path}.*: passed over$")
                    path.rmdir() if path.is_dir() else path.unlink()

    def test_botocore_passes_it_over_too(self):
        for name in AWS_FILES:
            with self.subTest(name):
                path, ways = self.spoil(name)
                ways["is a directory"]()
                self.environment.update(variables(ENVIRONMENT))
                self.assertEqual(self.botocore_finds(Case(ENVIRONMENT)).out, f"{ENVIRONMENT.id} {ENVIRONMENT.token}\n")
                path.rmdir()

    def test_quiet_says_nothing_of_it(self):
        self.spoil(".aws/credentials")[1]["is a directory"]()
        result = self.ask("-q", changes=variables(ENVIRONMENT))
        self.assertWorked(result)
        self.assertEqual(result.err, "")

    def test_a_home_that_is_another_users_hides_both(self):
        (self.home / ".aws").mkdir(parents=True)
        (self.home / ".aws/credentials").write_text(f"[default]\n{lines(FILE)}", encoding="utf-8")
        config = self.write("own.conf", "")
        self.home.chmod(0)
        result = self.powerless("status", "deploy", AWSFLOCK_CONFIG=str(config), **variables(ENVIRONMENT))
        self.home.chmod(0o700)
        self.assertWorked(result)
        self.assertSignedBy(ENVIRONMENT)
        self.assertRegex(result.err, r"^.*\.aws/config.*\.aws/credentials.*: passed over\n$")

    def test_a_path_that_was_named_is_strict(self):
        for variable, name in (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")):
            path, ways = self.spoil(name)
            for word, way in ways.items():
                with self.subTest(variable, word=word):
                    way()
                    result = self.powerless("status", "deploy", **{variable: str(path), **variables(ENVIRONMENT)})
                    self.assertSays(result, 1, str(path))
                    path.rmdir() if path.is_dir() else path.unlink()

    def test_a_profile_that_was_named_is_missed_with_the_reason(self):
        self.spoil(".aws/config")[1]["is a directory"]()
        self.assertSays(self.ask("--profile", "p"), 1, "no AWS profile 'p'", ".aws/config is not a regular file")

    def test_a_local_store_never_looks_at_them(self):
        for word in ("is a directory", "Permission denied"):
            for name in AWS_FILES:
                path, ways = self.spoil(name)
                ways[word]()
            result = self.powerless("acquire", f"--local={self.directory / 'store'}", f"lock-{word[:4]}".replace(" ", "-"))
            self.assertWorked(result)
            self.assertEqual(result.err, "")
            for name in AWS_FILES:
                path = self.home / name
                path.rmdir() if path.is_dir() else path.unlink()


class TildeTest(FilesTest):
    """No shell has put the home directory in the place of a tilde."""

    def setUp(self):
        super().setUp()
        self.home.mkdir(exist_ok=True)

    def put(self, name, text):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def use_tls(self):
        authority = Authority(self.directory / "authority")
        server = Proxy(self.services.dynamodb.url, authority.server())
        self.addCleanup(server.close)
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = server.url
        (self.home / "corp.pem").write_bytes(authority.bundle.read_bytes())

    def test_certificates_of_the_profile_the_variable_the_file_and_the_option(self):
        self.use_tls()
        self.environment.update(variables(ENVIRONMENT))
        self.assertSays(self.ask(), 1, "no trusted connection")
        self.put(".aws/config", "[default]\nca_bundle = ~/corp.pem\n")
        self.assertWorked(self.ask())
        self.put(".aws/config", "")
        self.put("own.conf", "[awsflock]\nca_bundle = ~/corp.pem\n")
        for changes in ({"AWS_CA_BUNDLE": "~/corp.pem"}, {"REQUESTS_CA_BUNDLE": "~/corp.pem"},
                        {"AWSFLOCK_CONFIG": "~/own.conf"}):
            with self.subTest(**changes):
                self.assertWorked(self.ask(changes=changes))
        self.assertWorked(self.ask("--config=~/own.conf"))

    def test_aws_files_of_the_variables_and_of_the_configuration(self):
        self.put("c", f"[profile p]\n{lines(CONFIG)}")
        self.put("k", f"[default]\n{lines(FILE)}")
        for changes, keys, arguments in (({"AWS_CONFIG_FILE": "~/c"}, CONFIG, ["--profile", "p"]),
                                         ({"AWS_SHARED_CREDENTIALS_FILE": "~/k"}, FILE, [])):
            with self.subTest(**changes):
                self.assertWorked(self.ask(*arguments, changes=changes))
                self.assertSignedBy(keys)
        self.put("own.conf", "[awsflock]\nconfig_file = ~/c\ncredentials_file = ~/k\n")
        self.assertWorked(self.ask(changes={"AWSFLOCK_CONFIG": str(self.home / "own.conf")}))
        self.assertSignedBy(FILE)

    def test_tokens_of_web_identity_and_of_a_container(self):
        self.put("token", "web.identity.token")
        self.put(".aws/config", f"[profile w]\nrole_arn = {ROLE}\nweb_identity_token_file = ~/token\n")
        for arguments, changes in (([], {"AWS_WEB_IDENTITY_TOKEN_FILE": "~/token", "AWS_ROLE_ARN": ROLE}),
                                   (["--profile", "w"], {})):
            with self.subTest(arguments=arguments):
                self.assertWorked(self.ask(*arguments, changes=changes))
                self.assertSignedBy(GRANTED)
        self.services.container.token = "web.identity.token"
        self.assertWorked(self.ask(changes={"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.places["container"],
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "~/token"}))
        self.assertSignedBy(self.services.container.keys)

    def test_a_local_store(self):
        self.assertWorked(self.ask("--local=~/locks"))
        self.assertWorked(self.awsflock("acquire", "--local=~/locks", "deploy"))
        self.assertNotEqual(list((self.home / "locks").iterdir()), [])

    def test_another_users_home_is_a_name_as_any_other(self):
        self.use_tls()
        self.assertSays(self.ask(changes={"AWS_CA_BUNDLE": "~bob/x", **variables(ENVIRONMENT)}), 1, "~bob/x")


class TwiceTest(FilesTest):
    """What Python's reader of such files, and so botocore, makes of them."""

    def check(self, case):
        self.set_up(case)
        self.assertWorked(self.ask_case(case))
        self.assertSignedBy(case.keys)
        found = self.botocore_finds(case)
        self.assertEqual(found.out, f"{case.keys.id} {case.keys.token}\n", found.err)

    def test_a_section_or_a_key_that_comes_twice_is_named_with_both_lines(self):
        for config, credentials, said in (
                (f"[profile p]\nregion = a\n[profile p]\n{lines(CONFIG)}", "", "config:3: this section stands on line 1"),
                ("", f"[default]\n{lines(FILE)}[default]\n{lines(CONFIG)}", "credentials:5: this section"),
                ("[default]\nregion = a\nRegion = b\n", "", "config:3: this key stands on line 2")):
            with self.subTest(said):
                case = Case(None, config, credentials)
                self.set_up(case)
                result = self.ask()
                self.assertSays(result, 1, said)
                self.assertNotIn("SECRETof", result.err)
                self.assertIn("ConfigParseError", self.botocore_finds(case).err)

    def test_what_default_says_in_capitals_counts_in_every_section(self):
        self.check(Case(CONFIG, f"[DEFAULT]\n{lines(CONFIG)}[profile p]\nregion = {REGION}\n", profile="p"))
        self.check(Case(FILE, f"[profile p]\nregion = {REGION}\n", f"[DEFAULT]\n{lines(FILE)}[p]\n", profile="p"))

    def test_what_a_section_says_itself_comes_first(self):
        self.check(Case(FILE, "", f"[DEFAULT]\n{lines(CONFIG)}[p]\n{lines(FILE)}", profile="p"))

    def test_it_makes_no_profile(self):
        case = Case(None, "", f"[DEFAULT]\n{lines(FILE)}")
        self.set_up(case)
        self.assertEqual(self.botocore_finds(case).out, "none\n")
        self.assertSays(self.ask("-q"), 1, "no AWS credentials were found")


class VariableTest(FilesTest):
    """What a CI system keeps a secret as: with the line end that its form added."""

    def test_white_space_is_told_by_the_part_that_has_it(self):
        for name, part in (("AWS_ACCESS_KEY_ID", "access key id"), ("AWS_SECRET_ACCESS_KEY", "secret access key"),
                           ("AWS_SESSION_TOKEN", "session token")):
            for spoilt in ("{}\n", " {}", "{}\t", "{}\r", "a b{}", "{}\x7f"):
                with self.subTest(name, spoilt=spoilt):
                    given = variables(ENVIRONMENT)
                    result = self.ask(changes={**given, name: spoilt.format(given[name])})
                    self.assertSays(result, 1, f"the {part} from the environment has a line end, a blank")
                    self.assertNotIn("SECRETof", result.err)
        self.assertEqual(self.services.dynamodb.requests(), [])

    def test_a_secret_that_is_none_hides_no_message(self):
        body = json.dumps({"__type": "x#ValidationException", "message": "any key of this table is empty"})
        self.services.dynamodb.on("*", answer(400, body))
        for secret in ("y", "key", "table"):
            with self.subTest(secret):
                result = self.ask(changes={"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": secret})
                self.assertSays(result, 1, "any key of this table is empty")
        secret = "0123456789abcdef0123456789abcdef01234567"
        self.services.dynamodb.on("*", answer(400, body.replace("any key", secret)))
        result = self.ask(changes={"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": secret})
        self.assertSays(result, 1, "its message is not shown")
        self.assertNotIn(secret, result.err)


if __name__ == "__main__":
    unittest.main()
