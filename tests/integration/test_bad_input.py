"""Bad input: one clear line that says what to do, the right exit code, and no lock left behind.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import unittest
import uuid

from awsflocktest import (ACCESS_KEY, OnLocalStore, ProgramTest, SECRET_KEY, UNKNOWN_LEASE_ID, boto3_client,
                          closed_port, command, create_table, dynamodb_endpoint, on_both_stores, run,
                          without_root_powers)

BAD_NAMES = {
    "empty": "",
    "one byte too long": "x" * 2049,
    "too long in bytes though not in letters": "\u00e9" * 1025,
    "no utf-8": b"caf\xe9",
    "an overlong encoding": b"\xc0\xaf",
    "half a surrogate pair": b"\xed\xa0\x80",
    "cut within a letter": b"caf\xc3",
    "a newline": "a\nb",
    "an escape sequence": "\x1b[31mred",
    "a tab": "a\tb",
    "delete": "a\x7fb",
}

BAD_DURATIONS = ("", " ", "soon", "0", "0s", "-5", "-1h", "1.5h", "5 parsecs", "h", "1e3", "0x10", "+5",
                 "99999999999", "9223372036854775808", "99999999999999999999999", "9223372036854775807h", "10000 days",
                 "5m\n", "\u0665m", "1h -30m")

SOURCES = 12  # of credentials, of which each may have a line that says why it gives none


@on_both_stores
class Names:
    def test_a_lock_name_that_cannot_be_is_refused_by_every_command(self):
        commands = (("acquire", "--no-wait"), ("status",), ("run", "-n"), ("renew",), ("release",),
                    ("break", "--yes", "--lease-id", UNKNOWN_LEASE_ID))
        for why, name in BAD_NAMES.items():
            for subcommand, *options in commands:
                with self.subTest(name=why, command=subcommand):
                    more = {"run": ["true"], "renew": [UNKNOWN_LEASE_ID], "release": [UNKNOWN_LEASE_ID]}
                    result = run(self.flock_command(subcommand, *options) + [name] + more.get(subcommand, []),
                                 self.environment)
                    self.assertSays(result, 2, "name")
                    self.assertEqual(result.out, "")
        self.assertEqual(self.listing(), {})

    def test_a_lease_id_that_cannot_be_is_refused(self):
        for lease_id in ("", "x", UNKNOWN_LEASE_ID[:-1], UNKNOWN_LEASE_ID + "0", UNKNOWN_LEASE_ID.replace("-", "_")):
            for arguments in (("renew", "deploy", lease_id), ("release", "deploy", lease_id),
                              ("break", "deploy", "--yes", f"--lease-id={lease_id}")):
                with self.subTest(lease_id=lease_id, command=arguments[0]):
                    self.assertSays(self.flock(*arguments), 2, "lease id")

    def test_an_owner_or_purpose_that_cannot_be_is_refused(self):
        for option in ("--owner", "--purpose"):
            for text in ("x" * 1025, "a\nb", b"caf\xe9"):
                with self.subTest(option=option, text=text[:10]):
                    result = run(self.flock_command("acquire", option) + [text, "deploy"], self.environment)
                    self.assertSays(result, 2, option[2:])
        self.assertFree("deploy")

    def test_an_owner_of_blanks_is_refused_wherever_it_is_given(self):
        words = "owner is only blanks: give a name, or leave it out"
        lease_id = self.acquire("held", "--owner", "alice")
        self.assertSays(self.flock("acquire", "--owner", " ", "deploy"), 2, words)
        self.assertSays(self.flock("run", "--owner", "\u00a0 ", "deploy", "true"), 2, words)
        self.assertSays(self.flock("renew", "--owner", "  ", "held", lease_id), 2, words)
        for code, arguments in ((1, ("acquire", "deploy")), (125, ("run", "deploy", "true"))):
            self.assertSays(self.flock(*arguments, changes={"AWSFLOCK_OWNER": " "}), code, "AWSFLOCK_OWNER", words)
        self.assertFree("deploy")
        self.assertEqual((self.status("held")["owner"], self.status("held")["lease_id"]), ("alice", lease_id))

    def test_what_is_not_seen_in_a_name_is_shown_by_its_number_wherever_it_is_shown(self):
        lock, owner, purpose = "pr\u200bod", "al\u202eice", "de\u2066ploy\u00ad"
        shown = "pr<U+200B>od"
        self.acquire(lock, "--owner", owner, "--purpose", purpose)
        watch = self.start(self.flock_command("status", "--watch", lock))
        results = {"watch": watch.stdout.readline().decode(), "status": self.flock("status", lock).out,
                   "list": self.flock("list").out, "acquire": self.flock("acquire", "--no-wait", lock).err,
                   "wait": self.flock("acquire", "--wait-time", "1s", lock).err,
                   "run": self.flock("run", "-n", lock, "true").err,
                   "break": self.flock("break", "--lease-id", UNKNOWN_LEASE_ID, lock).err}
        for where, text in results.items():
            with self.subTest(where):
                self.assertIn(shown, text)
                self.assertIn("al<U+202E>ice", text)
                self.assertEqual([letter for letter in text if letter in lock + owner + purpose and ord(letter) > 127], [])
        self.assertIn("de<U+2066>ploy<U+00AD>", results["status"])
        self.assertTrue(self.flock("status", "--json", lock).out.isascii())


@on_both_stores
class Durations:
    def test_a_duration_that_cannot_be_is_refused_and_nothing_is_taken(self):
        for text in BAD_DURATIONS:
            for subcommand in ("acquire", "run"):
                with self.subTest(duration=text, command=subcommand):
                    more = ["true"] if subcommand == "run" else []
                    result = self.flock(subcommand, f"--lease-duration={text}", "deploy", *more)
                    self.assertSays(result, 2)
                    self.assertEqual(result.out, "")
        self.assertEqual(self.listing(), {})

    def test_a_renewal_for_a_duration_that_cannot_be_leaves_the_lease_alone(self):
        lease_id = self.acquire("deploy")
        for text in ("0", "-1", "soon", "99999999999999999999999"):
            with self.subTest(duration=text):
                self.assertSays(self.flock("renew", "deploy", lease_id, f"--lease-duration={text}"), 2)
        self.assertHeld("deploy", lease_id)

    def test_a_wait_that_cannot_be_is_refused(self):
        for text in ("", "soon", "-1", "1.5.1", "99999999999999999999999", "nan", "inf"):
            with self.subTest(wait=text):
                self.assertSays(self.flock("acquire", f"--wait-time={text}", "deploy"), 2)
                self.assertSays(self.flock("run", "-w", text, "deploy", "true"), 2)
        self.assertEqual(self.listing(), {})

    def test_a_run_whose_lease_is_too_short_to_stop_the_command_in_time_is_refused(self):
        self.assertSays(self.flock("run", "--lease-duration=10", "--kill-after=5", "deploy", "true"), 2,
                        "--kill-after", "at least 17 s")
        self.assertFree("deploy")


class UsageTest(OnLocalStore):
    COMMANDS = ("acquire", "renew", "release", "run", "status", "list", "break", "create-table", "help")

    def test_an_unknown_option_is_refused_by_every_command(self):
        for subcommand in self.COMMANDS:
            for option in ("--frobnicate", "--frobnicate=yes", "-Z"):
                with self.subTest(command=subcommand, option=option):
                    self.assertSays(self.awsflock(subcommand, option), 2)

    def test_an_unknown_command_is_refused(self):
        for word in ("frobnicate", "", "acquir", "ACQUIRE", "\x1b[31m"):
            with self.subTest(command=word):
                self.assertSays(self.awsflock(word), 2)

    def test_missing_and_superfluous_words_are_refused(self):
        for arguments in (["acquire"], ["acquire", "a", "b"], ["renew", "a"], ["renew", "a", UNKNOWN_LEASE_ID, "b"],
                          ["release", "a"], ["release"], ["status"], ["status", "a", "b"], ["list", "a", "b"],
                          ["break"], ["run"], ["run", "a"], ["create-table", "a"]):
            with self.subTest(arguments=arguments):
                self.assertSays(self.flock(*arguments), 2)
        self.assertEqual(self.listing(), {})

    def test_an_option_without_its_value_or_with_one_too_many_is_refused(self):
        for arguments in (["acquire", "a", "--owner"], ["acquire", "a", "--lease-duration"],
                          ["acquire", "a", "--no-wait=yes"], ["status", "--json=yes", "a"],
                          ["run", "-E", "many", "a", "true"], ["run", "-E", "256", "a", "true"], ["run", "--on-lost=cry", "a", "true"],
                          ["create-table", "--billing=barter"], ["create-table", "--read-units=-1"]):
            with self.subTest(arguments=arguments):
                self.assertSays(self.flock(*arguments), 2)
        self.assertEqual(self.listing(), {})

    def test_options_that_contradict_each_other_are_refused(self):
        self.assertSays(self.flock("acquire", "a", "--no-wait", "--wait-time", "5"), 2)
        self.assertEqual(self.listing(), {})

    def test_no_command_at_all_is_refused(self):
        self.assertEqual(self.awsflock().code, 2)


class ConfigFileTest(OnLocalStore):
    def acquire_with(self, config, **more):
        changes = {"AWSFLOCK_CONFIG": config}
        result = self.awsflock("acquire", "deploy", "--no-wait", changes=changes, **more)
        self.assertFree("deploy")
        return result

    def good(self, more=""):
        return f"[awsflock]\nstore = local\nlocal_dir = {self.store}\n{more}"

    def test_a_good_file_works(self):
        config = self.write("good.conf", self.good())
        self.assertWorked(self.awsflock("acquire", "deploy", "--no-wait", changes={"AWSFLOCK_CONFIG": config}))

    def test_a_mistake_is_named_with_file_and_line(self):
        mistakes = {
            "an unknown key": "tabel = x\n",
            "an unknown section": "[awsflok]\n",
            "a line that is none": "what is this\n",
            "an unfinished section": "[awsflock\n",
            "a section's name unfinished at the end": "[aws",
            "a key twice": "store = local\n",
            "a duration of nonsense": "lease_duration = soon\n",
            "a duration of zero": "lease_duration = 0\n",
            "a truth value that is none": "allow_plain_http = perhaps\n",
            "an unknown store": "table = t\n[awsflock]\nstore = cloud\n",
            "a zero byte": "table = a\0b\n",
            "no utf-8": b"owner = caf\xe9\n",
            "cut within a letter": b"owner = caf\xc3",
            "an escape sequence": "owner = \x1b[31m\n",
        }
        for why, text in mistakes.items():
            with self.subTest(mistake=why):
                text = text if isinstance(text, bytes) else text.encode()
                config = self.write("mistake.conf", self.good().encode() + text)
                self.assertSays(self.acquire_with(config), 1, "mistake.conf:")

    def test_a_file_that_cannot_be_read_is_named(self):
        config = self.write("secret.conf", self.good())
        config.chmod(0)
        result = run(without_root_powers(command("acquire", "deploy", "--no-wait")),
                     self.environment_with(AWSFLOCK_CONFIG=config))
        self.assertSays(result, 1, "secret.conf")

    def test_a_file_that_is_none_is_named(self):
        fifo = self.directory / "fifo.conf"
        os.mkfifo(fifo)
        for config in (self.directory, fifo, "/dev/null/x", self.directory / "missing.conf"):
            with self.subTest(config=str(config)):
                self.assertSays(self.acquire_with(config), 1, pathlib.Path(config).name)

    def test_an_enormous_file_is_refused(self):
        config = self.write("enormous.conf", self.good() + "# x\n" * 1_000_000)
        self.assertSays(self.acquire_with(config), 1, "enormous.conf")

    def test_a_missing_file_that_an_option_names_is_an_error(self):
        self.assertSays(self.awsflock("acquire", "deploy", f"--config={self.directory}/missing.conf"), 1, "missing.conf")


class AwsSettingsTest(ProgramTest):
    """What is found out before any request is made."""

    def setUp(self):
        super().setUp()
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://127.0.0.1:{closed_port()}"

    def acquire(self, **changes):
        result = self.awsflock("acquire", "deploy", "--no-wait", changes=changes)
        self.assertEqual(result.out, "")
        return result

    def no_keys(self, **changes):
        return self.acquire(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, **changes)

    def test_no_credentials_lists_where_they_were_looked_for(self):
        self.assertSays(self.no_keys(), 1, "credentials", "AWS_ACCESS_KEY_ID", lines=SOURCES)

    def test_empty_keys_are_no_keys(self):
        self.assertSays(self.acquire(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""), 1, "credentials", lines=SOURCES)

    def test_a_key_without_its_secret_is_an_error(self):
        self.assertSays(self.acquire(AWS_SECRET_ACCESS_KEY=None), 1, "AWS_SECRET_ACCESS_KEY")

    def test_no_region_is_an_error(self):
        self.assertSays(self.acquire(AWS_REGION=None), 1, "region")

    def test_a_region_that_is_no_host_label_is_refused(self):
        for region in ("us east", "a.b", "-x", "x/y", "x" * 64, "us-east-1\n", "evil.example.com#"):
            with self.subTest(region=region):
                self.assertSays(self.acquire(AWS_REGION=region), 1, "region")

    def test_a_region_or_url_that_the_command_line_gives_is_wrong_use(self):
        for option in ("--region=us east", "--region=a.b", "--endpoint-url=ftp://127.0.0.1", "--endpoint-url=127.0.0.1:8000",
                       "--endpoint-url=http://127.0.0.1:99999", "--endpoint-url=http://192.0.2.1:8000"):
            for subcommand in (("acquire", "deploy", "--no-wait"), ("status", "deploy"), ("list",), ("create-table",),
                               ("run", "deploy", "true")):
                with self.subTest(option=option, subcommand=subcommand[0]):
                    result = self.awsflock(subcommand[0], option, *subcommand[1:],
                                           changes={"AWS_ENDPOINT_URL_DYNAMODB": None} if "url" in option else {})
                    self.assertSays(result, 2, "(from the command line)")

    def test_a_host_without_an_address_may_be_a_wrong_region(self):
        nobody = "x" * 64 + ".example"  # too long a label for any name server to be asked
        self.assertSays(self.acquire(AWS_ENDPOINT_URL_DYNAMODB=f"https://{nobody}", AWS_MAX_ATTEMPTS=1), 1,
                        "could not resolve", "check the region")

    def test_an_endpoint_that_cannot_be_is_refused(self):
        for url in ("127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://192.0.2.1:8000", "http://example.com",
                    "http://127.0.0.1.example.com", "http://127.0.0.1:99999", "http://user:pw@127.0.0.1/",
                    "file:///etc/passwd"):
            with self.subTest(url=url):
                result = self.acquire(AWS_ENDPOINT_URL_DYNAMODB=url)
                self.assertSays(result, 1)
                self.assertNotIn("pw", result.err)

    def test_a_profile_that_is_nowhere_is_an_error(self):
        self.assertSays(self.acquire(AWS_PROFILE="nowhere"), 1, "nowhere")

    def test_half_written_aws_files_are_named(self):
        halves = ("[default", "[default]\naws_access_key_id", f"[default]\naws_access_key_id = {ACCESS_KEY}\n",
                  "aws_access_key_id = x\n", b"[default]\naws_access_key_id = \0\n")
        for text in halves:
            with self.subTest(text=text):
                path = self.write("half-written", text)
                result = self.no_keys(AWS_SHARED_CREDENTIALS_FILE=path)
                self.assertSays(result, 1)
                self.assertNotIn(ACCESS_KEY, result.err)

    def test_aws_files_that_are_none_are_named(self):
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        for variable in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            for path in (self.directory, pipe, "/dev/zero"):
                with self.subTest(variable=variable, path=str(path)):
                    self.assertSays(self.no_keys(**{variable: path}), 1, pathlib.Path(path).name)

    def test_a_credentials_file_that_cannot_be_read_is_named(self):
        path = self.write("locked-away", f"[default]\naws_access_key_id = {ACCESS_KEY}\n"
                                         f"aws_secret_access_key = {SECRET_KEY}\n")
        path.chmod(0)
        result = run(without_root_powers(command("acquire", "deploy", "--no-wait")), self.environment_with(
            AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_SHARED_CREDENTIALS_FILE=path))
        self.assertSays(result, 1, "locked-away")

    def test_no_secret_is_ever_shown(self):
        result = self.awsflock("acquire", "deploy", "--no-wait", "-v",
                               changes={"AWS_SESSION_TOKEN": "sessiontokenexample", "AWS_MAX_ATTEMPTS": 1})
        self.assertEqual(result.code, 1)
        for secret in (SECRET_KEY, "sessiontokenexample", "Signature="):
            self.assertNotIn(secret, result.err)


class TableTest(ProgramTest):
    """Tables that cannot serve."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.endpoint = dynamodb_endpoint()
        cls.client = boto3_client(cls.endpoint)

    def setUp(self):
        super().setUp()
        self.environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.endpoint
        self.table = f"test-{uuid.uuid4()}"
        self.environment["AWSFLOCK_TABLE"] = self.table

    def test_a_table_that_does_not_exist_is_named_with_what_to_do(self):
        for arguments in (("acquire", "deploy"), ("status", "deploy"), ("list",),
                          ("release", "deploy", UNKNOWN_LEASE_ID), ("renew", "deploy", UNKNOWN_LEASE_ID)):
            with self.subTest(command=arguments[0]):
                self.assertSays(self.awsflock(*arguments), 1, self.table, "create-table")

    def test_a_table_with_another_key_is_an_error(self):
        for key, key_type in (("id", "S"), ("lock_id", "N")):
            with self.subTest(key=key, type=key_type):
                self.table = create_table(self.client, f"test-{uuid.uuid4()}", key, key_type)
                self.addCleanup(self.client.delete_table, TableName=self.table)
                changes = {"AWSFLOCK_TABLE": self.table}
                self.assertSays(self.awsflock("acquire", "deploy", changes=changes), 1, self.table)
                self.assertSays(self.awsflock("create-table", changes=changes), 1, self.table, "lock_id", lines=2)
                self.assertEqual(self.client.scan(TableName=self.table)["Count"], 0)

    def test_a_table_with_a_sort_key_is_an_error(self):
        self.client.create_table(
            TableName=self.table, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("lock_id", "more")],
            KeySchema=[{"AttributeName": "lock_id", "KeyType": "HASH"}, {"AttributeName": "more", "KeyType": "RANGE"}])
        self.addCleanup(self.client.delete_table, TableName=self.table)
        self.assertSays(self.awsflock("acquire", "deploy"), 1, self.table)
        self.assertSays(self.awsflock("create-table"), 1, self.table, "lock_id", lines=2)

    def test_a_table_name_that_cannot_be_is_refused(self):
        for name in ("ab", "x" * 256, "a b", "a/b", "t\u00e9"):
            with self.subTest(table=name):
                self.assertEqual(self.awsflock("acquire", "deploy", f"--tablename={name}").code, 2)


