"""Whom a guard lets in and what it does with leftovers: exemptions, break glass, broken configurations, quiet.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import CONF, LOCAL, GuardTest, configure, guard, keepers, section, write_conf  # noqa: E402
from sessiontest import kill_at_end, pam_file, runs, sudoers, wait_until  # noqa: E402

BACKGROUND = "setsid sh -c 'echo $$ >/run/out/left; exec sleep 300' </dev/null >/dev/null 2>&1 &"


class WhoEntersTest(GuardTest):
    """Somebody holds the lock by hand all the time."""

    def setUp(self):
        super().setUp()
        code, out, err = self.awsflock("acquire", "--lease-duration", "1h", "ops")
        self.assertEqual(code, 0, err)

    def test_exempt_users_and_groups_enter_without_the_lock(self):
        guard("sshd")
        self.assertEqual(self.ssh("alice", "true")[0], 254)
        configure(ops={"exempt_users": "bob alice"})
        self.assertEqual(self.ssh("alice", "echo in $AWSFLOCK_LOCK.")[1], "in .\n")
        configure(ops={"exempt_groups": "team"})
        self.assertEqual(self.ssh("alice", "true")[0], 254)
        self.assertEqual(self.ssh("carol", "echo in $AWSFLOCK_LOCK.")[1], "in .\n")

    def test_in_sudo_the_caller_counts_and_never_the_target(self):
        configure(ops={"exempt_users": "carol root"})
        guard("sudo")
        self.assertRefused(self.sudo_as("alice", "-u", "carol", "echo", "in"), "held by")
        self.assertRefused(self.sudo_as("alice", "echo", "in"), "held by")
        self.assertEqual(self.sudo_as("carol", "-u", "alice", "echo", "in")[1], "in\n")

    def test_break_glass_enters_whatever_the_state_of_the_rest(self):
        guard("sshd", "guard=ops break_glass_group=breakglass", account=True)
        guard("sudo", "guard=ops break_glass_group=breakglass")
        write_conf("[guard ops\nthis is no configuration\n")
        code, out, err = self.ssh("carol", "echo in")
        self.assertEqual((code, out.splitlines()[-1]), (0, "in"), (out, err))
        self.logged(r"^<81>.*pam_awsflock\(sshd:session\): guard ops: carol enters without the lock")
        self.assertEqual(self.sudo_as("carol", "echo", "in")[1], "in\n")
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), r"awsflock\.conf")

    def test_a_break_glass_group_of_the_guard_works_too_and_is_an_alert(self):
        configure(ops={"break_glass_group": "breakglass"})
        guard("sshd")
        self.assertEqual(self.ssh("carol", "true")[0], 0)
        self.logged(r"^<81>.*awsflock-keeper.*carol enters without the lock")

    def test_one_who_enters_through_both_lines_is_logged_once(self):
        configure(ops={"break_glass_group": "breakglass"})
        guard("sshd", account=True)
        self.assertEqual(self.ssh("carol", "true")[0], 0)
        self.logged("carol enters without the lock")
        self.wait_for_no_keeper()
        self.assertEqual(len(self.log.find("carol enters without the lock", self.log_start)), 1)

    def test_quiet_says_nothing(self):
        guard("sshd", "guard=ops quiet")
        code, out, err = self.ssh("alice", "echo in")
        self.assertEqual((code, out), (254, ""), err)


class BrokenConfigurationTest(GuardTest):
    def test_a_mistake_refuses_with_a_sentence_that_names_it(self):
        guard("sshd")
        cases = {
            "no file": (None, r"awsflock\.conf"),
            "no such guard": (section("awsflock", LOCAL), "ops"),
            "unknown key": (section("awsflock", LOCAL) + section("guard ops", {"lock": "ops", "lock_": "x"}), "lock_"),
            "short lease": (section("awsflock", LOCAL) + section("guard ops", {"lock": "ops", "lease": "10s"}), "lease"),
            "no such user": (section("awsflock", {"region": "us-east-1"})
                             + section("guard ops", {"lock": "ops", "user": "nobody-at-all"}), "nobody-at-all"),
        }
        for name, (text, word) in cases.items():
            with self.subTest(name):
                CONF.unlink(missing_ok=True)
                if text is not None:
                    write_conf(text)
                self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), word)

    def test_a_configuration_that_others_could_write_is_none(self):
        guard("sshd")
        os.chmod(CONF, 0o666)
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), r"awsflock\.conf")
        os.chmod(CONF, 0o644)
        real = CONF.with_name("real.conf")
        os.rename(CONF, real)
        os.symlink(real, CONF)
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), r"awsflock\.conf")
        CONF.unlink()

    def test_a_wrong_pam_line_refuses_and_is_logged(self):
        guard("sshd", "gaurd=ops")
        self.assertRefused(self.ssh("alice", "echo in"), "PAM line is wrong")
        self.logged(r"pam_awsflock\(sshd:session\): the argument 'gaurd=ops' is unknown")

    def test_a_later_module_that_refuses_frees_the_lock(self):
        guard("sshd")
        text = pathlib.Path("/etc/pam.d/sshd").read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if line.startswith("session"))
        pam_file("sshd", line, "session requisite pam_deny.so")
        self.assertNotEqual(self.ssh("alice", "echo in")[1], "in\n")
        self.wait_until_free()


class LeftoversTest(GuardTest):
    def setUp(self):
        super().setUp()
        out = pathlib.Path("/run/out")
        out.mkdir(exist_ok=True)
        os.chmod(out, 0o777)
        for name in ("left", "agent"):
            (out / name).unlink(missing_ok=True)
        guard("sshd")

    def left_by_a_session(self):
        self.assertEqual(self.ssh("alice", f"{BACKGROUND} sleep 0.1")[0], 0)
        pid = self.pid_in("/run/out/left")
        kill_at_end(self, pid)
        return pid

    def test_hold_keeps_the_lock_until_they_end(self):
        configure(ops={"leftovers": "hold"})
        pid = self.left_by_a_session()
        first = self.status()["lease_id"]
        wait_until(lambda: self.status()["lease_id"] != first, what="a renewal")
        self.assertTrue(runs(pid))
        self.assertRegex(str(self.status()), str(pid))
        os.kill(pid, 9)
        self.wait_until_free()

    AGENT = ("cp /bin/sleep /tmp/gpg-agent && setsid sh -c 'echo $$ >/run/out/agent; exec /tmp/gpg-agent 300'"
             " </dev/null >/dev/null 2>&1 &")

    def agent(self):
        pid = self.pid_in("/run/out/agent")
        kill_at_end(self, pid)
        return pid

    def test_hold_ends_agents_by_name_instead_where_nothing_else_is_left(self):
        configure(ops={"leftovers": "hold", "leftovers_end": "ssh-agent, gpg-agent"})
        self.assertEqual(self.ssh("alice", f"{self.AGENT} sleep 0.1")[0], 0)
        pid = self.agent()
        self.wait_until_free()
        self.assertFalse(runs(pid))

    def test_what_else_is_left_keeps_its_agents_and_the_lock(self):
        configure(ops={"leftovers": "hold", "leftovers_end": "gpg-agent"})
        self.assertEqual(self.ssh("alice", f"{self.AGENT} {BACKGROUND} sleep 0.1")[0], 0)
        left, agent = self.pid_in("/run/out/left"), self.agent()
        kill_at_end(self, left)
        wait_until(lambda: "still running" in str(self.status()), what="the leftovers in the table")
        self.assertTrue(runs(agent))
        os.kill(left, 9)
        self.wait_until_free()
        self.assertFalse(runs(agent))

    def test_who_leaves_them_is_told_at_the_terminal_which_and_so_is_who_comes_next(self):
        configure(ops={"leftovers": "hold"})
        guard("sudo")
        guard("su")
        sudoers()
        for host in (["sudo"], ["su", "root", "-c"]):
            with self.subTest(host[0]):
                script = f"{BACKGROUND} sleep 0.1"
                leaving = self.on_terminal([*host, script] if host[0] == "su" else [*host, "sh", "-c", script], "alice")
                leaving.expect(r"'ops' remains held until what the session left has ended: \d+ \(sleep\)\r\n")
                self.assertEqual(leaving.wait(), 0)
                pid = self.pid_in("/run/out/left")
                kill_at_end(self, pid)
                wait_until(lambda: "still running" in str(self.status()), what="the leftovers in the table")
                self.assertRefused(self.sudo_as("bob", "echo", "in"), rf"still running: {pid} \(sleep\)")
                os.kill(pid, 9)
                self.wait_until_free()
                pathlib.Path("/run/out/left").unlink()

    def test_quiet_hides_it_from_who_leaves_them(self):
        configure(ops={"leftovers": "hold"})
        guard("sudo", "guard=ops quiet")
        sudoers()
        leaving = self.on_terminal(["sudo", "sh", "-c", f"{BACKGROUND} sleep 0.1"], "alice")
        self.assertEqual(leaving.wait(), 0)
        self.assertEqual(leaving.output, "")
        pid = self.pid_in("/run/out/left")
        self.assertTrue(self.is_held())
        os.kill(pid, 9)
        self.wait_until_free()

    def test_end_ends_them_and_frees_the_lock(self):
        configure(ops={"leftovers": "end"})
        pid = self.left_by_a_session()
        while runs(pid):
            self.assertTrue(self.is_held() or not runs(pid))
        self.wait_until_free()

    def test_release_frees_the_lock_and_leaves_them_alone(self):
        configure(ops={"leftovers": "release"})
        pid = self.left_by_a_session()
        self.wait_until_free()
        wait_until(lambda: not keepers(), what="the end of the keepers")
        self.assertTrue(runs(pid))
