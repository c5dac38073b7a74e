"""The installed examples, copied to /etc as they are.  SPDX-License-Identifier: Apache-2.0"""
import grp
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import namespace  # noqa: E402
from guardtest import LOCAL, MODULE, PROGRAM, SERVICES, GuardTest, configure, guard, section, write_conf  # noqa: E402
from sessiontest import Sshd, sudoers  # noqa: E402

EXAMPLES = pathlib.Path(os.environ.get("AWSFLOCK_EXAMPLES", "/usr/local/share/doc/awsflock/examples"))


class ExamplesTest(GuardTest):
    def setUp(self):
        super().setUp()
        text = (EXAMPLES / "bastion.conf").read_text(encoding="utf-8")
        self.assertIn("region = eu-central-1\n", text)
        write_conf(text.replace("table = awsflock\nregion = eu-central-1\n", section("awsflock", LOCAL).partition("\n")[2]))
        for service in SERVICES:
            shutil.copy(EXAMPLES / "pam.d" / service, f"/etc/pam.d/{service}")
        with open("/etc/sudoers", "a", encoding="utf-8") as file:
            file.write((EXAMPLES / "sudoers.d/awsflock").read_text(encoding="utf-8"))

    def test_every_door_of_the_bastion_is_guarded_by_one_lock(self):
        session = self.enter("alice")
        self.assertHeldBy("alice")
        code, out, err = self.ssh("bob", "echo in")
        self.assertEqual((code, out), (255, ""))
        self.assertIn("'ops' is held by alice", err)
        self.assertRefused(self.sudo_as("bob", "echo", "in"), "held by alice")
        self.assertRefused(self.sudo_as("bob", "-i", "echo", "in"), "held by alice")
        console = self.on_terminal(["login", "-f", "bob"])
        console.expect("held by alice")
        console.wait()
        self.assertEqual(self.sudo_as("alice", "echo", "in")[1], "in\n")
        self.leave(session)
        self.wait_until_free()

    def test_su_and_su_minus_are_guarded(self):
        self.assertEqual(self.awsflock("acquire", "--lease-duration", "1h", "ops")[0], 0)
        for line in (["su", "bob"], ["su", "-", "bob"]):
            for service in ("su", "su-l"):
                text = (EXAMPLES / "pam.d" / service).read_text(encoding="utf-8")
                pathlib.Path("/etc/pam.d", service).write_text("auth sufficient pam_permit.so\n" + text, encoding="utf-8")
            self.assertRefused(self.run_to_end([*line, "-c", "echo in"], "alice"), "held by")

    def test_guard_check_finds_nothing_to_mend_but_the_group_that_is_not_made_yet(self):
        example = (EXAMPLES / "sshd_config.d/awsflock.conf").read_text(encoding="ascii")
        pathlib.Path("/etc/ssh/sshd_config").write_text(f"HostKey {self.sshd.directory}/host\n{example}", encoding="ascii")
        for guard in ("ops", "ops-sudo"):
            code, out, _ = self.run_to_end([PROGRAM, "guard-check", "--json", guard])
            wrong = [check["check"] for check in json.loads(out)["checks"] if check["verdict"] != "ok"]
            self.assertEqual((code, wrong), (0, ["rescue"]), out)

    def test_sshd_and_sudo_accept_their_settings(self):
        self.addCleanup(self.sshd.make_known)
        sshd = Sshd(*(EXAMPLES / "sshd_config.d/awsflock.conf").read_text(encoding="ascii").splitlines())
        self.addCleanup(sshd.end)
        self.assertEqual(self.run_to_end(sshd.client("alice", "echo in"))[1], "in\n")
        subprocess.run(["visudo", "-c", "-q", "-f", EXAMPLES / "sudoers.d/awsflock"], check=True)

    def test_the_examples_name_a_module_that_is_there(self):
        for service in SERVICES:
            words = (EXAMPLES / "pam.d" / service).read_text(encoding="utf-8").split()
            [named, *_] = [word for word in words if word.endswith("pam_awsflock.so")]
            self.assertIn(named, (MODULE, "pam_awsflock.so"))
        self.assertTrue(os.path.exists(MODULE))

    def test_the_module_shows_nothing_but_its_entries_and_needs_nothing_but_libpam(self):
        names = self.run_to_end(["nm", "-D", "--defined-only", MODULE])[1].split()[2::3]
        self.assertEqual(sorted(names), ["pam_sm_acct_mgmt", "pam_sm_authenticate", "pam_sm_chauthtok",
                                         "pam_sm_close_session", "pam_sm_open_session", "pam_sm_setcred"])
        needed = [line.split()[1] for line in self.run_to_end(["objdump", "-p", MODULE])[1].splitlines()
                  if "NEEDED" in line]
        self.assertEqual(sorted(needed), ["libc.so.6", "libpam.so.0"])


