"""A keeper one of whose calls to the kernel fails, whichever and whenever while a session opens.

What must hold: a session that was let in is watched, and its lock is not given back while one of it lives; of one that
was not, nothing stays held.  SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures
import contextlib
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import keepertest  # noqa: E402
from awsflocktest import wait_until  # noqa: E402
from keepertest import KeeperTest, Session, runs  # noqa: E402

keepertest.enter()

CALLS = ("poll", "recvmsg", "sendmsg", "fork", "mmap", "memfd_create", "socketpair", "timerfd_create", "timerfd_settime",
         "syscall")
A_WHILE = 50


class FailingCallsTest(KeeperTest):
    def case(self, guard, call, number, times):
        """A session whose keeper fails so: whether that came about while it was opening, and whether at all."""
        mark = self.directory / f"{guard}.failed"
        child = self.directory / f"{guard}.child"
        mark.unlink(missing_ok=True)
        child.unlink(missing_ok=True)
        session = Session(self, f"sleep 300 & echo $! >{child}; wait", keeper_environment={
            "LD_PRELOAD": str(keepertest.BUILD / "tests/session/.libs/failing_calls.so"), "FAIL_CALL": call,
            "FAIL_AT": str(number), "FAIL_TIMES": str(times), "FAIL_MARK": str(mark)})
        wait_until(lambda: child.exists() and child.read_text().endswith("\n"), what="the session's child")
        answer = self.answer_to_open(session, guard)
        came_about = mark.exists()
        if answer and answer["type"] == "GRANTED":
            with contextlib.suppress(BrokenPipeError):  # it has ended since, and its standby goes on
                session.send("OPENED")
            self.check_watched(session, guard, int(child.read_text()))
        else:
            self.assertIn(answer and answer["type"], (None, "DENIED"))
            self.assertTrue(came_about, answer)
            self.wait_until_free(guard)
        return came_about, mark.exists()

    @staticmethod
    def answer_to_open(session, guard):
        """None where the keeper has ended, whether before the request or after it."""
        try:
            session.ask(guard=guard)
        except BrokenPipeError:
            return None
        return session.answer()

    def check_watched(self, session, guard, member):
        self.assertTrue(self.is_held(guard) or not runs(member), "nobody holds the lock for the session")
        session.kill_host()
        wait_until(lambda: not self.is_held(guard), what=f"the release of {guard}")
        self.assertFalse(runs(member), "the lock was given back while one of the session lived")

    def each_number(self, call, times):
        """False where CALL is never called."""
        number = 1
        while True:
            came_about_while_opening, came_about = self.case(self.name(call, times), call, number, times)
            if not came_about_while_opening:
                return number > 1 or came_about
            number += 1 + number // 8

    @staticmethod
    def name(call, times):
        """Of the guard and the lock that are to be CALL's."""
        return call if times == 1 else f"{call}-for-a-while"

    def test_no_failing_call_leaves_a_session_unwatched_or_a_lock_held(self):
        kinds = [(call, times) for call in CALLS for times in (1, A_WHILE)]
        self.configure(**{self.name(*kind): {"lock": self.name(*kind), "leftovers": "end"} for kind in kinds})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            jobs = {pool.submit(self.each_number, call, times): (call, times) for call, times in kinds}
            for job in concurrent.futures.as_completed(jobs):
                call, times = jobs[job]
                with self.subTest(call=call, times=times):
                    self.assertTrue(job.result(), f"{call} is never called")


if __name__ == "__main__":
    unittest.main()
