"""What the tests of who belongs to a session share: attacks, and a look at control groups.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil

import namespace
from guardtest import GuardTest
from sessiontest import kill_at_end

OUT = pathlib.Path("/run/out")


def double_fork(file):
    """Between two looks: its parent, its mark, its process group and its terminal are gone at once.  FILE gets its pid."""
    return f"""sleep 1.3; env -i sh -c 'setsid sh -c "echo \\$\\$ >{file}; exec sleep 1000" &' >/dev/null 2>&1 """


DOUBLE_FORK = double_fork(OUT / "escaped")


def control_group(pid):
    """The group of PID, as it is named in here; None where it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next(line[len("0::"):] for line in lines if line.startswith("0::"))


def groups_of_sessions():
    """Of those that are removed meanwhile os.walk() says nothing, unlike pathlib."""
    return sorted(name for _, names, _ in os.walk(namespace.CGROUPS) for name in names if name.startswith("awsflock-"))


def make_room():
    """An empty OUT, where everybody may write."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    OUT.chmod(0o777)


def move_sshd_to(scope):
    """Has every sshd session moved to SCOPE, a directory, as pam_systemd does it, which comes after the guard."""
    mover = OUT / "mover"
    mover.write_text(f"#!/bin/sh\n[ $PAM_TYPE = open_session ] || exit 0\nmkdir -p {scope}\n"
                     f"echo $PPID >{scope}/cgroup.procs\n", encoding="ascii")
    mover.chmod(0o755)
    with open("/etc/pam.d/sshd", "a", encoding="ascii") as file:
        file.write(f"session required pam_exec.so {mover}\n")


class GroupTest(GuardTest):
    """A test that needs control groups, with room for the files of those who attack."""

    def setUp(self):
        super().setUp()
        if not namespace.has_control_groups():
            self.skipTest("there is no control group to be had here")
        make_room()

    def found(self, name):
        """The pid in the file NAME of OUT; the process is killed at the end of the test where it still runs."""
        pid = self.pid_in(str(OUT / name))
        kill_at_end(self, pid)
        return pid

    def lose(self, lock="ops"):
        self.break_lock(lock=lock)
