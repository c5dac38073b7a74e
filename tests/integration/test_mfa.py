"""Roles that ask for an MFA code: on the terminal, once between awsflock and the AWS CLI.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import pathlib
import re
import shlex
import unittest

from awsflocktest import REGION, OnDynamoDB, command, run, wait_until
from awsservices import signer_of, sts_error
from credentialstest import GRANTED, FILE, OTHER, OTHER_ROLE, ROLE, lines
from proxy import Proxy, refused, then_pass
from signintest import TESTS, SignInTest, stamp

LIBRARY = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", TESTS.parent), ".libs")
DEVICE = "arn:aws:iam::123456789012:mfa/op"
QUESTION = f"Enter MFA code for {DEVICE}: "
CONFIG = f"[profile p]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = {DEVICE}\n[profile base]\n{lines(FILE)}"


def cache_of(**more):
    """The file that botocore names by what it sends."""
    members = {"RoleArn": ROLE, "SerialNumber": DEVICE, **more}
    return ".aws/cli/cache/" + hashlib.sha1(json.dumps(members, sort_keys=True).encode()).hexdigest() + ".json"


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


class MfaTest(SignInTest):
    def setUp(self):
        super().setUp()
        self.put(".aws/config", CONFIG)

    def ask_on_terminal(self, *arguments):
        return self.on_terminal(command(*(arguments or ("status", "deploy", "--profile", "p"))))

    def ask_without_terminal(self):
        return run(["setsid", "--wait", *command("status", "deploy", "--profile", "p")], self.environment)

    def answer(self, terminal, code="123456"):
        terminal.expect(r"Enter MFA code for \S+: ")
        terminal.type(code + "\n")
        return terminal.wait()


class PromptTest(MfaTest):
    def test_the_code_is_asked_for_on_the_terminal_without_an_echo_and_sent_with_the_device(self):
        terminal = self.ask_on_terminal()
        self.assertEqual(self.answer(terminal), 0, terminal.output)
        self.assertIn(QUESTION, terminal.output)
        self.assertNotIn("123456\r", terminal.output)
        self.assertNotIn("123456\n", terminal.output)
        [form] = self.services.sts.forms
        self.assertEqual((form["SerialNumber"], form["TokenCode"], form["RoleArn"]), (DEVICE, "123456", ROLE))
        self.assertEqual(self.key(), GRANTED.id)

    def test_standard_input_is_not_touched(self):
        out = self.directory / "rest"
        terminal = self.on_terminal(["sh", "-c", f'printf "999999\\n" | {{ {" ".join(command("status", "deploy", "--profile", "p"))}; '
                                                 f"cat >{out}; }}"])
        self.assertEqual(self.answer(terminal), 0, terminal.output)
        self.assertEqual(out.read_text(encoding="utf-8"), "999999\n")
        self.assertEqual(self.services.sts.forms[0]["TokenCode"], "123456")

    def test_no_line_holds_the_code_or_a_secret(self):
        for arguments in (("status", "deploy", "-v"), ("doctor", "-v")):
            with self.subTest(command=arguments[0]):
                (self.home / cache_of()).unlink(missing_ok=True)
                terminal = self.ask_on_terminal(*arguments, "--profile", "p")
                self.answer(terminal, "654321")
                self.assertIn("credentials come from the assumed role", terminal.output)
                for secret in ("654321", GRANTED.secret, GRANTED.token, FILE.secret):
                    self.assertNotIn(secret, terminal.output)

    def test_a_second_command_asks_for_nothing(self):
        self.answer(self.ask_on_terminal())
        self.assertWorked(self.ask())
        self.assertEqual(len(self.services.sts.forms), 1)
        self.assertEqual(self.key(), GRANTED.id)

    def test_the_keys_are_cached_where_the_cli_looks_for_them(self):
        self.answer(self.ask_on_terminal())
        cached = self.get(cache_of())
        self.assertEqual(cached["Credentials"], {"AccessKeyId": GRANTED.id, "SecretAccessKey": GRANTED.secret,
                                                 "SessionToken": GRANTED.token, "Expiration": "2099-01-01T00:00:00Z",
                                                 "AccountId": "123456789012"})
        self.assertEqual((self.home / cache_of()).stat().st_mode & 0o777, 0o600)

    def test_the_cache_is_named_by_all_that_is_sent(self):
        self.put(".aws/config", CONFIG.replace("[profile base]", "external_id = a \"é\" b\nduration_seconds = 900\n"
                                                                 "role_session_name = night\n[profile base]"))
        self.answer(self.ask_on_terminal())
        self.assertTrue((self.home / cache_of(ExternalId='a "é" b', DurationSeconds=900, RoleSessionName="night")).exists())

    def test_keys_that_the_cli_has_are_used_without_asking_while_they_last_a_quarter_of_an_hour(self):
        def cached(left):
            return {"Credentials": {"AccessKeyId": "ASIACLI", "SecretAccessKey": "s", "SessionToken": "t",
                                    "Expiration": stamp(left).replace("Z", "UTC")}}
        self.put(cache_of(), cached(1000))
        self.assertWorked(self.ask())
        self.assertEqual(self.key(), "ASIACLI")
        self.put(cache_of(), cached(800))
        self.assertSays(self.ask_without_terminal(), 1, "needs an MFA code")

    def test_without_a_terminal_one_sentence_tells_what_to_type(self):
        self.assertSays(self.ask_without_terminal(), 1, "needs an MFA code", "aws sts get-caller-identity --profile p")
        self.assertEqual(self.services.sts.forms, [])

    def test_a_wrong_code_is_told_and_nothing_is_cached(self):
        self.services.sts.on("*", sts_error(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA "
                                                                 "one time pass code."))
        terminal = self.ask_on_terminal()
        self.assertEqual(self.answer(terminal), 1)
        self.assertIn("invalid MFA one time pass code", terminal.output)
        self.assertFalse((self.home / cache_of()).exists())

    def test_what_cannot_be_a_key_is_not_cached(self):
        self.services.sts.granted[ROLE] = keys = type(GRANTED)("GRANTED")
        keys.id = "A/B"
        self.assertEqual(self.answer(self.ask_on_terminal()), 1)
        self.assertFalse((self.home / cache_of()).exists())

    def test_an_empty_code_is_an_error(self):
        terminal = self.ask_on_terminal()
        self.assertEqual(self.answer(terminal, ""), 1)
        self.assertIn("no MFA code was given", terminal.output)
        self.assertEqual(self.services.sts.forms, [])

    def test_ctrl_c_leaves_nothing_and_the_echo_is_back(self):
        for arguments in (("status", "deploy", "--profile", "p"), ("run", "--profile", "p", "deploy", "true")):
            with self.subTest(arguments[0]):
                line = " ".join(command(*arguments))
                terminal = self.on_terminal(["sh", "-c", f"trap : INT; {line}; echo code=$?; stty -a | tr ' ' '\\n' | grep -x -- '-*echo'"])
                terminal.expect("Enter MFA code for")
                terminal.type("\x03")
                terminal.wait()
                self.assertRegex(terminal.output, r"code=130\s+echo\s")
                self.assertNotIn("cancelled during", terminal.output)
                if arguments[0] == "status":
                    self.assertIn("awsflock: told to stop while asking for an MFA code", terminal.output)
                self.assertEqual(self.services.sts.forms, [])
                self.assertEqual(list(self.home.rglob("*.json")), [])

    def test_a_code_that_is_too_long_is_not_cut(self):
        for code in ("1" * 63, "1" * 300):
            with self.subTest(len(code)):
                terminal = self.ask_on_terminal()
                self.assertEqual(self.answer(terminal, code), 1)
                self.assertIn("too long to be one", terminal.output)
                self.assertEqual(self.services.sts.forms, [])
        terminal = self.ask_on_terminal()
        self.assertEqual(self.answer(terminal, "1" * 62), 0, terminal.output)
        self.assertEqual(self.services.sts.forms[0]["TokenCode"], "1" * 62)

    def test_a_role_without_a_device_asks_for_nothing(self):
        self.put(".aws/config", CONFIG.replace(f"mfa_serial = {DEVICE}\n", ""))
        self.assertWorked(self.ask())
        self.assertNotIn("SerialNumber", self.services.sts.forms[0])

    def test_a_chain_of_two_roles_asks_for_the_code_of_each(self):
        self.put(".aws/config", CONFIG + f"[profile outer]\nrole_arn = {OTHER_ROLE}\nsource_profile = p\n"
                                         f"mfa_serial = {DEVICE}2\n")
        terminal = self.ask_on_terminal("status", "deploy", "--profile", "outer")
        terminal.expect(QUESTION)
        terminal.type("111111\n")
        terminal.expect(f"Enter MFA code for {DEVICE}2: ")
        terminal.type("222222\n")
        self.assertEqual(terminal.wait(), 0, terminal.output)
        self.assertEqual([(form["RoleArn"], form["TokenCode"]) for form in self.services.sts.forms],
                         [(ROLE, "111111"), (OTHER_ROLE, "222222")])
        self.assertEqual(self.key(), OTHER.id)

    def test_cached_keys_that_cannot_be_ones_are_as_good_as_none(self):
        self.put(cache_of(), {"Credentials": {"AccessKeyId": "ASIACLI", "SecretAccessKey": "s",
                                              "SessionToken": "t\r\nX-Injected: 1", "Expiration": stamp(3000)}})
        self.assertEqual(self.answer(self.ask_on_terminal()), 0)
        self.assertEqual(self.key(), GRANTED.id)

    def test_debians_botocore_finds_our_keys_in_the_cache_and_we_find_its_keys(self):
        self.answer(self.ask_on_terminal())
        self.assertEqual(self.botocore_with_the_clis_cache(), {"accessKeyId": GRANTED.id})
        self.assertEqual(len(self.services.sts.forms), 1)
        (self.home / cache_of()).unlink()
        self.assertEqual(self.botocore_with_the_clis_cache(), {"accessKeyId": GRANTED.id})
        self.assertEqual([form["TokenCode"] for form in self.services.sts.forms], ["123456", "654321"])
        self.assertWorked(self.ask())
        self.assertEqual(self.key(), GRANTED.id)
        self.assertEqual(len(self.services.sts.forms), 2)

    def botocore_with_the_clis_cache(self):
        result = run(["/usr/bin/python3", str(TESTS / "support/botocore_sign_in.py"), "p", "654321"],
                     self.client_environment(AWS_DEFAULT_REGION=REGION))
        return json.loads(result.out)

    def test_the_sdk_for_javascript_asks_sts_the_same(self):
        self.answer(self.ask_on_terminal())
        self.assertEqual(self.sdk_js(MFA_CODE="123456")["accessKeyId"], GRANTED.id)
        ours, theirs = self.services.sts.forms
        for form in (ours, theirs):
            form.pop("RoleSessionName")
        self.assertEqual({**ours, "DurationSeconds": "3600"}, theirs)  # which is what STS takes for none


class ShellTest(MfaTest):
    """A person at an interactive shell, which gives the terminal to one job and takes it back; in between it has modes of
    its own, in which Enter ends no line."""

    def setUp(self):
        super().setUp()
        self.environment.update(PS1="$ ", HISTFILE="")
        self.terminal = self.on_terminal(["bash", "--norc", "--noprofile", "-i"])
        self.line = " ".join(command("status", "deploy", "--profile", "p"))

    def type_code(self, nth=1):
        self.terminal.expect(f"(?s)({re.escape(QUESTION)}.*){{{nth}}}")
        self.terminal.type("860513\r")
        self.terminal.expect("deploy is free")
        self.assertEqual([form["TokenCode"] for form in self.services.sts.forms], ["860513"])
        self.terminal.type("stty -a | tr ' ' '\\n' | grep -x -- '-*echo;*' | sed 's/^/is /'; exit\r")
        self.terminal.expect(r"is echo\s")
        self.assertNotIn("860513", self.terminal.output)

    def wait_until_stopped(self):
        pid = int(self.terminal.expect(r"pid=(\d+)\s").group(1))
        wait_until(lambda: state_of(pid) == "T", what="a stopped job")
        self.assertNotIn(QUESTION, self.terminal.output)

    def wait_until_told_of_stops(self, count):
        """The shell tells before each prompt."""
        def told():
            self.terminal.type("\r")
            self.terminal.pump()
            return self.terminal.output.count("Stopped") >= count
        wait_until(told, what="the shell's word")

    def test_ctrl_z_stops_with_the_echo_back_and_fg_asks_again(self):
        self.terminal.type(self.line + "\r")
        self.terminal.expect(re.escape(QUESTION))
        self.terminal.type("99\x1a")
        self.terminal.expect("Stopped")
        self.terminal.type("fg\r")
        self.type_code(2)

    def test_in_the_background_it_stops_before_it_asks_and_fg_has_it_ask(self):
        self.terminal.type(self.line + " & echo pid=$!\r")
        self.wait_until_stopped()
        self.terminal.type("fg\r")
        self.type_code()

    def test_bg_leaves_it_stopped(self):
        self.terminal.type(self.line + " & echo pid=$!\r")
        self.wait_until_stopped()
        self.wait_until_told_of_stops(1)
        self.terminal.type("bg\r")
        self.wait_until_told_of_stops(2)
        self.assertNotIn(QUESTION, self.terminal.output)
        self.terminal.type("fg\r")
        self.type_code()

    def test_where_nobody_can_bring_it_to_the_front_it_gives_up(self):
        said, go = self.directory / "said", self.directory / "go"
        self.terminal.type(f"(set -m; sh -c 'until [ -e {go} ]; do sleep 0.01; done; {self.line} >{said} 2>&1; "
                           f"echo code=$? >>{said}' &)\r")
        self.terminal.type(f"touch {go}\r")
        wait_until(lambda: said.exists() and "code=" in said.read_text(encoding="utf-8"), what="its end")
        self.assertRegex(said.read_text(encoding="utf-8"), "gave no MFA code\ncode=1")
        self.assertNotIn(QUESTION, self.terminal.output)


PROGRAM = r"""
#include <awsflock.h>
#include <stdio.h>
#include <stdlib.h>

