"""What a user's service manager takes out of the control group of a sudo, which has its caller's audit session, or none.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import configure, guard  # noqa: E402
from membershiptest import OUT, control_group, groups_of_sessions  # noqa: E402
from sessiontest import runs, wait_until  # noqa: E402
from straystest import StraysTest  # noqa: E402


class SudoTest(StraysTest):
    def test_what_is_taken_out_of_another_users_sudo_ends_with_it_and_the_persons_own_does_not(self):
        carols, alices = self.manager_of("carol"), self.manager_of("alice")
        guard("sudo")
        for moment in ("loss", "logout", "kill"):
            with self.subTest(moment=moment):
                for name in ("own", "taken"):
                    (OUT / name).unlink(missing_ok=True)
                session = self.called_in_a_login("sudo", "-u", "carol", "sh", "-c", self.bare() + " exec cat",
                                                 before=f"({self.bare('own')});", stdin=-1)
                own, pid = self.taken(alices, "own"), self.taken(carols)
                if moment == "loss":
                    self.lose()
                elif moment == "logout":
                    session.stdin.close()
                else:
                    session.kill()
                self.assertAllIsOver(pid)
                self.assertTrue(runs(own))
                self.assertEqual(control_group(own), f"/{alices.name}")
                os.kill(own, signal.SIGKILL)
                wait_until(lambda: not runs(own), what="the end of what was the person's own")
                session.wait(60)

    def test_without_an_audit_session_the_mark_tells_whose_it_is(self):
        guard("sudo")
        group = self.manager_of("carol")
        session = self.start(["sudo", "-u", "carol", "sh", "-c", self.bare().replace("env -i ", "") + " exec sleep 1000"],
                             "alice")
        pid = self.taken(group)
        session.kill()
        self.assertAllIsOver(pid)
        session.communicate(timeout=60)

    def test_a_sudo_that_is_called_where_its_caller_was_taken_holds_the_lock_around_it_too(self):
        configure(ops={"leftovers": "hold"}, inner={"lock": "inner"})
        guard("su")
        guard("sudo", "guard=inner")
        group = self.manager_of("carol")
        (OUT / "caller").write_text("until [ -e /run/out/go ]; do sleep 0.02; done\n"
                                    "exec sudo sh -c 'echo $$ >/run/out/inner; exec sleep 1000'\n", encoding="ascii")
        script = self.bare(what="sh /run/out/caller").replace("env -i ", "") + " exec cat"
        session = self.called_in_a_login("su", "carol", "-c", script, stdin=-1)
        self.taken(group)
        (OUT / "go").touch()
        command = self.found("inner")
        self.assertRegex(control_group(command), r"^/awsflock-[0-9a-f]{32}$")
        self.leave(session)
        self.logged(r"'ops' remains held until what the session left has ended: [0-9]+ \(sudo\)")
        self.assertTrue(self.is_held() and self.is_held("inner"))
        os.kill(command, signal.SIGKILL)
        for lock in ("ops", "inner"):
            self.wait_until_free(lock)
        self.wait_for_no_keeper()
        self.assertEqual(groups_of_sessions(), [])

    def test_a_host_that_its_caller_moves_is_put_back_before_it_starts_anything(self):
        group = self.manager_of("alice")
        mover = OUT / "mover"
        mover.write_text("#!/bin/sh\n[ $PAM_TYPE = open_session ] || exit 0\n"
                         f"for pid in $$ $PPID; do echo $pid >{group}/cgroup.procs; done\n"
                         f"until grep -q ^0::/awsflock- /proc/$PPID/cgroup && grep -q ^0::/awsflock- /proc/$$/cgroup; do\n"
                         "sleep 0.02; done\n", encoding="ascii")
        mover.chmod(0o755)
        guard("sudo")
        with open("/etc/pam.d/sudo", "a", encoding="ascii") as file:
            file.write(f"session required pam_exec.so {mover}\n")
        for origin in ("elsewhere", "where it is moved to"):
            with self.subTest(origin=origin):
                for name in ("shell", "go", "in"):
                    (OUT / name).unlink(missing_ok=True)
                session = self.start(["sh", "-c", "echo $$ >/run/out/shell; until [ -e /run/out/go ]; do sleep 0.02; "
                                      "done; exec sudo sh -c 'echo $$ >/run/out/in; exec sleep 1000'"], "alice")
                if origin != "elsewhere":
                    self.take(group, self.pid_in("/run/out/shell"))
                (OUT / "go").touch()
                command = self.found("in")
                self.assertRegex(control_group(command), r"^/awsflock-[0-9a-f]{32}$")
                session.kill()
                self.assertAllIsOver(command)
                session.communicate(timeout=60)
