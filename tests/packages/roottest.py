"""What the tests of packages share: a Debian that has nothing but what the packages depend on, and its files.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "vm"))
import image  # noqa: E402

ROOT = pathlib.Path(os.environ["AWSFLOCK_PACKAGE_ROOT"])
# What the packages and their tests depend on: installing them needs no network then.
SYSTEM = ("libcurl4", "libjson-c5", "systemd-standalone-sysusers", "gcc", "libc6-dev", "pkg-config", "pamtester", "sudo", "python3")
# What package managers and the loader keep about themselves.
OWN_RECORDS = re.compile(r"/var/(lib/(dpkg|apt|rpm|systemd)|cache|log)(/|$)|/etc/(ld\.so\.cache|(passwd|group|shadow|gshadow|subuid|subgid)-)$")
# An operator's command under sudo; it ends when it is told to.
GUARDED = """#!/bin/sh
echo in >/tmp/entered
read line </tmp/leave
echo "out" >/tmp/left
"""
# A person, and a guard on sudo by the PAM module {module}.
SET_UP = """
useradd --create-home deployer
echo 'deployer ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/deployer
install -d -m 0700 /var/lib/ops-lock
printf '[awsflock]\\nstore = local\\nlocal_dir = /var/lib/ops-lock\\n[guard ops]\\nlock = ops\\n' >/etc/awsflock.conf
printf 'auth required pam_permit.so\\naccount required pam_permit.so\\nsession requisite {module} guard=ops\\n' >/etc/pam.d/sudo
"""
# Does {upgrade} while the deployer's session is open.
UPGRADE = """
mkfifo /tmp/leave
setpriv --reuid deployer --regid deployer --init-groups sudo /usr/local/bin/guarded &
host=$!
until [ -e /tmp/entered ]; do sleep 0.1; done
{upgrade}
held=0; awsflock run --local=/var/lib/ops-lock -n ops -- true || held=$?
[ "$held" = 3 ]
kill -0 "$host"
echo >/tmp/leave
wait "$host"
[ "$(cat /tmp/left)" = out ]
tries=0
until awsflock run --local=/var/lib/ops-lock -n ops -- true; do
	tries=$((tries + 1))
	[ $tries -lt 100 ]
	sleep 0.1
done
rm /tmp/leave /tmp/entered /tmp/left
"""
# A keeper clears up after its session has ended: it would be killed with what is inside.
KEEPERS_HAVE_ENDED = "while cat /proc/[0-9]*/comm 2>/dev/null | grep -q '^awsflock-keeper'; do sleep 0.1; done\n"
TEAR_DOWN = """
rm /etc/pam.d/sudo /etc/awsflock.conf
rm -r /var/lib/ops-lock
userdel -r deployer
rm -f /etc/sudoers.d/deployer
"""
AS_DEPLOYER = "setpriv --reuid deployer --regid deployer --init-groups sudo"


def run(*command, **options):
    """The output of a command that succeeds."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


class RootTest(unittest.TestCase):
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
        shutil.copytree(TREE / "debian/tests", cls.root / "packages/tests")
        guarded = cls.root / "usr/local/bin/guarded"
        guarded.write_text(GUARDED, encoding="utf-8")
        guarded.chmod(0o755)

    def inside(self, script):
        """What SCRIPT prints in the root; it succeeds."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            try:
                image.in_root(self.root, f"cd /packages\nexport AUTOPKGTEST_TMP=/tmp\n{script}\n{KEEPERS_HAVE_ENDED}", stdout=output,
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
