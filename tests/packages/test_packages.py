"""Debian's packages: built twice alike, installed, used, upgraded and removed in a Debian that has nothing else.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "vm"))
import image  # noqa: E402

PACKAGES = pathlib.Path(os.environ["AWSFLOCK_PACKAGES"])
ROOT = pathlib.Path(os.environ["AWSFLOCK_PACKAGE_ROOT"])
# What the packages and their tests depend on: installing them needs no network then.
SYSTEM = ("libcurl4", "libjson-c5", "systemd-standalone-sysusers", "gcc", "libc6-dev", "pkg-config", "pamtester", "sudo", "python3")
NAMES = ("awsflock", "libawsflock1", "libawsflock-dev", "libpam-awsflock", "python3-awsflock", "sudo-awsflock")
# What package managers and the loader keep about themselves.
OWN_RECORDS = re.compile(r"/var/(lib/(dpkg|apt|systemd)|cache|log)/|/etc/(ld\.so\.cache|(passwd|group|shadow|gshadow|subuid|subgid)-)$")
# An operator's command under sudo; it ends when it is told to.
GUARDED = """#!/bin/sh
echo in >/tmp/entered
read line </tmp/leave
echo "out" >/tmp/left
"""
SET_UP = """
useradd --create-home deployer
echo 'deployer ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/deployer
install -d -m 0700 /var/lib/ops-lock
printf '[awsflock]\\nstore = local\\nlocal_dir = /var/lib/ops-lock\\n[guard ops]\\nlock = ops\\n' >/etc/awsflock.conf
printf 'auth required pam_permit.so\\naccount required pam_permit.so\\nsession requisite pam_awsflock.so guard=ops\\n' >/etc/pam.d/sudo
"""
# Upgrades while the deployer's session is open.
UPGRADE = """
mkfifo /tmp/leave
setpriv --reuid deployer --regid deployer --init-groups sudo /usr/local/bin/guarded &
host=$!
until [ -e /tmp/entered ]; do sleep 0.1; done
apt-get -q -y install {newer}
held=0; awsflock run --local=/var/lib/ops-lock -n ops -- true || held=$?
[ "$held" = 3 ]
kill -0 "$host"
echo >/tmp/leave
wait "$host"
[ "$(cat /tmp/left)" = out ]
for _ in $(seq 100); do
	if awsflock run --local=/var/lib/ops-lock -n ops -- true 2>/dev/null; then
		rm /tmp/leave /tmp/entered /tmp/left
		exit 0
	fi
	sleep 0.1
done
echo "the lock is still held after the session has ended" >&2
exit 1
"""


def run(*command, **options):
    """The output of a command that succeeds."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def archives(directory=PACKAGES):
    """The packages in DIRECTORY by their names, without those for debuggers."""
    return {path.name.partition("_")[0]: path for path in directory.glob("*.deb") if "-dbgsym_" not in path.name}


