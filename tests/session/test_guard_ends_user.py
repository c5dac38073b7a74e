"""ends = user: with its session ends all that a person runs on this machine, and nobody else's.

What cron, at or a user manager started is played by what runs as the person without having come from the session.
SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from guardtest import GuardTest, configure, guard  # noqa: E402
from membershiptest import OUT, make_room  # noqa: E402
from sessiontest import PEOPLE, processes, runs, status_field, wait_until  # noqa: E402

# Ignores what can be ignored, as a job may.
JOB = "trap '' HUP TERM; echo $$ >/run/out/{name}; while :; do sleep 1; done"
# Each ends when it has started the next one.
RELAY = """
import os, time
open("/run/out/relay", "w").write("runs\\n")
while True:
    if os.fork():
        os._exit(0)
    time.sleep(0.001)
"""


def run_by(person):
    """The pids of all that PERSON runs, by the real user."""
    number = str(PEOPLE[person])
    found = []
    for pid in processes():
        try:
            if status_field(pid, "Uid")[0] == number:
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class EndsUserTest(GuardTest):
    def setUp(self):
        super().setUp()
        make_room()
        configure(ops={"ends": "user"})
        guard("sshd")

    def job(self, person, name="job"):
        """The pid of what PERSON runs beside the session."""
        (OUT / name).unlink(missing_ok=True)
        self.start(["sh", "-c", JOB.format(name=name)], person)
        return self.pid_in(str(OUT / name))

    def set_user_id_program(self):
        """One whose effective user is root, and its real one alice."""
        program = OUT / "set-user-id"
        shutil.copy("/bin/sleep", program)
        program.chmod(0o4755)
        process = self.start([str(program), "1000"], "alice")
        wait_until(lambda: status_field(process.pid, "Uid")[:2] == [str(PEOPLE["alice"]), "0"], what="its effective user")
        return process.pid

    def end(self, how, session):
        if how == "lose":
            self.break_lock()
        elif how == "kill":
            os.kill(self.only_monitor("alice"), signal.SIGKILL)
        else:
            session.stdin.close()

    def test_all_that_the_person_runs_is_gone_before_the_lock_is_free_and_nobody_elses(self):
        of_bob = self.job("bob", "of-bob")
        for leftovers in ("hold", "end"):
            configure(ops={"ends": "user", "leftovers": leftovers})
            for how in ("lose", "kill", "log out"):
                with self.subTest(leftovers=leftovers, how=how):
                    before = [self.job("alice"), self.set_user_id_program()]
                    session = self.enter("alice")
                    meanwhile = self.job("alice", "meanwhile")
                    self.end(how, session)
                    self.assertHeldUntilGone(*before, meanwhile)
                    self.wait_until_free()
                    self.assertEqual(run_by("alice"), [])
                    self.assertTrue(runs(of_bob))
                    session.stdout.close()
                    session.wait(60)
                    self.wait_for_no_keeper()

    def test_what_starts_the_next_one_and_ends_is_caught(self):
        (OUT / "relay.py").write_text(RELAY, encoding="ascii")
        self.start(["/usr/bin/python3", str(OUT / "relay.py")], "alice")
        wait_until((OUT / "relay").exists, what="the first one")
        session = self.enter("alice")
        self.end("log out", session)
        self.wait_until_free()
        self.assertEqual(run_by("alice"), [])
        session.wait(60)

    def test_what_the_session_left_is_held_for_before_the_rest_is_ended(self):
        job = self.job("alice")
        session = self.enter("alice", "setsid sh -c 'echo $$ >/run/out/left; exec sleep 1000' >/dev/null 2>&1 & "
                             "echo entered; exec cat")
        left = self.pid_in(str(OUT / "left"))
        self.leave(session)
        self.logged("'ops' remains held until what the session left has ended")
        self.assertTrue(runs(job) and self.is_held())
        os.kill(left, signal.SIGKILL)
        self.assertHeldUntilGone(job)
        self.wait_until_free()

    def test_the_last_session_that_shares_the_lease_ends_the_person(self):
        job = self.job("alice")
        first = self.enter("alice")
        monitor = self.only_monitor("alice")
        second = self.enter("alice")
        self.leave(first)
        self.wait_until_gone(monitor)
        second.stdin.write(b"still here\n")
        second.stdin.flush()
        self.assertEqual(second.stdout.readline(), b"still here\n")
        self.assertTrue(runs(job) and self.is_held())
        self.leave(second)
        self.assertHeldUntilGone(job)
        self.wait_until_free()

    def test_a_standby_ends_the_person_too(self):
        job = self.job("alice")
        session = self.enter("alice")
        os.kill(self.guardian(), signal.SIGKILL)
        self.assertHeldUntilGone(job)
        session.wait(60)

    def test_a_session_that_the_person_started_itself_ends_alone(self):
        guard("sudo")
        job = self.job("alice")
        for how in ("lose", "kill", "log out"):
            with self.subTest(how=how):
                (OUT / "inner").unlink(missing_ok=True)
                session = self.start(["sudo", "-u", "carol", "sh", "-c", "echo $$ >/run/out/inner; exec sleep 1000"], "alice")
                inner = self.pid_in(str(OUT / "inner"))
                if how == "log out":
                    os.kill(inner, signal.SIGKILL)
                elif how == "kill":
                    os.kill(session.pid, signal.SIGKILL)
                else:
                    self.end("lose", session)
                self.assertHeldUntilGone(inner)
                self.wait_until_free()
                self.wait_for_no_keeper()
                self.assertTrue(runs(job))
                session.communicate(timeout=60)

    def test_who_has_the_user_id_of_the_renewer_ends_alone(self):
        namespace.append("/etc/passwd", f"renewer-of-tests:x:{PEOPLE['alice']}:{PEOPLE['alice']}::/nowhere:/bin/false\n")
        configure(ops={"ends": "user", "user": "renewer-of-tests"})
        job = self.job("alice")
        session = self.enter("alice")
        self.logged("ends = user has no effect: alice has the user ID")
        self.leave(session)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertTrue(runs(job))

    def test_it_is_refused_with_leftovers_that_may_run_on(self):
        configure(ops={"ends": "user", "leftovers": "release"})
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), "leftovers = release lets run on what ends = user ends")
        self.assertFree()

