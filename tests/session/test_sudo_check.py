"""What guard-check says of sudo's plugin, and which guard it tells people to expect.  SPDX-License-Identifier: Apache-2.0"""
import json
import os
import pathlib
import re
import shutil
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sudotest import HOLD, PLUGIN, ROOM, SUDO_CONF, SudoTest, configure, open_gate, plugin_lines, sudo_conf, sudoers  # noqa: E402
from guardtest import CONF, MODULE, PROGRAM, guard, write_conf  # noqa: E402
from sessiontest import PATIENCE_S  # noqa: E402
import namespace  # noqa: E402


class PluginCheckTest(SudoTest):
    def setUp(self):
        super().setUp()
        configure(ops={"break_glass_group": "breakglass"}, deploy={"lock": "deploy"})

    def told(self, *arguments, name="ops"):
        """What is told of the plugin and of sudo: [(verdict, check, finding)]."""
        _, out, err = self.run_to_end([PROGRAM, "guard-check", "--json", *arguments, name])
        self.assertNotEqual(out, "", err)
        return [(each["verdict"], each["check"], each["finding"]) for each in json.loads(out)["checks"]]

    def assertTells(self, verdict, pattern, check="sudo-plugin", **more):
        told = self.told(**more)
        wrong = [each for each in told if each[1] == check and each[0] != "ok"] if verdict != "ok" else told
        self.assertRegex("\n".join(" ".join(each) for each in wrong if each[0] == verdict), pattern, told)
        if verdict != "ok":
            self.assertEqual({each[0] for each in wrong}, {verdict}, told)

    def test_a_good_set_up_is_ok(self):
        sudo_conf(*plugin_lines("guard=none command=/usr/bin/id guard=ops"))
        told = self.told()
        self.assertEqual([each for each in told if each[1] in ("sudo-plugin", "sudo", "pam") and each[0] != "ok"], [])
        text = "\n".join(finding for _, _, finding in told)
        self.assertIn(f"{PLUGIN} is there, and can be loaded", text)
        self.assertIn("/etc/sudo.conf:1: 1 rule, and 'ops' for all else", text)
        self.assertIn("sudo's plugin alone asks for it", text)
        self.assertRegex(text, r"guarded, and by which guard: .*sudo \(ops, by its plugin\), sudo-i \(ops, by its plugin\)")
        self.assertNotRegex(text, r"not guarded: .*\bsudo\b")

    def test_without_the_plugin_nothing_is_said_of_it(self):
        sudo_conf("# nothing")
        guard("sudo")
        self.assertEqual([each for each in self.told() if each[1] == "sudo-plugin"], [])

    def test_a_file_that_others_may_write(self):
        os.chmod(SUDO_CONF, 0o664)
        self.assertTells("failed", r"sudo\.conf")

    def test_a_line_without_the_other(self):
        for line, missing in zip(plugin_lines(), ("awsflock_audit", "awsflock_approval")):
            sudo_conf(line)
            self.assertTells("failed", f"without that of {missing}")

    def test_an_object_that_is_missing_or_another(self):
        sudo_conf(*(line.replace(PLUGIN, "/nowhere.so") for line in plugin_lines()))
        self.assertTells("failed", r"/nowhere\.so")
        sudo_conf(*(line.replace(PLUGIN, MODULE) for line in plugin_lines()))
        self.assertTells("failed", r"pam_awsflock\.so is another file")

    def test_an_object_that_others_may_write(self):
        other = ROOM / "other.so"
        shutil.copy(PLUGIN, other)
        os.chmod(other, 0o666)
        sudo_conf(*(line.replace(PLUGIN, str(other)) for line in plugin_lines()))
        self.assertTells("failed", r"other\.so")

    def test_words_that_are_wrong(self):
        sudo_conf(*plugin_lines("gaurd=ops"))
        self.assertTells("failed", r"sudo\.conf:1: the word 'gaurd=ops' is unknown")

    def test_lines_are_read_as_sudo_reads_them(self):
        approval, audit = plugin_lines("guard=none \\")
        sudo_conf("# Plugin awsflock_approval /nowhere.so guard=x", "  plugin " + approval.partition(" ")[2],
                  "  command=/usr/bin/id guard=ops # the last", audit, f"Plugin awsflock_approval {PLUGIN} guard=other")
        self.assertTells("ok", r"sudo\.conf:3: 1 rule, and 'ops' for all else")

    def test_a_guard_that_is_not_there(self):
        sudo_conf(*plugin_lines("guard=other runas=carol guard=ops"))
        self.assertTells("failed", r"guard 'other', which lets nobody run anything: .*\[guard other\]")

    def test_rules_that_fit_nothing(self):
        for words, pattern in (("guard=deploy guard=ops", r"rule 2 \(guard=ops\) fits nothing: rule 1 \(guard=deploy\)"),
                               ("guard=none runas=carol guard=deploy runas=carol cwd=/ guard=ops",
                                r"rule 2 \(guard=deploy\) fits nothing: rule 1 \(guard=none\)"),
                               ("guard=none runas=nobody-there guard=ops", "runas=nobody-there fits nothing"),
                               ("guard=none command=/nowhere,sudoedit guard=ops", "command=/nowhere fits nothing")):
            with self.subTest(words):
                sudo_conf(*plugin_lines(words))
                self.assertTells("warning", pattern)

    def test_a_pam_line_beside_it(self):
        guard("sudo")
        self.assertTells("ok", "/etc/pam.d/sudo has the same guard: the two share one lease")
        guard("sudo-i", "guard=deploy")
        self.assertTells("warning", "/etc/pam.d/sudo-i has another guard, 'deploy'")

    def test_the_settings_of_pam_sessions_do_not_matter(self):
        sudoers("Defaults !pam_session, runas_allow_unknown_id, pam_service=su")
        self.assertEqual([each for each in self.told() if each[1] == "sudo" and each[0] != "ok"], [])
        sudoers("Defaults !use_pty")
        self.assertTells("warning", "use_pty is not set", check="sudo")

    def other_sudo(self, says):
        path = pathlib.Path(namespace.room("/usr/local/sbin"), "sudo")
        path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="ascii")
        path.chmod(0o755)
        self.addCleanup(path.unlink, missing_ok=True)

    def test_sudo_rs_loads_no_plugins(self):
        self.other_sudo("sudo-rs 0.2.8")
        self.assertTells("failed", "sudo-rs 0.2.8 loads no plugins")

    def test_a_sudo_that_is_too_old(self):
        for version, verdict in (("1.8.32", "failed"), ("1.9.4p2", "failed"), ("1.9.5p2", "ok"), ("1.10.0", "ok"), ("2.0", "ok")):
            with self.subTest(version):
                self.other_sudo(f"Sudo version {version}")
                self.assertTells(verdict, "too old" if verdict == "failed" else f"sudo {version} loads its plugins")


