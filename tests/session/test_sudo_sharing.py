"""sudo's plugin beside a PAM line, within a login or not: they share one lease, whatever each one's `share` says.

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import SudoTest, configure, open_gate, plugin_lines, sudo_conf, sudoers, wait_until  # noqa: E402
from guardtest import guard, keepers  # noqa: E402
from sessiontest import PATIENCE_S, pam_file  # noqa: E402

SHARES = (None, "person", "session")  # None: there is no guard


class JoiningTest(SudoTest):
    """The same guard on a PAM line: one lease, whatever `share` says."""

    FENCE = "echo $AWSFLOCK_FENCE; read -r _ </run/sudo-of-tests/gate; true"

    def setUp(self):
        super().setUp()
        guard("sudo")
        guard("sudo-i")

    def check_shared(self, *options, is_alone):
        """One lease for the plugin and the PAM line of a sudo; alice's next sudo IS_ALONE, or shares it."""
        process = self.start(["sudo", *options, "sh", "-c", self.FENCE], "alice")
        fence = process.stdout.readline().decode().strip()
        held = self.status()
        self.assertEqual(str(held["fence"]), fence)
        self.assertSudoRefuses(self.sudo_as("bob", "true"), "'ops' is held by alice")
        if is_alone:
            self.assertSudoRefuses(self.sudo_as("alice", "true"), "'ops' is held by alice")
        else:
            self.assertEqual(self.sudo_as("alice", "true")[:2], (0, ""))
        self.assertEqual(self.status()["lease_id"], held["lease_id"])
        open_gate()
        self.assertEqual(process.wait(PATIENCE_S), 0, process.stderr.read())
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.not_logged("without closing")

    def check(self, *options):
        for share in ("person", "session"):
            with self.subTest(share=share):
                configure(ops={"share": share})
                self.check_shared(*options, is_alone=share == "session")

    def test_a_plugin_and_a_pam_line_of_which_one_shares_and_the_other_does_not(self):
        """By two guards with one lock."""
        guard("sudo", "guard=door")
        for plugin, line in (("person", "session"), ("session", "person")):
            for options in ((), ("-b",)):
                with self.subTest(plugin=plugin, line=line, options=options):
                    configure(ops={"share": plugin}, door={"share": line})
                    self.check_shared(*options, is_alone=plugin == "session")

    def test_a_command(self):
        self.check()

    def test_a_login_shell(self):
        self.check("-i")

    def test_the_background(self):
        self.check("-b")

    def assertSharedInside(self):
        """A sudo within a login neither waits nor takes another lease."""
        session = self.enter("alice", "echo entered; sudo true && echo inside; exec cat")
        fence = self.status()["fence"]
        self.assertEqual(session.stdout.readline(), b"inside\n")
        self.assertEqual(self.status()["fence"], fence)
        self.leave(session)
        self.wait_until_free()

    def test_sudo_inside_of_a_guarded_login_shares_its_lease(self):
        pathlib.Path("/etc/pam.d/sudo").write_bytes(pathlib.Path("/etc/pam.d.pristine/sudo").read_bytes())
        guard("sshd")
        self.assertSharedInside()

    def test_a_line_that_does_not_share_inside_of_a_login_that_the_plugin_shares_with(self):
        configure(ops={"share": "person"}, door={"share": "session"})
        guard("sudo", "guard=door")
        guard("sshd")
        self.assertSharedInside()

    def test_a_sudo_that_a_command_starts_is_another(self):
        command = ("-u", "alice", "sudo", "-n", "echo", "in")
        for setting in ("use_pty", "!use_pty"):  # it is the child of another sudo's monitor, or of that itself
            with self.subTest(setting):
                sudoers(f"Defaults {setting}")
                configure(ops={"share": "person"})
                self.assertEqual(self.sudo_as("alice", *command)[:2], (0, "in\n"))
                configure(ops={"share": "session"})
                self.assertSudoRefuses(self.sudo_as("alice", *command), "'ops' is held by alice")
                self.wait_until_free()

    def test_a_killed_sudo_ends_both(self):
        process = self.start(["sudo", "sh", "-c", "echo in; echo $$; exec sleep 300"], "alice")
        self.assertEqual(process.stdout.readline(), b"in\n")
        pid = int(process.stdout.readline())
        process.kill()
        process.wait(PATIENCE_S)
        self.assertHeldUntilGone(pid)
        self.wait_until_free()


def is_let_in(login, plugin, line):
    """What plugin and line share with each other is no matter: they are of one sudo."""
    return not login or login == (plugin or line) == "person"


class WithinLoginTest(SudoTest):
    """A login, the plugin and a PAM line, each with a guard of its own, or none, on one lock."""

    def place_guards(self, plugin, line):
        configure(**{name: {"lock": "ops", "share": share} for name, share in
                     (("login", self.login), ("plugin", plugin), ("line", line)) if share})
        sudo_conf(*(plugin_lines("guard=plugin") if plugin else ()))
        pam_file("sudo") if not line else guard("sudo", "guard=line")

    def start_shell(self):
        """A shell of alice's, in a login or not."""
        if not self.login:
            return self.start(["sh"], "alice", stdin=-1)
        guard("sshd", "guard=login")
        return self.enter("alice", "echo entered; exec sh")

    @staticmethod
    def run_in(shell, command):
        """What COMMAND says on either stream, in the background too, once all of it has ended."""
        shell.stdin.write(f"{command} </dev/null 2>&1 | tr '\\n' '|'; echo\n".encode())
        shell.stdin.flush()
        return shell.stdout.readline().decode()

    def check(self, login):
        self.login = login
        self.place_guards(None, None)
        shell = self.start_shell()
        fence, ours = self.status().get("fence"), keepers()
        for plugin, line, option in itertools.product(SHARES, SHARES, ("-n", "-b")):
            if not plugin and not line:
                continue
            with self.subTest(login=login, plugin=plugin, line=line, option=option):
                self.place_guards(plugin, line)
                said = self.run_in(shell, f"sudo {option} echo inside")
                if is_let_in(login, plugin, line):
                    self.assertEqual(said, "inside|\n")
                else:
                    self.assertRegex(said, "'ops' is held by alice")
                    self.assertNotIn("inside|", said)
                wait_until(lambda: keepers() == ours, what="the end of sudo's keepers")
                if login:
                    self.assertEqual(self.status()["fence"], fence)
                else:
                    self.assertFree()
        self.leave(shell)
        self.wait_until_free()

    def test_without_a_login(self):
        self.check(None)

    def test_within_a_login_that_shares(self):
        self.check("person")

    def test_within_a_login_that_does_not_share(self):
        self.check("session")


if __name__ == "__main__":
    import unittest
    unittest.main()
