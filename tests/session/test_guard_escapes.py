"""Those who try to get out of a session, as users without rights: however it ends, they end with it.

The sessions of one attack are open side by side, each with a lock of its own.  SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import configure, guard  # noqa: E402
from membershiptest import OUT, GroupTest, double_fork, groups_of_sessions  # noqa: E402
from sessiontest import runs, wait_until  # noqa: E402

PERSONS = {"lose": "alice", "log out": "bob", "kill": "carol"}  # one for each end: so the monitors can be told apart


class Attack(typing.NamedTuple):
    host: str
    end: str

    @property
    def lock(self):
        return f"{self.host}-{self.end}".replace(" ", "-")

    @property
    def person(self):
        return PERSONS[self.end]

    @property
    def stays(self):
        """What the session's command does after the attack, until the session is to end."""
        if self.host == "sshd":
            return "exec cat"
        return f"while ! test -e {OUT}/{self.lock}.end; do sleep 0.05; done" if self.end == "log out" else "exec sleep 1000"


class EscapesTest(GroupTest):
    processes = 2000

    def begin(self, attack, script):
        """A session that runs SCRIPT as a user without rights; its process, once it has been let in."""
        entered = OUT / f"{attack.lock}.entered"
        guard(attack.host, f"guard={attack.lock}")
        script = f"touch {entered}; {script}; {attack.stays}"
        if attack.host == "sshd":
            session = self.start_ssh(attack.person, script, stdin=subprocess.PIPE)
        else:
            session = self.start(["sudo", "-u", "carol", "sh", "-c", script], attack.person)
        wait_until(lambda: entered.exists() or session.poll() is not None, what="the opening")
        return session

    def end(self, attack, session):
        if attack.end == "lose":
            self.lose(attack.lock)
        elif attack.end == "kill":
            os.kill(self.only_monitor(attack.person) if attack.host == "sshd" else session.pid, signal.SIGKILL)
        elif attack.host == "sshd":
            session.stdin.close()
        else:
            (OUT / f"{attack.lock}.end").touch()

    def end_in_time(self, attack, session, pid):
        self.end(attack, session)
        self.assertHeldUntilGone(pid, lock=attack.lock)
        session.wait(60)
        if attack.end != "lose":  # a lease that was broken runs out
            self.wait_until_free(attack.lock)

    def attack(self, script_of, hosts=("sudo", "sshd"), ends=("lose", "log out", "kill")):
        """SCRIPT_OF(FILE): a shell's line that starts who is to be found by the pid in FILE."""
        attacks = [Attack(host, end) for host in hosts for end in ends]
        configure(**{attack.lock: {"lock": attack.lock, "leftovers": "end"} for attack in attacks})
        sessions = [self.begin(attack, script_of(OUT / attack.lock)) for attack in attacks]
        pids = [self.found(attack.lock) for attack in attacks]
        self.assertEqual([pid for pid in pids if not runs(pid)], [])
        with concurrent.futures.ThreadPoolExecutor(len(attacks)) as pool:
            jobs = [pool.submit(self.end_in_time, *each) for each in zip(attacks, sessions, pids)]
            for attack, job in zip(attacks, jobs):
                with self.subTest(host=attack.host, end=attack.end):
                    job.result()
        self.wait_for_no_keeper()
        self.assertEqual(groups_of_sessions(), [])

    @staticmethod
    def program(name, file, *arguments):
        """A shell's line that runs the attack NAME, which writes its pid to FILE, and goes on once it has."""
        words = " ".join(["/usr/bin/python3", f"{OUT}/{name}.py", *map(str, arguments), str(file)])
        return f"{words} >/dev/null 2>&1 & while ! test -s {file}; do sleep 0.05; done"

    def test_a_double_fork_between_two_looks_is_no_way_out(self):
        self.attack(double_fork)

    def test_an_endless_environment_holds_up_no_end(self):
        self.attack(lambda file: self.program("huge", file))

    def test_thousands_that_ignore_every_signal_are_gone_before_the_next_one_enters(self):
        for host in ("sudo", "sshd"):
            self.attack(lambda file: self.program("many", file, self.processes), [host], ["lose"])
