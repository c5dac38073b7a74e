"""What the tests on virtual machines share: one machine a class, its guard, and who is on it.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import shutil
import tempfile
import unittest
import urllib.parse

from machine import TABLE_ADDRESS, Machine, accelerator

IMAGE = pathlib.Path(os.environ.get("AWSFLOCK_VM_IMAGE", "vm"))
RESCUE = "awsflock-rescue"
LINE = f"requisite pam_awsflock.so guard={{guard}} break_glass_group={RESCUE}"
# As short as it may be: an emulated machine on a busy one takes seconds for what others do in none.
GUARD = {"lock": "ops", "lease": "60s", "grace": "3s", "end": "8s"}
LOCAL = {"store": "local"}
# Waits for STATE within the machine, where looking costs no way through the port.
UNTIL = """for _ in $(seq 600); do if {condition}; then exit 0; fi; sleep 0.2; done; exit 1"""


def section(name, keys):
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in keys.items()), ""])


def table_port():
    return urllib.parse.urlsplit(os.environ["AWSFLOCK_TEST_ENDPOINT"]).port


def table_store(table):
    """The settings for a table behind the machine's only way out."""
    return {"store": "dynamodb", "table": table, "region": "us-east-1", "allow_plain_http": "yes",
            "endpoint_url": f"http://{TABLE_ADDRESS}:8000", "credentials_file": "/etc/awsflock/credentials"}


class VmTest(unittest.TestCase):
    """Tests in order of their names, on one machine that is as it was left by the one before."""

    @classmethod
    def new_machine(cls, name, **more):
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"vm-{name}-"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        machine = Machine(IMAGE, directory, acceleration=accelerator(IMAGE), **more)
        cls.addClassCleanup(machine.cut_power)
        machine.start()
        return machine

    def done(self, machine, script, **more):
        """The output of a script that succeeds."""
        code, out, err = machine.run(script, **more)
        self.assertEqual(code, 0, f"{script}\n{out}\n{err}")
        return out

    def until(self, machine, condition):
        """Waits in the machine for the shell CONDITION to be true."""
        code, out, err = machine.run(UNTIL.format(condition=condition), timeout=600)
        self.assertEqual(code, 0, f"never: {condition}\n{out}{err}")

    # -- the guard

    def configure(self, machine, store, **guard):
        text = section("awsflock", store) + section("guard ops", {**GUARD, **guard})
        text += section("guard ops-sudo", {**GUARD, **guard, "lock": "ops-sudo"})
        self.done(machine, "install -d -m 0700 /etc/awsflock; umask 077; cat >/etc/awsflock/credentials", stdin=section(
            "default", {"aws_access_key_id": "local", "aws_secret_access_key": "made-up-for-the-tests"}))
        self.done(machine, "cat >/etc/awsflock.conf; chmod 644 /etc/awsflock.conf", stdin=text)

    def guard(self, machine, service, guard="ops"):
        """Puts the lines of README's third step into the file of SERVICE, each before the first of its kind."""
        line = LINE.format(guard=guard)
        for kind in ("account", "session") if service == "sshd" else ("session",):
            self.done(machine, f"grep -q '^{kind}.*pam_awsflock' /etc/pam.d/{service} || "
                      f"sed -i '0,/^\\({kind}\\|@include common-{kind}\\)/s//{kind} {line}\\n&/' /etc/pam.d/{service}; "
                      f"grep -q '^{kind} {line}' /etc/pam.d/{service}")

    def status(self, machine, lock="ops"):
        return json.loads(self.done(machine, f"awsflock status --config /etc/awsflock.conf --json {lock}"))

    def enter(self, machine, person, command=":"):
        """PERSON's session by ssh, which has been let in: it does COMMAND and stays until leave()."""
        stay = f"touch ~/in; {command}; until [ -e ~/leave ]; do sleep 0.2; done"
        self.done(machine, f"rm -f ~{person}/in ~{person}/leave")
        begun = machine.begin(f"ssh -o BatchMode=yes {person}@localhost '{stay}'", timeout=900)
        self.until(machine, f"[ -e ~{person}/in ]")
        self.addCleanup(self.clear, machine, person)
        return begun

    def leave(self, machine, person, session):
        self.done(machine, f"touch ~{person}/leave")
        machine.end(session)

    @staticmethod
    def clear(machine, person):
        """Ends what a failed test left."""
        if machine.process:
            machine.run(f"loginctl kill-user --signal=KILL {person}")

    def assertHeldBy(self, machine, person, lock="ops"):
        status = self.status(machine, lock)
        self.assertTrue(status["held"], status)
        self.assertEqual(status["holder"]["user"], person)

    def wait_until_free(self, machine, lock="ops"):
        self.until(machine, f"awsflock status --json {lock} | grep -q '\"held\": *false'")

    def break_lock(self, machine, lock="ops"):
        """Evicts the holder, who may renew in between."""
        code = 3
        while code == 3:
            lease_id = self.status(machine, lock)["lease_id"]
            code, _, err = machine.run(f"awsflock break --now --yes --lease-id {lease_id} {lock}")
        self.assertEqual(code, 0, err)

    def assertSweepEndsWhatKilledKeepersLeft(self, machine):
        session = self.enter(machine, "alice", "(env -i setsid sh -c \"sleep 1245 & sleep 1246\" &)")
        self.until(machine, "pgrep -xf 'sleep 1246' >/dev/null")
        # Stopped first, none of them sees another's end.
        self.done(machine, "pkill -STOP awsflock-keeper; pkill -KILL awsflock-keeper")
        self.until(machine, "! pgrep awsflock-keeper >/dev/null")
        self.done(machine, "systemctl start awsflock-sweep.service")
        machine.end(session)
        self.assertNothingRuns(machine, "alice")
        self.wait_until_free(machine)

    def assertNothingRuns(self, machine, person):
        """But their user manager, which logind keeps for a moment, and which is no part of the session."""
        out = machine.run(f"ps -o pid=,args= -u {person} | grep -v 'systemd --user\\|(sd-pam)'")[1]
        self.assertEqual(out, "")
