"""sudo's plugin on every way to a command: it runs alone, is refused while another holds the lock, and the lock is free at
its end.  SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import EDIT, HOLD, SudoTest, open_gate, plugin_lines, sudo_conf, sudoers  # noqa: E402
from guardtest import guard  # noqa: E402
from sessiontest import PATIENCE_S, pam_file  # noqa: E402


def held_by(person):
    """Who, where, and until when."""
    return rf"'ops' is held by {person}@\S.*, lease ends \S*\d\d:\d\d"


class PathsTest(SudoTest):
    def check(self, *command, environment=None, code=7, defaults=(), text=None):
        sudoers(*(f"Defaults {word}" for word in defaults))
        self.held_by_another()
        self.assertSudoRefuses(self.run_to_end(command, "alice", environment=environment, **self.with_text(text)),
                               held_by("root"))
        self.free_again()
        process = self.start_held(*command, environment=environment, **self.with_text(text))
        self.assertHeldBy("alice")
        self.assertSudoRefuses(self.run_to_end(command, "bob", environment=environment, **self.with_text(text)),
                               held_by("alice"))
        open_gate()
        self.assertEqual(process.wait(PATIENCE_S), code)
        self.assertFree()

    @staticmethod
    def with_text(text):
        if text is None:
            return {}
        file = pathlib.Path("/run/sudo-of-tests/typed")
        file.write_text(text, encoding="ascii")
        return {"stdin": file.open("rb")}

    def test_a_command(self):
        self.check("sudo", HOLD)

    def test_a_login_shell(self):
        self.check("sudo", "-i", HOLD)

    def test_a_shell(self):
        self.check("sudo", "-s", HOLD, environment={"SHELL": "/bin/sh"})

    def check_interactive(self, *options, environment=None):
        self.held_by_another()
        refused = self.on_terminal(["sudo", *options], "alice", environment)
        refused.expect(held_by("root"))
        self.assertEqual(refused.wait(), 1)
        self.free_again()
        shell = self.on_terminal(["sudo", *options], "alice", environment)
        shell.type("expr 40000 + 2\n")
        shell.expect("40002\r\n")
        self.assertHeldBy("alice")
        self.assertSudoRefuses(self.sudo_as("bob", "true"), held_by("alice"))
        shell.type("exit 7\n")
        self.assertEqual(shell.wait(), 7)
        self.assertFree()

    def test_a_shell_at_a_terminal(self):
        self.check_interactive("-s", environment={"SHELL": "/bin/sh"})

    def test_a_login_shell_at_a_terminal(self):
        self.check_interactive("-i")

    def test_a_refusal_is_shown_at_the_terminal_whoever_reads_what_the_command_says(self):
        self.held_by_another()
        terminal = self.on_terminal(["sh", "-c", "sudo echo in | sed s/^/read:/"], "alice")
        terminal.expect(held_by("root"))
        terminal.wait()
        self.assertNotIn("read:", terminal.output)
        self.free_again()

    def test_a_command_without_a_question(self):
        self.check("sudo", "-n", HOLD)

    def test_a_command_with_a_password_from_standard_input(self):
        subprocess.run(["chpasswd"], input=b"alice:secret\nbob:secret\n", check=True)
        self.addCleanup(subprocess.run, ["usermod", "-p", "*", "alice"], check=True)
        self.addCleanup(subprocess.run, ["usermod", "-p", "*", "bob"], check=True)
        self.check("sudo", "-S", "-k", HOLD, text="secret\n", defaults=["!lecture, timestamp_timeout=0"])

    def test_a_number_that_is_no_user(self):
        self.check("sudo", "-u", "#4242", HOLD, defaults=["runas_allow_unknown_id"])

    def test_another_group(self):
        self.check("sudo", "-g", "team", HOLD)

    def test_without_a_pam_session(self):
        self.check("sudo", HOLD, defaults=["!pam_session"])

    def test_without_a_terminal_of_its_own(self):
        self.check("sudo", HOLD, defaults=["!use_pty"])

    def test_another_pam_service(self):
        self.check("sudo", HOLD, defaults=["pam_service=su"])

    def test_noexec(self):
        self.check("sudo", HOLD, defaults=["noexec"])

    def test_intercept(self):
        self.check("sudo", HOLD, defaults=["intercept"])

    def test_logged_sub_commands(self):
        self.check("sudo", HOLD, defaults=["log_subcmds"])

    def test_an_editor(self):
        edited = pathlib.Path("/etc/edited")
        self.addCleanup(edited.unlink)
        edited.write_text("before\n", encoding="ascii")
        self.check("sudo", "-e", edited, environment={"EDITOR": str(EDIT)}, code=0)
        self.assertEqual(edited.read_text(encoding="ascii"), "edited\n")
        self.check("sudoedit", edited, environment={"EDITOR": str(EDIT)}, code=0)

    def check_background(self, *defaults):
        sudoers(*(f"Defaults {word}" for word in defaults))
        self.held_by_another()
        self.assertSudoRefuses(self.sudo_as("alice", "-b", HOLD), "'ops' is held by root")
        self.free_again()
        process = self.start_held("sudo", "-b", HOLD)
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertHeldBy("alice")
        self.logged("moved")
        self.assertSudoRefuses(self.sudo_as("bob", "true"), "'ops' is held by alice")
        open_gate()
        self.wait_until_free()
        self.logged("closed: 'ops'")
        self.not_logged("ended without closing")

    def test_the_background(self):
        self.check_background()

    def test_the_background_without_a_terminal_of_its_own(self):
        self.check_background("!use_pty")

    def test_what_runs_no_command_asks_for_no_lock(self):
        self.held_by_another()
        for arguments in (["-l"], ["-v"], ["-k"], ["-K"], ["-V"], ["-l", "true"]):
            with self.subTest(arguments=arguments):
                code, _, err = self.sudo_as("alice", *arguments)
                self.assertEqual((code, err), (0, ""))
        self.not_logged("awsflock-keeper")

    def test_the_version_is_told(self):
        _, out, _ = self.run_to_end(["sudo", "-V"])
        self.assertEqual(out.count("awsflock plugin version"), 2)


class ChoiceTest(SudoTest):
    """What README says of plugin and PAM line, for whoever has to choose."""

    PASSES_THE_LINE = {"`!pam_session`": ("!pam_session", ()), "another\n`pam_service`": ("pam_service=su", ()),
                       "a number as the user": ("runas_allow_unknown_id", ("-u", "#4242"))}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        text = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
        [cls.advice] = re.findall(r"^\*\*sudo, by a PAM line or by a plugin\?\*\*.*?\n\n", text, re.M | re.S)

    def only_a_line(self):
        sudo_conf()
        guard("sudo")

    def only_the_plugin(self):
        sudo_conf(*plugin_lines())
        pam_file("sudo")

    def test_it_is_said_in_four_lines(self):
        self.assertEqual(len(self.advice.splitlines()), 5, "the last one is empty")

    def test_what_gets_past_a_pam_line_does_not_get_past_the_plugin(self):
        self.held_by_another()
        self.only_a_line()
        self.assertRefused(self.sudo_as("alice", "echo", "in"), "held by root")
        for named, (setting, options) in self.PASSES_THE_LINE.items():
            with self.subTest(named):
                self.assertIn(named, self.advice)
                sudoers(f"Defaults {setting}")
                self.only_a_line()
                self.assertEqual(self.sudo_as("alice", *options, "echo", "in")[:2], (0, "in\n"))
                self.only_the_plugin()
                self.assertSudoRefuses(self.sudo_as("alice", *options, "echo", "in"), held_by("root"))
        self.free_again()

    def test_the_line_alone_puts_the_fence_into_the_environment(self):
        self.assertIn("the command needs the fence in its environment", self.advice)
        show = ("sh", "-c", "echo fence=$AWSFLOCK_FENCE")
        self.only_a_line()
        self.assertRegex(self.sudo_as("alice", *show)[1], r"^fence=\d+\n$")
        self.only_the_plugin()
        self.assertEqual(self.sudo_as("alice", *show)[1], "fence=\n")

    def test_sudo_starts_for_nobody_where_a_plugin_is_missing(self):
        self.assertIn("sudo starts for nobody where a plugin is missing", self.advice)
        sudo_conf(*(line.replace("awsflock_sudo.so", "no-such.so") for line in plugin_lines()))
        for person in ("alice", None):
            code, out, err = self.run_to_end(["sudo", "echo", "in"], person)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("no-such.so", err)


if __name__ == "__main__":
    import unittest
    unittest.main()
