"""The checker of histories finds each kind of violation, and nothing in what is right.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history import NS_PER_S, check  # noqa: E402


def history(*events):
    """Lines from (SECONDS, KIND, HOLDER, VALUES): all of one lock, which is free in the end."""
    lines = []
    for seconds, kind, holder, values in events:
        values = {name: int(value * NS_PER_S) if name == "deadline" else value for name, value in values.items()}
        words = "".join(f" {name}={value}" for name, value in values.items())
        lines.append(f"{int(seconds * NS_PER_S)} {kind} x {holder}{words}")
    return lines


def begin(at, holder, fence=None, deadline=None, by="worker"):
    values = {"lease": 4, "by": by}
    if fence is not None:
        values["fence"] = fence
    if deadline is not None:
        values["deadline"] = deadline
    return at, "begin", holder, values


def event(at, kind, holder="-", **values):
    return at, kind, holder, values


class HistoryTest(unittest.TestCase):
    def kinds(self, *events, ends_free=True):
        if ends_free:
            events = (*events, event(max(each[0] for each in events), "free"))
        verdict = check(history(*events))
        return [kind for kind, _ in verdict.violations]

    def test_one_after_the_other_is_right(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), event(1.1, "write", "1-", fence=10, accepted=1),
                                    event(2, "end", "1-"), begin(2.1, "2-", 11, 6), event(3, "end", "2-")), [])

    def test_a_second_that_begins_before_the_first_ends_overlaps(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), begin(2, "2-", 11, 6), event(2.5, "end", "1-"),
                                    event(3, "end", "2-")), ["early", "overlap"])

    def test_one_that_overlaps_two_is_found_with_the_second_too(self):
        found = self.kinds(begin(1, "1-", by="run"), begin(2, "2-", by="run"), event(2.5, "end", "2-"),
                           begin(3, "3-", by="run"), event(4, "tick", "1-"), event(5, "end", "3-"))
        self.assertIn("overlap", found)

    def test_what_a_holder_does_after_its_deadline_is_no_overlap(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), begin(11, "2-", 11, 15), event(12, "tick", "1-"),
                                    event(12.1, "end", "1-"), event(13, "end", "2-")), [])

    def test_a_renewal_moves_the_deadline(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), event(4, "renew", "1-", deadline=8),
                                    begin(6, "2-", 11, 10), event(7, "end", "1-"), event(8, "end", "2-")),
                         ["early", "overlap"])

    def test_of_a_killed_one_that_is_kept_from_outside_the_last_sign_of_life_counts(self):
        events = [begin(1, "1-", 10, by="run"), event(2, "tick", "1-"), event(2, "killed", "1-")]
        self.assertEqual(self.kinds(*events, begin(2.1, "2-", 11, 6), event(3, "end", "2-")), [])
        self.assertEqual(self.kinds(*events, begin(2.1, "2-", 11, 6), event(2.2, "tick", "1-"),
                                    event(3, "end", "2-")), ["overlap"])

    def test_a_section_that_was_suspended_with_its_keeper_believes_for_one_lease_at_most(self):
        events = [begin(1, "1-", 10, by="run"), event(2, "suspend", "1-"), begin(12, "2-", 11, 16)]
        self.assertEqual(self.kinds(*events, event(13, "tick", "1-"), event(14, "end", "2-")), [])
        self.assertEqual(self.kinds(events[0], *events[2:], event(13, "tick", "1-"), event(14, "end", "2-")),
                         ["overlap"])

    def test_a_begin_after_the_deadline_is_told(self):
        self.assertEqual(self.kinds(begin(6, "1-", 10, 5), event(6, "end", "1-")), ["deadline"])

    def test_a_fence_that_does_not_rise_is_told(self):
        for fence in (10, 9):
            self.assertEqual(self.kinds(begin(1, "1-", 10, 5), event(2, "end", "1-"), begin(3, "2-", fence, 7),
                                        event(4, "end", "2-")), ["fence"])

    def test_sections_without_a_fence_are_no_fall(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), event(2, "end", "1-"), begin(3, "2-", None, 7, "python"),
                                    event(4, "end", "2-"), begin(5, "3-", 11, 9), event(6, "end", "3-")), [])

    def test_after_a_peer_a_fence_may_fall_by_as_much_as_the_servers_time_is_in_doubt(self):
        for fence, found in ((10 ** 12 - 1000, []), (10 ** 12 - 3000, ["fence"])):
            self.assertEqual(self.kinds(begin(1, "1-", 10 ** 12, 5), event(2, "end", "1-"),
                                        begin(3, "2-", None, 7, "python"), event(4, "end", "2-"),
                                        begin(5, "3-", fence, 9), event(6, "end", "3-")), found)

    def test_a_stale_write_that_was_accepted_is_told(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), begin(11, "2-", 11, 15),
                                    event(11.1, "write", "2-", fence=11, accepted=1),
                                    event(11.2, "write", "1-", fence=10, accepted=1), event(12, "end", "2-")),
                         ["stale"])

    def test_a_stale_write_that_was_refused_is_right(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), begin(11, "2-", 11, 15),
                                    event(11.1, "write", "2-", fence=11, accepted=1),
                                    event(11.2, "write", "1-", fence=10, accepted=0), event(12, "end", "2-")), [])

    def test_a_holder_whose_write_is_refused_is_told(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), event(2, "write", "1-", fence=10, accepted=0),
                                    event(3, "end", "1-")), ["refused"])

    def test_a_lock_that_is_free_before_the_deadline_of_who_never_gave_it_back_is_told(self):
        events = [begin(1, "1-", 10, 5), event(1.5, "killed", "1-")]
        self.assertEqual(self.kinds(*events, begin(4.9, "2-", 11, 9), event(5, "end", "2-")), ["early"])
        self.assertEqual(self.kinds(*events, begin(10, "2-", 11, 14), event(11, "end", "2-")), [])

    def test_a_lock_that_nobody_gets_for_longer_than_lease_and_grace_and_slack_is_told(self):
        events = [begin(1, "1-", 10, 5), event(2, "end", "1-")]
        late = 2 + 4 + 5 + 15 + 1
        self.assertEqual(self.kinds(*events, begin(late, "2-", 11, late + 4), event(late + 1, "end", "2-")), ["stuck"])
        self.assertEqual(self.kinds(*events, event(10, "killed", "3-"), begin(late, "2-", 11, late + 4),
                                    event(late + 1, "end", "2-")), [])
        self.assertEqual(self.kinds(*events, event(10, "doubt"), begin(late, "2-", 11, late + 4),
                                    event(late + 1, "end", "2-")), [])

    def test_a_lock_that_is_not_free_at_the_end_is_told(self):
        self.assertEqual(self.kinds(begin(1, "1-", 10, 5), event(2, "end", "1-"), ends_free=False), ["orphan"])

    def test_the_figures_are_counted(self):
        verdict = check(history(begin(1, "1-", 10, 5), event(2, "end", "1-"), event(2, "killed", "7-"),
                                begin(5, "2-", 11, 9), event(6, "end", "2-"), event(6.5, "free")))
        self.assertEqual((verdict.sections, verdict.kills, verdict.longest_stuck_s), (2, 1, 3.0))
        self.assertIn("0 overlaps, 0 falling fences", verdict.line())


if __name__ == "__main__":
    unittest.main()
