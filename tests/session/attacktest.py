"""What the tests of attacks share: sessions of people with a shell, each on its own lock, on every host and up to every
way in which a session ends.

Whoever attacks has no rights: a person over ssh, or one whom sudo made another who has none.  An attack has failed when
nobody of theirs runs once the lock is free.  SPDX-License-Identifier: Apache-2.0
"""
import faulthandler
import fcntl
import os
import pathlib
import shutil
import signal
import time

import namespace
from guardtest import GuardTest, configure, guard, is_ending
from huge_environment import HUGE_ENVIRONMENT
from membershiptest import OUT, groups_of_sessions, make_room
from sessiontest import PATIENCE_S, PEOPLE, kill_if_running, runs, status_field, wait_until
from waiting_environment import WAITING_ENVIRONMENT

BUILT = pathlib.Path(os.environ.get("AWSFLOCK_BUILD_DIR", "."), "tests/support/crowd")
CROWD = OUT / "crowd"
HOSTS = ("ssh", "sudo")
MOMENTS = {"loss": "alice", "logout": "bob", "kill": "carol"}  # whose session ends so
LENT_FIRST = 64301  # the ids that sudo gives: one for each of PEOPLE


def beside(command, file):
    """A line that starts COMMAND where the end of its terminal, its parent or its group does not reach it, and goes on
    once it has written FILE."""
    return f"setsid {command} </dev/null >/dev/null 2>&1 & while ! test -s {file}; do sleep 0.05; done"


def attack_alone():
    """Until this process ends.  Who starts others all the time has as many as one user may have, of the same user wherever
    this runs: so one after the other."""
    faulthandler.cancel_dump_traceback_later()  # each test sets it anew
    fcntl.flock(os.open(BUILT.with_name("attacks.lock"), os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX)


def add_lent_ids():
    """Users without rights, whom nobody else is."""
    for number, person in enumerate(PEOPLE, LENT_FIRST):
        line = f"lent-{person}:x:{number}:{number}::/:/bin/sh\n"
        if line not in pathlib.Path("/etc/passwd").read_text(encoding="utf-8"):
            namespace.append("/etc/passwd", line)
            namespace.append("/etc/group", f"lent-{person}:x:{number}:\n")


def processes_of(uid):
    """The pids of all that run as the user UID, and only as that: no host that they have started."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if set(status_field(entry, "Uid")) == {str(uid)} and runs(entry) and not is_ending(entry):
                found.append(int(entry))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def described(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()[:9]
        return pid, " ".join(" ".join(status).split()), pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return pid, "gone meanwhile"


class Attack:
    """A session that is attacked from within."""

    def __init__(self, test, host, moment):
        self.test, self.host, self.moment = test, host, moment
        self.person = MOMENTS[moment]
        self.place = OUT / f"{host}-{moment}"
        self.place.mkdir()
        self.place.chmod(0o777)
        self.lock = f"{'sshd' if host == 'ssh' else host}-{self.person}"
        self.uid = PEOPLE[self.person] if host == "ssh" else LENT_FIRST + list(PEOPLE).index(self.person)
        self.session = None

    def start(self, script):
        script = f"cd {self.place} || exit; {script}\necho $$ >ready; exec cat"
        if self.host == "ssh":
            self.session = self.test.start_ssh(self.person, script, stdin=-1)
        else:
            self.session = self.test.start(["sudo", "-u", f"lent-{self.person}", "sh", "-c", script], self.person, stdin=-1)

    def wait_until_ready(self):
        def is_ready():
            if self.session.poll() is not None:
                self.test.fail((self, self.session.communicate()))
            ready = self.place / "ready"
            return ready.exists() and ready.read_text(encoding="ascii").endswith("\n")
        wait_until(is_ready, what=f"the attack of {self}")

    def left(self):
        """Who of it runs."""
        return processes_of(self.uid)

    def end(self):
        if self.moment == "loss":
            self.test.break_lock(lock=self.lock)
        elif self.moment == "logout":
            self.session.stdin.close()
        else:
            host = self.test.only_monitor(self.person) if self.host == "ssh" else self.session.pid
            os.kill(host, signal.SIGKILL)

    def close(self):
        for stream in (self.session.stdin, self.session.stdout, self.session.stderr):
            stream.close()
        self.session.wait(PATIENCE_S)

    def __str__(self):
        return f"{self.host} at {self.moment}"


class AttackTest(GuardTest):
    """Each attack is made on every host at once, each on a lock of its own."""

    def setUp(self):
        super().setUp()
        make_room()
        for name, text in (("huge", HUGE_ENVIRONMENT), ("waiting", WAITING_ENVIRONMENT)):
            (OUT / f"{name}.py").write_text(text, encoding="ascii")
        shutil.copyfile(BUILT, CROWD)
        CROWD.chmod(0o755)
        add_lent_ids()
        configure(ops={"lock": "%s-%u", "leftovers": "end"})
        guard("sshd")
        guard("sudo")

    def attack(self, script, at_least, moments=tuple(MOMENTS), hosts=HOSTS, meanwhile=lambda attack: None):
        """Runs SCRIPT, which leaves AT_LEAST so many processes, in a session for each of MOMENTS on each of HOSTS.
        MEANWHILE is called before the end."""
        attacks = [Attack(self, host, moment) for host in hosts for moment in moments]
        for attack in attacks:
            attack.start(script)
        for attack in attacks:
            attack.wait_until_ready()
            self.addCleanup(self.end_all, attack)
            wait_until(lambda attack=attack: len(attack.left()) >= at_least, what=f"as many as {at_least} of {attack}")
            meanwhile(attack)
        for attack in attacks:
            attack.end()
        self.assertHeldUntilAllGone(attacks)
        for attack in attacks:
            if attack.moment != "loss":
                self.wait_until_free(attack.lock)
            attack.close()
        self.wait_for_no_keeper()
        self.assertEqual(groups_of_sessions(), [])

    def assertHeldUntilAllGone(self, attacks):
        """The lock is held as long as anything of an attack runs; at last nothing does.  A lease that was broken runs out
        later."""
        pending, until = list(attacks), time.monotonic() + 2 * PATIENCE_S
        while pending:
            self.assertLess(time.monotonic(), until, [(str(attack), attack.left()[:5]) for attack in pending])
            for attack in list(pending):
                held, left = self.is_held(attack.lock), attack.left()
                if not left:
                    pending.remove(attack)
                elif not held:
                    self.fail(f"{attack}: free while these ran: {[described(pid) for pid in left]}")
            time.sleep(0.05)  # who ends the attacks needs the processors too

    @staticmethod
    def end_all(attack):
        """What an attack that did not fail has left, as far as one round gets it: the namespace's end has the rest."""
        for pid in attack.left():
            kill_if_running(pid)
