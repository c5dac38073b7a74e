"""RPMs: what is in each and what it asks for, and their scriptlets, carried out by rpm in a root of their own.

That root is a Debian, whose packages satisfy no RPM: what each one requires is looked at, and not insisted on.
SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import time
import unittest

from roottest import AS_DEPLOYER, HERE, SET_UP, TEAR_DOWN, TREE, UPGRADE, RootTest, run

RPMS = pathlib.Path(os.environ["AWSFLOCK_RPMS"])
MODULE = "/usr/lib64/security/pam_awsflock.so"
# Beside licences and documents; manual pages as each system compresses them.
FILES = {
    "awsflock": ["/usr/bin/awsflock", "/usr/share/bash-completion/completions/awsflock.bash",
                 "/usr/share/fish/vendor_completions.d/awsflock.fish", "/usr/share/zsh/site-functions/_awsflock",
                 "/usr/share/man/man1/awsflock.1", "/usr/share/man/man5/awsflock-table.5", "/usr/share/man/man5/awsflock.conf.5"],
    "awsflock-selinux": ["/usr/share/selinux/packages/awsflock.cil"],
    "libawsflock": ["/usr/lib64/libawsflock.so.1", "/usr/lib64/libawsflock.so.1.0.0"],
    "libawsflock-devel": ["/usr/include/awsflock.h", "/usr/lib64/cmake/awsflock", "/usr/lib64/cmake/awsflock/awsflock-config.cmake",
                          "/usr/lib64/cmake/awsflock/awsflock-config-version.cmake", "/usr/lib64/libawsflock.so",
                          "/usr/lib64/pkgconfig/awsflock.pc", "/usr/share/man/man3/libawsflock.3"],
    "pam_awsflock": [MODULE, "/usr/libexec/awsflock-keeper", "/usr/libexec/awsflock-keeper-renewer",
                     "/usr/lib/sysusers.d/awsflock.conf", "/usr/lib/tmpfiles.d/awsflock.conf",
                     "/usr/lib/systemd/system/awsflock-sweep.service", "/usr/lib/systemd/system/awsflock-sweep.timer",
                     "/usr/share/man/man8/awsflock-keeper.8", "/usr/share/man/man8/pam_awsflock.8"],
    "python3-awsflock": ["/usr/lib/python3.*/site-packages/awsflock.py"],
    "sudo-awsflock": ["/usr/libexec/sudo/awsflock_sudo.so", "/usr/share/man/man8/awsflock_sudo.8"],
}
NOT_LISTED = re.compile(r"/usr/share/(doc|licenses)/|/usr/lib/\.build-id|/__pycache__")
# Directories that are other packages' there, and that no package of Debian's has.
OF_OTHERS = {"/usr/lib/sysusers.d", "/usr/lib64/cmake", "/usr/lib64/pkgconfig", "/usr/lib64/security", "/usr/share/fish",
             "/usr/share/fish/vendor_completions.d", "/usr/share/licenses", "/usr/share/selinux", "/usr/share/selinux/packages", "/usr/share/zsh",
             "/usr/share/zsh/site-functions"}
# By regular expression: what must be asked for, and what must not, since it would be loaded into sshd or sudo.
REQUIRED = {
    "awsflock": [r"libawsflock\.so\.1\(AWSFLOCK_1\.0\).*"],
    "awsflock-selinux": [],
    "libawsflock": [r"libcurl(\(.*\))? >= 7\.80", r"libcrypto\.so\..*", r"libjson-c\.so\..*"],
    "libawsflock-devel": [r"libawsflock(\(.*\))? = {version}-.*"],
    "pam_awsflock": [r"libawsflock\.so\.1\(AWSFLOCK_1\.0\).*", r"libpam\.so\.0\(.*", "/usr/bin/systemd-sysusers", "grep"],
    "python3-awsflock": ["libawsflock >= {version}", r"python\(abi\) = 3\..*"],
    "sudo-awsflock": [r"pam_awsflock(\(.*\))? = {version}-.*", r"sudo >= 1\.9\.5", "grep"],
}
SUDO_CONF = f"""
plugin=/usr/libexec/sudo/awsflock_sudo.so
printf 'Plugin awsflock_approval %s guard=ops\\nPlugin awsflock_audit %s\\n' $plugin $plugin >>/etc/sudo.conf
{AS_DEPLOYER} true
"""


def archives():
    """The packages by their names, without those for debuggers and the source's."""
    return {path.name.rsplit("-", 2)[0]: path for path in RPMS.glob("RPMS/*/*.rpm") if not re.search("-debug(info|source)-", path.name)}


def asked(path, *query):
    return run("rpm", "-qp", *query, str(path)).splitlines()


