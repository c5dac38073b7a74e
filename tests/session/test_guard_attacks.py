"""What people with a shell do to outlive their session: attack × host × moment, see tests/README.md.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from attacktest import CROWD, HOSTS, MOMENTS, Attack, AttackTest, attack_alone, beside  # noqa: E402
from guardtest import configure  # noqa: E402
from membershiptest import OUT, control_group, double_fork  # noqa: E402
from sessiontest import PEOPLE, wait_until  # noqa: E402
from waiting_environment import make_device  # noqa: E402

# Terminals of its own, up to the one whose number is its first argument.
TERMINAL = r"""
import os, pty, sys, time
for _ in range(int(sys.argv[1]) + 1):
    if pty.fork()[0] == 0:
        if os.ttyname(0) == f"/dev/pts/{sys.argv[1]}":
            with open(sys.argv[2], "w") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(1000)
time.sleep(1000)
"""
# Into a group that is theirs, the root of all, and whatever a user namespace shows as its own.
LEAVE = f"""
trap '' HUP TERM
for group in {namespace.CGROUPS}/delegated {namespace.CGROUPS}; do
    echo $$ >$group/cgroup.procs
done
unshare --user --map-root-user --mount --cgroup sh -c 'mount -t cgroup2 none /mnt && mkdir /mnt/own
    for file in /mnt/own/cgroup.procs /mnt/cgroup.procs; do echo 0 >$file; done
    echo $$ >leaving; exec sleep 1000'
echo $$ >leaving
sleep 1000
"""


def setUpModule():
    attack_alone()


class EverywhereTest(AttackTest):
    """Attacks that fail whether the kernel keeps the session or looks do."""

    def test_thousands_that_ignore_every_signal_do_not_outlive_their_lease(self):
        # What is broken is held until its lease is over: longer than a slow machine needs for so many.
        configure(ops={"lock": "%s-%u", "leftovers": "end", "lease": "1m"})
        for host in HOSTS:  # one after the other: a machine may not have room for more
            for moment in MOMENTS:
                with self.subTest(host=host, moment=moment):
                    self.attack(beside(f"{CROWD} 2000 crowd", "crowd"), 2000, (moment,), (host,))

    def test_who_starts_others_all_the_time_is_ended_with_all_of_them(self):
        self.attack(beside(f"{CROWD} --bomb 60 bomb", "bomb"), 10)

    def test_an_endless_environment_is_read_by_nobody_to_its_end(self):
        self.attack(beside("/usr/bin/python3 ../huge.py huge", "huge"), 2)

    def test_an_environment_that_never_answers_holds_up_no_end(self):
        if not self.anybody_has_waiting_environments():
            return  # nor has who attacks
        self.attack(beside("/usr/bin/python3 ../waiting.py waiting", "waiting"), 3)

    def anybody_has_waiting_environments(self):
        """Not every machine lets everybody mount such a file system."""
        try:
            make_device()
        except OSError:
            return False
        told = OUT / "tried"
        trial = self.start(["/usr/bin/python3", str(OUT / "waiting.py"), str(told)], "alice", start_new_session=True)
        wait_until(lambda: told.exists() or trial.poll() is not None, what="the trial")
        is_possible = trial.poll() is None
        if is_possible:
            os.killpg(trial.pid, signal.SIGKILL)
        trial.communicate()
        return is_possible

    def anybody_has_namespaces(self):
        words = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "true"]
        return self.run_to_end(words, "alice")[0] == 0

    def test_a_namespace_of_their_own_is_no_way_out(self):
        if not self.anybody_has_namespaces():
            return  # nor has who attacks
        self.attack(beside(f"unshare --user --map-root-user --pid --fork {CROWD} 3 crowd", "crowd"), 5)

    def test_a_host_that_its_user_has_stopped_is_ended_all_the_same(self):
        """sshd's part that runs as the person is stopped from within, sudo by its caller."""
        def stop(attack):
            if attack.host == "sudo":
                self.assertEqual(self.run_to_end(["kill", "-STOP", str(attack.session.pid)], attack.person)[0], 0)
        self.attack(f"kill -STOP $PPID 2>/dev/null; {beside(f'{CROWD} 3 crowd', 'crowd')}", 4, moments=("loss", "kill"),
                    meanwhile=stop)

    def test_a_terminal_with_the_number_of_another_persons_brings_that_person_no_line(self):
        if not self.anybody_has_namespaces():
            return  # nor has who attacks
        bobs, slave = os.openpty()
        self.addCleanup(os.close, bobs)
        self.addCleanup(os.close, slave)
        os.fchown(slave, PEOPLE["bob"], -1)
        os.set_blocking(bobs, False)
        (OUT / "terminal.py").write_text(TERMINAL, encoding="ascii")

        def has_its_number(attack):
            stat = pathlib.Path(f"/proc/{self.pid_in(attack.place / 'terminal')}/stat").read_text(encoding="ascii")
            self.assertEqual(int(stat.rpartition(")")[2].split()[4]), os.fstat(slave).st_rdev)
        number = os.path.basename(os.ttyname(slave))
        own = "mount -t devpts -o newinstance,ptmxmode=0666 own /dev/pts && exec python3 ../terminal.py"
        self.attack(beside(f"unshare --user --map-root-user --mount sh -c '{own} {number} terminal'", "terminal"), 2,
                    moments=("loss",), meanwhile=has_its_number)
        self.assertRaises(BlockingIOError, os.read, bobs, 1000)


class ControlGroupTest(AttackTest):
    """Attacks of which only the kernel knows."""

    def setUp(self):
        super().setUp()
        if not namespace.has_control_groups():
            self.skipTest("there is no control group to be had here")

    def test_a_double_fork_between_two_looks_is_no_way_out(self):
        self.attack(double_fork("escaped"), 2)

    def test_nobody_moves_themselves_out_of_their_sessions_group(self):
        delegated = namespace.CGROUPS / "delegated"  # as systemd hands one to each user
        delegated.mkdir()
        self.addCleanup(delegated.rmdir)
        for path in (delegated, delegated / "cgroup.procs", delegated / "cgroup.threads"):
            path.chmod(0o777)
        (OUT / "leave").write_text(LEAVE, encoding="ascii")

        def is_in(attack):
            for pid in attack.left():
                self.assertRegex(control_group(pid), r"^/awsflock-[0-9a-f]{32}$")
        self.attack(beside("sh ../leave", "leaving"), 2, meanwhile=is_in)

    def test_what_a_host_starts_while_it_closes_runs_to_its_end(self):
        helper = OUT / "helper"
        helper.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\nsleep 0.2\n"
                          "echo done >/run/out/helped-$PAM_SERVICE-${PAM_RUSER:-$PAM_USER}\n", encoding="ascii")
        helper.chmod(0o755)
        for service in ("sshd", "sudo"):
            with open(f"/etc/pam.d/{service}", "a", encoding="ascii") as file:
                file.write(f"session optional pam_exec.so {helper}\n")
        configure(ops={"lock": "%s-%u", "leftovers": "end", "end": "6s", "lease": "24s"})
        attacks = [Attack(self, host, moment) for host in HOSTS for moment in ("loss", "logout")]
        for attack in attacks:
            attack.start("")
        for attack in attacks:
            attack.wait_until_ready()
            attack.end()
        wait_until(lambda: sorted(path.name for path in OUT.glob("helped-*")) == [
            "helped-sshd-alice", "helped-sshd-bob", "helped-sudo-alice", "helped-sudo-bob"], what="the helpers' ends")