class ExamplesTest(SudoTest):
    """The installed examples, appended to sudo.conf word for word."""

    EXAMPLES = pathlib.Path(os.environ.get("AWSFLOCK_EXAMPLES", "/usr/local/share/doc/awsflock/examples"), "sudo.conf.d")

    def setUp(self):
        super().setUp()
        configure(**{"ops-sudo": {"lock": "ops-sudo"}, "deploy": {"lock": "deploy"}})
        for file, line in (("/etc/group", "awsflock-rescue:x:64299:carol"),
                           ("/etc/passwd", "deploy:x:64298:64298::/:/bin/sh"), ("/etc/group", "deploy:x:64298:")):
            with open(file, "a", encoding="ascii") as opened:
                opened.write(line + "\n")

    def check(self, name):
        SUDO_CONF.write_bytes((self.EXAMPLES / name).read_bytes())
        code, out, _ = self.run_to_end([PROGRAM, "guard-check", "--json", "ops-sudo"])
        self.assertEqual(code, 0, out)
        self.assertEqual([each for each in json.loads(out)["checks"]
                          if each["check"] in ("sudo-plugin", "sudo", "pam") and each["verdict"] != "ok"], [])
        self.held_by_another("ops-sudo")
        self.assertSudoRefuses(self.sudo_as("alice", "true"), "'ops-sudo' is held by root")
        self.assertEqual(self.sudo_as("carol", "echo", "in")[:2], (0, "in\n"))

    def test_one_operator(self):
        self.check("one-operator.conf")
        self.free_again("ops-sudo")
        process = self.start_held("sudo", HOLD)
        self.assertHeldBy("alice", "ops-sudo")
        open_gate()
        process.wait()

    def test_rules(self):
        self.check("rules.conf")
        self.assertEqual(self.sudo_as("alice", "/usr/bin/id", "-u"), (0, "0\n", ""))
        process = self.start_held("sudo", "-u", "deploy", HOLD)
        self.assertHeldBy("alice", "deploy")
        open_gate()
        process.wait()
        self.free_again("ops-sudo")

    def test_the_manual_shows_the_same_lines(self):
        manual = pathlib.Path(__file__).resolve().parents[2] / "sudo/awsflock_sudo.8.in"
        shown = manual.read_text(encoding="utf-8").replace("\\e\n", "\\\n")
        for example in (manual.parents[1] / "etc/sudo.conf.d").glob("*.in"):
            for block in example.read_text(encoding="utf-8").split("Plugin awsflock_approval")[1:]:
                self.assertIn("Plugin awsflock_approval" + block.partition("\nPlugin")[0] + "\n", shown)