class RpmTest(RootTest):
    """Tests in order of their names, in one root that is as it was left by the one before."""

    def rpm(self, *arguments):
        """(exit code, output) of rpm on the root."""
        done = subprocess.run(["rpm", "--root", str(self.root), "--dbpath", "/var/lib/rpm", "--nodeps", "--force-debian", *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        return done.returncode, done.stdout

    def installed(self):
        return set(self.rpm("-qa", "--qf", "%{NAME}\n")[1].split())

    def assertNotRemoved(self, names, *said):
        """An attempt to remove NAMES is refused with these lines, and all that is there stays."""
        there = self.installed()
        code, out = self.rpm("-e", *names)
        self.assertNotEqual(code, 0)
        for line in said:
            self.assertIn(line, out)
        self.assertEqual(self.installed(), there)
        self.inside(f"{AS_DEPLOYER} true")

    # -- what is in them

    def test_0_each_package_has_its_files_which_are_roots(self):
        self.assertEqual(set(archives()), set(FILES))
        for name, path in archives().items():
            with self.subTest(name):
                of_root = [line.split() for line in asked(path, "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]")]
                listed = {re.sub(r"(/man/.*\.\d)\.gz$|(?<=/python3\.)\d+", lambda found: found.group(1) or "*", file)
                          for _, _, file in of_root if not NOT_LISTED.search(file)}
                self.assertEqual(listed, set(FILES[name]))
                self.assertEqual([line for line in of_root if line[1] != "root:root" or re.search("^[^l].......w|[sS]", line[0])], [])

    def test_0_each_package_requires_what_it_needs(self):
        version = re.search(r"^AC_INIT\(\[awsflock\], \[(.*)\]\)", (TREE / "configure.ac").read_text(encoding="utf-8"), re.M).group(1)
        for name, path in archives().items():
            with self.subTest(name):
                self.assertEqual(asked(path, "--qf", "%{VERSION}"), [version])
                required = asked(path, "--requires")
                for pattern in REQUIRED[name]:
                    pattern = pattern.replace("{version}", re.escape(version))
                    self.assertTrue(any(re.fullmatch(pattern, line) for line in required), f"{pattern}: {required}")

    def test_0_rpmlint_has_nothing_to_say(self):
        said = run("rpmlint", "-c", str(HERE / "rpmlint-reasons.toml"), *map(str, archives().values()), str(TREE / "packaging/awsflock.spec"))
        self.assertEqual([line for line in said.splitlines() if re.search(r": [EW]: ", line)], [])
        self.assertRegex(said, rf"\b{len(FILES)} packages and 1 specfiles checked; 0 errors, 0 warnings")

    # -- what they do

    def test_1_installed_they_do_their_jobs(self):
        type(self).before = self.files()
        # Where this system's loader does not look by itself.
        self.inside("echo /usr/lib64 >/etc/ld.so.conf.d/lib64.conf")
        code, out = self.rpm("-i", *map(str, archives().values()))
        self.assertEqual(code, 0, out)
        self.inside("awsflock --version; tests/lock; getent passwd awsflock\n"
                    "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$(echo /usr/lib/python3.*/site-packages) tests/python; rm -r /tmp/*")

    def test_1_none_of_them_names_a_directory_of_libraries(self):
        told = self.inside(f"readelf -d /usr/bin/awsflock /usr/libexec/awsflock-keeper* /usr/libexec/sudo/awsflock_sudo.so "
                           f"/usr/lib64/libawsflock.so.1 {MODULE}")
        self.assertEqual(told.count("Dynamic section"), 6)
        self.assertNotIn("PATH", told)

    def test_2_a_session_opens_while_nobody_else_holds_the_lock_and_stays_open_while_they_are_installed_anew(self):
        self.inside(SET_UP.format(module=MODULE))
        self.inside("lease=$(awsflock acquire --local=/var/lib/ops-lock --no-wait --owner somebody ops)\n"
                    f"if {AS_DEPLOYER} true; then exit 1; fi\n"
                    "awsflock release --local=/var/lib/ops-lock ops $lease")
        # rpm works from outside of the root: it does so when the session inside is open.
        is_open, is_done = self.root / "packages/open", self.root / "packages/done"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            session = pool.submit(self.inside, UPGRADE.format(upgrade="touch open; until [ -e done ]; do sleep 0.1; done"))
            while not (is_open.exists() or session.done()):
                time.sleep(0.1)
            code, out = self.rpm("-U", "--replacepkgs", *map(str, archives().values()))
            is_done.touch()
            session.result()
        self.assertEqual((code, out), (0, ""))

    def test_3_the_module_is_not_removed_while_a_service_names_it(self):
        # As authselect keeps them.
        self.inside("mkdir /etc/authselect; mv /etc/pam.d/sudo /etc/authselect; ln -s ../authselect/sudo /etc/pam.d/sudo")
        self.assertNotRemoved(["pam_awsflock"], "pam_awsflock: not removed", "/etc/pam.d/sudo\n",
                              "Remove their lines that name pam_awsflock.so first.")
        self.inside("mv /etc/authselect/sudo /etc/pam.d; rmdir /etc/authselect")

    def test_4_neither_plugin_nor_keeper_is_removed_while_sudo_conf_names_the_plugin(self):
        self.inside("cp -p /etc/sudo.conf /etc/pam.d/sudo /packages; sed -i /awsflock/d /etc/pam.d/sudo" + SUDO_CONF)
        plugin = ("sudo-awsflock: not removed, since sudo would start for nobody any more.\n"
                  "Remove the lines of /etc/sudo.conf that name awsflock_sudo.so first.\n")
        self.assertNotRemoved(["sudo-awsflock"], plugin)
        self.assertNotRemoved(["sudo-awsflock", "pam_awsflock"], plugin, "pam_awsflock: not removed, since sudo would run nothing any more.\n"
                              "Remove the lines of /etc/sudo.conf that name awsflock_sudo.so first.\n")
        self.inside("mv /packages/sudo.conf /etc; mv /packages/sudo /etc/pam.d")

    def test_5_removed_they_leave_nothing_behind(self):
        self.inside(TEAR_DOWN)
        self.assertEqual(self.rpm("-e", *archives()), (0, ""))
        self.inside("rm /etc/ld.so.conf.d/lib64.conf")
        after = {path for path in self.files() if not re.fullmatch(r"/usr/lib/python3\.\d+/site-packages", path)}
        self.assertEqual(after - self.before - OF_OTHERS, set())
        self.assertEqual(self.before - after - {"/etc/pam.d/sudo"}, set())


if __name__ == "__main__":
    unittest.main()
