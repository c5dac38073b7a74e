"""What the tests of strays share: what a user's service manager takes out of a session's control group.  It asks process
1, which does so for all that runs as that user.  Here the test moves it, as root, to a group that was handed to the user.

SPDX-License-Identifier: Apache-2.0
"""
import os

import namespace
from guardtest import configure
from membershiptest import GroupTest, control_group, groups_of_sessions
from sessiontest import PEOPLE, wait_until

# Nothing of the session's in its environment, and nobody's child.
BARE = "env -i setsid sh -c 'echo $$ >/run/out/{name}.new; mv /run/out/{name}.new /run/out/{name}; exec {what}' >/dev/null 2>&1 &"


class StraysTest(GroupTest):
    def setUp(self):
        super().setUp()
        configure(ops={"leftovers": "end"})

    def manager_of(self, person):
        """The group that systemd hands to PERSON's service manager."""
        group = namespace.CGROUPS / f"manager-of-{person}"
        group.mkdir()
        self.addCleanup(wait_until, lambda: self.is_removed(group), what=f"the end of all in {group}")
        for path in (group, group / "cgroup.procs", group / "cgroup.threads", group / "cgroup.subtree_control"):
            os.chown(path, PEOPLE[person], PEOPLE[person])
        return group

    @staticmethod
    def is_removed(group):
        try:
            group.rmdir()
        except OSError:
            return False  # somebody is still dying in it
        return True

    @staticmethod
    def take(group, pid):
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def taken(self, group, name="taken"):
        pid = self.found(name)
        self.take(group, pid)
        self.assertEqual(control_group(pid), f"/{group.name}")
        return pid

    @staticmethod
    def bare(name="taken", what="sleep 1000"):
        return BARE.format(name=name, what=what)

    def called_in_a_login(self, *words, before="", **streams):
        """What alice calls, from a login of hers that the kernel's audit knows."""
        return self.start(["sh", "-c", f"echo {PEOPLE['alice']} >/proc/self/loginuid; {before} exec \"$@\"", "sh", *words],
                          "alice", **streams)

    def assertAllIsOver(self, *pids):
        self.assertHeldUntilGone(*pids)
        self.wait_until_free()
        self.wait_for_no_keeper()
        self.assertEqual(groups_of_sessions(), [])