class LocalStoreTest(OnLocalStore):
    def powerless(self, *arguments):
        return run(without_root_powers(self.flock_command(*arguments)), self.environment)

    def assertRefused(self, *words, powerless=False):
        """Taking and reading both fail with one line."""
        for arguments in (("acquire", "deploy", "--no-wait"), ("status", "deploy")):
            with self.subTest(command=arguments[0]):
                result = self.powerless(*arguments) if powerless else self.flock(*arguments)
                self.assertSays(result, 1, *words)
                self.assertEqual(result.out, "")

    def the_file(self):
        self.acquire("deploy")
        [path] = self.store_files()
        return path

    def test_a_store_that_is_a_file_is_refused(self):
        self.store.write_text("I am a file\n", encoding="ascii")
        self.assertRefused(str(self.store))
        self.assertEqual(self.store.read_text(encoding="ascii"), "I am a file\n")

    def test_a_store_beneath_a_file_is_refused(self):
        self.write("file", "")
        self.store = self.directory / "file" / "store"
        self.assertSays(self.flock("acquire", "deploy", "--no-wait"), 1, str(self.store))

    def test_an_unreadable_store_is_refused(self):
        self.store.mkdir(mode=0o000)
        self.addCleanup(self.store.chmod, 0o700)
        self.assertRefused(str(self.store), powerless=True)

    def test_a_read_only_store_refuses_takers_and_leaves_what_is_there(self):
        lease_id = self.acquire("taken")
        self.store.chmod(0o500)
        self.addCleanup(self.store.chmod, 0o700)
        [file] = self.store_files()
        file.chmod(0o400)
        self.assertSays(self.powerless("acquire", "deploy", "--no-wait"), 1, str(self.store))
        self.assertSays(self.powerless("release", "taken", lease_id), 1)
        self.assertHeld("taken", lease_id)
        self.assertFree("deploy")

    def test_a_store_that_anybody_could_tamper_with_is_refused(self):
        self.store.mkdir()
        for mode in (0o777, 0o707, 0o703):
            self.store.chmod(mode)
            with self.subTest(mode=oct(mode)):
                self.assertRefused(str(self.store))
        self.assertEqual(list(self.store.iterdir()), [])

    def test_who_names_a_directory_of_everybodys_is_advised_to_leave_it_as_it_is(self):
        self.store.mkdir()
        self.store.chmod(0o1777)  # as /tmp, /dev/shm and /run/lock
        for words in (("acquire", "deploy"), ("status", "deploy"), ("list",), ("doctor",), ("run", "deploy", "true")):
            with self.subTest(words=words):
                result = self.flock(*words)
                self.assertIn("use a directory of your own", result.out + result.err)
                self.assertNotRegex(result.out + result.err, "chmod|chown|chgrp|rm ")

    def test_a_store_shared_by_a_group_on_purpose_works(self):
        self.store.mkdir()
        self.store.chmod(0o2770)
        self.assertWorked(self.flock("release", "deploy", self.acquire("deploy")))

    def test_a_new_store_is_its_owners_alone(self):
        self.acquire("deploy")
        self.assertEqual(self.store.stat().st_mode & 0o777, 0o700)

    def test_a_damaged_file_is_named_and_left_alone(self):
        path = self.the_file()
        good = path.read_bytes()
        damages = {
            "cut": good.rstrip()[:-10],
            "cut early": good[:1],
            "not json": b"hello\n",
            "another type": b"[]\n",
            "a number": b"7\n",
            "no fields": b'{"format": 1}\n',
            "a field of another type": good.replace(b'"expires_boot_ms":', b'"expires_boot_ms":"x","was":'),
            "another lock's": good.replace(b'"deploy"', b'"deplox"'),
            "garbage before": b"\xff\xfe" + good,
            "html": b"<html></html>",
            "very large": good + b"x" * 1_000_000,
        }
        for why, content in damages.items():
            with self.subTest(damage=why):
                path.write_bytes(content)
                self.assertSays(self.flock("acquire", "deploy", "--no-wait"), 1, path.name)
                self.assertSays(self.flock("status", "deploy"), 1, path.name)
                self.assertEqual(path.read_bytes(), content)

    def test_a_damaged_file_does_not_hide_the_other_locks(self):
        self.the_file().write_bytes(b"{hello\n")
        self.acquire("other")
        result = self.flock("list")
        self.assertSays(result, 1, "deploy", lines=2)
        self.assertIn("other", result.out)

    def test_a_file_of_a_newer_format_is_left_alone(self):
        path = self.the_file()
        content = path.read_bytes().replace(b'"format":1', b'"format":999')
        self.assertIn(b"999", content)
        path.write_bytes(content)
        self.assertRefused("newer")
        self.assertEqual(path.read_bytes(), content)

    def test_a_lock_file_that_is_a_link_or_a_pipe_is_not_followed(self):
        path = self.the_file()
        target = self.write("target", "precious\n")
        for make in (lambda: path.symlink_to(target), lambda: os.mkfifo(path), path.mkdir):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
            make()
            self.assertSays(self.flock("acquire", "deploy", "--no-wait"), 1)
            self.assertEqual(target.read_text(encoding="ascii"), "precious\n")

    def test_a_relative_or_missing_home_is_no_crash(self):
        result = self.awsflock("status", "--local", "deploy",
                               changes={"HOME": None, "XDG_STATE_HOME": str(self.directory / "state")})
        self.assertWorked(result)


