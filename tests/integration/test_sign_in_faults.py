"""Sign-ins that go wrong: damaged and foreign files, services that fail, two tools that renew at once; the proof that
goes along; and what is told.

SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import unittest
import uuid

import faketime
from awsflocktest import OnDynamoDB, command, run, wait_until, without_root_powers
from awsservices import answer, hang_up, signer_of
from proxy import Proxy, refused, then_pass
from signintest import KEYS_FILE, LOGIN_FILE, RECORDED, SSO_FILE, SignInTest, seconds_left

SIGN_IN = "aws sso login --profile p"
LOG_IN = "aws login --profile p"
SHORT_LEASE = ("--lease-duration", "3", "--kill-after", "0.4")


class TokenFileTest(SignInTest):
    def test_nobody_waits_for_the_writer_of_a_pipe(self):
        self.start_from("sso-session-valid")
        (self.home / SSO_FILE).unlink()
        os.mkfifo(self.home / SSO_FILE)
        self.assertSays(self.ask(), 1, "not a regular file", SIGN_IN)

    def test_what_is_no_sign_in_of_ones_own_is_refused_in_a_sentence(self):
        for what, said in (("", "is damaged"), ("[]", "is damaged"), ("{}", "has no accessToken"),
                           ('{"accessToken": "a"}', "has no accessToken with expiresAt"),
                           ('{"accessToken": "a\\nb", "expiresAt": "2099-01-01T00:00:00Z"}', "has no accessToken"),
                           ('{"accessToken": 1, "expiresAt": "2099-01-01T00:00:00Z"}', "has no accessToken"),
                           ('{"accessToken": "a", "expiresAt": "soon"}', "has no accessToken"),
                           ('{"a": "' + 10_000_000 * "x" + '"}', "larger than a sign-in")):
            with self.subTest(what[:60]):
                self.start_from("sso-session-valid")
                self.put(SSO_FILE, what)
                self.assertSays(self.ask(), 1, said, SIGN_IN)
                self.assertEqual(self.service.requests(), [])

    def test_a_login_of_which_something_is_missing_is_refused(self):
        for name in ("accessToken", "clientId", "refreshToken", "dpopKey"):
            with self.subTest(name):
                case = self.start_from("login-expired-refreshed")
                content = case["files"][LOGIN_FILE]
                del content[name]
                self.put(LOGIN_FILE, content)
                self.assertSays(self.ask(), 1, "holds no whole login", LOG_IN)
                self.assertEqual(self.service.requests(), [])

    def test_a_directory_in_the_files_place_is_refused(self):
        for name, path, command in (("sso-session-valid", SSO_FILE, SIGN_IN), ("login-valid", LOGIN_FILE, LOG_IN)):
            with self.subTest(name):
                self.start_from(name)
                (self.home / path).unlink()
                (self.home / path).mkdir()
                self.assertSays(self.ask(), 1, "is not a regular file", command)

    def test_a_file_that_others_can_write_is_warned_of_once(self):
        for mode, warned in ((0o666, 1), (0o620, 1), (0o644, 0)):
            with self.subTest(oct(mode)):
                self.start_from("sso-session-expired-refreshed")
                (self.home / SSO_FILE).chmod(mode)
                result = self.ask()
                self.assertWorked(result)
                self.assertEqual(result.err.count(f"can change {self.home / SSO_FILE}: chmod 600 it"), warned, result.err)
                self.assertEqual((self.home / SSO_FILE).stat().st_mode & 0o777, 0o600)

    def test_a_link_is_not_followed(self):
        self.start_from("sso-session-valid")
        file = self.home / SSO_FILE
        file.rename(self.home / "elsewhere")
        file.symlink_to(self.home / "elsewhere")
        self.assertSays(self.ask(), 1, "cannot read", SIGN_IN)

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_another_users_file_is_refused_and_the_home_owners_is_kept_his(self):
        self.start_from("sso-session-expired-refreshed")
        os.chown(self.home / SSO_FILE, 1234, 1234)
        self.assertSays(self.ask(), 1, "belongs to user 1234")
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, 1234, 1234)
        self.assertWorked(self.ask())
        self.assertEqual(self.get(SSO_FILE)["refreshToken"], "new-refresh")
        status = (self.home / SSO_FILE).stat()
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o777), (1234, 1234, 0o600))

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_root_writes_nothing_into_anothers_home_that_would_be_roots(self):
        # sudo without -H, runuser: HOME is another user's.
        for roots in ("directory", "file"):
            with self.subTest(roots):
                self.start_from("sso-session-4min-left")
                for path in (self.home, *self.home.rglob("*")):
                    os.chown(path, 1234, 1234)
                roots_own = self.home / SSO_FILE if roots == "file" else (self.home / SSO_FILE).parent
                os.chown(roots_own, 0, 0)
                before = (self.home / SSO_FILE).read_bytes()
                result = self.ask()
                self.assertWorked(result)
                self.assertIn("was not renewed, and serves until it ends: cannot write", result.err)
                self.assertNotIn("POST /token", self.service.paths())
                self.assertEqual((self.home / SSO_FILE).read_bytes(), before)
                found = {path: path.stat().st_uid for path in self.home.rglob("*")}
                self.assertEqual([path for path, owner in found.items() if owner == 0], [roots_own])
                self.assertFalse((self.home / ".aws/cli").exists())

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_in_roots_home_another_user_finds_no_sign_in_and_leaves_nothing(self):
        self.start_from("sso-session-valid")
        self.directory.chmod(0o711)
        for path in (self.home, *self.home.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        before = sorted(self.home.rglob("*"))
        environment = self.environment_with(AWSFLOCK_CONFIG="/dev/null")
        # The program may lie where others may not look, as below /root.
        reads_all = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        result = run(["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups", *reads_all, *command(
            "status", "deploy", "--profile", "p")], environment)
        self.assertSays(result, 1, "belongs to user 0: a sign-in must be one's own")
        self.assertEqual(sorted(self.home.rglob("*")), before)

    def test_unknown_members_are_kept(self):
        for name, path in (("sso-session-expired-refreshed", SSO_FILE), ("login-expired-refreshed", LOGIN_FILE)):
            with self.subTest(name):
                self.start_from(name, future={"deep": ["x/y", 1.5, None, True]})
                self.assertWorked(self.ask())
                self.assertEqual(self.get(path)["future"], {"deep": ["x/y", 1.5, None, True]})

    def test_what_cannot_be_written_back_is_kept_in_memory_and_said(self):
        for name, path in (("sso-session-expired-refreshed", SSO_FILE), ("login-expired-refreshed", LOGIN_FILE)):
            with self.subTest(name):
                self.start_from(name)
                before = (self.home / path).read_bytes()
                (self.home / path).parent.chmod(0o500)
                result = run(without_root_powers(command("status", "deploy", "--profile", "p")), self.environment)
                (self.home / path).parent.chmod(0o700)
                self.assertWorked(result)
                self.assertIn("kept in this process alone", result.err)
                self.assertIn("Permission denied", result.err)
                self.assertEqual((self.home / path).read_bytes(), before)
                self.assertEqual([file.name for file in (self.home / path).parent.iterdir()], [file_name(path)])

    def test_a_disk_that_fills_up_leaves_the_old_file(self):
        self.start_from("sso-session-expired-refreshed")
        before = (self.home / SSO_FILE).read_bytes()
        result = self.ask_with_file_limit(64)
        self.assertWorked(result)
        self.assertIn("kept in this process alone", result.err)
        self.assertEqual((self.home / SSO_FILE).read_bytes(), before)
        self.assertEqual([file.name for file in (self.home / SSO_FILE).parent.iterdir()], [file_name(SSO_FILE)])

    def test_a_full_disk_costs_no_token_while_the_old_one_is_good_and_is_told_afterwards(self):
        for name, path, left in (("sso-session-4min-left", SSO_FILE, True), ("login-4min-left", LOGIN_FILE, True),
                                 ("sso-session-expired-refreshed", SSO_FILE, False),
                                 ("login-expired-refreshed", LOGIN_FILE, False)):
            with self.subTest(name):
                self.start_from(name)
                self.service.server.requests.clear()
                result = self.on_full_disk(self.home / path)
                self.assertEqual(result.out, f"deploy is free\n0\n{file_name(path)}\nfiller\ndeploy is free\n0\n"
                                             f"{file_name(path)}\n", result.err)
                self.assertIn("No space left on device", result.err)
                self.assertEqual("kept in this process alone" in result.err, not left, result.err)
                self.assertEqual(len([asked for asked in self.service.paths() if "token" in asked]), 1 if left else 2)

    def on_full_disk(self, path):
        """Asks on a file system that has no block left beside PATH, then on one that has."""
        enter = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        script = """
            content=$(cat "$file") && mount -t tmpfs -o size=64k,mode=0700 none "$directory" || exit 99
            cd "$directory" && umask 077 && printf %s "$content" >"$file" || exit 99
            dd if=/dev/zero of=filler bs=4k 2>/dev/null
            $awsflock; echo $?; printf %s "$content" | cmp - "$file"; ls -A
            rm filler; rm -rf "$HOME/.aws/cli"
            $awsflock; echo $?; ls -A"""
        result = run([*enter, "sh", "-c", script], {
            **self.environment, "file": str(path), "directory": str(path.parent),
            "awsflock": " ".join(command("status", "deploy", "--profile", "p"))})
        if result.code == 99 or result.err.startswith("unshare: "):
            self.skipTest("no file system can be mounted here: " + result.err.strip())
        return result

    def test_a_crash_while_it_is_renewed_leaves_no_core_dump(self):
        def allow_core():
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        control = self.start(["sleep", "60"], cwd=self.directory, preexec_fn=allow_core)
        if not self.dumps_core(control):
            self.skipTest("no program leaves a core dump here")
        self.start_from("sso-session-expired-refreshed")
        self.service.on("*", lambda handler: handler.server.stopping.wait(60))
        process = self.start(command("status", "deploy", "--profile", "p"), cwd=self.directory, preexec_fn=allow_core)
        wait_until(lambda: "POST /token" in self.service.paths(), what="the renewal")
        self.assertFalse(self.dumps_core(process))

    def dumps_core(self, process):
        os.kill(process.pid, signal.SIGABRT)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -signal.SIGABRT
        return os.WCOREDUMP(status)

    def test_ctrl_c_while_it_is_renewed_waits_for_the_new_token(self):
        for name, path in (("sso-session-expired-refreshed", SSO_FILE), ("login-expired-refreshed", LOGIN_FILE)):
            with self.subTest(name):
                self.start_from(name)
                started = []

                def interrupt_and_answer(handler):
                    wait_until(lambda: started, what="the process")
                    started[0].send_signal(signal.SIGINT)
                    wait_until(lambda: not pending(started[0].pid, signal.SIGINT), what="the signal's arrival")
                    return self.service.serve(handler)
                self.service.on("*", interrupt_and_answer)
                started.append(self.start(command("status", "deploy", "--profile", "p")))
                started[0].communicate(timeout=60)
                self.assertEqual(started[0].returncode, 130)
                self.assertIn(self.get(path)["refreshToken"], ("new-refresh", "login-refresh-2"))
                self.assertEqual(self.services.dynamodb.requests(), [])

    def ask_with_file_limit(self, size):
        """SIGXFSZ is ignored: a write beyond SIZE bytes fails as on a full disk."""
        return run(["prlimit", f"--fsize={size}", "--", *command("status", "deploy", "--profile", "p")], self.environment)


def pending(pid, number):
    """Whether a signal has been sent to the process PID, and not been taken yet."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return any(int(mask, 16) >> (number - 1) & 1 for mask in re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)", status, re.M))