static int asked;

static awsflock_code answer(void *arg, const char *serial, char *code, size_t size, awsflock_error *error)
{
	char **answers = arg;

	printf("asked for %s\n", serial);
	if (answers[asked][0] == '-') {
		error->code = AWSFLOCK_CANCELLED;
		snprintf(error->message, sizeof(error->message), "the person went away");
		return AWSFLOCK_CANCELLED;
	}
	snprintf(code, size, "%s", answers[asked++]);
	return AWSFLOCK_OK;
}

static void tell(const char *what, awsflock_code code, const awsflock_error *error)
{
	printf("%s: %s%s%s\n", what, awsflock_code_name(code), code == AWSFLOCK_OK ? "" : ": ",
	       code == AWSFLOCK_OK ? "" : error->message);
}

int main(int argc, char **argv)
{
	awsflock *context = NULL;
	awsflock_status *status = NULL;
	awsflock_error error;

	if (argc < 2 || awsflock_new(&context, &error) != AWSFLOCK_OK ||
	    awsflock_load_config(context, NULL, &error) != AWSFLOCK_OK ||
	    awsflock_set(context, "profile", "p", &error) != AWSFLOCK_OK)
		return 1;
	awsflock_set_mfa_callback(context, answer, argv + 1);
	tell("sign in", awsflock_sign_in(context, &error), &error);
	for (int i = 0; i < 2; i++) {
		tell("status", awsflock_inspect(context, "deploy", &status, &error), &error);
		awsflock_status_free(&status);
	}
	awsflock_free(&context);
	return 0;
}
"""


class CallbackTest(MfaTest):
    """A program of somebody else's that uses the library, and asks in its own way."""

    def use_library(self, *answers):
        source, binary = self.write("program.c", PROGRAM), self.directory / "program"
        flags = shlex.split(os.environ.get("AWSFLOCK_TEST_CFLAGS", ""))
        done = run(["cc", "-Wall", "-Wextra", "-Werror", *flags, f"-I{TESTS.parent}/include", str(source), "-o",
                    str(binary), f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY.resolve()}", "-lawsflock"], dict(os.environ))
        self.assertEqual(done.code, 0, done.err)
        result = run(["setsid", "--wait", str(binary), *answers], self.environment)
        self.assertEqual(result.code, 0, result.err)
        return result.out.splitlines()

    def test_a_code_is_asked_of_the_callback_once_and_its_keys_serve_all_requests(self):
        self.assertEqual(self.use_library("123456", "654321"),
                         [f"asked for {DEVICE}", "sign in: ok", "status: ok", "status: ok"])
        [form] = self.services.sts.forms
        self.assertEqual(form["TokenCode"], "123456")
        self.assertEqual(self.key(), GRANTED.id)

    def test_a_chain_asks_for_each_role(self):
        self.put(".aws/config", CONFIG.replace("source_profile = base", "source_profile = r", 1) +
                 f"[profile r]\nrole_arn = {OTHER_ROLE}\nsource_profile = base\nmfa_serial = {DEVICE}\n")
        self.services.sts.known[OTHER.id] = OTHER
        self.assertEqual(self.use_library("111111", "222222")[:3], [f"asked for {DEVICE}"] * 2 + ["sign in: ok"])
        self.assertEqual([form["TokenCode"] for form in self.services.sts.forms], ["111111", "222222"])

    def test_a_callback_that_refuses_ends_the_call_with_its_own_words(self):
        said = self.use_library("-")
        self.assertEqual(said[0], f"asked for {DEVICE}")
        self.assertRegex(said[1], "^sign in: cancelled.*the person went away")
        self.assertEqual(self.services.sts.forms, [])


class RunTest(OnDynamoDB, MfaTest):
    def test_a_run_asks_before_it_starts_and_holds_the_lock_with_the_keys(self):
        terminal = self.on_terminal(self.flock_command("run", "--profile", "p", "deploy", "echo", "at work"))
        self.assertEqual(self.answer(terminal), 0, terminal.output)
        self.assertIn("at work", terminal.output)
        self.assertEqual(len(self.services.sts.forms), 1)

    def test_keys_that_the_cli_was_given_anew_are_picked_up_once_the_old_ones_have_ended(self):
        proxy = Proxy(self.endpoint)
        self.addCleanup(proxy.close)
        self.use_endpoint(proxy.url)

        def have_the_cli_asked(exchange):
            if signer_of(exchange.request.headers.get("authorization", "")) != GRANTED.id:
                return then_pass(exchange)
            self.put(cache_of(), {"Credentials": {"AccessKeyId": "ASIACLI", "SecretAccessKey": "s", "SessionToken": "t",
                                                  "Expiration": stamp(3000)}})
            return refused("ExpiredTokenException", "The security token included in the request is expired")(exchange)
        terminal = self.on_terminal(self.flock_command("run", "--profile", "p", "--lease-duration", "3", "--kill-after", "0.4",
                                                      "deploy", *self.job()))
        terminal.expect("Enter MFA code")
        terminal.type("123456\n")
        wait_until(lambda: (self.directory / "started").exists(), what="the job's start")
        proxy.always = have_the_cli_asked
        wait_until(lambda: any("ASIACLI" in request.headers.get("authorization", "") for request in list(proxy.requests)),
                   what="the new keys")
        (self.directory / "finish").touch()
        self.assertEqual(terminal.wait(), 0, terminal.output)
        self.assertEqual(len(self.services.sts.forms), 1)

    def test_an_acquire_tells_when_the_keys_end_before_the_lease(self):
        self.services.sts.granted[ROLE] = type(GRANTED)("GRANTED", stamp(3000))
        terminal = self.on_terminal(self.flock_command("acquire", "--profile", "p", "deploy"))
        self.assertEqual(self.answer(terminal), 0, terminal.output)
        self.assertRegex(terminal.output, r"the sign-in ends in (50m|49m \d+s).*aws sts get-caller-identity --profile p")


if __name__ == "__main__":
    unittest.main()
