"""awsflock-keeper over its connection: what it answers, with whom it shares, and when it releases.

SPDX-License-Identifier: Apache-2.0
"""
import fcntl
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import awsflocktest
import keepertest
from awsflocktest import PATIENCE_S, wait_until
from keepertest import (BREAK_GLASS, CONFIG, EXEMPT, FAIL_SAFE, HELD, INTERNAL, LEASE_S, LOOK, NO_TABLE, SILENT,
                        UNREACHABLE, KeeperTest, Session, command_line, encode, keepers, runs, status_field)

keepertest.enter(control_groups=False)  # what it holds is the form that looks at processes

KEY_LINE = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDhTpYKprYN+hVso5hJJ90Pl8ZgHnyfePKZH/fugbGz/"
KEY_SHOWN = "ED25519 SHA256:Vmn3b6NdR/+L7+udfedFHBpkX4w2FpoTu+qXmArFuAA"
CHILD = "sleep 300 & echo $! >$DIR/child; wait; exec sleep 300"
LEAVES_ONE = "setsid sleep 300 & echo $! >$DIR/child; sleep 300 & echo $! >$DIR/shell; wait $!; exec sleep 300"


class OpeningTest(KeeperTest):
    def test_a_session_is_granted_the_lock_and_its_close_frees_it(self):
        session = Session(self, CHILD)
        granted = session.open(RHOST="203.0.113.9", TTY="/dev/pts/7", KEY=KEY_LINE)
        self.assertEqual(granted["LOCK"], "ops")
        self.assertGreater(granted["FENCE"], 0)
        holder = self.status()["holder"]
        self.assertEqual((holder["user"], holder["host"], holder["tty"], holder["service"], holder["rhost"]),
                         ("alice", os.uname().nodename, "/dev/pts/7", "sshd", "203.0.113.9"))
        self.assertEqual(holder["purpose"], f"key {KEY_SHOWN}")
        os.kill(self.pid_in("child"), signal.SIGKILL)
        self.assertEqual(session.close()["type"], "RELEASED")
        self.assertFalse(self.is_held())
        self.wait_for_log(f"session {session.id}: closed: 'ops' after .*released")
        self.assertRegex(self.log_text(), f"session {session.id}: opened: 'ops' for alice .sshd from 203.0.113.9")

    def test_a_refusal_names_the_holder_where_they_are_and_the_leases_end(self):
        Session(self).open(RHOST="203.0.113.9")
        other = Session(self)
        other.ask(person="bob", uid=64102)
        denied = other.answer()
        self.assertEqual((denied["type"], denied["REASON"]), ("DENIED", HELD))
        self.assertRegex(denied["SENTENCE"],
                         r"^'ops' is held by alice@\S+ since [\d:]+ \(sshd from 203\.0\.113\.9\), lease ends [\d:]+$")
        self.assertIsNone(other.receive())
        self.wait_for_log(f"session {other.id}: refused: 'ops' is held by alice@")

    def test_one_who_waits_is_told_for_whom_and_then_gets_the_lock(self):
        self.configure(ops={"wait": "60s"})
        first = Session(self)
        first.open()
        second = Session(self)
        second.ask(person="bob", uid=64102)
        while (message := second.receive())["type"] != "NOTICE":
            self.assertGreaterEqual(message["ANSWER_WITHIN_MS"], 60000)
        self.assertRegex(message["SENTENCE"], "^waiting: 'ops' is held by alice@")
        first.close()
        granted = second.answer()
        self.assertEqual(granted["type"], "GRANTED")
        self.assertGreater(granted["WAITED_MS"], 0)
        second.send("OPENED")

    def test_the_wait_ends_and_silence_hides_its_notices_but_not_the_refusal(self):
        self.configure(ops={"wait": "1s"})
        Session(self).open()
        second = Session(self)
        second.ask(person="bob", uid=64102, FLAGS=SILENT)
        denied = second.answer()
        self.assertEqual((denied["type"], denied["REASON"]), ("DENIED", HELD))
        self.assertRegex(denied["SENTENCE"], "not acquired within 1s: 'ops' is held by alice@")
        self.assertEqual(second.notices, [])

    def test_a_fault_of_the_configuration_is_named_with_file_and_line(self):
        for keys, words in (({"fail": "open"}, "fail cannot be 'open': write secure or safe"),
                            ({"lokc": "x"}, "unknown key 'lokc'"),
                            ({"lease": "5s"}, "three times grace and end"),
                            ({"lock": None}, "names no lock"),
                            ({"lock": "ops-%x"}, "there are %h, %s, %u and %%"),
                            ({"user": "root"}, "the guard's 'user' is root"),
                            ({"user": "no-such-user"}, "no user 'no-such-user'")):
            with self.subTest(words):
                store = {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:9"} if "user" in keys else None
                self.configure(store, ops=keys)
                self.assertConfigFault(words)

    def assertConfigFault(self, words, **more):
        session = Session(self)
        session.ask(**more)
        denied = session.answer()
        self.assertEqual((denied["type"], denied["REASON"]), ("DENIED", CONFIG), denied)
        self.assertIn("the administrator's log says why", denied["SENTENCE"])
        self.wait_for_log(f"session {session.id}: .*{re.escape(words)}")

    def test_a_broken_guard_fails_alone(self):
        text = self.conf.read_text()
        self.conf.write_text(text + "[guard other]\nthis is no line\nfail = open\n")
        Session(self).open()
        self.assertConfigFault(":11: this line is neither", guard="other")
        self.assertConfigFault("no section [guard third]", guard="third")

    def test_a_file_that_others_could_have_written_is_not_read(self):
        os.chmod(self.conf, 0o664)
        self.assertConfigFault("can be written by others than root")
        os.chmod(self.conf, 0o644)
        os.chown(self.conf, 64101, 0)
        self.assertConfigFault("belongs to user 64101")
        os.chown(self.conf, 0, 0)
        link = self.directory / "link.conf"
        link.symlink_to(self.conf)
        self.assertConfigFault("is a symbolic link", CONF=str(link))
        os.chmod(self.store, 0o777)
        self.assertConfigFault("local_dir")

    def test_the_locks_name_is_made_of_host_service_and_person(self):
        self.configure(ops={"lock": "%h/%s/%u/100%%"})
        granted = Session(self).open()
        self.assertEqual(granted["LOCK"], f"{os.uname().nodename}/sshd/alice/100%")

    def test_the_exempt_and_those_who_break_the_glass_enter_without_the_lock(self):
        self.configure(exempt={"exempt_users": "carol, alice"}, groups={"exempt_groups": "staff nogroup"},
                       glass={"break_glass_group": "nogroup"})
        for guard, person, because in (("exempt", "alice", EXEMPT), ("groups", "nobody", EXEMPT),
                                       ("glass", "nobody", BREAK_GLASS)):
            with self.subTest(guard):
                session = Session(self)
                session.ask(person=person, guard=guard)
                admitted = session.answer()
                self.assertEqual((admitted["type"], admitted["BECAUSE"]), ("ADMITTED", because), admitted)
        self.assertFalse(self.is_held())
        other = Session(self)
        other.open(person="bob", uid=64102, guard="glass")

    def test_a_look_takes_nothing_and_refuses_while_another_holds_the_lock(self):
        look = Session(self)
        look.ask(FLAGS=LOOK)
        self.assertEqual(look.answer()["type"], "CLEAR")
        self.assertFalse(self.is_held())
        Session(self).open()
        own, others = Session(self), Session(self)
        own.ask(FLAGS=LOOK)
        self.assertEqual(own.answer()["type"], "CLEAR")
        others.ask(person="bob", uid=64102, FLAGS=LOOK)
        denied = others.answer()
        self.assertEqual((denied["type"], denied["REASON"]), ("DENIED", HELD))
        self.assertRegex(denied["SENTENCE"], "^'ops' is held by alice@.*, lease ends ")

    def test_a_look_is_refused_while_the_same_person_holds_the_lock_on_another_host(self):
        self.configure(ops={"share": "session"})
        Session(self).open()
        own = Session(self)
        own.ask(FLAGS=LOOK)
        self.assertEqual(own.answer()["type"], "CLEAR")
        self.addCleanup(socket.sethostname, os.uname().nodename)
        here = os.uname().nodename
        socket.sethostname("another-host")
        from_another = Session(self)
        from_another.ask(FLAGS=LOOK)
        denied = from_another.answer()
        self.assertEqual((denied["type"], denied.get("REASON")), ("DENIED", HELD))
        self.assertIn(f"'ops' is held by alice@{here} ", denied["SENTENCE"])

    def test_a_look_refuses_nobody_who_may_wait(self):
        self.configure(ops={"wait": "60s"})
        Session(self).open()
        look = Session(self)
        look.ask(person="bob", uid=64102, FLAGS=LOOK)
        self.assertEqual(look.answer()["type"], "CLEAR")

    def test_a_grant_that_is_not_confirmed_is_given_back(self):
        for end in (lambda session: session.module.close(), lambda session: session.kill_host(),
                    lambda session: session.send("RELEASE")):
            session = Session(self)
            session.ask()
            self.assertEqual(session.answer()["type"], "GRANTED")
            end(session)
            self.wait_until_free()

    def test_one_who_gives_up_waiting_gets_no_lock(self):
        self.configure(ops={"wait": "60s"})
        first, second = Session(self), Session(self)
        first.open()
        second.ask(person="bob", uid=64102)
        self.assertEqual(second.receive()["type"], "ACCEPTED")
        second.module.close()
        wait_until(lambda: len(keepers("renewer")) == 1, what="the end of the second keeper")
        first.close()
        self.wait_until_free()

    def test_nonsense_in_place_of_a_request_ends_the_keeper(self):
        for data in (b"\0" * 8, encode("OPEN"), encode("RELEASE"), b"x" * 65000):
            session = Session(self)
            session.module.send(data)
            self.assertIsNone(session.receive())

    def test_a_users_message_on_the_sessions_connection_is_not_believed(self):
        session = Session(self)
        session.open()
        child = os.fork()
        if child == 0:
            os.setresuid(64101, 64101, 64101)
            session.module.send(encode("RELEASE"))
            os._exit(0)
        os.waitpid(child, 0)
        self.wait_for_log("a message of user 64101 .* is not believed")
        self.assertTrue(self.is_held())
        self.assertEqual(session.close()["type"], "RELEASED")


class ClosingTest(KeeperTest):
    def test_the_lock_is_held_until_what_the_session_left_has_ended(self):
        session = Session(self, LEAVES_ONE)
        session.open()
        child, shell = self.pid_in("child"), self.pid_in("shell")
        os.kill(shell, signal.SIGKILL)
        answer = session.close()
        self.assertEqual(answer["type"], "LEFTOVERS")
        self.assertIn(f"{child} (sleep)", answer["SENTENCE"])
        session.kill_host()
        wait_until(lambda: f"{child} (sleep)" in self.status()["owner"], what="the leftovers in the table")
        self.assertRuns(child)
        os.kill(child, signal.SIGKILL)
        self.wait_until_free()
        record = json.loads((self.store / "ops.json").read_text(encoding="utf-8"))
        self.assertIn("released_time", record, "it was given back, and has not run out")

    def test_a_close_in_order_keeps_the_lock_while_a_process_known_only_by_its_mark_lives(self):
        session = Session(self)
        session.open()
        orphan = self.start_marked_orphan(session)
        answer = session.close()
        self.assertEqual(answer["type"], "LEFTOVERS", answer)
        self.assertIn(f"{orphan} (sleep)", answer["SENTENCE"])
        session.kill_host()
        time.sleep(1)  # more than one look
        self.assertRuns(orphan)
        self.assertTrue(self.is_held())
        os.kill(orphan, signal.SIGKILL)
        self.wait_until_free()

    def start_marked_orphan(self, session):
        """Its parents are this program and one that has ended: only the mark is the session's."""
        orphan = "setsid sh -c 'echo $$ >$DIR/orphan; exec sleep 300' &"
        environment = {"PATH": os.environ["PATH"], "DIR": str(self.directory), "AWSFLOCK_SESSION": session.id}
        os.spawnle(os.P_WAIT, "/bin/sh", "sh", "-c", orphan, environment)
        return self.pid_in("orphan")

    def test_leftovers_are_ended_where_the_guard_says_so(self):
        self.configure(ops={"leftovers": "end"})
        session = Session(self, LEAVES_ONE)
        session.open()
        child, shell = self.pid_in("child"), self.pid_in("shell")
        os.kill(shell, signal.SIGKILL)
        self.assertEqual(session.close()["type"], "RELEASED")
        self.assertFalse(runs(child))
        self.assertRuns(session.host.pid)
        self.assertFalse(self.is_held())

    def test_leftovers_are_left_alone_where_the_guard_says_so(self):
        self.configure(ops={"leftovers": "release"})
        session = Session(self, LEAVES_ONE)
        session.open()
        child = self.pid_in("child")
        self.assertEqual(session.close()["type"], "RELEASED")
        self.assertFalse(self.is_held())
        self.assertRuns(child)
        os.kill(child, signal.SIGKILL)

    def test_what_a_killed_host_leaves_is_ended_before_the_release(self):
        session = Session(self, "trap '' HUP TERM; setsid sh -c 'trap \"\" HUP TERM; while :; do sleep 1; done' & "
                                "echo $! >$DIR/child; wait")
        session.open()
        child = self.pid_in("child")
        session.kill_host()
        wait_until(lambda: not runs(child) or not self.is_held(), what="an end")
        self.assertFalse(runs(child))
        self.wait_until_free()
        self.wait_for_log("ending what is left of the session: its host ended without closing it")

    def test_an_orphan_that_was_never_seen_is_known_by_its_mark(self):
        session = Session(self)
        session.open()
        pid = self.start_marked_orphan(session)
        session.kill_host()
        self.wait_until_gone(pid)
        self.wait_until_free()

    def test_the_mark_names_nobody_who_is_older_than_the_session(self):
        session_id = "0123456789abcdef" * 2
        environment = {"PATH": os.environ["PATH"], "DIR": str(self.directory), "AWSFLOCK_SESSION": session_id}
        os.spawnle(os.P_WAIT, "/bin/sh", "sh", "-c", "setsid sh -c 'echo $$ >$DIR/older; exec sleep 300' &",
                   environment)
        older = self.pid_in("older")
        time.sleep(0.05)  # the kernel counts a process's age in hundredths of a second
        session = Session(self)
        session.id = session_id
        session.open()
        session.kill_host()
        self.wait_until_free()
        self.assertRuns(older)
        os.kill(older, signal.SIGKILL)

    def test_what_has_the_hosts_own_audit_session_belongs_to_it(self):
        script = "echo 64101 >/proc/self/loginuid; env -i setsid sh -c 'sleep 300 & echo $! >" \
                 f"{self.directory}/orphan' & wait $!; exec sleep 300"
        session = Session(self, script)
        orphan = self.pid_in("orphan")  # an orphan before the keeper's first look, and without a mark
        self.assertEqual(pathlib.Path(f"/proc/{orphan}/sessionid").read_text(),
                         pathlib.Path(f"/proc/{session.host.pid}/sessionid").read_text())
        session.open()
        session.kill_host()
        self.wait_until_gone(orphan)
        self.wait_until_free()

    def test_an_audit_session_that_the_service_has_too_names_nobody(self):
        # In a container, or where somebody started sshd by hand, all of its sessions have the one of the service.
        own = pathlib.Path("/proc/self/loginuid")
        own.write_text("64102")
        self.addCleanup(own.write_text, "4294967295")
        session = Session(self)
        stranger = subprocess.Popen(["sleep", "300"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        session.open()
        session.kill_host()
        self.wait_until_free()
        self.assertRuns(stranger.pid)

    def test_the_hosts_id_names_nobody_else_once_the_host_has_ended(self):
        session = Session(self, "trap '' HUP; setsid sleep 300 & echo $! >$DIR/child; exec sleep 300")
        session.open()
        child = self.pid_in("child")
        self.assertEqual(session.close()["type"], "LEFTOVERS")
        session.kill_host()
        stranger = self.start_with_id(session.host.pid, "sleep 300 & echo $! >$DIR/stranger; wait")
        strangers_child = self.pid_in("stranger")
        self.break_lock()
        self.wait_until_gone(child)
        self.wait_for_log("closed: 'ops'")
        self.assertRuns(strangers_child)
        os.kill(strangers_child, signal.SIGKILL)
        os.waitpid(stranger, 0)

    def start_with_id(self, wanted, script):
        """A shell whose process id is WANTED, which is free."""
        environment = {"PATH": os.environ["PATH"], "DIR": str(self.directory)}
        for _ in range(100):  # another process may start in between
            pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(wanted - 1))
            pid = os.spawnle(os.P_NOWAIT, "/bin/sh", "sh", "-c", f"[ $$ = {wanted} ] || exit; {script}", environment)
            if pid == wanted:
                return pid
            os.waitpid(pid, 0)
        raise AssertionError(f"no process gets the id {wanted}")


class RightsTest(KeeperTest):
    # KILL, SETGID, SETUID, SETPCAP, SYS_PTRACE, SYS_NICE, DAC_OVERRIDE
    NEEDED = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 19 | 1 << 23 | 1 << 1

    def test_guardian_and_standby_keep_the_powers_that_they_need_and_get_no_others(self):
        Session(self).open()
        for part in ("standby", "guardian"):  # a standby is called a guardian until it runs
            pid = self.part(part)
            self.assertEqual(status_field(pid, "NoNewPrivs"), ["1"])
            for name in ("CapPrm", "CapEff", "CapBnd"):
                self.assertEqual(int(status_field(pid, name)[0], 16) & ~self.NEEDED, 0, (part, name))
            self.assertEqual(int(status_field(pid, "CapInh")[0], 16), 0)
            self.assertTrue(int(status_field(pid, "CapEff")[0], 16) & 1 << 5, "it can kill nobody")

    def test_the_renewer_of_a_local_store_is_confined_and_keeps_its_locks(self):
        session = Session(self)
        session.open()
        renewer = self.part("renewer")
        self.assertEqual(status_field(renewer, "Seccomp"), ["2"])
        self.assertEqual(int(status_field(renewer, "CapEff")[0], 16), 0)
        lease = self.status()["lease_id"]
        wait_until(lambda: self.status()["lease_id"] != lease, what="a renewal")
        self.assertEqual(session.close()["type"], "RELEASED")

    def test_a_local_store_that_is_not_there_yet_is_made(self):
        self.store.rmdir()
        session = Session(self)
        session.open()
        self.assertEqual(session.close()["type"], "RELEASED")


class FewDescriptorsTest(KeeperTest):
    """A caller's hard limit stays where the kernel does not let the module raise it."""

    def start(self, limit):
        session = Session(self, CHILD)
        resource.prlimit(session.keeper, resource.RLIMIT_NOFILE, (limit, limit))
        return session

    def test_a_session_is_guarded_and_closed_under_a_low_limit(self):
        for limit in (256, 64, 32):
            with self.subTest(limit):
                (self.directory / "child").unlink(missing_ok=True)
                session = self.start(limit)
                session.open()
                child = self.pid_in("child")
                session.kill_host()
                wait_until(lambda pid=child: not runs(pid) or not self.is_held(), what="an end")
                self.assertFalse(runs(child))
                self.wait_until_free()

    def test_clients_beyond_the_limit_are_turned_away_and_nobody_else_notices(self):
        first = self.start(32)
        first.open()
        others = [Session(self) for _ in range(20)]
        for other in others:
            other.ask()
        kinds = [other.answer()["type"] for other in others]
        self.assertEqual(set(kinds), {"GRANTED", "DENIED"}, kinds)
        self.assertRuns(first.host.pid)
        self.break_lock()
        self.wait_until_gone(first.host.pid)


class SharingTest(KeeperTest):
    def test_sessions_of_one_person_share_the_lease_and_the_last_one_releases(self):
        first, second = Session(self), Session(self)
        fence = first.open()["FENCE"]
        self.assertEqual(second.open()["FENCE"], fence)
        wait_until(lambda: len(keepers("renewer")) == 1, what="the end of the second one's renewer")
        kept = first.close()
        self.assertEqual((kept["type"], kept["SHARED"]), ("KEPT", 1))
        first.kill_host()
        time.sleep(LEASE_S)  # the keeper of a closed session goes on renewing for the other
        self.assertTrue(self.is_held())
        self.assertRuns(second.host.pid)
        self.assertEqual(second.close()["type"], "KEPT")
        self.wait_until_free()

    def test_another_person_shares_nothing(self):
        Session(self).open()
        other = Session(self)
        other.ask(person="bob", uid=64102)
        self.assertEqual(other.answer()["REASON"], HELD)

    def test_sessions_that_are_kept_apart_do_not_block_each_other_for_ever(self):
        self.configure(ops={"share": "session", "wait": "1s"})
        Session(self).open()
        second = Session(self)
        second.ask()
        self.assertEqual(second.answer()["REASON"], HELD)

    def test_two_that_come_at_once_share_all_the_same(self):
        sessions = [Session(self) for _ in range(5)]
        for session in sessions:
            session.ask()
        answers = [session.answer() for session in sessions]
        self.assertEqual({answer["type"] for answer in answers}, {"GRANTED"}, answers)
        self.assertEqual(len({answer["FENCE"] for answer in answers}), 1)

    def test_many_sessions_of_one_person_share_one_lease(self):
        Session(self).open()
        for _ in range(7):
            sessions = [Session(self) for _ in range(10)]
            for session in sessions:
                session.ask()
            answers = [session.answer() for session in sessions]
            self.assertEqual({answer["type"] for answer in answers}, {"GRANTED"}, answers)
            for session in sessions:
                session.send("OPENED")

    def test_sharing_goes_on_where_run_was_wiped(self):
        first = Session(self)
        fence = first.open()["FENCE"]
        shutil.rmtree("/run/awsflock")
        wait_until(lambda: os.path.isdir("/run/awsflock") and os.listdir("/run/awsflock"), what="the socket")
        self.assertEqual(Session(self).open()["FENCE"], fence)

    def test_no_socket_is_made_where_others_may_enter_or_a_link_leads(self):
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        os.symlink(elsewhere, "/run/awsflock")
        self.addCleanup(os.unlink, "/run/awsflock")
        Session(self).open()
        self.assertEqual(os.listdir(elsewhere), [])
        self.assertRegex(self.log_text(), "sessions cannot share a lock: /run/awsflock")

    def hold_directory(self):
        """As a keeper does that was stopped at that very moment."""
        os.makedirs("/run/awsflock", mode=0o700, exist_ok=True)
        directory = os.open("/run/awsflock", os.O_RDONLY)
        self.addCleanup(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)

    def test_whoever_holds_the_directory_keeps_no_session_from_opening(self):
        self.hold_directory()
        session = Session(self)
        session.open()
        self.assertRegex(self.log_text(), "sessions cannot share a lock: /run/awsflock: Resource temporarily unavailable")
        self.assertEqual(session.close()["type"], "RELEASED")

    def test_whoever_holds_the_directory_keeps_no_keeper_from_its_end(self):
        first = Session(self)
        first.open()
        self.hold_directory()
        first.kill_host()
        self.wait_until_free()
        wait_until(lambda: not keepers(), what="the end of the keeper")

    def test_whoever_holds_the_directory_does_not_hold_up_a_standby(self):
        first = Session(self)
        first.open()
        self.part("standby")
        self.hold_directory()
        os.kill(self.part("guardian"), signal.SIGKILL)
        self.wait_until_gone(first.host.pid, timeout=LEASE_S)
        self.wait_until_free(timeout=LEASE_S)

    def test_nobody_joins_a_lease_that_is_lost(self):
        self.configure(ops={"on_lost": "warn"})  # the first session stays, and with it the keeper that is asked
        Session(self).open()
        self.break_lock()
        self.wait_for_log("lost: 'ops'")
        second = Session(self)
        second.ask()
        denied = second.answer()
        self.assertEqual((denied["type"], denied.get("REASON")), ("DENIED", HELD), denied)
        self.assertIn("is losing it", denied["SENTENCE"])

    def test_the_loss_ends_every_session_that_shares_the_lease(self):
        first, second = Session(self, CHILD), Session(self)
        first.open()
        second.open()
        self.break_lock()
        self.wait_until_gone(first.host.pid, second.host.pid, self.pid_in("child"))


class NetworkTest(KeeperTest, awsflocktest.OnDynamoDB):
    """A guard on a table, with credentials that only root may read."""

    settings = {**keepertest.SHORT, "lease": "24s"}  # none has to run out here, and none does so on a busy machine

    def setUp(self):
        super().setUp()
        self.credentials = self.write("credentials", "[default]\naws_access_key_id = AKIAEXAMPLEEXAMPLE\n"
                                      "aws_secret_access_key = exampleexampleexampleexampleexampleexam\n")
        os.chmod(self.credentials, 0o600)
        self.configure()

    def store_keys(self):
        return {"table": getattr(self, "table", "none"), "region": awsflocktest.REGION,
                "endpoint_url": self.endpoint, "credentials_file": str(getattr(self, "credentials", "/dev/null"))}

    def store_options(self):
        return []

    def test_a_request_that_takes_its_time_is_no_wait(self):
        granted = Session(self).open()
        self.assertEqual(granted["WAITED_MS"], 0)

    def test_the_renewer_has_the_credentials_and_no_power(self):
        self.addCleanup(os.setgroups, os.getgroups())
        os.setgroups([4, 20])  # for the keeper to inherit
        session = Session(self)
        session.open()
        self.assertEqual(status_field(session.keeper, "Groups"), ["4", "20"])
        self.assertEqual(self.status()["holder"]["user"], "alice")
        renewer = self.part("renewer")
        self.assertEqual(set(status_field(renewer, "Uid")), {"65534"})
        self.assertEqual(set(status_field(renewer, "Gid")), {"65534"})
        self.assertEqual(status_field(renewer, "Groups"), [])
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status_field(renewer, name)[0], 16), 0, name)
        self.assertEqual(status_field(renewer, "NoNewPrivs"), ["1"])
        self.assertEqual(status_field(renewer, "Seccomp"), ["2"])
        self.assertNotIn(b"AWS_", pathlib.Path(f"/proc/{renewer}/environ").read_bytes())
        self.assertEqual(session.close()["type"], "RELEASED")
        self.assertEqual(self.item("ops")["lock_id"]["S"], "ops")
        self.assertIn("released_time", self.item("ops"))

    def test_the_renewer_can_only_read_what_it_was_given(self):
        Session(self).open()
        renewer = self.part("renewer")
        for fd in (4, 7):  # the credentials, and the guardian's progress
            file = f"/proc/{renewer}/fd/{fd}"
            self.assertIn("memfd:awsflock", os.readlink(file))
            self.assertEqual(os.stat(file).st_uid, 0)
        flags = pathlib.Path(f"/proc/{renewer}/fdinfo/4").read_text().split("flags:")[1].split()[0]
        self.assertEqual(int(flags, 8) & os.O_ACCMODE, os.O_RDONLY)
        self.assertEqual(os.stat(f"/proc/{renewer}/fd/4").st_mode & 0o222, 0)
        seals = fcntl.fcntl(os.open(f"/proc/{renewer}/fd/7", os.O_RDONLY), fcntl.F_GET_SEALS)
        self.assertEqual(seals & fcntl.F_SEAL_SEAL, fcntl.F_SEAL_SEAL)

    def take_credentials_from_program(self, first, **keys):
        """A guard whose credentials come from a program, which runs the line FIRST before it gives them."""
        program = self.write("give-keys", f"#!/bin/sh\n{first}\n"
                             "echo '{\"Version\": 1, \"AccessKeyId\": \"AKIAEXAMPLEEXAMPLE\", \"SecretAccessKey\": \"example\"}'\n")
        os.chmod(program, 0o755)
        config = self.write("config", f"[default]\n  credential_process = {program}\n")
        os.chmod(config, 0o600)
        self.configure({**self.store_keys(), "credentials_file": "", "config_file": str(config)}, **keys)

    def test_a_program_that_gives_credentials_is_started_without_powers(self):
        self.take_credentials_from_program("grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status >&2")
        session = Session(self)
        session.open()
        renewer = self.part("renewer")
        self.assertEqual(status_field(renewer, "Seccomp"), ["2"])
        self.assertEqual(int(status_field(renewer, "CapBnd")[0], 16), 0)
        self.assertEqual(session.close()["type"], "RELEASED")

    def test_an_agent_that_such_a_program_leaves_keeps_no_lock(self):
        self.take_credentials_from_program("setsid sleep 8642 </dev/null >/dev/null 2>&1 &", ops={"leftovers": "hold"})
        session = Session(self)
        session.open()
        self.assertEqual(session.close()["type"], "RELEASED")
        # The session may have been opened and closed before the agent got so far as to be called that.
        agents = wait_until(lambda: [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and "sleep 8642" in command_line(pid)],
                            what="the agent")
        for agent in agents:
            os.kill(agent, signal.SIGKILL)

    def assertAnswer(self, kind, *, store=None, **keys):
        self.configure({**self.store_keys(), **(store or {})}, ops=keys)
        session = Session(self)
        session.ask()
        answer = session.answer()
        self.assertEqual(answer["type"], kind, answer)
        return answer

    def test_only_a_failed_network_lets_anybody_in(self):
        nowhere = {"endpoint_url": f"http://127.0.0.1:{awsflocktest.closed_port()}"}
        self.assertEqual(self.assertAnswer("DENIED", store=nowhere)["REASON"], UNREACHABLE)
        self.assertEqual(self.assertAnswer("ADMITTED", store=nowhere, fail="safe")["BECAUSE"], FAIL_SAFE)
        missing = {"table": "no-such-table"}
        self.assertEqual(self.assertAnswer("DENIED", store=missing, fail="safe")["REASON"], NO_TABLE)
        self.assertEqual(self.assertAnswer("DENIED", store={"ca_bundle": "/no/such/file"}, fail="safe")["REASON"],
                         CONFIG)

    def test_a_store_that_never_answers_is_answered_for_in_time(self):
        """Within the wait and fifteen seconds; the limit here is generous, and far below what no deadline would take."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addCleanup(listener.close)
        mute = {"endpoint_url": "http://127.0.0.1:%d" % listener.getsockname()[1]}
        self.configure({**self.store_keys(), **mute}, **{
            fail: {"lock": fail, "fail": fail, "wait": "1s", "lease": "60s"} for fail in ("secure", "safe")})
        secure, safe = Session(self), Session(self)
        began = time.monotonic()
        secure.ask(guard="secure")
        safe.ask(guard="safe")
        denied, admitted = secure.answer(), safe.answer()
        self.assertLess(time.monotonic() - began, 1 + 15 + 30)
        self.assertEqual((denied["type"], denied["REASON"]), ("DENIED", UNREACHABLE))
        self.assertEqual((admitted["type"], admitted["BECAUSE"]), ("ADMITTED", FAIL_SAFE))

    def test_with_no_descriptors_left_fail_safe_admits_nobody(self):
        """The guardian admits on UNREACHABLE alone, so that is what a renewer must never answer then."""
        answers = [self.ask_renewer(limit) for limit in range(5, 16)]  # from enough to be loaded to enough for all
        self.assertNotIn(UNREACHABLE, [answer.get("REASON") for answer in answers], answers)
        self.assertIn(INTERNAL, [answer.get("REASON") for answer in answers], answers)
        self.assertEqual(answers[-1]["type"], "ACQUIRED", answers)

    def start_renewer(self, limit=1024):
        """The guardian's end of the connection to a renewer that may have LIMIT descriptors, and the renewer's pid."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        high = os.dup2(theirs.fileno(), 200, inheritable=False)  # out of the way of 3
        libraries = keepertest.BUILD / ".libs"  # not libtool's script, which needs descriptors of its own
        program = [str(libraries / "awsflock-keeper-renewer"), "--title", "a renewer"]
        renewer = os.posix_spawnp("prlimit", ["prlimit", f"--nofile={limit}:{limit}", *program],
                                  {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(libraries)},
                                  file_actions=[(os.POSIX_SPAWN_DUP2, high, 3)])
        os.close(high)
        theirs.close()
        ours.settimeout(PATIENCE_S)
        for name, value in self.store_keys().items():
            ours.send(encode("SETTING", NAME=name, VALUE=value))
        return ours, renewer

    @staticmethod
    def answer_of(ours, *passed_over):
        answer = {"type": "LOG"}
        while answer["type"] in ("LOG", "NOTICE", *passed_over):
            answer = keepertest.decode(ours.recv(65536) or encode("RELEASED"))  # it ended without a word
        return answer

    def ask_renewer(self, limit):
        """What a renewer that may have LIMIT descriptors answers to ACQUIRE."""
        ours, renewer = self.start_renewer(limit)
        ours.send(encode("ACQUIRE", LOCK="ops", PERSON="alice", LEASE_S=300, WAIT_MS=0, STOP_MS=2000))
        answer = self.answer_of(ours)
        if answer["type"] == "ACQUIRED":
            ours.send(encode("RELEASE"))
            ours.recv(65536)
        ours.close()
        os.waitpid(renewer, 0)
        return answer

    def test_a_renewer_that_adopts_a_lease_tells_the_table_what_it_was_told_before(self):
        ours, first = self.start_renewer()
        ours.send(encode("ACQUIRE", LOCK="ops", PERSON="alice", LEASE_S=300, WAIT_MS=0, STOP_MS=2000))
        acquired = self.answer_of(ours)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        ours.close()
        ours, second = self.start_renewer()
        ours.send(encode("LEASE_ID", ID=acquired["ID"]))
        ours.send(encode("OWNER", OWNER_TEXT="session closed, still running: 7 (tmux)"))
        ours.send(encode("ADOPT", LOCK="ops", LEASE_S=300, STOP_MS=2000, DEADLINE_BOOT_NS=acquired["DEADLINE_BOOT_NS"]))
        self.assertEqual(self.answer_of(ours, "LEASE_ID")["type"], "VALID")
        self.assertEqual(self.status()["owner"], "session closed, still running: 7 (tmux)")
        ours.send(encode("RELEASE"))
        self.assertEqual(self.answer_of(ours, "LEASE_ID", "VALID")["type"], "RELEASED")
        ours.close()
        os.waitpid(second, 0)

    def test_a_renewer_refuses_a_request_that_it_does_not_know(self):
        ours, renewer = self.start_renewer()
        ours.send(encode("A NEWER ONE"))
        answer = self.answer_of(ours)
        self.assertEqual((answer["type"], answer["REASON"]), ("DENIED", INTERNAL))
        self.assertRegex(answer["SENTENCE"], "of an older release than the keeper.* its request 4000")
        ours.close()
        os.waitpid(renewer, 0)

    def test_exchanged_credentials_are_taken_up(self):
        session = Session(self)
        session.open()
        lease = self.status()["lease_id"]
        new = self.write("new", self.credentials.read_text().replace("AKIAEXAMPLEEXAMPLE", "AKIAANOTHEREXAMPLE"))
        os.chmod(new, 0o600)
        os.rename(new, self.credentials)
        renewer = self.part("renewer")
        wait_until(lambda: self.status()["lease_id"] != lease, what="a renewal")
        wait_until(lambda: b"ANOTHER" in pathlib.Path(f"/proc/{renewer}/fd/4").read_bytes(), what="the new copy")


if __name__ == "__main__":
    unittest.main()
