"""The system log of a test's own: /dev/log, and all that was written to it.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import socket
import threading

from awsflocktest import PATIENCE_S, wait_until

PATH = "/dev/log"
MARK = b"the log until here: "


class SystemLog:
    """A thread reads, since whoever logs would wait for one who does not."""

    def __init__(self):
        self._lines = []
        self._mark = 0
        self._last_mark_seen = 0
        pathlib.Path(PATH).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(PATH)
        os.chmod(PATH, 0o666)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while line := self._socket.recv(65536):
            if line.startswith(MARK):
                self._last_mark_seen = int(line[len(MARK):])
            else:
                self._lines.append(line.decode(errors="surrogateescape"))
        self._socket.close()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)

    def lines(self):
        """Every line that was logged before this call, however busy the machine is: what was sent first is read first."""
        self._mark += 1
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(PATIENCE_S)
            sender.sendto(MARK + str(self._mark).encode(), PATH)
        wait_until(lambda: self._last_mark_seen >= self._mark, what="the log")
        return list(self._lines)

    def find(self, pattern, since=0):
        return [line for line in self.lines()[since:] if re.search(pattern, line)]
