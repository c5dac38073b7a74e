"""awsflock hold: a lock that lives across the steps of a job, and ends with it.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import shlex
import signal
import stat
import subprocess
import threading
import unittest

from awsflocktest import PATIENCE_S, OnDynamoDB, OnLocalStore, kill_at_end, process_state, runs, wait_until
from holding import SHORT, Holding


class Holds(Holding):
    """What holds on every store."""

    def test_the_lock_is_held_until_the_file_is_released(self):
        record = self.held("--purpose", "steps")
        status = self.status("deploy")
        self.assertEqual((status["held"], status["fence"], status["holder"]["pid"], status["holder"]["purpose"]),
                         (True, record["fence"], record["pid"], "steps"))
        self.assertTrue(runs(record["pid"]))
        self.assertEqual(os.getsid(record["pid"]), record["pid"])
        self.assertWorked(self.look())
        self.assertEqual(self.release(), (0, "", ""))
        self.assertFree("deploy")
        self.assertFalse(runs(record["pid"]))
        self.assertEqual(list(self.directory.glob("*lease*")), [])

    def test_the_file_follows_each_renewal(self):
        record = self.held(*SHORT)
        for _ in range(2):
            before, record = record, self.wait_for_renewal(record)
            self.assertEqual({**before, "lease_id": None, "expiration_time": None, "later_ids": None},
                             {**record, "lease_id": None, "expiration_time": None, "later_ids": None})
            self.assertLessEqual(before["expiration_time"], record["expiration_time"])
        self.assertWorked(self.look())
        self.assertWorked(self.release())

    def test_a_lost_lease_is_told_in_the_file_and_to_the_command(self):
        told = self.directory / "home/told"
        command = 'printf "%s\\n" "$AWSFLOCK_LOCK" "$AWSFLOCK_FENCE" "$AWSFLOCK_LEASE_FILE" "$AWSFLOCK_REASON" >"$HOME/new"; ' \
                  'mv "$HOME/new" "$HOME/told"'
        record = self.held(*SHORT, "--on-lost", command)
        self.evict()
        lost = self.wait_for_state("lost")
        self.assertIn("broken by", lost["reason"])
        wait_until(told.exists, what="the command's end")
        self.assertEqual(told.read_text().splitlines(), ["deploy", str(record["fence"]), str(self.file), lost["reason"]])
        self.wait_until_gone(record["pid"])
        self.assertSays(self.look(), 3, "was lost", "broken by")
        self.assertSays(self.release(), 3, "was lost", "broken by")
        self.assertFalse(self.file.exists())

    def evict(self):
        """The holder may renew in between."""
        while self.flock("break", "-y", "--lease-id", self.status("deploy")["lease_id"], "deploy").code != 0:
            pass

    def test_a_lock_that_is_held_is_not_taken(self):
        self.acquire("deploy", "--owner", "somebody")
        self.assertSays(self.hold("--no-wait"), 3, "somebody")
        self.assertSays(self.hold("-w", "0"), 3, "somebody")
        self.assertFalse(self.file.exists())

    def test_a_lease_without_a_holder_is_renewed_and_released_by_its_file(self):
        acquired = self.flock("acquire", "deploy", "--lease-file", str(self.file), "--lease-duration", "5m")
        self.assertEqual((acquired.code, acquired.out), (0, ""))
        first = self.record()
        self.assertEqual((first["pid"], first["lease_duration"]), (None, 300))
        self.assertHeld("deploy", first["lease_id"])
        self.assertEqual(self.renew(), (0, "", ""))
        second = self.record()
        self.assertHeld("deploy", second["lease_id"])
        self.assertEqual((second["fence"], second["lease_duration"]), (first["fence"], 300))
        self.assertNotEqual(second["lease_id"], first["lease_id"])
        self.assertWorked(self.renew("--lease-duration", "10m"))
        self.assertEqual(self.record()["lease_duration"], 600)
        self.assertWorked(self.look())
        self.assertEqual(self.release(), (0, "", ""))
        self.assertFree("deploy")
        self.assertFalse(self.file.exists())

    def test_any_of_the_ids_in_the_file_may_be_the_valid_one(self):
        for position in range(3):
            with self.subTest(position=position):
                self.assertWorked(self.flock("acquire", "deploy", "--lease-file", str(self.file)))
                ids = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]
                ids.insert(position, self.record()["lease_id"])
                self.change_record(lease_id=ids[0], later_ids=ids[1:])
                self.assertWorked(self.renew())
                valid = self.record()["lease_id"]
                self.assertHeld("deploy", valid)
                self.assertNotIn("later_ids", self.record())
                ids[position] = valid
                self.change_record(lease_id=ids[0], later_ids=ids[1:])
                self.assertWorked(self.release())
                self.assertFree("deploy")


class HoldsOnDynamoDB(Holds, OnDynamoDB):
    def test_a_disk_that_is_full_from_the_start_takes_nothing(self):
        full = ["sh", "-c", 'ulimit -f 0; trap "" XFSZ; exec "$@"', "sh"]
        for command in (self.flock_command("hold", *self.hold_options()), self.flock_command("hold", "--detach", *self.hold_options()),
                        self.flock_command("acquire", "deploy", "--lease-file", str(self.file))):
            process = self.start(full + command)
            code, err = self.end_of(process)
            self.assertEqual((code, err.count("\n")), (1, 1), err)
            self.assertIn("cannot write the lease file", err)
            self.assertFalse(self.file.exists())
            self.assertIsNone(self.item("deploy"))

    def test_a_disk_that_becomes_full_ends_no_lease(self):
        import resource
        process = self.start_hold(*SHORT)
        lease_id = self.record()["lease_id"]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
        renewals = {lease_id}
        wait_until(lambda: renewals.add(self.item("deploy")["lease_id"]["S"]) or len(renewals) > 2, what="two renewals")
        self.assertEqual(self.record()["lease_id"], lease_id)
        self.assertWorked(self.release())
        code, err = self.end_of(process)
        self.assertEqual(code, 0, err)
        self.assertIn("cannot write the lease file", err)
        self.assertFree("deploy")
        self.assertFalse(self.file.exists())


class HoldsOnLocalStore(Holds, OnLocalStore):
    def test_the_file_is_its_owners_alone_whatever_the_umask(self):
        for umask in ("000", "077", "777"):
            with self.subTest(umask=umask):
                line = shlex.join(self.flock_command("hold", "--detach", *self.hold_options(*SHORT)))
                subprocess.run(["sh", "-c", f"umask {umask}; exec {line}"], env=self.environment, check=True, capture_output=True)
                self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
                self.wait_for_renewal(self.record())
                self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
                self.assertWorked(self.release())

    def test_who_reads_the_file_never_finds_half_of_it(self):
        record = self.held(*SHORT)
        seen, inodes = {record["lease_id"]}, set()
        while len(seen) < 3:
            inodes.add(self.file.stat().st_ino)
            seen.add(self.record()["lease_id"])
        self.assertGreater(len(inodes), 1)
        self.assertWorked(self.release())

    def test_nothing_of_the_callers_stays_open_in_the_holder(self):
        """Else a step of a job would seem to go on."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        result = self.flock("hold", "--detach", *self.hold_options(), pass_fds=[writer])
        os.close(writer)
        self.assertWorked(result)
        self.assertTrue(runs(self.record()["pid"]))
        self.assertEqual(os.read(reader, 1), b"")
        self.assertWorked(self.release())

    def test_it_ends_with_the_process_that_it_is_to_follow(self):
        followed = self.start(["sleep", "120"])
        record = self.held(*SHORT, "--while", str(followed.pid))
        self.wait_for_renewal(record)
        followed.kill()
        followed.wait()
        ended = self.wait_for_state("ended")
        self.assertEqual(ended["reason"], f"process {followed.pid} has ended")
        self.assertFree("deploy")
        for result in (self.look(), self.release()):
            self.assertSays(result, 3, f"'deploy' is released already: process {followed.pid} has ended")
        self.assertFalse(self.file.exists())

    def test_a_process_that_has_ended_is_not_followed(self):
        followed = self.start(["true"])
        wait_until(lambda: process_state(followed.pid) == "Z", what="its end")
        for _ in range(2):  # before its parent has taken note, and after
            self.assertSays(self.hold("--while", str(followed.pid)), 1, "does not run", "nothing is taken")
            followed.wait()
        self.assertFalse(self.file.exists())
        self.assertFree("deploy")

    def test_it_does_not_wait_for_a_lock_longer_than_the_process_runs(self):
        self.acquire("deploy")
        followed = self.start(["sleep", "120"])
        process = self.start(self.flock_command("hold", "--detach", *self.hold_options("--while", str(followed.pid))))
        self.wait_for_state("taking")
        followed.kill()
        code, err = self.end_of(process)
        self.assertEqual(code, 3, err)
        self.assertIn("is not taken", err)
        self.assertFalse(self.file.exists())

    def test_it_ends_at_its_limit(self):
        self.held("--max-hold", "1s")
        self.assertEqual(self.wait_for_state("ended")["reason"], "its limit of 1s was reached")
        self.assertFree("deploy")
        self.assertSays(self.release(), 3, "limit of 1s")

    def test_a_signal_ends_it_in_good_order(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                process = self.start_hold()
                process.send_signal(number)
                code, err = self.end_of(process)
                self.assertEqual(code, 0, err)
                self.assertIn(f"told to end ({signal.strsignal(number)})", self.record()["reason"])
                self.assertFree("deploy")

    def test_a_signal_that_was_ignored_from_the_start_is_ignored(self):
        process = self.start(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *self.flock_command("hold", *self.hold_options(*SHORT))])
        record = self.wait_for_state("held")
        process.send_signal(signal.SIGHUP)
        self.wait_for_renewal(record)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end_of(process)[0], 0)
        self.assertIn(signal.strsignal(signal.SIGTERM), self.record()["reason"])

    def test_who_interrupts_the_wait_takes_nothing(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
            for options in ((), ("--detach",)):
                with self.subTest(number=number, options=options):
                    lease_id = self.acquire("deploy")
                    process = self.start(self.flock_command("hold", *self.hold_options(*options)))
                    pid = self.wait_for_state("taking")["pid"]
                    process.send_signal(number)
                    self.assertEqual(self.end_of(process)[0], code)
                    self.wait_until_gone(pid)
                    self.assertHeld("deploy", lease_id)
                    if number == signal.SIGKILL and not options:
                        self.file.unlink()
                    self.assertFalse(self.file.exists())
                    self.assertWorked(self.flock("release", "deploy", lease_id))

    def test_release_ends_who_still_waits(self):
        self.acquire("deploy")
        process = self.start(self.flock_command("hold", *self.hold_options()))
        self.wait_for_state("taking")
        self.assertSays(self.look(), 3, "not taken yet")
        self.assertWorked(self.release())
        self.assertEqual(self.end_of(process)[0], 143)
        self.assertFalse(self.file.exists())

    def test_a_wait_that_was_killed_is_not_told_as_one_that_goes_on(self):
        self.acquire("deploy")
        process = self.start(self.flock_command("hold", *self.hold_options()))
        self.wait_for_state("taking")
        process.kill()
        process.wait()
        for result in (self.look(), self.release()):
            self.assertSays(result, 3, "was not taken", "who waited for it has ended")
        self.assertFalse(self.file.exists())

    def test_a_killed_holders_lock_runs_out(self):
        record = self.held()
        os.kill(record["pid"], signal.SIGKILL)
        self.wait_until_gone(record["pid"])
        self.assertTrue(self.status("deploy")["held"])
        self.assertSays(self.look(), 3, f"process {record['pid']}", "has ended")
        self.let_expire("deploy")
        self.assertFree("deploy")
        other = self.acquire("deploy")
        self.assertSays(self.release(), 3)
        self.assertFalse(self.file.exists())
        self.assertHeld("deploy", other)

    def test_a_killed_holders_lock_is_released_by_the_file_at_once(self):
        record = self.held()
        os.kill(record["pid"], signal.SIGKILL)
        self.wait_until_gone(record["pid"])
        self.assertWorked(self.release())
        self.assertFree("deploy")

    def test_a_killed_holders_lease_can_be_renewed_by_hand(self):
        record = self.held()
        os.kill(record["pid"], signal.SIGKILL)
        self.wait_until_gone(record["pid"])
        self.assertWorked(self.renew("--lease-duration", "5m"))
        self.assertIsNone(self.record()["pid"])
        self.assertWorked(self.look())
        self.assertWorked(self.release())
        self.assertFree("deploy")

    def test_a_killed_holders_file_can_be_used_again(self):
        record = self.held()
        os.kill(record["pid"], signal.SIGKILL)
        self.wait_until_gone(record["pid"])
        self.let_expire("deploy")
        self.assertGreater(self.held()["fence"], record["fence"])
        self.assertWorked(self.release())

    def test_a_holder_that_was_suspended_past_its_lease_tells_the_loss(self):
        record = self.held(*SHORT, "--on-lost", 'touch "$HOME/told"')
        os.kill(record["pid"], signal.SIGSTOP)
        wait_until(lambda: process_state(record["pid"]) == "T", what="the stop")
        self.let_expire("deploy")
        other = self.acquire("deploy")
        os.kill(record["pid"], signal.SIGCONT)
        self.wait_for_state("lost")
        self.wait_until_gone(record["pid"])
        self.assertTrue((self.directory / "home/told").exists())
        self.assertSays(self.look(), 3, "was lost")
        self.assertSays(self.release(), 3, "was lost")
        self.assertHeld("deploy", other)

    def test_release_wakes_a_stopped_holder(self):
        record = self.held()
        os.kill(record["pid"], signal.SIGSTOP)
        wait_until(lambda: process_state(record["pid"]) == "T", what="the stop")
        self.release()
        self.assertFalse(runs(record["pid"]))
        self.assertFalse(self.file.exists())

    def test_in_the_foreground_a_lost_lease_is_said_and_the_exit_code(self):
        process = self.start_hold(*SHORT, "--on-lost", "echo gone >&2; exit 7")
        while self.flock("break", "-y", "--lease-id", self.status("deploy")["lease_id"], "deploy").code != 0:
            pass
        code, err = self.end_of(process)
        self.assertEqual(code, 3)
        self.assertRegex(err, r"LOCK LOST: .*broken by.*\ngone\n$")

    def test_release_need_not_wait_for_the_command_of_a_loss(self):
        record = self.held(*SHORT, "--on-lost", 'echo $$ >"$HOME/command"; exec sleep 120')
        while self.flock("break", "-y", "--lease-id", self.status("deploy")["lease_id"], "deploy").code != 0:
            pass
        wait_until(lambda: (self.directory / "home/command").exists() and (self.directory / "home/command").read_text().endswith("\n"),
                   what="the command's start")
        command = int((self.directory / "home/command").read_text())
        kill_at_end(self, command)
        self.assertSays(self.release(), 3, "was lost")
        self.assertTrue(runs(record["pid"]))
        os.kill(record["pid"], signal.SIGTERM)
        self.wait_until_gone(record["pid"])

    def test_a_holder_is_not_renewed_by_hand(self):
        record = self.held()
        self.assertSays(self.renew(), 1, f"process {record['pid']} renews the lease", "nothing to do")
        self.assertWorked(self.release())

    def test_one_file_is_of_one_holder(self):
        record = self.held()
        for lock in ("deploy", "other"):
            self.assertSays(self.hold(lock=lock), 1, f"process {record['pid']}", "release that first")
            self.assertSays(self.flock("acquire", lock, "--lease-file", str(self.file)), 1, "release that first")
        self.assertFree("other")
        self.assertEqual(self.record()["fence"], record["fence"])
        self.assertWorked(self.release())

    def test_of_many_who_begin_with_one_file_at_once_one_holds(self):
        results = []

        def begin(number):
            results.append(self.hold(lock=f"lock-{number}").code)
        threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [0] + [1] * 7)
        self.assertEqual([name for name, entry in self.listing("--held").items()], [self.record()["lock_id"]])
        self.assertWorked(self.release())

    def test_a_lease_whose_id_only_the_file_knows_is_not_written_over(self):
        self.assertWorked(self.flock("acquire", "deploy", "--lease-file", str(self.file)))
        before = self.file.read_text()
        self.assertSays(self.hold(lock="other"), 1, "'deploy' is held with", "release it first")
        self.assertEqual(self.file.read_text(), before)
        self.change_record(expiration_time=1)
        self.assertWorked(self.hold(lock="other"))
        self.assertWorked(self.release())

    def test_an_empty_file_will_do(self):
        """As mktemp(1) makes one."""
        self.file.touch(0o600)
        self.assertSays(self.look(), 3, "empty")
        self.held()
        self.assertWorked(self.release())

    def test_a_file_that_was_removed_comes_back(self):
        record = self.held(*SHORT)
        self.file.unlink()
        self.assertEqual(self.wait_for_state("held")["fence"], record["fence"])
        self.assertWorked(self.release())
        self.assertFree("deploy")

    def test_a_file_that_is_in_the_place_of_the_lease_file_is_left_alone(self):
        process = self.start_hold(*SHORT)
        self.file.unlink()
        self.file.write_text("mine\n")
        wait_until(lambda: process.poll() is not None or self.status("deploy")["lease_id"] != self.seen_id(), what="a renewal")
        process.send_signal(signal.SIGTERM)
        code, err = self.end_of(process)
        self.assertEqual(code, 0, err)
        self.assertIn("is left alone", err)
        self.assertEqual(self.file.read_text(), "mine\n")
        self.assertFree("deploy")

    def seen_id(self):
        if not hasattr(self, "first_id"):
            self.first_id = self.status("deploy")["lease_id"]
        return self.first_id

    def test_a_directory_that_is_gone_ends_no_lease(self):
        room = self.directory / "room"
        room.mkdir()
        self.file = room / "lease"
        process = self.start_hold(*SHORT)
        first = self.status("deploy")["lease_id"]
        self.file.unlink()
        for path in room.iterdir():
            path.unlink()
        while room.exists():
            try:
                room.rmdir()
            except OSError:  # the holder has come in between
                for path in room.iterdir():
                    path.unlink(missing_ok=True)
        wait_until(lambda: self.status("deploy")["lease_id"] != first, what="a renewal")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end_of(process)[0], 0)
        self.assertFree("deploy")

    def test_results_as_json(self):
        result = self.hold("--json")
        self.assertWorked(result)
        printed, record = json.loads(result.out), self.record()
        self.assertEqual([printed[key] for key in ("lock_id", "lease_id", "fence")],
                         [record[key] for key in ("lock_id", "lease_id", "fence")])
        self.assertEqual(printed["owner"], self.status("deploy")["owner"])
        looked = self.look("--json")
        self.assertWorked(looked)
        self.assertEqual(json.loads(looked.out)["fence"], record["fence"])
        released = self.release("--json")
        self.assertEqual((released.code, json.loads(released.out)), (0, {"lock_id": "deploy", "released": True}))

    def test_a_result_that_cannot_be_printed_is_no_lock(self):
        closed = ["sh", "-c", 'exec "$@" >&-', "sh"]
        process = self.start(closed + self.flock_command("hold", "--detach", "--json", *self.hold_options()))
        self.assertEqual(self.end_of(process)[0], 1)
        self.assertFree("deploy")
        self.assertFalse(self.file.exists())

    def test_a_step_after_a_step_finds_its_lease(self):
        """Each line in a shell of its own, as a CI job's."""
        line = shlex.join([*self.flock_command("LINE")])
        for step, expected in (("hold deploy --lease-file lease --detach", 0), ("status --lease-file lease", 0),
                               ("release --lease-file lease", 0), ("status --lease-file lease", 3)):
            command, _, rest = step.partition(" ")
            done = subprocess.run(["sh", "-c", f"{line.replace('LINE', command)} {rest}"], env=self.environment,
                                  cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, expected, done.stderr)

    def test_wrong_use_is_told(self):
        path = str(self.file)
        for words, said in ((("hold", "deploy"), "--lease-file is missing"),
                            (("hold", "--lease-file", path), "too few arguments"),
                            (("release", "--lease-file", path, "--lease-file", path), "--lease-file can be given only once"),
                            (("hold", "deploy", "--lease-file", path, "--while", "0"), "--while takes a whole number"),
                            (("hold", "deploy", "--lease-file", path, "--max-hold", "0"), "--max-hold"),
                            (("hold", "", "--lease-file", path), "name is empty"),
                            (("hold", "deploy", "--lease-file", str(self.directory) + "/"), "no name of a file"),
                            (("release", "deploy", "--lease-file", path), "in the place of LOCK LEASE_ID"),
                            (("renew", "deploy", "--lease-file", path), "in the place of LOCK LEASE_ID"),
                            (("status", "deploy", "--lease-file", path), "in the place of LOCK"),
                            (("release", "--delete", "--lease-file", path), "cannot be used together"),
                            (("status", "--watch", "--lease-file", path), "cannot be used together"),
                            (("status", "--exit-code", "--lease-file", path), "cannot be used together")):
            with self.subTest(words=words):
                self.assertSays(self.flock(*words), 2, said)


del Holds  # it is a part of the two above

if __name__ == "__main__":
    unittest.main()
