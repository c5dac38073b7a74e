"""sudo's plugin on every way to a command: it runs alone, is refused while another holds the lock, and the lock is free at
its end.  SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import EDIT, HOLD, SudoTest, open_gate, sudoers, wait_until  # noqa: E402
from sessiontest import PATIENCE_S, runs  # noqa: E402


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


if __name__ == "__main__":
    import unittest
    unittest.main()