class SetUpTest(SudoTest):
    """The manual page's five minutes, as it is installed, word by word."""

    MANUAL = pathlib.Path(os.environ.get("AWSFLOCK_PREFIX", "/usr/local"), "share/man/man8/awsflock_sudo.8")

    def setUp(self):
        super().setUp()
        roots = pathlib.Path(namespace.room("/var/lib"), "awsflock")  # where root's locks are by default
        shutil.rmtree(roots, ignore_errors=True)
        self.addCleanup(shutil.rmtree, roots, ignore_errors=True)
        self.store_options = [f"--local={roots}"]
        CONF.unlink()
        for file, line in (("/etc/passwd", "admin:x:64297:64297::/:/bin/sh"), ("/etc/group", "admin:x:64297:"),
                           ("/etc/shadow", "admin:*:19000:0:99999:7:::"), ("/etc/gshadow", None)):
            text = pathlib.Path(file).read_text(encoding="utf-8")
            self.addCleanup(pathlib.Path(file).write_text, text, encoding="utf-8")
            others = [other for other in text.splitlines() if not other.startswith("awsflock-rescue:")]
            pathlib.Path(file).write_text("\n".join([*others, *([line] if line else []), ""]), encoding="utf-8")
        sudoers("admin ALL=(ALL:ALL) NOPASSWD: ALL")

    def steps(self):
        """What is typed, and what is written into files, in order."""
        shown = self.MANUAL.read_text(encoding="utf-8").partition("A set-up in five minutes.")[2].partition(".El\n")[0]
        steps = re.findall(r"^\.Dl (.*)$|^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$", shown, re.M)
        return [line or text for line, text in steps]

    def as_root(self, line):
        self.assertEqual(line[:2], "# ")
        environment = {"PATH": f"{pathlib.Path(PROGRAM).parent}:/usr/sbin:/usr/bin:/sbin:/bin"}
        code, out, err = self.run_to_end(["sh", "-c", line[2:]], environment=environment)
        self.assertEqual(code, 0, out + err)
        return out

    def as_admin(self, *command):
        return self.run_to_end(["setpriv", "--reuid=admin", "--regid=admin", "--init-groups", "--", *command])

    def test_it_works_as_it_is_told_and_the_lines_go_before_the_plugin(self):
        rescue, section, lines, ask, attempt = self.steps()
        before = "# what was there\n"
        SUDO_CONF.write_text(before, encoding="utf-8")
        self.as_root(rescue)
        write_conf(section)
        SUDO_CONF.write_text(before + lines, encoding="utf-8")
        self.assertEqual(stat.S_IMODE(SUDO_CONF.stat().st_mode), 0o644)
        self.assertIn("sudo's plugin alone asks for it", self.as_root(ask))
        self.assertEqual(attempt[:2], "$ ")
        first = self.start(attempt[2:].split(), "alice")
        self.wait_until_held("ops-sudo")
        self.assertHeldBy("alice", "ops-sudo")
        self.assertSudoRefuses(self.run_to_end(attempt[2:].split(), "bob"), "'ops-sudo' is held by alice")
        self.assertEqual(self.as_admin("sudo", "echo", "in")[:2], (0, "in\n"))
        first.terminate()
        first.wait(PATIENCE_S)
        self.wait_until_free("ops-sudo")
        self.check_undoing(before, lines)

    def check_undoing(self, before, lines):
        """Without the lines the plugin may go; without the plugin, they stop sudo for everybody."""
        away = pathlib.Path(PLUGIN + ".away")
        os.rename(PLUGIN, away)
        self.addCleanup(os.rename, away, PLUGIN)
        SUDO_CONF.write_text(before + lines, encoding="utf-8")
        for person in ("alice", None):
            self.assertEqual(self.run_to_end(["sudo", "echo", "in"], person)[:2], (1, ""))
        SUDO_CONF.write_text(before, encoding="utf-8")
        self.assertEqual(self.sudo_as("alice", "echo", "in"), (0, "in\n", ""))


