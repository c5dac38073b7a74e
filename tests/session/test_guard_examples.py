"""The installed examples, copied to /etc as they are.  SPDX-License-Identifier: Apache-2.0"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import LOCAL, MODULE, PROGRAM, SERVICES, GuardTest, section, write_conf  # noqa: E402
from sessiontest import Sshd  # noqa: E402

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
        pathlib.Path("/etc/ssh/sshd_config").write_text(f"HostKey {self.sshd.directory}/host\nUsePAM yes\n", encoding="ascii")
        for guard in ("ops", "ops-sudo"):
            code, out, _ = self.run_to_end([PROGRAM, "guard-check", "--json", guard])
            wrong = [check["check"] for check in json.loads(out)["checks"] if check["verdict"] != "ok"]
            self.assertEqual((code, wrong), (0, ["rescue"]), out)

    def test_sshd_and_sudo_accept_their_settings(self):
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


class SharedStoreTest(GuardTest):
    """One local store for everybody on the machine, as the example has it made."""

    def setUp(self):
        super().setUp()
        with open("/etc/group", "a", encoding="utf-8") as file:
            file.write("awsflock:x:64299:alice,bob\n")
        [line] = [line for line in (EXAMPLES / "tmpfiles.d/awsflock-shared.conf").read_text(encoding="utf-8").splitlines()
                  if not line.startswith("#")]
        kind, path, mode, user, group, age = line.split()
        self.assertEqual((kind, user, group, age), ("d", "root", "awsflock", "-"))
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path)
        shutil.chown(path, user, group)
        os.chmod(path, int(mode, 8))
        self.addCleanup(shutil.rmtree, path)
        write_conf(section("awsflock", {"local_dir": path}))

    def test_root_and_the_groups_members_exclude_each_other_and_others_are_refused(self):
        run = [PROGRAM, "run", "--local", "-n", "deploy", "--"]
        for holder in ("alice", "bob", None):
            with self.subTest(holder=holder):
                working = self.start([*run, "sh", "-c", "echo in; exec cat"], holder, stdin=-1)
                self.assertEqual(working.stdout.readline(), b"in\n")
                for other in {"alice", "bob", None} - {holder}:
                    code, out, err = self.run_to_end([*run, "echo", "in"], other)
                    self.assertEqual((code, out), (3, ""), err)
                    self.assertIn("held by", err)
                self.leave(working)
                self.assertEqual(working.returncode, 0)
        code, out, err = self.run_to_end([*run, "echo", "in"], "carol")
        self.assertEqual((code, out), (125, ""), err)
        self.assertIn("awsflock-shared", err)