def file_name(path):
    return path.rpartition("/")[2]


class ServiceTest(SignInTest):
    def test_a_portal_that_fails_for_a_moment_is_asked_again(self):
        for status in (429, 500, 502, 503, 504):
            with self.subTest(status):
                self.start_from("sso-session-valid")
                self.fail_once(answer(status, json.dumps({"message": "later"}), x_amzn_ErrorType="TooManyRequestsException"))
                self.assertWorked(self.ask())
                self.assertEqual(self.key(), "ASIAPORTAL")

    def test_a_portal_that_hangs_up_is_asked_again(self):
        self.start_from("sso-session-valid")
        self.fail_once(hang_up)
        self.assertWorked(self.ask())

    def fail_once(self, action):
        failed = []

        def first(handler):
            if failed:
                return self.service.serve(handler)
            failed.append(True)
            return action(handler)
        self.service.on("*", first)

    def test_what_a_portal_refuses_is_told_with_what_to_do(self):
        for status, said in ((401, SIGN_IN), (403, "is not assigned"), (404, "is not assigned"), (400, "HTTP 400")):
            with self.subTest(status):
                self.start_from("sso-session-valid")
                self.service.answers = {"portal": [status, {"message": "a reason"}, {"x-amzn-ErrorType": "SomeException"}]}
                self.assertSays(self.ask(), 1, said, "SomeException: a reason")

    def test_nonsense_is_told_as_such(self):
        for body in ("", "<html>", "[]", "{}", '{"roleCredentials": 1}', '{"roleCredentials": {"accessKeyId": "A"}}',
                     '{"roleCredentials": {"accessKeyId": "A", "secretAccessKey": "s", "sessionToken": "t", '
                     '"expiration": "soon"}}'):
            with self.subTest(body):
                self.start_from("sso-session-valid")
                self.service.answers = {"portal": [200, body, {}]}
                self.assertEqual(self.ask().code, 1)
                self.assertEqual(self.services.dynamodb.requests(), [])

    def test_what_cannot_be_a_key_is_not_kept(self):
        good = {"accessKeyId": "ASIAX", "secretAccessKey": "s", "sessionToken": "t", "expiration": 4070908800000}
        for wrong in ({"accessKeyId": "A/B"}, {"accessKeyId": "A\x1b[31m"}, {"secretAccessKey": "a\nb"},
                      {"secretAccessKey": "a b"}, {"sessionToken": "t\r\nX: 1"}, {"expiration": 253402300800000}):
            with self.subTest(wrong):
                self.start_from("sso-session-valid")
                self.service.answers = {"portal": [200, {"roleCredentials": {**good, **wrong}}, {}]}
                self.assertEqual(self.ask().code, 1)
                self.assertFalse((self.home / KEYS_FILE).exists())
                self.service.answers = {}
                self.assertWorked(self.ask())
                self.start_from("sso-session-valid")
                self.put(KEYS_FILE, {"Credentials": {**{name[0].upper() + name[1:]: {**good, **wrong}[name] for name in (
                    "accessKeyId", "secretAccessKey", "sessionToken")}, "Expiration": {"seconds": 3000}}})
                self.assertWorked(self.ask())
                self.assertEqual(self.key(), "ASIAX" if "expiration" in wrong else "ASIAPORTAL")
                if "expiration" in wrong:
                    continue
                self.start_from("login-4min-left")
                before = (self.home / LOGIN_FILE).read_bytes()
                self.service.answers = {"signin": [200, {"accessToken": {**good, **wrong}, "expiresIn": 900,
                                                         "refreshToken": "another"}, {}]}
                self.assertWorked(self.ask())
                self.assertEqual(self.key(), "ASIALOGINOLD")
                self.assertEqual((self.home / LOGIN_FILE).read_bytes(), before)

    def test_a_renewal_that_is_refused_leaves_the_old_token_in_use(self):
        self.start_from("sso-session-4min-left")
        self.service.answers = {"oidc": [400, {"error": "invalid_grant"}, {}]}
        self.assertWorked(self.ask())
        self.assertEqual(self.service.seen()[-1]["bearer"], "old-access")
        self.assertEqual(self.get(SSO_FILE)["refreshToken"], "old-refresh")

    def test_with_four_minutes_left_a_refused_login_serves_on(self):
        self.start_from("login-4min-left")
        self.service.answers = {"signin": [401, {"error": "TOKEN_EXPIRED", "message": "over"},
                                           {"x-amzn-ErrorType": "AccessDeniedException"}]}
        result = self.ask()
        self.assertWorked(result)
        self.assertEqual(self.key(), "ASIALOGINOLD")
        self.assertIn("12 hours are over", result.err)

    def test_each_end_of_a_login_is_told_with_what_to_type(self):
        for error, said in (("TOKEN_EXPIRED", "12 hours are over"), ("USER_CREDENTIALS_CHANGED", "password was changed"),
                            ("INSUFFICIENT_PERMISSIONS", "signin:CreateOAuth2Token is missing"),
                            ("INVALID_REQUEST", "asked in eu-west-1: if the login was made in another region")):
            with self.subTest(error):
                self.start_from("login-expired-refreshed")
                self.service.answers = {"signin": [400, {"error": error, "message": "m"}, {}]}
                self.assertSays(self.ask(), 1, said, LOG_IN)

    def test_names_are_percent_encoded(self):
        case = self.start_from("sso-session-valid")
        config = "\n".join(case["config"]).replace("LockOperator", "Lock Operator+é/&=")
        self.put(".aws/config", config + "\n")
        self.assertWorked(self.ask())
        self.assertEqual(self.service.requests()[0].path,
                         "/federation/credentials?role_name=Lock%20Operator%2B%C3%A9%2F%26%3D&account_id=123456789012")
        [cached] = [path for path in self.files() if path.startswith(".aws/cli/")]
        self.assertEqual(cached, ".aws/cli/cache/" + self.python_name({
            "accountId": "123456789012", "roleName": "Lock Operator+é/&=", "sessionName": "my-sso"}) + ".json")

    @staticmethod
    def python_name(members):
        import hashlib
        return hashlib.sha1(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def test_the_clis_keys_are_used_while_they_are_good_for_a_quarter_of_an_hour(self):
        for left, key in ((1000, "ASIACACHED"), (800, "ASIAPORTAL")):
            with self.subTest(left):
                self.start_from("sso-session-valid")
                self.put(KEYS_FILE, {"ProviderType": "sso", "Credentials": {
                    "AccessKeyId": "ASIACACHED", "SecretAccessKey": "s", "SessionToken": "t",
                    "Expiration": {"seconds": left}}})
                self.assertWorked(self.ask())
                self.assertEqual(self.key(), key)

    def test_cached_keys_that_aws_refuses_are_not_used_again(self):
        self.start_from("sso-session-valid")
        self.put(KEYS_FILE, {"Credentials": {"AccessKeyId": "ASIACACHED", "SecretAccessKey": "s", "SessionToken": "t",
                                             "Expiration": {"seconds": 3000}}})

        def refuse(handler):
            if "ASIACACHED" not in handler.headers["Authorization"]:
                return self.services.dynamodb.serve(handler)
            return answer(400, json.dumps({"__type": "x#ExpiredTokenException", "message": "no"}))(handler)
        self.services.dynamodb.on("*", refuse)
        self.assertWorked(self.ask())
        self.assertEqual(self.key(), "ASIAPORTAL")
        self.assertEqual(self.get(KEYS_FILE)["Credentials"]["AccessKeyId"], "ASIAPORTAL")

    def test_a_clock_an_hour_behind_takes_an_ended_token_for_good_and_renews_it_all_the_same(self):
        self.start_from("sso-session-valid", expiresAt={"seconds": -60})

        def portal(handler):
            if handler.headers["x-amz-sso_bearer_token"] == "new-access":
                return self.service.serve(handler)
            return answer(401, json.dumps({"message": "ended"}), x_amzn_ErrorType="UnauthorizedException")(handler)
        self.service.on("/federation/credentials?role_name=LockOperator&account_id=123456789012", portal)
        self.assertWorked(run(command("status", "deploy", "--profile", "p"), faketime.faked(self.environment, -3600)))
        self.assertEqual(self.key(), "ASIAPORTAL")

    def test_a_clock_an_hour_ahead_renews_and_takes_keys_that_the_portal_says_are_good(self):
        for name, key in (("sso-session-valid", "ASIAPORTAL"), ("login-valid", "ASIALOGINNEW")):
            with self.subTest(name):
                self.start_from(name)
                self.service.portal_lasts_s = 1800  # by a clock that is right
                result = run(command("status", "deploy", "--profile", "p"), faketime.faked(self.environment, 3600))
                self.assertWorked(result)
                self.assertEqual(self.key(), key)

    def test_a_clock_an_hour_ahead_does_not_make_a_renewed_token_last_longer_for_others(self):
        self.start_from("sso-session-expired-refreshed")
        self.assertWorked(run(command("status", "deploy", "--profile", "p"), faketime.faked(self.environment, 3600)))
        self.assertLessEqual(seconds_left(self.get(SSO_FILE)["expiresAt"]), 3600)

    def test_a_login_whose_keys_aws_refuses_is_renewed_whatever_its_file_says(self):
        self.start_from("login-valid")

        def refuse(handler):
            if "ASIALOGINOLD" not in handler.headers["Authorization"]:
                return self.services.dynamodb.serve(handler)
            return answer(400, json.dumps({"__type": "x#ExpiredTokenException", "message": "no"}))(handler)
        self.services.dynamodb.on("*", refuse)
        self.assertWorked(self.ask())
        self.assertEqual(self.key(), "ASIALOGINNEW")
        self.assertEqual(self.get(LOGIN_FILE)["refreshToken"], "login-refresh-2")

    def test_a_clock_ahead_that_ends_a_sign_in_is_a_sentence(self):
        self.start_from("sso-legacy-valid", expiresAt={"seconds": 1800})
        result = run(command("status", "deploy", "--profile", "p"), faketime.faked(self.environment, 3600))
        self.assertSays(result, 1, "ended 30m", SIGN_IN)
        self.assertEqual(self.service.requests(), [])

    def test_a_portal_that_is_slow_is_waited_for_as_long_as_a_request_may_take(self):
        self.start_from("sso-session-valid")
        config = self.write("impatient.conf", "[awsflock]\nrequest_timeout = 0.2\nconnect_timeout = 0.2\n")

        def slowly(handler):
            handler.server.stopping.wait(delay)
            return self.service.serve(handler)
        self.service.on("*", slowly)
        delay = 0.5
        self.assertWorked(self.ask())
        asked = len(self.service.requests())
        delay = 60
        shutil.rmtree(self.home / ".aws/cli")
        self.assertSays(self.ask(changes={"AWSFLOCK_CONFIG": str(config)}), 1, f"no answer from {self.service.url}")
        self.assertEqual(len(self.service.requests()) - asked, 3)

    def test_a_process_that_is_killed_before_it_writes_the_new_token_costs_a_sign_in_and_says_so(self):
        for name, path, sign_in in (("sso-session-expired-refreshed", SSO_FILE, SIGN_IN),
                                    ("login-expired-refreshed", LOGIN_FILE, LOG_IN)):
            with self.subTest(name):
                self.start_from(name)
                self.service.used = set()
                before = (self.home / path).read_bytes()
                started = []

                def kill_and_answer(handler):
                    # The service has given the new token away, and nobody is left to write it down.
                    if started and started[0].poll() is None and "token" in handler.path:
                        self.service.is_spent(handler)
                        started[0].kill()
                        started[0].wait()
                        return hang_up(handler)
                    return self.service.serve(handler)
                self.service.on("*", kill_and_answer)
                gate = self.directory / "gate"
                started.append(self.start(["sh", "-c", f'while [ ! -e {gate} ]; do sleep 0.01; done; exec "$@"', "sh",
                                           *command("status", "deploy", "--profile", "p")]))
                gate.touch()
                self.assertEqual(started[0].wait(60), -9)
                gate.unlink()
                self.assertEqual((self.home / path).read_bytes(), before)
                result = self.ask()
                self.assertSays(result, 1, "invalid", sign_in)
                self.assertEqual(len(result.err.splitlines()), 1)

    def lose_the_first_new_token(self):
        """The service gives it away, which uses the old one up; the answer is lost on the way."""
        self.service.used = set()
        lost = []

        def lose(handler):
            if lost or "token" not in handler.path:
                return self.service.serve(handler)
            lost.append(self.service.is_spent(handler))
            return hang_up(handler)
        self.service.on("*", lose)

    def test_a_new_token_whose_answer_is_lost_costs_a_sign_in_once_the_old_one_has_ended(self):
        for name, path, sign_in in (("sso-session-expired-refreshed", SSO_FILE, SIGN_IN),
                                    ("login-expired-refreshed", LOGIN_FILE, LOG_IN)):
            with self.subTest(name):
                self.start_from(name)
                before = (self.home / path).read_bytes()
                self.lose_the_first_new_token()
                self.assertSays(self.ask(), 1, "invalid", sign_in)
                self.assertEqual((self.home / path).read_bytes(), before)

    def test_a_new_token_whose_answer_is_lost_costs_nothing_while_the_old_one_is_good(self):
        for name, path, key in (("sso-session-4min-left", SSO_FILE, "ASIAPORTAL"),
                                ("login-4min-left", LOGIN_FILE, "ASIALOGINOLD")):
            with self.subTest(name):
                self.start_from(name)
                before = (self.home / path).read_bytes()
                self.lose_the_first_new_token()
                self.assertWorked(self.ask())
                self.assertEqual(self.key(), key)
                self.assertEqual((self.home / path).read_bytes(), before)

    def test_two_that_renew_at_once_both_end_with_a_working_token(self):
        for name, path in (("sso-session-expired-refreshed", SSO_FILE), ("login-expired-refreshed", LOGIN_FILE)):
            with self.subTest(name):
                self.start_from(name)
                self.service.used = set()
                with concurrent.futures.ThreadPoolExecutor(6) as pool:
                    results = list(pool.map(lambda _: self.ask(), range(6)))
                for result in results:
                    self.assertWorked(result)
                self.assertIn(self.get(path)["refreshToken"], ("new-refresh", "login-refresh-2"))

    def test_what_another_one_left_that_is_no_sign_in_is_not_taken_after_a_refusal(self):
        for name, path, key, damaged in (
                ("sso-session-4min-left", SSO_FILE, "ASIAPORTAL",
                 {"accessToken": "a\nb", "expiresAt": {"seconds": 3600}}),
                ("login-4min-left", LOGIN_FILE, "ASIALOGINOLD",
                 {"accessToken": {"accessKeyId": "A", "expiresAt": {"seconds": 900}}, "refreshToken": "another"})):
            with self.subTest(name):
                self.start_from(name)

                def refuse(handler, path=path, damaged=damaged):
                    if "token" not in handler.path:
                        return self.service.serve(handler)
                    self.put(path, damaged)
                    return answer(400, json.dumps({"error": "invalid_grant"}))(handler)
                self.service.on("*", refuse)
                self.assertWorked(self.ask())
                self.assertEqual(self.key(), key)

    def test_a_source_profile_may_sign_in(self):
        from credentialstest import GRANTED, ROLE
        case = self.start_from("sso-session-valid")
        self.put(".aws/config", "\n".join(case["config"]) + f"\n[profile r]\nrole_arn = {ROLE}\nsource_profile = p\n")
        from awsservices import Keys
        portal = Keys("PORTAL")
        portal.id, portal.secret, portal.token = "ASIAPORTAL", "portalsecret", "portaltoken"
        self.services.sts.known[portal.id] = portal
        self.assertWorked(self.ask("--profile", "r"))
        self.assertEqual(self.key(), GRANTED.id)

    def test_times_of_every_writer_are_read(self):
        for text in ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00.123Z", "2099-01-01T00:00:00UTC"):
            with self.subTest(text):
                self.start_from("sso-legacy-valid", expiresAt=text)
                self.assertWorked(self.ask())


class ProofTest(SignInTest):
    def prove(self, **changes):
        self.start_from("login-expired-refreshed", **changes)
        self.assertWorked(self.ask())
        return self.service.requests()[-1].headers["DPoP"]

    def test_openssl_and_node_find_the_proof_right_for_either_form_of_key(self):
        for command in (["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"],
                        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]):
            with self.subTest(command[1]):
                key = subprocess.run(command, capture_output=True, check=True).stdout.decode()
                proof = self.prove(dpopKey=key)
                claims = self.verified_by_openssl(proof)
                self.assertEqual(claims, self.sdk_js("verify", proof))
                self.assertEqual((claims["htm"], claims["htu"]), ("POST", self.service.url + "/v1/token"))
                self.assertRegex(claims["jti"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
                self.assertEqual(sorted(claims), ["htm", "htu", "iat", "jti"])

    def test_each_attempt_has_a_proof_of_its_own(self):
        self.start_from("login-expired-refreshed")
        failed = []

        def first(handler):
            failed.append(handler.headers["DPoP"])
            return answer(500, "{}")(handler) if len(failed) == 1 else self.service.serve(handler)
        self.service.on("*", first)
        self.assertWorked(self.ask())
        first_id, second_id = [self.verified_by_openssl(proof)["jti"] for proof in failed]
        self.assertNotEqual(first_id, second_id)

    def test_keys_of_other_kinds_are_refused(self):
        for command, said in ((["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout"], "of another kind than P-256"),
                              (["openssl", "genpkey", "-algorithm", "ed25519"], "of another kind than P-256"),
                              (["openssl", "ecparam", "-name", "secp256k1", "-genkey", "-noout"], "of another kind"),
                              (["echo", "no key"], "is no private key"),
                              (["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                                "-aes256", "-pass", "pass:x"], "is no private key")):
            with self.subTest(said, command=command):
                key = subprocess.run(command, capture_output=True, check=True).stdout.decode()
                self.start_from("login-expired-refreshed", dpopKey=key)
                self.assertSays(self.ask(), 1, said, LOG_IN)
                self.assertEqual(self.service.requests(), [])


def signers(proxy):
    return [signer_of(request.headers.get("authorization", "")) for request in list(proxy.requests)]


def refused_for(key):
    """What DynamoDB says to whoever comes with KEY, once it has ended."""
    def action(exchange):
        if signer_of(exchange.request.headers.get("authorization", "")) == key:
            refused("ExpiredTokenException", "The security token included in the request is expired")(exchange)
        else:
            then_pass(exchange)
    return action


class LongRunTest(OnDynamoDB, SignInTest):
    """A run whose sign-in ends on the way; keys live for some seconds."""

    def use_proxy(self):
        proxy = Proxy(self.endpoint)
        self.addCleanup(proxy.close)
        self.use_endpoint(proxy.url)
        return proxy

    def test_a_login_made_anew_is_picked_up_once_the_old_one_has_ended(self):
        proxy = self.use_proxy()
        self.start_from("login-valid")
        running = self.start(self.flock_command("run", "--profile", "p", *SHORT_LEASE, "deploy", *self.job()))
        self.wait_for_job(running)
        case = RECORDED["login-valid"]["files"][LOGIN_FILE]

        def log_in_and_refuse(handler):
            self.put(LOGIN_FILE, {**case, "refreshToken": "persons", "accessToken": {
                **case["accessToken"], "accessKeyId": "ASIAPERSON", "expiresAt": {"seconds": 900}}})
            answer(401, json.dumps({"error": "TOKEN_EXPIRED", "message": "over"}),
                   x_amzn_ErrorType="AccessDeniedException")(handler)
        self.service.on("*", log_in_and_refuse)
        proxy.always = refused_for("ASIALOGINOLD")
        wait_until(lambda: "ASIAPERSON" in signers(proxy) or running.poll() is not None, what="the new keys")
        code, err = self.finish_job(running)
        self.assertEqual(code, 0, err)
        self.assertIn("ASIAPERSON", signers(proxy))

    def start_run(self):
        self.start_from("sso-legacy-valid", expiresAt={"seconds": 5})
        self.service.portal_lasts_s = 4
        running = self.start(self.flock_command("run", "--profile", "p", *SHORT_LEASE, "deploy", *self.job()))
        self.wait_for_job(running)
        return running

    def bearers(self):
        return [request.get("bearer") for request in self.service.seen()]

    def test_a_renewed_sign_in_is_picked_up_without_a_new_start(self):
        running = self.start_run()
        [file] = (self.home / ".aws/sso/cache").iterdir()
        self.put(str(file.relative_to(self.home)), {"accessToken": "signed-in-again", "expiresAt": {"seconds": 3600}})
        wait_until(lambda: "signed-in-again" in self.bearers() or running.poll() is not None, what="the new token")
        code, err = self.finish_job(running)
        self.assertEqual(code, 0, err)
        self.assertIn("signed-in-again", self.bearers())
        self.assertIn("the sign-in ends in", err)
        self.assertIn(SIGN_IN, err)

    def test_a_sign_in_that_is_not_renewed_ends_the_command_in_time_and_says_what_to_type(self):
        running = self.start_run()
        _, err = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 124, err)
        self.assertRegex(err.decode(), r"lost.*\n|could not be renewed")
        self.assertIn(SIGN_IN, err.decode())


class WarningTest(OnDynamoDB, SignInTest):
    def test_an_acquire_tells_of_a_sign_in_that_ends_before_the_lease_or_within_the_hour(self):
        for left, lease, warned in ((1800, "1m", True), (5000, "2h", True), (5000, "1h", False)):
            with self.subTest(left=left, lease=lease):
                self.start_from("sso-legacy-valid", expiresAt={"seconds": left})
                self.service.portal_lasts_s = 1000
                result = self.flock("acquire", f"deploy-{uuid.uuid4()}", "--profile", "p", "--lease-duration", lease)
                self.assertEqual("the sign-in ends in" in result.err, warned, result.err)
                self.assertEqual(SIGN_IN in result.err, warned)

    def test_a_renewal_that_is_refused_is_warned_of_at_once(self):
        self.start_from("sso-session-4min-left")
        self.service.portal_lasts_s = 1000
        self.service.answers = {"oidc": [400, {"error": "invalid_grant"}, {}]}
        result = self.flock("acquire", f"deploy-{uuid.uuid4()}", "--profile", "p")
        self.assertWorked(result)
        self.assertRegex(result.err, f"the sign-in ends in 1[56]m.*: type {SIGN_IN} before")
        self.assertIn("invalid_grant", result.err)

    def test_a_renewal_that_only_failed_is_not(self):
        self.start_from("sso-session-4min-left")
        self.service.portal_lasts_s = 1000
        self.service.answers = {"oidc": [500, {"error": "server_error"}, {}]}
        result = self.flock("acquire", f"deploy-{uuid.uuid4()}", "--profile", "p")
        self.assertWorked(result)
        self.assertNotIn("the sign-in ends in", result.err)

    def test_a_sign_in_that_can_be_renewed_is_not_warned_of(self):
        for name in ("sso-session-valid", "login-valid"):
            with self.subTest(name):
                self.start_from(name)
                result = self.flock("acquire", f"deploy-{uuid.uuid4()}", "--profile", "p", "--lease-duration", "2h")
                self.assertNotIn("sign-in", result.err)

    def test_doctor_tells_the_source_whose_keys_they_are_and_until_when(self):
        for name, words in (("sso-session-valid", ["single sign-on, account 123456789012, role LockOperator",
                                                   "signed in for another (1d|23h 59m)"]),
                            ("sso-legacy-valid", ["signed in for another (1h|59m)", SIGN_IN]),
                            ("login-valid", ["aws login, account 123456789012, arn:aws:iam::123456789012:user/op",
                                             "renewed from the sign-in"]),
                            ("sso-legacy-expired", ["ended 1m", SIGN_IN]),
                            ("login-no-cache", ["is not logged in", LOG_IN])):
            with self.subTest(name):
                self.start_from(name)
                result = self.flock("doctor", "--profile", "p")
                for word in words:
                    self.assertRegex(result.out + result.err, word)


if __name__ == "__main__":
    unittest.main()