class ListTest(SudoTest):
    RULES = "guard=none command=/usr/bin/id guard=deploy runas=carol guard=home runas=bob cwd=/home/bob guard=ops"

    def list(self, *lines, person="alice"):
        sudoers("alice ALL=!ALL", *lines)
        code, out, err = self.run_to_end([PROGRAM, "guard-check", "--sudo"], person)
        self.assertEqual((code, err), (0, ""))
        return [line for line in out.splitlines() if not line.startswith("ALL ")]

    def test_each_allowed_command_is_told_with_its_guard(self):
        sudo_conf(*plugin_lines(self.RULES))
        self.assertEqual(self.list("alice ALL=(root) NOPASSWD: /usr/bin/id, /usr/bin/id -u, /bin/ls, !/bin/sh, sudoedit /etc/motd",
                                   "alice ALL=(carol) NOPASSWD: /bin/ls", "alice ALL=(carol : team) NOPASSWD: /bin/ls",
                                   "alice ALL=(bob) NOPASSWD: /bin/ls, /usr/bin/[a-z]*",
                                   "alice ALL=(carol, bob) NOPASSWD: /opt/"), [
            "/usr/bin/id (as root): no lock",
            "/usr/bin/id -u (as root): no lock",
            "/bin/ls (as root): ops",
            "sudoedit /etc/motd (as root): ops",
            "/bin/ls (as carol): deploy",
            "/bin/ls (as carol): deploy or ops",
            "/bin/ls (as bob): home (in /home/bob) or ops",
            "/usr/bin/[a-z]* (as bob): no lock or home (in /home/bob) or ops",
            "/opt/ (as carol, bob): no lock or deploy or home (in /home/bob) or ops"])

    def test_as_json(self):
        sudo_conf(*plugin_lines(self.RULES))
        sudoers("alice ALL=!ALL", "alice ALL=(bob) NOPASSWD: /usr/bin/[a-z]*")
        code, out, err = self.run_to_end([PROGRAM, "guard-check", "--sudo", "--json"], "alice")
        self.assertEqual(code, 0, err)
        self.assertIn({"command": "/usr/bin/[a-z]*", "users": "bob", "groups": None, "guards": [None, "home", "ops"]},
                      json.loads(out)["commands"])

    def test_what_it_tells_is_what_sudo_does(self):
        configure(ops={}, deploy={"lock": "deploy"}, home={"lock": "home"})
        sudo_conf(*plugin_lines(self.RULES))
        for options, line, lock in (((), f"alice ALL=(root) NOPASSWD: {HOLD}", "ops"),
                                    (("-u", "carol"), f"alice ALL=(carol) NOPASSWD: {HOLD}", "deploy")):
            self.assertIn(f": {lock}", self.list(line)[-1])
            process = self.start_held("sudo", *options, HOLD)
            self.assertHeldBy("alice", lock)
            open_gate()
            process.wait()

    def test_bad_words_and_set_ups_are_told(self):
        for arguments, code, word in ((["--sudo", "ops"], 2, "takes no guard"), ([], 2, "Its name is missing"),
                                      (["--sudo", "--local"], 2, "does not apply")):
            result = self.run_to_end([PROGRAM, "guard-check", *arguments], "alice")
            self.assertEqual((result[0], result[1]), (code, ""))
            self.assertIn(word, result[2])
        for lines, word in (((), "does not have both its lines"), (plugin_lines()[:1], "does not have both its lines"),
                            (plugin_lines("guard=none"), r"the last rule is guard=none")):
            sudo_conf(*lines)
            code, out, err = self.run_to_end([PROGRAM, "guard-check", "--sudo"], "alice")
            self.assertEqual((code, out), (1, ""))
            self.assertIn(word, err)
        sudo_conf(*plugin_lines())
        sudoers("Defaults listpw=always")
        code, out, err = self.run_to_end([PROGRAM, "guard-check", "--sudo"], "alice")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("sudo -v", err)


if __name__ == "__main__":
    import unittest
    unittest.main()
