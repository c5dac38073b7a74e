"""tinyproxy, Debian's, on a free port of the loopback.  SPDX-License-Identifier: Apache-2.0"""
import pathlib
import subprocess
import unittest
import shutil

from awsflocktest import free_port, wait_until


class Tinyproxy:
    """ALLOWED: the only ports that CONNECT may go to (all where empty).  LOGIN: (user, password) or None."""

    def __init__(self, directory, allowed=(), login=None):
        program = shutil.which("tinyproxy")
        if program is None:
            raise unittest.SkipTest("no tinyproxy")
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.log = self.directory / "log"
        for _ in range(5):  # the port may be taken between the asking and the starting
            self.port = free_port()
            lines = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 20", "LogLevel Info",
                     f'LogFile "{self.log}"', *(f"ConnectPort {port}" for port in allowed)]
            if login:
                lines.append(f"BasicAuth {login[0]} {login[1]}")
            config = self.directory / "tinyproxy.conf"
            config.write_text("\n".join(lines) + "\n", encoding="ascii")
            self.process = subprocess.Popen([program, "-d", "-c", config], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: self.process.poll() is not None or "Accepting connections" in self.said(),
                       what="tinyproxy's start")
            if self.process.poll() is None:
                break
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def requests(self):
        """The first line of each request that came to it, such as CONNECT 127.0.0.1:8443 HTTP/1.1."""
        return [line.partition("): ")[2] for line in self.said().splitlines() if "Request (file descriptor" in line]

    def end(self):
        self.process.terminate()
        self.process.wait()
