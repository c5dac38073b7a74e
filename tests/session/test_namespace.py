"""The machine of the session tests: what is installed there works for everybody, and the real machine keeps its own.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import namespace

REAL = ("/", "/usr", "/usr/bin", "/usr/lib", "/lib", "/usr/local", "/usr/share", "/etc", "/run", "/home", "/var",
        "/var/log", "/var/cache", "/mnt")
# Whatever is not in memory cannot be written.
LOCK = """
for place in $(awk '$2 !~ "^/(proc|sys|dev)(/|$)" { print $2 }' /proc/self/mounts); do
    mount -n -o remount,bind,ro "$place" || exit 1
done
exec "$@"
"""


def print_state():
    """Each of the real directories: owner, mode, time of change, names."""
    for directory in REAL:
        status = os.stat(directory)
        print(directory, status.st_uid, status.st_gid, oct(status.st_mode), status.st_mtime_ns,
              sorted(os.listdir(directory)))


@unittest.skipUnless(os.geteuid() == 0, "only root can set up a machine of its own")
class NamespaceTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="awsflock-test-")
        self.addCleanup(scratch.cleanup)
        self.tree = pathlib.Path(scratch.name, "tree")
        os.chmod(scratch.name, 0o755)

    def installed_by_careful_hands(self, prefix):
        """A tree as `make install` leaves it under umask 077: its directories are for root alone."""
        old = os.umask(0o077)
        self.addCleanup(os.umask, old)
        for name, text in (("bin/of-tests", "#!/bin/sh\necho works\n"), ("share/of-tests/README", "a text\n"),
                           ("etc/of-tests.conf", "a setting\n")):
            path = self.tree / prefix.lstrip("/") / name
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="ascii")
            os.chmod(path, 0o755 if name.startswith("bin") else 0o644)

    def outside(self, script, *arguments, prefix="/usr/local"):
        """Runs ARGUMENTS by way of SCRIPT in a mount namespace whose directories are still the real machine's."""
        environment = {**os.environ, "AWSFLOCK_INSTALLED": str(self.tree), "AWSFLOCK_PREFIX": prefix,
                       "AWSFLOCK_SYSCONFDIR": f"{prefix}/etc", "PYTHONPATH": str(pathlib.Path(__file__).parent)}
        environment.pop(namespace.INSIDE, None)
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *arguments], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        return done.stdout.decode()

    @staticmethod
    def machine(*arguments):
        """The command line that runs ARGUMENTS on a machine of their own."""
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", sys.executable,
                namespace.__file__, *arguments]

    def assertWorksForEverybody(self, prefix):
        self.installed_by_careful_hands(prefix)
        as_alice = ["/usr/bin/setpriv", f"--reuid={namespace.PEOPLE['alice']}", "--clear-groups", "--"]
        said = self.outside(LOCK, *self.machine(
            *as_alice, "/bin/sh", "-c",
            f"{prefix}/bin/of-tests && cat {prefix}/share/of-tests/README {prefix}/etc/of-tests.conf && id -un"),
            prefix=prefix)
        self.assertEqual(said, "works\na text\na setting\nalice\n")

    def test_what_is_installed_works_for_everybody_though_the_real_machine_cannot_be_written(self):
        self.assertWorksForEverybody("/usr/local")

    def test_a_prefix_that_is_missing_is_made_in_memory(self):
        self.assertWorksForEverybody("/opt/of-tests/awsflock")

    def test_usr_as_the_prefix_keeps_the_rest_of_usr(self):
        self.assertWorksForEverybody("/usr")

    def test_stores_and_settings_stay_inside_though_nothing_is_installed(self):
        written = "/var/lib/of-tests /usr/local/etc/of-tests.conf"
        script = f"set -e; \"$@\"; ls -d {written} 2>/dev/null || echo none"
        self.assertEqual(self.outside(script, *self.machine("/bin/sh", "-c", f"touch {written}")), "none\n")

    def test_the_real_directories_keep_their_modes_times_and_contents(self):
        for prefix in ("/usr/local", "/usr"):
            self.installed_by_careful_hands(prefix)
        look = f"{sys.executable} -c 'import test_namespace; test_namespace.print_state()'"
        # A /run of its own: what others do in the real one meanwhile is not seen.
        script = f"set -e; mount -n -t tmpfs none /run; {look}; echo between; \"$@\"; echo between; {look}"
        before, said, after = self.outside(script, *self.machine("/bin/true"), prefix="/usr").split("between\n")
        self.assertEqual(before.count("\n"), len(REAL))
        self.assertEqual(said, "")
        self.assertEqual(after.splitlines(), before.splitlines())


if __name__ == "__main__":
    unittest.main()
