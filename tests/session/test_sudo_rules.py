"""The rules on the plugin's line.  SPDX-License-Identifier: Apache-2.0"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import EDIT, HOLD, ROOM, SudoTest, configure, open_gate, plugin_lines, sudo_conf, sudoers  # noqa: E402
from sessiontest import PATIENCE_S  # noqa: E402


class RulesTest(SudoTest):
    """Somebody holds the lock of the last rule all the time."""

    def setUp(self):
        super().setUp()
        configure(ops={}, deploy={"lock": "deploy"}, home={"lock": "home"})
        sudoers("Defaults runchroot=*", "Defaults runcwd=*")
        self.held_by_another()
        self.addCleanup(self.free_again)

    def assertPasses(self, *arguments, person="alice", **more):
        code, _, err = self.run_to_end(["sudo", *arguments], person, **more)
        self.assertEqual((code, err), (0, ""))

    def assertAsksForTheLast(self, *arguments, **more):
        self.assertSudoRefuses(self.run_to_end(["sudo", *arguments], "alice", **more), "'ops' is held by root")

    def assertTakes(self, lock, *arguments, **more):
        process = self.start_held("sudo", *arguments, **more)
        self.assertHeldBy("alice", lock)
        open_gate()
        self.assertEqual(process.wait(PATIENCE_S), 7)
        self.assertFree(lock)

    def test_a_command_is_excused_by_the_name_that_sudo_gives_it_alone(self):
        sudo_conf(*plugin_lines("guard=none command=/usr/bin/id,/usr/bin/expr guard=ops"))
        self.assertPasses("/usr/bin/id")
        self.assertPasses("expr", "1")
        link, copy = ROOM / "link", ROOM / "copy"
        link.unlink(missing_ok=True)
        link.symlink_to("/usr/bin/id")
        shutil.copy("/usr/bin/id", copy)
        for arguments in ([link], [copy], ["env", "id"], ["sh", "-c", "id"], ["-i", "id"], ["/usr/../usr/bin/id"]):
            with self.subTest(arguments=arguments):
                self.assertAsksForTheLast(*arguments)

    def test_in_another_root_a_name_is_anothers(self):
        sudo_conf(*plugin_lines("guard=none command=/usr/bin/id guard=none cwd=/ guard=ops"))
        self.assertAsksForTheLast("-R", "/", "/usr/bin/id")

    def test_users_choose_another_guard_in_their_own_group_alone(self):
        sudo_conf(*plugin_lines("guard=deploy runas=nobody-there,carol guard=ops"))
        self.assertTakes("deploy", "-u", "carol", HOLD)
        self.assertTakes("deploy", "-u", "#64103", HOLD)
        self.assertAsksForTheLast("-u", "carol", "-g", "team", HOLD)
        self.assertAsksForTheLast(HOLD)

    def test_the_directory_is_the_one_in_which_the_command_runs(self):
        sudo_conf(*plugin_lines("guard=home cwd=/home/alice guard=ops"))
        self.assertTakes("home", HOLD)
        self.assertTakes("home", "-D", "/home/alice", HOLD, cwd="/")
        self.assertAsksForTheLast("-D", "/", HOLD)
        self.assertAsksForTheLast("-i", HOLD)
        self.assertAsksForTheLast(HOLD, cwd="/")

    def test_all_conditions_of_a_rule_must_fit_and_the_first_rule_decides(self):
        sudo_conf(*plugin_lines(f"guard=deploy runas=carol command={HOLD} guard=home runas=carol guard=ops"))
        self.assertTakes("deploy", "-u", "carol", HOLD)
        self.assertTakes("home", "-u", "carol", "sh", HOLD)
        self.assertAsksForTheLast(HOLD)

    def test_an_editor_is_sudoedit_whatever_its_name(self):
        edited = pathlib.Path("/etc/edited")
        self.addCleanup(edited.unlink)
        edited.write_text("before\n", encoding="ascii")
        more = {"environment": {"EDITOR": "/usr/bin/true"}}
        sudo_conf(*plugin_lines("guard=none command=/usr/bin/true guard=ops"))
        self.assertAsksForTheLast("-e", edited, **more)
        sudo_conf(*plugin_lines("guard=none command=sudoedit guard=ops"))
        code, _, err = self.run_to_end(["sudo", "-e", edited], "alice", **more)
        self.assertEqual(code, 0, err)

    def test_what_an_excused_command_starts_is_refused_where_sudo_asks(self):
        sudoers("Defaults intercept")
        sudo_conf(*plugin_lines("guard=none command=/usr/bin/env,/usr/bin/expr guard=deploy runas=carol guard=ops"))
        self.assertPasses("/usr/bin/env", "/usr/bin/expr", "1")
        code, out, err = self.sudo_as("alice", "/usr/bin/env", "/usr/bin/id")
        self.assertEqual((code, out), (126, ""))
        self.assertIn("needs the lock of guard 'ops'", err)
        self.assertIn("Permission denied", err)

    def test_what_a_command_starts_has_its_lock(self):
        self.free_again()
        sudoers("Defaults intercept")
        code, out, err = self.sudo_as("alice", "/usr/bin/env", "/usr/bin/expr", "7")
        self.assertEqual((code, out), (0, "7\n"), err)
        self.assertFree()
        self.held_by_another()


if __name__ == "__main__":
    import unittest
    unittest.main()
