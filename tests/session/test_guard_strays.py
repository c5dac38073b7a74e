"""What a user's service manager takes out of a session's control group: it asks process 1, which does so for all that
runs as that user.  Here the test moves it, as root, to a group that was handed to the user.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from guardtest import GuardTest, configure, guard  # noqa: E402
from membershiptest import OUT, control_group, groups_of_sessions, make_room  # noqa: E402
from sessiontest import PEOPLE, processes_like, runs, wait_until  # noqa: E402

# Nothing of the session's in its environment, and nobody's child.
BARE = "env -i setsid sh -c 'echo $$ >/run/out/{name}.new; mv /run/out/{name}.new /run/out/{name}; exec {what}' >/dev/null 2>&1 &"
HOP = r"""
import os, sys, time
while not os.path.exists("/run/out/go"):
    time.sleep(0.01)
while True:
    if os.fork():
        os._exit(0)
"""


class StraysTest(GuardTest):
    def setUp(self):
        super().setUp()
        if not namespace.has_control_groups():
            self.skipTest("there is no control group to be had here")
        make_room()
        (OUT / "hop.py").write_text(HOP, encoding="ascii")
        configure(ops={"leftovers": "end"})

    def manager_of(self, person):
        """The group that systemd hands to PERSON's service manager."""
        group = namespace.CGROUPS / f"manager-of-{person}"
        group.mkdir()
        self.addCleanup(wait_until, lambda: self.is_removed(group), what=f"the end of all in {group}")
        for path in (group, group / "cgroup.procs", group / "cgroup.threads", group / "cgroup.subtree_control"):
            os.chown(path, PEOPLE[person], PEOPLE[person])
        return group

    @staticmethod
    def is_removed(group):
        try:
            group.rmdir()
        except OSError:
            return False  # somebody is still dying in it
        return True

    @staticmethod
    def take(group, pid):
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def found(self, name):
        pid = self.pid_in(str(OUT / name))
        self.addCleanup(lambda: runs(pid) and os.kill(pid, signal.SIGKILL))
        return pid

    def taken(self, group, name="taken"):
        pid = self.found(name)
        self.take(group, pid)
        self.assertEqual(control_group(pid), f"/{group.name}")
        return pid

    def lose(self):
        code, _, err = self.awsflock("break", "--lease-id", self.status()["lease_id"], "ops")
        self.assertEqual(code, 0, err)

    @staticmethod
    def bare(name="taken", what="sleep 1000"):
        return BARE.format(name=name, what=what)

    def logged_in(self, script):
        guard("sshd")
        return self.start_ssh("alice", f"{script} exec cat", stdin=-1)

    def sudo_of_a_login(self, *words, before=""):
        """alice's sudo, from a login of hers that the kernel's audit knows."""
        guard("sudo")
        return self.start(["sh", "-c", f"echo {PEOPLE['alice']} >/proc/self/loginuid; {before} exec \"$@\"", "sh", "sudo",
                           *words], "alice")

    def assertAllIsOver(self, *pids):
        self.assertHeldUntilGone(*pids)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertEqual(groups_of_sessions(), [])

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
        session = self.logged_in(self.bare(what="/usr/bin/python3 /run/out/hop.py"))
        self.taken(group)
        (OUT / "go").touch()
        os.kill(self.only_monitor("alice"), signal.SIGKILL)
        self.wait_until_free()
        self.assertEqual(processes_like("hop[.]py"), [])
        session.communicate(timeout=60)

    def test_what_is_taken_out_of_another_users_sudo_ends_with_it_and_the_persons_own_does_not(self):
        carols, alices = self.manager_of("carol"), self.manager_of("alice")
        session = self.sudo_of_a_login("-u", "carol", "sh", "-c", self.bare() + " exec sleep 1000",
                                       before=f"({self.bare('own')});")
        own, pid = self.taken(alices, "own"), self.taken(carols)
        self.lose()
        self.assertAllIsOver(pid)
        self.assertTrue(runs(own))
        self.assertEqual(control_group(own), f"/{alices.name}")
        os.kill(own, signal.SIGKILL)
        wait_until(lambda: not runs(own), what="the end of what was the person's own")
        session.communicate(timeout=60)

    def test_without_an_audit_session_the_mark_tells_whose_it_is(self):
        guard("sudo")
        group = self.manager_of("carol")
        session = self.start(["sudo", "-u", "carol", "sh", "-c", self.bare().replace("env -i ", "") + " exec sleep 1000"],
                             "alice")
        pid = self.taken(group)
        session.kill()
        self.assertAllIsOver(pid)
        session.communicate(timeout=60)

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
