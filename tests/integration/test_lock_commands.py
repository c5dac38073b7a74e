"""acquire, renew, release, status, list and break: the same promises on both stores.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import time
import unittest

from awsflocktest import LEASE_ID, UNKNOWN_LEASE_ID, OnDynamoDB, on_both_stores, run


@on_both_stores
class Acquire:
    def test_prints_the_lease_id_alone_on_stdout(self):
        result = self.flock("acquire", "deploy", "--no-wait")
        self.assertWorked(result)
        lease_id = self.assertLeaseId(result.out)
        self.assertEqual(result.err, "")
        self.assertHeld("deploy", lease_id)

    def test_a_second_taker_is_refused_and_told_by_whom_and_until_when(self):
        self.acquire("deploy", "--owner", "first-owner")
        end = self.status("deploy")["expiration_time"] - 3  # which its holder may not use
        until = time.strftime("%H:%M:%S", time.gmtime(end))
        result = self.flock("acquire", "deploy", "--no-wait")
        self.assertSays(result, 3, "deploy", "first-owner", until)
        self.assertEqual(result.out, "")

    def test_a_refused_taker_changes_nothing(self):
        self.acquire("deploy")
        before = self.status("deploy")
        self.assertEqual(self.flock("acquire", "deploy", "--no-wait", "--owner", "second").code, 3)
        after = self.status("deploy")
        for each in (before, after):
            each.pop("remaining_seconds")
        self.assertEqual(before, after)

    def test_a_wait_that_ends_in_vain_exits_3(self):
        self.acquire("deploy", "--owner", "first-owner")
        began = time.monotonic()
        result = self.flock("acquire", "deploy", "--wait-time", "1")
        self.assertGreaterEqual(time.monotonic() - began, 1)
        self.assertEqual(result.code, 3, result)
        self.assertIn("first-owner", result.err)

    def test_a_waiting_taker_gets_the_lock_once_it_is_released(self):
        lease_id = self.acquire("deploy")
        waiting = self.start(self.flock_command("acquire", "deploy", "--wait-time", "60"))
        told = waiting.stderr.readline()  # said once it has been refused for the first time
        self.assertIn(b"deploy", told)
        self.assertWorked(self.flock("release", "deploy", lease_id))
        out, _ = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0)
        self.assertHeld("deploy", self.assertLeaseId(out.decode()))

    def test_an_expired_lease_is_taken_over_with_a_higher_fence(self):
        self.acquire("deploy", "--lease-duration", "1m")
        old_fence = self.status("deploy")["fence"]
        self.let_expire("deploy")
        lease_id = self.acquire("deploy")
        self.assertGreater(self.assertHeld("deploy", lease_id)["fence"], old_fence)

    def test_two_locks_do_not_mind_each_other(self):
        first, second = self.acquire("first"), self.acquire("second")
        self.assertHeld("first", first)
        self.assertHeld("second", second)

    def test_names_are_compared_byte_by_byte(self):
        for lock in ("deploy", "Deploy", "caf\u00e9", "cafe\u0301", "a/b", "a%2Fb", ".", "..", "-n", "\U0001f512", "*",
                     "with space", "x" * 2048, "x" * 2047 + "y", "\u00e9" * 1024):
            with self.subTest(lock=lock[:20]):
                self.assertHeld(lock, self.acquire(lock))
        self.assertEqual(len(self.listing()), 15)

    def test_a_lock_may_be_called_minus_n_after_two_dashes(self):
        result = self.flock("acquire", "--no-wait", "--", "-n")
        self.assertWorked(result)
        self.assertEqual(list(self.listing()), ["-n"])

    def test_the_lease_lasts_as_long_as_asked(self):
        for text, seconds in (("15m", 900), ("3 minutes", 180), ("1 day", 86400), ("1h30m", 5400), ("90", 90)):
            with self.subTest(duration=text):
                began = time.time()
                self.acquire(text, "--lease-duration", text)
                status = self.status(text)
                self.assertEqual(status["lease_duration"], seconds)
                self.assertTimeSince(began, status["expiration_time"] - seconds)
                self.assertTimeSince(began, time.time() + status["remaining_seconds"] - seconds)

    def test_the_lease_lasts_two_hours_unless_told_otherwise(self):
        self.acquire("deploy")
        self.assertEqual(self.status("deploy")["lease_duration"], 7200)

    def test_the_holder_is_recorded_for_people(self):
        self.acquire("deploy", "--owner", "me", "--purpose", "release 4.2")
        status = self.status("deploy")
        self.assertEqual(status["owner"], "me")
        self.assertEqual(status["holder"]["purpose"], "release 4.2")
        self.assertTrue(status["holder"]["host"])

    def test_the_process_recorded_is_the_one_that_called_acquire(self):
        self.acquire("deploy")
        self.assertEqual(self.status("deploy")["holder"]["pid"], os.getpid())

    def test_json_tells_lease_id_and_fence(self):
        result = self.flock("acquire", "deploy", "--no-wait", "--json")
        self.assertWorked(result)
        told = json.loads(result.out)
        self.assertEqual(self.assertHeld("deploy", told["lease_id"])["fence"], told["fence"])


@on_both_stores
class Renew:
    def test_gives_a_new_lease_id_and_ends_the_old_one(self):
        old = self.acquire("deploy")
        result = self.flock("renew", "deploy", old)
        self.assertWorked(result)
        new = self.assertLeaseId(result.out)
        self.assertNotEqual(new, old)
        self.assertHeld("deploy", new)
        self.assertSays(self.flock("renew", "deploy", old), 3, "deploy")
        self.assertSays(self.flock("release", "deploy", old), 3, "deploy")
        self.assertHeld("deploy", new)

    def test_keeps_the_fence(self):
        lease_id = self.acquire("deploy")
        fence = self.status("deploy")["fence"]
        self.assertWorked(self.flock("renew", "deploy", lease_id))
        self.assertEqual(self.status("deploy")["fence"], fence)

    def test_extends_and_shortens_as_asked(self):
        lease_id = self.acquire("deploy", "--lease-duration", "10m")
        for text, seconds in (("2h", 7200), ("5m", 300)):
            began = time.time()
            result = self.flock("renew", "deploy", lease_id, "--lease-duration", text)
            self.assertWorked(result)
            lease_id = self.assertLeaseId(result.out)
            self.assertTimeSince(began, self.status("deploy")["expiration_time"] - seconds)

    def test_keeps_the_owner_or_changes_it(self):
        lease_id = self.acquire("deploy", "--owner", "before")
        lease_id = self.flock("renew", "deploy", lease_id).out.strip()
        self.assertEqual(self.status("deploy")["owner"], "before")
        self.assertWorked(self.flock("renew", "deploy", lease_id, "--owner", "after"))
        self.assertEqual(self.status("deploy")["owner"], "after")

    def test_works_on_an_expired_lease_that_nobody_took(self):
        lease_id = self.acquire("deploy")
        self.let_expire("deploy")
        result = self.flock("renew", "deploy", lease_id)
        self.assertWorked(result)
        self.assertHeld("deploy", self.assertLeaseId(result.out))

    def test_of_a_lease_that_was_taken_over_tells_by_whom(self):
        lease_id = self.acquire("deploy", "--owner", "first")
        self.let_expire("deploy")
        second = self.acquire("deploy", "--owner", "second-owner")
        self.assertSays(self.flock("renew", "deploy", lease_id), 3, "second-owner")
        self.assertHeld("deploy", second)

    def test_of_a_lock_that_was_never_taken_exits_3(self):
        result = self.flock("renew", "deploy", UNKNOWN_LEASE_ID)
        self.assertSays(result, 3, "deploy")
        self.assertEqual(result.out, "")
        self.assertFree("deploy")


@on_both_stores
class Release:
    def test_frees_the_lock_for_the_next_one(self):
        self.assertWorked(self.flock("release", "deploy", self.acquire("deploy")))
        self.assertFree("deploy")
        self.acquire("deploy")

    def test_says_nothing_on_stdout(self):
        self.assertEqual(self.flock("release", "deploy", self.acquire("deploy")).out, "")

    def test_twice_exits_3_the_second_time(self):
        lease_id = self.acquire("deploy")
        self.assertWorked(self.flock("release", "deploy", lease_id))
        self.assertSays(self.flock("release", "deploy", lease_id), 3, "deploy")

    def test_under_a_mistyped_name_it_is_told_that_there_may_never_have_been_such_a_lock(self):
        lease_id = self.acquire("deploy")
        self.assertSays(self.flock("release", "deplyo", lease_id), 3, "does not hold 'deplyo'", "or never was there")
        self.assertHeld("deploy", lease_id)

    def test_of_anothers_lease_is_refused_and_changes_nothing(self):
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        self.assertSays(self.flock("release", "deploy", UNKNOWN_LEASE_ID), 3, "the-holder")
        self.assertHeld("deploy", lease_id)

    def test_fences_rise_over_release_after_release(self):
        fences = []
        for _ in range(4):
            lease_id = self.acquire("deploy")
            fences.append(self.status("deploy")["fence"])
            self.assertWorked(self.flock("release", "deploy", lease_id))
        self.assertEqual(fences, sorted(set(fences)))

    def test_with_delete_leaves_no_trace(self):
        self.assertWorked(self.flock("release", "deploy", self.acquire("deploy"), "--delete"))
        self.assertEqual(self.listing(), {})
        self.acquire("deploy")


@on_both_stores
class Status:
    def test_of_a_free_lock_exits_0(self):
        result = self.flock("status", "deploy")
        self.assertWorked(result)
        self.assertIn("free", result.out)
        status = self.status("deploy")
        self.assertEqual(status["lock_id"], "deploy")
        self.assertIs(status["held"], False)

    def test_of_a_held_lock_tells_a_person_who_holds_it(self):
        self.acquire("deploy", "--owner", "the-holder", "--purpose", "release 4.2")
        result = self.flock("status", "deploy")
        self.assertWorked(result)
        self.assertIn("the-holder", result.out)
        self.assertIn("release 4.2", result.out)

    def test_json_has_every_promised_key(self):
        began = time.time()
        lease_id = self.acquire("deploy")
        status = self.assertHeld("deploy", lease_id)
        self.assertLessEqual({"lock_id", "held", "lease_id", "owner", "fence", "lease_duration", "expiration_time",
                              "acquired_time", "remaining_seconds", "holder"}, set(status))
        self.assertTimeSince(began, status["acquired_time"])
        self.assertGreater(status["fence"], 0)

    def test_what_came_from_others_cannot_steer_the_terminal(self):
        self.acquire("deploy", "--owner", "innocent\u202etxt")
        result = self.flock("status", "deploy")
        self.assertWorked(result)
        self.assertNotIn("\u202e", result.out)


@on_both_stores
class List:
    def test_of_an_empty_store_is_empty(self):
        self.assertEqual(self.listing(), {})
        result = self.flock("list")
        self.assertWorked(result)

    def test_names_every_lock_and_whether_it_is_held(self):
        self.acquire("held")
        self.assertWorked(self.flock("release", "free", self.acquire("free")))
        found = self.listing()
        self.assertEqual({name: entry["held"] for name, entry in found.items()}, {"held": True, "free": False})
        self.assertEqual(list(self.listing("--held")), ["held"])

    def test_takes_a_prefix(self):
        for lock in ("team-a/x", "team-a/y", "team-b/x"):
            self.acquire(lock)
        self.assertEqual(sorted(self.listing("team-a/")), ["team-a/x", "team-a/y"])

    def test_shows_an_owner_that_is_not_the_host_and_keeps_the_columns(self):
        self.acquire("a", "--owner", "nightly build")
        self.acquire("longer-name")
        result = self.flock("list")
        self.assertWorked(result)
        head, own, other = result.out.splitlines()
        self.assertRegex(own[head.index("HELD BY"):], r"^\S+@\S+ \(owner nightly build\)  ")
        self.assertNotIn("owner", other)
        for line in (own, other):
            self.assertRegex(line[head.index("SINCE") - 2:], r"^  \S", line)
            self.assertRegex(line[head.index("FENCE") - 2:], r"^  \d+$", line)

    def test_shows_people_the_names_and_fences(self):
        self.acquire("held")
        result = self.flock("list")
        self.assertIn("held", result.out)
        self.assertIn(str(self.status("held")["fence"]), result.out)


class WithoutAFence(OnDynamoDB):
    def test_people_are_shown_no_fence_that_is_none(self):
        """As of a lock that the Python 0.2.0 holds."""
        holder = {"lease_id": {"S": UNKNOWN_LEASE_ID}, "owner": {"S": "python"}, "lease_duration": {"N": "600"},
                  "expiration_time": {"N": str(int(time.time()) + 600)}}
        self.put_item("without", **holder)
        self.put_item("first", **holder, fence={"N": "1"})
        for command in (("status", "without"), ("break", "without", "--lease-id", UNKNOWN_LEASE_ID)):
            result = self.flock(*command)
            self.assertWorked(result)
            self.assertNotIn("fence", result.out + result.err)
        self.assertIn("fence     1\n", self.flock("status", "first").out)
        self.assertIn("fence 1,", self.flock("break", "first", "--lease-id", UNKNOWN_LEASE_ID).err)


@on_both_stores
class Break:
    def test_evicts_the_holder_but_lets_nobody_in_before_its_lease_ends(self):
        lease_id = self.acquire("deploy")
        self.assertWorked(self.flock("break", "deploy", "--lease-id", lease_id, "--yes"))
        self.assertEqual(self.flock("renew", "deploy", lease_id).code, 3)
        self.assertEqual(self.flock("acquire", "deploy", "--no-wait").code, 3)
        self.let_expire("deploy")
        self.acquire("deploy")

    def test_now_lets_the_next_one_in_at_once_with_a_higher_fence(self):
        lease_id = self.acquire("deploy")
        fence = self.status("deploy")["fence"]
        self.assertWorked(self.flock("break", "deploy", "--lease-id", lease_id, "--yes", "--now"))
        self.assertFree("deploy")
        self.assertEqual(self.flock("renew", "deploy", lease_id).code, 3)
        self.assertGreater(self.assertHeld("deploy", self.acquire("deploy"))["fence"], fence)

    def test_the_evicted_is_told_that_it_was_broken(self):
        for lock, options in (("deploy", ()), ("migrate", ("--now",))):
            with self.subTest(options):
                lease_id = self.acquire(lock)
                self.assertWorked(self.flock("break", lock, "--lease-id", lease_id, "--yes", *options))
                result = self.flock("renew", lock, lease_id)
                self.assertSays(result, 3, "broken")
                self.assertNotIn("deleted", result.err)

    def test_of_a_lease_that_is_gone_exits_3_and_changes_nothing(self):
        lease_id = self.acquire("deploy")
        self.assertEqual(self.flock("break", "deploy", "--lease-id", UNKNOWN_LEASE_ID, "--yes").code, 3)
        self.assertHeld("deploy", lease_id)

    def test_without_a_lease_id_or_a_terminal_it_is_refused(self):
        lease_id = self.acquire("deploy")
        for options in ((), ("-y",), ("--yes", "--now")):
            with self.subTest(options=options):
                self.assertSays(self.flock("break", *options, "deploy"), 2, "terminal", "--lease-id", lines=2)
                self.assertHeld("deploy", lease_id)

    def test_on_a_terminal_it_shows_whom_and_takes_a_persons_yes(self):
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        terminal = self.on_terminal(self.flock_command("break", "deploy"))
        terminal.expect("the-holder")
        terminal.expect("yes")
        terminal.type("yes\n")
        self.assertEqual(terminal.wait(), 0, terminal.output)
        self.assertEqual(self.flock("renew", "deploy", lease_id).code, 3)

    def test_on_a_terminal_yes_as_an_option_is_not_asked_for(self):
        for option in ("-y", "--yes"):
            with self.subTest(option=option):
                lease_id = self.acquire("deploy", "--owner", "the-holder")
                terminal = self.on_terminal(self.flock_command("break", option, "--now", "deploy"))
                self.assertEqual(terminal.wait(), 0, terminal.output)
                self.assertIn("the-holder", terminal.output)
                self.assertNotIn("?", terminal.output)
                self.assertEqual(self.flock("renew", "deploy", lease_id).code, 3)

    def test_on_a_terminal_anything_else_changes_nothing(self):
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        terminal = self.on_terminal(self.flock_command("break", "deploy"))
        terminal.expect("the-holder")
        terminal.type("no\n")
        self.assertNotEqual(terminal.wait(), 0, terminal.output)
        self.assertHeld("deploy", lease_id)


@on_both_stores
class Output:
    CLOSED = ["sh", "-c", 'exec "$@" >&-', "sh"]
    FULL = ["sh", "-c", 'exec "$@" >/dev/full', "sh"]

    def test_with_stdout_closed_no_lock_is_left_behind(self):
        result = self.awsflock_under(self.CLOSED, "acquire", "deploy", "--no-wait")
        self.assertSays(result, 1, "standard output")
        self.assertFree("deploy")

    def test_a_lock_whose_lease_id_could_not_be_written_is_released_again(self):
        result = self.awsflock_under(self.FULL, "acquire", "deploy", "--no-wait")
        self.assertSays(result, 1, "released")
        self.assertFree("deploy")

    def test_a_lock_whose_lease_id_would_make_a_file_too_large_is_released_again(self):
        log = self.write("log", "x" * 100000)
        limited = ["sh", "-c", 'ulimit -f 64; log=$1; shift; exec "$@" >>"$log"', "sh", str(log)]
        result = self.awsflock_under(limited, "acquire", "deploy", "--no-wait")
        self.assertSays(result, 1, "released")
        self.assertFree("deploy")

    def test_a_lock_is_released_again_where_the_reader_of_the_pipe_is_gone(self):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            result = self.awsflock_under([], "acquire", "deploy", "--no-wait", stdout=pipe)
        self.assertSays(result, 1, "released")
        self.assertFree("deploy")

    def test_a_renewed_lease_whose_id_could_not_be_told_is_not_orphaned(self):
        for name, wrapper in (("closed", self.CLOSED), ("full", self.FULL)):
            with self.subTest(stdout=name):
                lease_id = self.acquire(name)
                result = self.awsflock_under(wrapper, "renew", name, lease_id)
                self.assertEqual(result.code, 1, result)
                status = self.status(name)
                known = {lease_id, *LEASE_ID.findall(result.err)}
                self.assertTrue(not status["held"] or status["lease_id"] in known,
                                f"nobody knows the lease id of {status}: {result}")

    def awsflock_under(self, wrapper, *arguments, **more):
        return run(wrapper + self.flock_command(*arguments), self.environment, **more)


if __name__ == "__main__":
    unittest.main()
