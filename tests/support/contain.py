#!/usr/bin/python3
"""contain.py COMMAND...: runs COMMAND, and ends with it whatever it started, in sessions of their own as well.

On SIGINT, SIGTERM or SIGHUP, COMMAND gets SIGTERM and all that it started is ended, so that it can say how far it came.
The exit code is COMMAND's; 128 + N where signal N ended it.  SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import os
import pathlib
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
ORDERS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# Between SIGTERM, upon which tests remove what they made, and SIGKILL; and until a process that stays is left alone.
KILL_AFTER_S, LEAVE_AFTER_S = 5, 15


def parents():
    """{pid: its parent's} of all processes."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # pathlib's glob() fails where one of them ends meanwhile
        try:
            stat = pathlib.Path("/proc", name, "stat").read_text(errors="replace")
        except OSError:
            continue
        found[int(name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants():
    """Whoever loses its parent becomes a child of this process, and is found."""
    found, everybody = {os.getpid()}, parents()
    while more := {pid for pid, parent in everybody.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def send(number, pids):
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass  # it has ended, or became another user's


class Containment:
    def __init__(self, command):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS | {signal.SIGCHLD})
        # Not by subprocess, which may take the code of a command that ends at once.
        self.pid = os.posix_spawnp(command[0], command, os.environ, setsigmask=before)
        self.code = None

    def reap(self):
        """False where there is no child any more, and so nobody left at all.  The command's own end is told by its code."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.pid:
                    code = os.waitstatus_to_exitcode(ended[1])
                    self.code = code if code >= 0 else 128 - code
        except ChildProcessError:
            return False
        return True

    def end(self, spared):
        """Ends every descendant but SPARED, also what they start meanwhile.  None is left alone that was not killed first,
        however long it takes to look at all processes of a busy machine."""
        began = time.monotonic()
        told, killed = set(), set()
        while self.reap() and (left := descendants() - spared) or not spared and self.reap():
            now = time.monotonic()
            if left and left <= killed and now > began + LEAVE_AFTER_S:
                return
            send(signal.SIGTERM, left - told)
            told |= left
            if now > began + KILL_AFTER_S:
                send(signal.SIGKILL, left)
                killed |= left
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)

    def wait(self):
        while self.code is None:
            if signal.sigwait(ORDERS | {signal.SIGCHLD}) in ORDERS:
                send(signal.SIGTERM, {self.pid})
                self.end({self.pid})
            self.reap()
        self.end(set())
        return self.code


if __name__ == "__main__":
    sys.exit(Containment(sys.argv[1:]).wait())
