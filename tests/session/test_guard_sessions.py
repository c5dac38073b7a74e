"""A session opens only while this person holds the lock, and the lock is free when it ends: sshd, sudo, su, login.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import GuardTest, configure, guard  # noqa: E402
from awsflocktest import process_state  # noqa: E402
from running import signal_set  # noqa: E402
from sessiontest import Sshd, processes_like, wait_until  # noqa: E402

SHOW = "echo lock=$AWSFLOCK_LOCK fence=$AWSFLOCK_FENCE session=$AWSFLOCK_SESSION"
# As a kernel before 5.9: close_range(2), which has the same number everywhere, answers ENOSYS to all that is started from here.
WITHOUT_CLOSE_RANGE = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("HBBI", *line) for line in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 436), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000)))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.byref(Program(4, code)), 0, 0) != 0 or libc.syscall(436, 900, 900, 0) != -1 or \
        ctypes.get_errno() != 38:
    sys.exit("no filter can be set")
os.execvp(sys.argv[1], sys.argv[1:])
"""
SHOWN = r"lock=ops fence=[1-9][0-9]* session=[0-9a-f]{32}\b"


class GuardedSessionsTest(GuardTest):
    def test_a_granted_ssh_session_knows_its_lock_and_frees_it_at_its_end(self):
        guard("sshd")
        session = self.start_ssh("alice", f"{SHOW}; exec cat", stdin=-1)
        self.assertRegex(session.stdout.readline().decode(), SHOWN)
        status = self.assertHeldBy("alice")
        self.assertEqual((status["service"], status["rhost"]), ("sshd", "127.0.0.1"))
        fingerprint = self.run_to_end(["ssh-keygen", "-lf", f"{self.sshd.directory}/alice.pub"])[1].split()[1]
        self.assertIn(f"key ED25519 {fingerprint}", status["purpose"])
        self.leave(session)
        self.wait_until_free()
        self.logged(r"awsflock-keeper.*opened: 'ops' for alice")
        self.logged(r"awsflock-keeper.*closed: 'ops' after .*: released")  # and not left to run out

    def test_another_person_is_refused_with_a_sentence_that_names_the_holder(self):
        guard("sshd")
        session = self.enter("alice")
        code, out, _ = self.ssh("bob", "echo in")
        self.assertEqual(code, 254)
        self.assertNotIn("in\n", out)
        self.assertRegex(out, r"'ops' is held by alice@\S+ since .*127\.0\.0\.1.*\d\d:\d\d")
        self.leave(session)
        self.wait_until_free()
        self.assertEqual(self.ssh("bob", "echo in")[:2], (0, "in\n"))

    def test_with_an_account_line_the_refusal_is_a_banner(self):
        guard("sshd", account=True)
        session = self.enter("alice")
        code, out, err = self.ssh("bob", "echo in")
        self.assertEqual((code, out), (255, ""))
        self.assertRegex(err, r"'ops' is held by alice@\S+ since")
        self.assertHeldBy("alice")
        self.leave(session)

    def test_looking_takes_nothing(self):
        guard("sudo", account=True)
        for _ in range(2):
            self.assertEqual(self.sudo_as("alice", "-l")[0], 0)
            self.assertEqual(self.sudo_as("alice", "-v")[0], 0)
        self.assertEqual(self.awsflock("list", "--json")[1].strip(), "[]")

    def test_sudo_and_su_hold_the_lock_while_the_command_runs(self):
        for service, line in (("sudo", ["sudo", "sh", "-c"]), ("su", ["su", "root", "-c"])):
            with self.subTest(service):
                guard(service)
                script = f"{SHOW}; exec cat"
                command = self.start([*line, script], "alice", stdin=-1)
                self.assertRegex(command.stdout.readline().decode(), SHOWN)
                self.assertEqual(self.assertHeldBy("alice")["service"], service)
                refused = self.run_to_end([*line, "echo in"], "bob")
                self.assertRefused(refused, "'ops' is held by alice")
                self.assertNotIn("in\n", refused[1])
                self.leave(command)
                self.assertEqual(command.returncode, 0)
                self.wait_until_free()

    def test_a_kernel_without_close_range_will_do(self):
        guard("sudo")
        result = self.run_to_end([sys.executable, "-c", WITHOUT_CLOSE_RANGE, "setpriv", "--reuid=alice", "--regid=alice",
                                  "--init-groups", "--", "sudo", "sh", "-c", SHOW])
        self.assertEqual(result[0], 0, result)
        self.assertRegex(result[1], SHOWN)
        self.wait_until_free()
        self.logged(r"awsflock-keeper.*closed: 'ops' after .*: released")

    def test_sudo_i_and_su_minus_have_files_of_their_own(self):
        guard("sudo-i")
        guard("su-l")
        self.assertRegex(self.sudo_as("alice", "-i", "sh", "-c", "echo lock=$AWSFLOCK_LOCK")[1], "lock=ops")
        self.wait_until_free()
        self.assertRegex(self.run_to_end(["su", "-", "root", "-c", "echo lock=$AWSFLOCK_LOCK"], "alice")[1], "lock=ops")

    def test_login_is_guarded_on_its_terminal(self):
        guard("login")
        first = self.on_terminal(["login", "-f", "alice"])
        first.type(f"{SHOW}\n")
        first.expect(SHOWN)
        self.assertRegex(self.assertHeldBy("alice")["tty"], "pts/")
        second = self.on_terminal(["login", "-f", "bob"])
        second.expect("'ops' is held by alice")
        self.assertNotEqual(second.wait(), 0)
        first.type("exit 5\n")
        first.wait()
        self.wait_until_free()

    def test_a_session_waits_as_long_as_it_is_told_to(self):
        configure(ops={"wait": "10m"})
        guard("login")
        guard("sshd")
        session = self.enter("alice")
        waiting = self.on_terminal(["login", "-f", "bob"])
        waiting.expect("waiting: 'ops' is held by alice")
        self.leave(session)
        waiting.expect(r"'ops' is yours, after \d+ s")
        waiting.type("echo $AWSFLOCK_LOCK.; exit\n")
        waiting.expect("ops[.]\r\n")
        self.assertEqual(waiting.wait(), 0)

    def test_sudo_waits_in_silence_where_there_is_no_terminal(self):
        configure(ops={"wait": "10m"})
        guard("sudo")
        guard("sshd")
        session = self.enter("alice")
        waiting = self.start(["sudo", "echo", "in"], "bob")
        wait_until(lambda: len(processes_like("awsflock-keeper: guardian of ops .bob")) > 0, what="bob's keeper")
        self.leave(session)
        out, err = waiting.communicate(timeout=60)
        self.assertEqual((waiting.returncode, out, err), (0, b"in\n", b""))

    def test_one_who_waits_at_a_terminal_is_told_and_can_leave(self):
        configure(ops={"wait": "10m"})
        guard("sudo")
        guard("su")
        guard("sshd")
        session = self.enter("alice")
        for command in (["sudo", "echo", "in"], ["su", "root", "-c", "echo in"]):
            with self.subTest(command[0]):
                waiting = self.on_terminal(command, "bob")
                waiting.expect("waiting: 'ops' is held by alice@.*\r\n")
                waiting.type("\x03")
                self.assertNotEqual(waiting.wait(), 0)
                self.assertNotIn("in\r\n", waiting.output)
        waiting = self.on_terminal(["sudo", "echo", "in"], "bob")
        waiting.expect("waiting: ")
        self.leave(session)
        waiting.expect(r"'ops' is yours, after \d+ s\.\r\nin\r\n")
        self.assertEqual(waiting.wait(), 0)

    SHELL = ("bash", "--norc", "--noprofile", "-i")
    HOSTS = (("bob", "sudo expr 40000 + 2"), ("bob", "su root -c 'expr 40000 + 2'"), (None, "login -f bob"))

    def wait_in_a_shell(self, person, line):
        """A shell with job control, in which LINE waits for the lock; and the process id of the waiting host."""
        shell = self.on_terminal(list(self.SHELL), person, {"PS1": "ready> "})
        shell.expect("ready> ")
        shell.type(f"{line}\n")
        shell.expect("waiting: 'ops' is held by alice@.*\r\n")
        return shell

    def assertNothingComesOfIt(self, shell):
        """The shell has the terminal again; LINE is not running when the lock is free, nor when it is continued."""
        shell.expect("ready> (?s:.*)ready> ")
        shell.type("jobs -p | wc -l; fg; fg; echo status=$? lock=$AWSFLOCK_LOCK.\n")
        shell.expect(r"status=[1-9][0-9]* lock=\.\r\n")
        self.assertNotIn("40002", shell.output)

    def assertNothingIsTaken(self, session, shell):
        """Bob's wait in SHELL is over, also once the holder's SESSION is."""
        wait_until(lambda: not processes_like("awsflock-keeper: .* of ops .bob"), 20, "bob's keeper's end")
        self.leave(session)
        self.wait_until_free()
        self.assertNothingComesOfIt(shell)
        self.assertFree()
        shell.close()

    def test_whatever_key_is_pressed_while_it_waits_takes_nothing(self):
        configure(ops={"wait": "10m"})
        guard("sudo")
        guard("su")
        guard("login")
        guard("sshd")
        for person, line in self.HOSTS:
            for key in ("\x03", "\x1a", "\x1c"):
                with self.subTest(host=line, key=key):
                    session = self.enter("alice")
                    shell = self.wait_in_a_shell(person, line)
                    shell.type(key)
                    self.assertNothingIsTaken(session, shell)

    def test_a_signal_that_stops_or_ends_a_host_while_it_waits_takes_nothing(self):
        configure(ops={"wait": "10m"})
        guard("sudo")
        guard("su")
        guard("sshd")
        for person, line in self.HOSTS[:2]:
            for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP, signal.SIGTERM):
                with self.subTest(host=line, signal=number.name):
                    session = self.enter("alice")
                    shell = self.wait_in_a_shell(person, line)
                    [host] = processes_like(f"^{line.split()[0]} ")
                    if number in signal_set(host, "SigIgn"):
                        shell.type("\x03")  # sending it changes nothing
                    else:
                        os.kill(host, number)
                    self.assertNothingIsTaken(session, shell)

    def test_an_ssh_client_that_is_ended_while_it_waits_leaves_nothing_taken(self):
        configure(ops={"wait": "10m"})
        guard("sshd")
        session = self.enter("alice")
        waiting = self.ssh_terminal("bob", "echo in")
        wait_until(lambda: processes_like("awsflock-keeper: renewer of ops .bob"), what="bob's wait")
        os.kill(waiting.pid, signal.SIGTERM)
        self.assertNotEqual(waiting.wait(), 0)
        self.leave(session)
        self.wait_for_no_keeper()
        self.assertFree()
        self.assertNotIn("in\r\n", waiting.output)

    def test_an_ssh_client_that_is_stopped_while_it_waits_keeps_the_lock_only_until_sshd_misses_it(self):
        configure(ops={"wait": "10m"})
        guard("sshd")
        session = self.enter("alice")
        self.addCleanup(self.sshd.make_known)
        sshd = Sshd("ClientAliveInterval 1", "ClientAliveCountMax 2")
        self.addCleanup(sshd.end)
        waiting = self.on_terminal(sshd.client("bob", "exec cat", options=["-tt"]))
        wait_until(lambda: processes_like("awsflock-keeper: renewer of ops .bob"), what="bob's wait")
        os.kill(waiting.pid, signal.SIGSTOP)
        self.leave(session)
        self.logged("opened: 'ops' for bob")
        self.wait_for_no_keeper()
        self.assertFree()
        self.assertEqual(process_state(waiting.pid), "T")

    def test_quiet_hides_a_wait_at_a_terminal_too(self):
        configure(ops={"wait": "1s"})
        guard("sudo", "guard=ops quiet")
        guard("sshd")
        session = self.enter("alice")
        waiting = self.on_terminal(["sudo", "echo", "in"], "bob")
        self.assertNotEqual(waiting.wait(), 0)
        self.assertNotIn("ops", waiting.output)
        self.leave(session)

    def test_a_wait_ends_in_time_with_a_refusal(self):
        configure(ops={"wait": "1s"})
        guard("sudo")
        guard("sshd")
        session = self.enter("alice")
        self.assertRefused(self.sudo_as("bob", "true"), "not acquired within 1s", "alice")
        self.leave(session)

    def test_an_account_line_lets_those_wait_who_may(self):
        configure(ops={"wait": "10m"})
        guard("sshd", account=True)
        session = self.enter("alice")
        waiting = self.start_ssh("bob", "echo in")
        # The account line's keeper has come and gone: this is the session line's.
        wait_until(lambda: processes_like("awsflock-keeper: renewer of ops .bob") or waiting.poll() is not None,
                   what="bob's wait")
        self.leave(session)
        out, err = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, (out, err))

    def test_a_caller_who_gives_up_waiting_takes_nothing(self):
        configure(ops={"wait": "10m"})
        guard("login")
        guard("sshd")
        session = self.enter("alice")
        waiting = self.on_terminal(["login", "-f", "bob"])
        waiting.expect("held by alice")
        waiting.type("\x03")
        waiting.wait()
        self.leave(session)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertFree()

    def test_several_channels_are_one_session(self):
        guard("sshd")
        control = ["-o", "ControlMaster=auto", "-o", "ControlPath=/run/control"]
        session = self.enter("alice", options=control)
        fence = self.status()["fence"]
        self.assertEqual(self.ssh("alice", "echo $AWSFLOCK_FENCE", options=control)[1], f"{fence}\n")
        self.assertHeldBy("alice")
        self.leave(session)
        self.wait_until_free()

    def test_sftp_and_forwarding_alone_hold_the_lock_too(self):
        guard("sshd")
        forwarding = self.start_ssh("alice", options=["-N"])
        self.wait_until_held()
        self.end_ssh(forwarding)
        self.wait_until_free()

    def test_root_that_becomes_another_needs_no_lock(self):
        guard("su")
        guard("sudo")
        session = self.start(["sudo", "sh", "-c", "echo entered; exec cat"], "alice", stdin=-1)
        self.assertEqual(session.stdout.readline(), b"entered\n")
        self.assertEqual(self.run_to_end(["su", "bob", "-c", "echo in"])[:2], (0, "in\n"))
        self.assertEqual(self.run_to_end(["sudo", "-u", "bob", "echo", "in"])[:2], (0, "in\n"))
        self.leave(session)