def can_mount():
    return shutil.which("unshare") and run(["unshare", "-rm", "true"], {"PATH": os.environ["PATH"]}).code == 0


class FullDiskTest(OnLocalStore):
    """On a file system of its own that has no block left."""

    def in_small_world(self, script):
        """Runs SCRIPT (sh) where $store is an empty file system of 256 KiB, and fill and free change how full it is."""
        words = {"store": self.store, "awsflock": " ".join(command())}
        prelude = """
            mount -t tmpfs -o size=256k,mode=0700 none "$store" || exit 99
            fill() { dd if=/dev/zero of="$store/.filler" bs=4k 2>/dev/null; }
            free() { rm "$store/.filler"; }
            held() { $awsflock status --json --local="$store" "$1" | grep -c '"held": *true'; }
        """
        unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        self.store.mkdir()
        result = run([*unshare, "sh", "-c", prelude + script], self.environment_with(**words))
        if result.code == 99:
            self.skipTest("no file system can be mounted here: " + result.err.strip())
        return result

    def test_a_new_lock_on_a_full_disk_is_an_error_and_holds_nothing(self):
        result = self.in_small_world("""
            fill
            $awsflock acquire --no-wait --local="$store" deploy; echo "exit $?"
            free
            echo "held $(held deploy)"
            $awsflock acquire --no-wait --local="$store" deploy >/dev/null; echo "exit $?"
        """)
        self.assertEqual(result.out, "exit 1\nheld 0\nexit 0\n", result)
        self.assertSays(result._replace(code=1), 1, "space")

    def test_a_lock_taken_before_the_disk_was_full_can_be_renewed_and_released(self):
        result = self.in_small_world("""
            id=$($awsflock acquire --no-wait --local="$store" deploy)
            fill
            id=$($awsflock renew --local="$store" deploy "$id"); echo "renew $?"
            $awsflock release --local="$store" deploy "$id"; echo "release $?"
            echo "held $(held deploy)"
            free
            echo "held $(held deploy)"
        """)
        self.assertEqual(result.out, "renew 0\nrelease 0\nheld 0\nheld 0\n", result)


if __name__ == "__main__":
    unittest.main()
