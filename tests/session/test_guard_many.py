"""Many at once, many in a row.  SPDX-License-Identifier: Apache-2.0"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import GuardTest, configure, guard  # noqa: E402
from sessiontest import processes, wait_until  # noqa: E402

CRITICAL = "mkdir /run/out/inside && sleep 0.02; rmdir /run/out/inside && echo alone"


class ManyTest(GuardTest):
    def setUp(self):
        super().setUp()
        out = pathlib.Path("/run/out")
        out.mkdir(exist_ok=True)
        out.chmod(0o777)

    def test_of_twenty_logins_at_once_one_after_the_other_is_let_in(self):
        configure(ops={"wait": "60s", "share": "session"})
        guard("sshd")
        people = ["alice", "bob", "carol", "alice"] * 5
        sessions = [self.start_ssh(person, CRITICAL) for person in people]
        for session in sessions:
            out, err = session.communicate(timeout=120)
            self.assertEqual((session.returncode, out), (0, b"alone\n"), err)
        self.wait_until_free()

    def test_of_twenty_logins_that_do_not_wait_those_who_enter_are_alone(self):
        configure(ops={"share": "session"})
        guard("sshd")
        sessions = [self.start_ssh(person, CRITICAL) for person in ["alice", "bob", "carol", "alice"] * 5]
        entered = 0
        for session in sessions:
            out, _ = session.communicate(timeout=120)
            self.assertIn(session.returncode, (0, 254))
            self.assertEqual(session.returncode == 0, out == b"alone\n", out)
            entered += session.returncode == 0
        self.assertGreaterEqual(entered, 1)
        self.wait_until_free()

    def test_two_hundred_sessions_leave_no_process_file_or_lock(self):
        guard("cycle")
        files = pathlib.Path("/run/awsflock")
        self.assertEqual(self.cycle(2), 0)
        self.wait_for_no_keeper()
        before, listing = set(processes().values()), sorted(files.iterdir())
        self.assertEqual(self.cycle(200), 0)
        self.wait_for_no_keeper()
        wait_until(lambda: set(processes().values()) <= before, what="the end of every process")
        self.assertEqual(sorted(files.iterdir()), listing)
        self.assertFree()

    def cycle(self, times):
        once = "pamtester cycle alice open_session close_session"
        return self.run_to_end(["sh", "-c", f"i=0; while [ $((i += 1)) -le {times} ]; do {once} || exit 1; done"])[0]
