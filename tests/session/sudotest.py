"""What the tests of sudo's plugin share: sudo.conf, and commands that wait to be let go.  SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib

from guardtest import GuardTest, configure
from sessiontest import PATIENCE_S, PEOPLE, sudoers, wait_until

PLUGIN = os.environ.get("AWSFLOCK_SUDO_PLUGIN", "/usr/local/libexec/sudo/awsflock_sudo.so")
SUDO_CONF = pathlib.Path("/etc/sudo.conf")
ROOM = pathlib.Path("/run/sudo-of-tests")
# Says that it runs, and ends when somebody opens the gate; what it needs is the shell's own, whatever may be executed.
HOLD = ROOM / "hold"
GATE = ROOM / "gate"
# The same as an editor, which leaves a word in the file.
EDIT = ROOM / "edit"


def plugin_lines(words="guard=ops"):
    return (f"Plugin awsflock_approval {PLUGIN} {words}", f"Plugin awsflock_audit {PLUGIN}")


def sudo_conf(*lines):
    SUDO_CONF.write_text("\n".join([*lines, ""]), encoding="utf-8")
    os.chmod(SUDO_CONF, 0o644)


def open_gate():
    """Lets one waiting command go; it waits for one that has not come to it yet."""
    with open(GATE, "wb", buffering=0):
        pass


class SudoTest(GuardTest):
    """A test with the plugin in sudo.conf."""

    def setUp(self):
        super().setUp()
        ROOM.mkdir(exist_ok=True)
        for path, text in ((HOLD, f"#!/bin/sh\necho entered\nread -r _ <{GATE}\nexit 7\n"),
                           (EDIT, f"#!/bin/sh\necho entered\nread -r _ <{GATE}\necho edited >\"$1\"\n")):
            path.write_text(text, encoding="ascii")
            os.chmod(path, 0o755)
        if not GATE.exists():
            os.mkfifo(GATE)
            os.chmod(GATE, 0o666)
        sudo_conf(*plugin_lines())
        self.addCleanup(SUDO_CONF.unlink)

    def start_held(self, *command, person="alice", environment=None, **more):
        """A sudo of PERSON's that runs something which waits at the gate; it runs by now."""
        process = self.start([*command], person, environment, **more)
        line = process.stdout.readline()
        if line != b"entered\n":
            self.fail(f"not let in: {line!r}, then {process.communicate(timeout=PATIENCE_S)}")
        return process

    def held_by_another(self, lock="ops"):
        """Somebody on another machine, as it were."""
        code, out, err = self.awsflock("acquire", "--lease-duration=1h", "--no-wait", lock)
        self.assertEqual(code, 0, err)
        self.lease_id = out.strip()

    def free_again(self, lock="ops"):
        self.assertEqual(self.awsflock("release", lock, self.lease_id)[0], 0)

    def assertSudoRefuses(self, result, *words):
        """Exit code 1, nothing on standard output, and the reason on the other."""
        code, out, err = result
        self.assertEqual((code, out), (1, ""), err)
        for word in words:
            self.assertRegex(err, word)


__all__ = ["EDIT", "GATE", "HOLD", "PEOPLE", "PLUGIN", "ROOM", "SUDO_CONF", "SudoTest", "configure", "open_gate",
           "plugin_lines", "sudo_conf", "sudoers", "wait_until"]