class PackagesTest(unittest.TestCase):
    """Tests in order of their names, in one root that is as it was left by the one before."""

    @classmethod
    def setUpClass(cls):
        ROOT.mkdir(parents=True, exist_ok=True)
        cls.root = ROOT / "root"
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.root.mkdir()
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        run("tar", "-C", str(cls.root), "-xf", str(image.base(ROOT, SYSTEM)))
        (cls.root / "packages").mkdir()
        for path in archives().values():
            shutil.copy(path, cls.root / "packages")
        shutil.copytree(TREE / "debian/tests", cls.root / "packages/tests")
        guarded = cls.root / "usr/local/bin/guarded"
        guarded.write_text(GUARDED, encoding="utf-8")
        guarded.chmod(0o755)

    def inside(self, script):
        """What SCRIPT prints in the root; it succeeds."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            try:
                image.in_root(self.root, f"cd /packages\nexport AUTOPKGTEST_TMP=/tmp\n{script}", stdout=output,
                              stderr=subprocess.STDOUT)
            except subprocess.CalledProcessError as error:
                output.seek(0)
                self.fail(f"{script}\nended with {error.returncode}:\n{output.read()[-4000:]}")
            output.seek(0)
            return output.read()

    def files(self):
        """Every file of the root, but for what others keep about themselves."""
        found = subprocess.run(["find", ".", "-xdev", "-not", "-path", "./packages*"], cwd=self.root, check=True,
                               capture_output=True, text=True)
        return {path for path in (line[1:] for line in found.stdout.splitlines()) if not OWN_RECORDS.search(path)}

    def another_version(self, version):
        """The packages' files again under another VERSION: their names in the root."""
        names = []
        for name, path in archives().items():
            with tempfile.TemporaryDirectory() as directory:
                run("dpkg-deb", "-R", str(path), f"{directory}/it")
                control = pathlib.Path(directory, "it/DEBIAN/control")
                text = control.read_text(encoding="utf-8")
                old = re.search(r"^Version: (.*)$", text, re.M).group(1)
                control.write_text(text.replace(f"Version: {old}", f"Version: {version}").replace(f"(= {old})", f"(= {version})"),
                                   encoding="utf-8")
                target = self.root / f"packages/{name}_{version}.deb"
                run("dpkg-deb", "--root-owner-group", "-b", f"{directory}/it", str(target))
            names.append(f"./{target.name}")
        return " ".join(names)

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
        older = self.another_version("1.0.0-0")
        began = time.monotonic()
        self.inside(f"apt-get -q -y install {older}\nawsflock run --local=/tmp/first -n deploy -- true")
        print(f"# from apt-get install to a held lock and its release: {time.monotonic() - began:.1f} s")
        for name in sorted(path.name for path in (TREE / "debian/tests").iterdir() if path.name != "control"):
            with self.subTest(name):
                self.inside(f"tests/{name}")
        self.inside("rm -r /tmp/*")

    def test_3_an_upgrade_leaves_an_open_session_and_its_lock_alone(self):
        self.inside(SET_UP + UPGRADE.format(newer=" ".join(f"./{path.name}" for path in archives().values())))

    def test_4_the_module_is_not_removed_while_a_service_names_it(self):
        said = self.inside("if dpkg --force-depends --remove libpam-awsflock; then exit 1; fi")
        self.assertIn("/etc/pam.d/sudo", said)
        self.assertIn("Remove their lines that name pam_awsflock.so first.", said)
        self.inside("test -e /usr/lib/*/security/pam_awsflock.so; setpriv --reuid deployer --regid deployer --init-groups sudo true")

    def test_4_the_plugin_is_not_removed_while_sudo_conf_names_it(self):
        self.inside("cp -p /etc/sudo.conf /tmp\nplugin=/usr/libexec/sudo/awsflock_sudo.so\n"
                    "printf 'Plugin awsflock_approval %s guard=ops\\nPlugin awsflock_audit %s\\n' $plugin $plugin >>/etc/sudo.conf")
        for names in ("sudo-awsflock", "sudo-awsflock libpam-awsflock"):
            said = self.inside(f"if dpkg --remove {names}; then exit 1; fi")
            self.assertIn("sudo-awsflock: not removed, since sudo would start for nobody any more.\n"
                          "Remove the lines of /etc/sudo.conf that name awsflock_sudo.so first.\n", said)
            self.inside("setpriv --reuid deployer --regid deployer --init-groups sudo true")
        self.inside("mv /tmp/sudo.conf /etc/sudo.conf")

    def test_5_purged_they_leave_nothing_behind(self):
        self.inside("rm /etc/pam.d/sudo /etc/awsflock.conf\nrm -r /var/lib/ops-lock\nuserdel -r deployer\nrm -f /etc/sudoers.d/deployer\n"
                    f"dpkg --purge {' '.join(NAMES)}")
        after = self.files()
        self.assertEqual(after - self.before, set())
        self.assertEqual(self.before - after - {"/etc/pam.d/sudo"}, set())


if __name__ == "__main__":
    unittest.main()
