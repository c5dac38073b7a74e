"""awsflock-keeper, from its connection: what it answers, whom it ends, and when it releases.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import keepertest
from keepertest import KeeperTest, Session


keepertest.enter()


class OpeningTest(KeeperTest):
    def test_a_session_is_granted_the_lock_and_its_close_frees_it(self):
        session = Session(self, "sleep 300 & echo $! >$DIR/child; wait")
        granted = session.open(RHOST="203.0.113.9", TTY="ssh")
        self.assertEqual(granted["LOCK"], "ops")
        self.assertGreater(granted["FENCE"], 0)
        status = self.status()
        self.assertEqual((status["user"] if "user" in status else status["holder"]["user"]), "alice")
        os.kill(self.pid_in("child"), signal.SIGKILL)
        self.assertEqual(session.close()["type"], "RELEASED")
        self.assertFalse(self.is_held())


if __name__ == "__main__":
    unittest.main()
