"""What is wrong with sudo.conf, the configuration, the keeper or the machine: nobody but root and the break-glass group gets
past it, it is told, and nothing is left held.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import HOLD, PLUGIN, ROOM, SudoTest, configure, open_gate, plugin_lines, sudo_conf, wait_until  # noqa: E402
from guardtest import CONF, KEEPER, keepers, write_conf  # noqa: E402

REFUSING = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests/session/.libs/refusing_plugin.so")
CRITICAL = "mkdir /run/out/inside && sleep 0.02; rmdir /run/out/inside && echo alone"


class FaultsTest(SudoTest):
    def assertOnlyRootPasses(self, *words, shown="ask this machine's administrator"):
        """Alice is refused, and the log has WORDS."""
        self.assertSudoRefuses(self.sudo_as("alice", "echo", "in"), shown)
        for word in words:
            self.logged(word)
        self.assertEqual(self.run_to_end(["sudo", "echo", "in"])[:2], (0, "in\n"))
        self.wait_for_no_keeper()

    def test_wrong_words_are_named(self):
        for words, named in (
                ("gaurd=ops", "'gaurd=ops' is unknown"),
                ("", "guard=NAME is missing"),
                ("guard=", "'guard=' needs a value"),
                ("guard", "'guard' needs a value"),
                ("conf=relative guard=ops", "'conf=relative' needs a path"),
                ("conf=/a conf=/b guard=ops", "'conf=/b' stands twice"),
                ("quiet=yes guard=ops", "'quiet=yes' takes no value"),
                ("runas=root guard=ops", "'runas=root' must come after a guard="),
                ("guard=ops conf=/etc/awsflock.conf", "must come before the first guard="),
                ("guard=none command=id guard=ops", "'command=id' needs paths that start with /"),
                ("guard=none command=/bin/id,,/bin/date guard=ops", "has an empty part"),
                ("guard=none cwd=here guard=ops", "'cwd=here' needs a path"),
                ("guard=none runas=a runas=b guard=ops", "'runas=b' stands twice"),
                ("guard=ops command=/bin/id", "the last rule has a condition"),
                ("guard=none", "the last rule is guard=none"),
                ("guard=a command=/x " * 65 + "guard=ops", "is one rule too many")):
            with self.subTest(words):
                sudo_conf(*plugin_lines(words))
                self.assertOnlyRootPasses(named)

    def test_a_line_without_the_other(self):
        approval, audit = plugin_lines()
        sudo_conf(approval)
        self.assertOnlyRootPasses("the line of awsflock_approval without that of awsflock_audit")
        sudo_conf(audit)
        self.assertOnlyRootPasses("the line of awsflock_audit without that of awsflock_approval")

    def test_the_break_glass_group_is_past_everything_and_that_is_an_alert(self):
        self.held_by_another()
        for words in ("break_glass_group=breakglass guard=ops", "break_glass_group=breakglass gaurd=ops",
                      "conf=/nowhere break_glass_group=breakglass guard=ops"):
            with self.subTest(words):
                sudo_conf(*plugin_lines(words))
                code, out, err = self.sudo_as("carol", "echo", "in")
                self.assertEqual((code, out), (0, "in\n"), err)
                self.assertIn("without the lock", err)
                self.logged(r"^<81>.*awsflock_sudo: guard .*: carol runs a command without the lock")
        self.free_again()

    def test_a_break_glass_group_of_the_guard_works_too(self):
        configure(ops={"break_glass_group": "breakglass"})
        self.held_by_another()
        self.assertEqual(self.sudo_as("carol", "echo", "in")[:2], (0, "in\n"))
        self.assertSudoRefuses(self.sudo_as("alice", "echo", "in"), "held by root")
        self.free_again()

    def test_exempt_people_need_no_lock(self):
        configure(ops={"exempt_users": "alice", "exempt_groups": "team"})
        self.held_by_another()
        self.assertEqual(self.sudo_as("alice", "echo", "in"), (0, "in\n", ""))
        self.assertEqual(self.sudo_as("carol", "echo", "in"), (0, "in\n", ""))
        self.assertSudoRefuses(self.sudo_as("bob", "-u", "alice", "echo", "in"), "held by root")
        self.free_again()

    def test_root_needs_no_lock(self):
        self.held_by_another()
        self.assertEqual(self.run_to_end(["sudo", "-u", "alice", "echo", "in"]), (0, "in\n", ""))
        self.free_again()

    def test_a_guard_that_is_not_there(self):
        sudo_conf(*plugin_lines("guard=other"))
        self.assertOnlyRootPasses(r"has no section \[guard other\]", shown="the administrator's log says why")

    def test_a_configuration_that_others_may_write(self):
        os.chmod(CONF, 0o666)
        self.assertOnlyRootPasses(r"awsflock\.conf", shown="the administrator's log says why")

    def test_no_configuration(self):
        CONF.unlink()
        self.assertOnlyRootPasses(r"awsflock\.conf", shown="the administrator's log says why")

    def test_another_configuration_file(self):
        other = pathlib.Path("/etc/other.conf")
        self.addCleanup(other.unlink)
        text = CONF.read_text(encoding="utf-8")
        CONF.unlink()
        write_conf(text, other)
        sudo_conf(*plugin_lines(f"conf={other} guard=ops"))
        process = self.start_held("sudo", HOLD)
        self.assertHeldBy("alice")
        open_gate()
        process.wait()
        self.assertFree()

    def in_place_of_the_keeper(self, text):
        saved = KEEPER + ".saved"
        os.rename(KEEPER, saved)
        self.addCleanup(os.rename, saved, KEEPER)
        if text is not None:
            pathlib.Path(KEEPER).write_text(text, encoding="ascii")
            os.chmod(KEEPER, 0o755)

    def test_no_keeper(self):
        self.in_place_of_the_keeper(None)
        self.assertOnlyRootPasses("cannot start .*awsflock-keeper: No such file")

    def test_a_keeper_that_ends_without_an_answer(self):
        self.in_place_of_the_keeper("#!/bin/sh\nhead -c 1 <&3 >/dev/null\n")
        self.assertOnlyRootPasses("awsflock-keeper ended without an answer")

    def test_a_keeper_that_never_answers(self):
        self.in_place_of_the_keeper("#!/bin/sh\nexec sleep 300\n")
        self.assertOnlyRootPasses("awsflock-keeper does not answer in time")

    def test_quiet_says_nothing(self):
        sudo_conf(*plugin_lines("quiet guard=ops"))
        self.held_by_another()
        self.assertEqual(self.sudo_as("alice", "echo", "in"), (1, "", ""))
        self.free_again()

    def test_debug_logs_more(self):
        sudo_conf(*plugin_lines("debug guard=ops"))
        self.assertEqual(self.sudo_as("alice", "true")[0], 0)
        self.logged("awsflock_sudo: alice's command: 1")

    def test_too_few_descriptors_or_too_little_memory_leave_nothing_held(self):
        as_alice = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--bounding-set=-sys_resource", "--"]
        limits = [f"-n {number}" for number in range(10, 65, 6)] + [f"-v {size}" for size in (9000, 12000, 16000, 24000)]
        for limit in limits:
            with self.subTest(limit):
                code, out, err = self.run_to_end([*as_alice, "sh", "-c", f"ulimit {limit}; exec sudo echo in"])
                self.assertEqual(out, "in\n" if code == 0 else "", err)
                self.assertTrue(code == 0 or err, "refused without a word")
                self.wait_for_no_keeper()
                self.assertFree()

    def test_of_a_hundred_at_once_those_who_run_are_alone(self):
        configure(ops={"share": "session"})
        out = pathlib.Path("/run/out")
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        started = [self.start(["sudo", "sh", "-c", CRITICAL], person) for person in ["alice", "bob"] * 50]
        alone = 0
        for process in started:
            text, err = process.communicate(timeout=300)
            self.assertIn((process.returncode, text), ((0, b"alone\n"), (1, b"")), err)
            alone += process.returncode == 0
        self.assertGreaterEqual(alone, 1)
        self.wait_until_free()

    def test_a_line_that_stands_twice_is_one(self):
        approval, audit = plugin_lines()
        sudo_conf(approval, audit, approval, audit)
        process = self.start_held("sudo", HOLD)
        self.assertHeldBy("alice")
        open_gate()
        process.wait()
        self.assertFree()

    def test_another_plugin_that_refuses_frees_the_lock(self):
        other = ROOM / "refusing_plugin.so"
        shutil.copy(REFUSING, other)
        os.chmod(other, 0o644)
        sudo_conf(*plugin_lines(), f"Plugin refusing_approval {other}")
        code, out, _ = self.sudo_as("alice", "echo", "in")
        self.assertEqual((code, out), (1, ""))
        self.assertFree()
        self.logged("closed: 'ops'")
        self.not_logged("ended without closing")
        wait_until(lambda: not keepers(), what="the end of every keeper")

    def test_the_plugin_shows_nothing_but_its_two_tables_and_needs_nothing_but_libc(self):
        names = self.run_to_end(["nm", "-D", "--defined-only", PLUGIN])[1].split()[2::3]
        self.assertEqual(sorted(names), ["awsflock_approval", "awsflock_audit"])
        needed = [line.split()[1] for line in self.run_to_end(["objdump", "-p", PLUGIN])[1].splitlines()
                  if "NEEDED" in line]
        self.assertEqual(needed, ["libc.so.6"])


if __name__ == "__main__":
    import unittest
    unittest.main()