class LocalStoresTest(GuardTest):
    """awsflock --local as the people of one machine call it, none of whom names a directory."""

    RUN = [PROGRAM, "run", "--local", "-n", "deploy", "--"]
    shared = pathlib.Path("/var/lib/awsflock-shared")
    roots = pathlib.Path("/var/lib/awsflock")

    def setUp(self):
        super().setUp()
        namespace.room("/var/lib")
        for path in (self.shared, self.roots):
            if os.path.ismount(path):
                namespace.command("umount", str(path))
            shutil.rmtree(path, ignore_errors=True)
            self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        write_conf("")
        sudoers()

    def example(self, folder):
        lines = (EXAMPLES / folder / "awsflock-shared.conf").read_text(encoding="utf-8").splitlines()
        [line] = [line for line in lines if not line.startswith("#")]
        return line.split()

    def make_shared(self):
        """As systemd does by the examples."""
        kind, path, mode, user, group, age = self.example("tmpfiles.d")
        self.assertEqual((kind, path, user, age), ("d", str(self.shared), "root", "-"))
        self.assertEqual(self.example("sysusers.d"), ["g", group, "-"])
        if group not in [entry.gr_name for entry in grp.getgrall()]:
            namespace.append("/etc/group", f"{group}:x:64299:alice,bob\n")
        os.mkdir(path)
        shutil.chown(path, user, group)
        os.chmod(path, int(mode, 8))

    def hold(self, person):
        working = self.start([*self.RUN, "sh", "-c", "echo in; exec cat"], person, stdin=-1)
        self.assertEqual(working.stdout.readline(), b"in\n")
        return working

    def test_in_one_made_for_all_everybody_excludes_everybody_else_and_who_is_not_meant_is_refused(self):
        self.make_shared()
        for holder in ("alice", "bob", None):
            with self.subTest(holder=holder):
                working = self.hold(holder)
                for other in {"alice", "bob", None} - {holder}:
                    code, out, err = self.run_to_end([*self.RUN, "echo", "in"], other)
                    self.assertEqual((code, out), (3, ""), err)
                    self.assertIn("held by", err)
                self.leave(working)
                self.assertEqual(working.returncode, 0)
        code, out, err = self.run_to_end([*self.RUN, "echo", "in"], "carol")
        self.assertEqual((code, out), (125, ""), err)
        self.assertIn("/var/lib/awsflock-shared is open to the members of its group alone", err)
        self.assertFalse(pathlib.Path("/home/carol/.local").exists())

    def test_a_user_and_sudo_exclude_each_other_in_it(self):
        self.make_shared()
        working = self.hold("alice")
        code, out, err = self.run_to_end(["sudo", *self.RUN, "echo", "in"], "alice")
        self.assertEqual((code, out), (3, ""), err)
        self.leave(working)

    def test_without_it_sudo_is_told_that_it_has_another_store(self):
        self.assertEqual(self.run_to_end([*self.RUN, "true"], "alice"), (0, "", ""))
        code, _, err = self.run_to_end(["sudo", *self.RUN, "true"], "alice")
        self.assertEqual(code, 0)
        self.assertRegex(err, r"^awsflock: the locks in /var/lib/awsflock are root's: .* without sudo [^\n]*\n$")
        quiet = ["sudo", PROGRAM, "run", "-q", "--local", "deploy", "--", "true"]
        self.assertEqual(self.run_to_end(quiet, "alice"), (0, "", ""))

    def test_doctor_and_verbose_tell_which_store_is_meant(self):
        told = {None: r"/var/lib/awsflock \(the default: root's alone\)",
                "alice": r"/home/alice/.local/state/awsflock \(the default: this user's alone\)"}
        for person, pattern in told.items():
            self.assertRegex(self.run_to_end([PROGRAM, "doctor", "--local"], person)[1], pattern)
        self.make_shared()
        for person in told:
            self.assertRegex(self.run_to_end([PROGRAM, "doctor", "--local"], person)[1],
                             r"/var/lib/awsflock-shared \(set up on this machine for its group\)")
            self.assertIn("awsflock: locks are kept in /var/lib/awsflock-shared\n",
                          self.run_to_end([PROGRAM, "status", "-v", "--local", "deploy"], person)[2])
        code, out, _ = self.run_to_end([PROGRAM, "doctor", "--local"], "carol")
        self.assertEqual(code, 1, out)
        self.assertIn("mend: have root add you to the directory's group, and log in anew", out)

    def test_a_guard_keeps_its_locks_where_root_alone_can_forge_them(self):
        self.make_shared()
        configure({"store": "local"})
        guard("sudo")
        self.assertEqual(self.sudo_as("alice", "echo", "in"), (0, "in\n", ""))
        self.assertEqual(list(self.shared.iterdir()), [])
        self.assertNotEqual(list(self.roots.iterdir()), [])

    def test_root_sees_and_breaks_a_guards_lock_by_naming_its_store(self):
        self.make_shared()
        configure({"store": "local"})
        guard("sudo")
        session = self.start(["sudo", "sh", "-c", "echo in; exec cat"], "alice", stdin=-1)
        self.assertEqual(session.stdout.readline(), b"in\n")
        self.store_options = []
        self.assertFree()
        self.store_options = [f"--local={self.roots}"]
        self.assertHeldBy("alice")
        self.break_lock()
        self.logged("lost: 'ops'")
        session.communicate(timeout=60)
