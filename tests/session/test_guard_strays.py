"""What a user's service manager takes out of a login's control group.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import configure, guard  # noqa: E402
from membershiptest import OUT, control_group  # noqa: E402
from sessiontest import processes_like, wait_until  # noqa: E402
from straystest import StraysTest  # noqa: E402

HOP = r"""
import os, sys, time
while not os.path.exists("/run/out/go"):
    time.sleep(0.01)
while True:
    if os.fork():
        os._exit(0)
"""
DEAF = r"""
import signal, time
for number in signal.SIGHUP, signal.SIGTERM:
    signal.signal(number, signal.SIG_IGN)
open("/run/out/deaf", "w").close()
time.sleep(1000)
"""
HELPER = """#!/bin/sh
[ $PAM_TYPE = close_session ] || exit 0
while kill -0 $(cat /run/out/taken); do sleep 0.05; done
sleep 0.1
touch /run/out/helped
"""
# A sudo where it was taken to.
CALLER = """until [ -e /run/out/go ]; do sleep 0.02; done
exec sudo /bin/sh -c 'echo $$ >/run/out/inner; exec sleep 1000'
"""


class LoginTest(StraysTest):
    def logged_in(self, script):
        guard("sshd")
        return self.start_ssh("alice", f"{script} exec cat", stdin=-1)

    def with_a_sudo_beside(self, **leftovers):
        """A login of alice's, and the command of a sudo with a lock of its own that she called where she was taken to."""
        configure(ops=leftovers, inner={"lock": "inner", "leftovers": "hold"})
        guard("sudo", "guard=inner")
        group = self.manager_of("alice")
        (OUT / "caller").write_text(CALLER, encoding="ascii")
        for _ in range(5):  # whom the login's keeper brings back first calls sudo there
            session = self.logged_in(self.bare(what="sh /run/out/caller"))
            self.take(group, self.found("taken"))
            (OUT / "go").touch()
            command = self.found("inner")
            if re.fullmatch(r"/awsflock-[0-9a-f]{32}", control_group(command)):
                return session, command
            os.kill(command, signal.SIGKILL)
            self.leave(session)
            for lock in ("ops", "inner"):
                self.wait_until_free(lock)
            for name in ("taken", "go", "inner"):
                (OUT / name).unlink()
        return self.fail("sudo was never called where its caller was taken to")

    def test_a_sudo_with_a_lock_of_its_own_stays_in_its_group_and_holds_the_logins_lock_too(self):
        session, command = self.with_a_sudo_beside(leftovers="hold", leftovers_end="cat")
        group = control_group(command)
        self.leave(session)
        self.logged(rf"'ops' remains held until what the session left has ended: {command} \(")
        self.assertEqual(control_group(command), group)
        self.assertTrue(self.is_held() and self.is_held("inner"))
        os.kill(command, signal.SIGKILL)
        for lock in ("ops", "inner"):
            self.wait_until_free(lock)
        self.not_logged("the network half of")

    def test_a_sudo_with_a_lock_of_its_own_ends_with_its_login_and_its_keepers_see_to_its_lock(self):
        session, command = self.with_a_sudo_beside(leftovers="end")
        self.leave(session)
        self.assertHeldUntilGone(command, lock="inner")
        for lock in ("ops", "inner"):
            self.wait_until_free(lock)
        self.not_logged("the network half of")

    def test_what_is_taken_out_of_a_login_ends_with_it_however_that_ends(self):
        group = self.manager_of("alice")
        for end in ("lose", "log out", "kill"):
            with self.subTest(end=end):
                (OUT / "taken").unlink(missing_ok=True)
                session = self.logged_in(self.bare())
                pid = self.taken(group)
                {"lose": self.lose, "log out": session.stdin.close,
                 "kill": lambda: os.kill(self.only_monitor("alice"), signal.SIGKILL)}[end]()
                self.assertAllIsOver(pid)
                session.stdin.close()
                session.stdout.close()
                session.wait(60)

    def test_what_a_host_starts_while_it_closes_is_not_killed_with_what_the_login_left(self):
        # The module waits two seconds at most for the end of what is left; the helper comes after it, and before they
        # are killed.
        configure(ops={"leftovers": "end", "end": "6s", "lease": "24s"})
        (OUT / "helper").write_text(HELPER, encoding="ascii")
        (OUT / "helper").chmod(0o755)
        (OUT / "deaf.py").write_text(DEAF, encoding="ascii")
        guard("sshd")
        with open("/etc/pam.d/sshd", "a", encoding="ascii") as file:
            file.write(f"session optional pam_exec.so {OUT}/helper\n")
        session = self.start_ssh("alice", self.bare(what="/usr/bin/python3 /run/out/deaf.py") + " exec cat", stdin=-1)
        wait_until((OUT / "deaf").exists, what="one who ignores every signal")
        pid = self.found("taken")
        self.leave(session)
        self.assertAllIsOver(pid)
        wait_until((OUT / "helped").exists, what="the helper's end")

    def test_what_is_taken_out_holds_the_lock_and_comes_back(self):
        configure(ops={"leftovers": "hold"})
        group = self.manager_of("alice")
        session = self.logged_in(self.bare())
        pid = self.taken(group)
        self.leave(session)
        wait_until(lambda: control_group(pid) != f"/{group.name}", what="the return of what was taken")
        self.assertHeldBy("alice")
        self.take(group, pid)
        wait_until(lambda: control_group(pid) != f"/{group.name}", what="another return")
        self.assertHeldBy("alice")
        self.logged(rf"remains held until what the session left has ended: {pid} \(sleep\)")
        os.kill(pid, signal.SIGKILL)
        self.assertAllIsOver(pid)

    def test_who_is_taken_out_over_and_over_is_killed(self):
        group = self.manager_of("alice")
        session = self.logged_in(self.bare(what="sh -c \"trap : HUP TERM; while :; do sleep 1000; done\""))
        pid = self.taken(group)
        is_over = threading.Event()

        def take_again():
            while not is_over.wait(0.002):
                try:
                    self.take(group, pid)
                except OSError:
                    return  # it has ended

        taker = threading.Thread(target=take_again)
        self.addCleanup(taker.join)
        self.addCleanup(is_over.set)
        taker.start()
        self.lose()
        self.assertHeldUntilGone(pid)
        is_over.set()
        taker.join()
        self.wait_until_free()
        session.communicate(timeout=60)

    def test_one_that_lives_on_in_its_next_child_over_and_over_is_killed_where_it_was_taken(self):
        group = self.manager_of("alice")
        (OUT / "hop.py").write_text(HOP, encoding="ascii")
        session = self.logged_in(self.bare(what="/usr/bin/python3 /run/out/hop.py"))
        self.taken(group)
        (OUT / "go").touch()
        os.kill(self.only_monitor("alice"), signal.SIGKILL)
        self.wait_until_free()
        self.assertEqual(processes_like("hop[.]py"), [])
        session.communicate(timeout=60)
