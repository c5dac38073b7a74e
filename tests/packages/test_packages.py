"""Debian's packages: built twice alike, installed, used, upgraded and removed in a Debian that has nothing else.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import os
import pathlib
import pwd
import shutil
import tempfile
import time
import unittest

from debs import PACKAGES, another_version, archives
from roottest import AS_DEPLOYER, HERE, SET_UP, TEAR_DOWN, TREE, UPGRADE, RootTest, run

NAMES = ("awsflock", "libawsflock1", "libawsflock-dev", "libpam-awsflock", "python3-awsflock", "sudo-awsflock")


class PackagesTest(RootTest):
    """Tests in order of their names, in one root that is as it was left by the one before."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for path in archives().values():
            shutil.copy(path, cls.root / "packages")

    def test_0_each_package_is_there_and_lintian_has_nothing_to_say(self):
        self.assertEqual(set(archives()), set(NAMES))
        [changes] = PACKAGES.glob("*.changes")
        said = run("lintian", "--allow-root", "-I", "--pedantic", "--fail-on=none",
                   f"--suppress-tags-from-file={HERE / 'lintian-reasons'}", str(changes))
        self.assertEqual(said, "")

    def test_1_another_user_builds_the_same_packages_elsewhere(self):
        nobody = pwd.getpwnam("nobody")
        with tempfile.TemporaryDirectory() as directory:
            place = pathlib.Path(directory, "another-place")
            place.mkdir()
            [source] = PACKAGES.glob("*.dsc")
            run("dpkg-source", "-x", str(source), str(place / "it"))
            for path in (directory, place, *place.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
            run("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups",
                "sh", "-c", "umask 0027 && exec dpkg-buildpackage -us -uc -b", cwd=place / "it",
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TZ": "Pacific/Kiritimati", "LC_ALL": "C",
                     "DEB_BUILD_OPTIONS": "nocheck"})
            for name, path in archives().items():
                with self.subTest(name):
                    again = archives(place)[name]
                    self.assertEqual(*(hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, again)))

    def test_2_installed_they_do_their_jobs(self):
        type(self).before = self.files()
        older = " ".join(f"./{name}" for name in another_version("1.0.0-0", self.root / "packages"))
        began = time.monotonic()
        self.inside(f"apt-get -q -y install {older}\nawsflock run --local=/tmp/first -n deploy -- true")
        print(f"# from apt-get install to a held lock and its release: {time.monotonic() - began:.1f} s")
        for name in sorted(path.name for path in (TREE / "debian/tests").iterdir() if path.name != "control"):
            with self.subTest(name):
                self.inside(f"tests/{name}")
        self.inside("rm -r /tmp/*")

    def test_3_an_upgrade_leaves_an_open_session_and_its_lock_alone(self):
        newer = " ".join(f"./{path.name}" for path in archives().values())
        self.inside(SET_UP.format(module="pam_awsflock.so") + UPGRADE.format(upgrade=f"apt-get -q -y install {newer}"))

    def test_4_the_module_is_not_removed_while_a_service_names_it(self):
        # Whether it is a file there or, as some keep them, a link to one elsewhere.
        for place in ("mkdir /etc/pam-files; mv /etc/pam.d/sudo /etc/pam-files; ln -s ../pam-files/sudo /etc/pam.d/sudo",
                      "mv /etc/pam-files/sudo /etc/pam.d; rmdir /etc/pam-files"):
            said = self.inside(place + "\nif dpkg --force-depends --remove libpam-awsflock; then exit 1; fi")
            self.assertIn("  /etc/pam.d/sudo\n", said)
            self.assertIn("Remove their lines that name pam_awsflock.so first.", said)
        self.inside(f"test -e /usr/lib/*/security/pam_awsflock.so; {AS_DEPLOYER} true")

    def test_4_the_plugin_is_not_removed_while_sudo_conf_names_it(self):
        self.inside("cp -p /etc/sudo.conf /tmp\nplugin=/usr/libexec/sudo/awsflock_sudo.so\n"
                    "printf 'Plugin awsflock_approval %s guard=ops\\nPlugin awsflock_audit %s\\n' $plugin $plugin >>/etc/sudo.conf")
        for names in ("sudo-awsflock", "sudo-awsflock libpam-awsflock"):
            said = self.inside(f"if dpkg --remove {names}; then exit 1; fi")
            self.assertIn("sudo-awsflock: not removed, since sudo would start for nobody any more.\n"
                          "Remove the lines of /etc/sudo.conf that name awsflock_sudo.so first.\n", said)
            self.inside(f"{AS_DEPLOYER} true")
        self.inside("mv /tmp/sudo.conf /etc/sudo.conf")

    def test_5_purged_they_leave_nothing_behind(self):
        self.inside(TEAR_DOWN + f"dpkg --purge {' '.join(NAMES)}")
        after = self.files()
        self.assertEqual(after - self.before, set())
        self.assertEqual(self.before - after - {"/etc/pam.d/sudo"}, set())


if __name__ == "__main__":
    unittest.main()
