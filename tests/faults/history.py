"""What critical sections really did, judged against the lock's promises.

A history is text, one event a line, in the order in which they were written:

    BOOT_NS KIND LOCK HOLDER [NAME=VALUE...]

BOOT_NS is CLOCK_BOOTTIME, taken while the event was true: a holder stamps its `begin` after it was told of the grant
and its `end` before it gives the lock back, so that two intervals that overlap here overlapped.  HOLDER is
PID-SOMETHING, new for every section.  The kinds:

    begin    lease=SECONDS by=worker|run|hand|python [fence=N] [deadline=BOOT_NS]
             without a deadline the section is one that is stopped from outside (run); without a fence, Python's
    renew    deadline=BOOT_NS
    tick     the section is at work
    write    fence=N accepted=0|1: it came to the resource that knows fences (after its end: on purpose)
    end      it has stopped working, and gives the lock back after this
    killed   HOLDER is PID- of a contender that was sent SIGKILL: what it had asked for may stand until its lease ends
    doubt    HOLDER is "-": some request may take effect, or have done so, without a holder
    suspend  HOLDER is PID-: all that could stop this section was stopped with it
    free     HOLDER is "-": asked at the end, the lock was free

A holder believes from its begin to its end, or to its last sign of life where it has no end (it was killed), and
never beyond its deadline.  SPDX-License-Identifier: Apache-2.0
"""
import collections
import heapq
import typing

NS_PER_S = 10 ** 9
# Python 0.2.0 erases the fence: the next one goes on from server time, which is known to a second.
FENCE_DOUBT_MS = 2000
FORGET_AFTER_NS = 120 * NS_PER_S
GRACE_S = 5  # max(5 s, lease / 1000), of leases that are short


class Event(typing.NamedTuple):
    at: int
    kind: str
    lock: str
    holder: str
    values: dict


class Section:
    def __init__(self, event):
        self.holder = event.holder
        self.begin = self.last = event.at
        self.fence = int(event.values.get("fence", 0))
        self.lease_ns = int(event.values["lease"]) * NS_PER_S
        self.deadline = int(event.values["deadline"]) if "deadline" in event.values else None
        self.by = event.values["by"]
        self.ended = False

    @property
    def until(self):
        """Until when it believed."""
        return self.last if self.deadline is None else min(self.last, self.deadline)


class Verdict:
    def __init__(self):
        self.violations = []  # (kind, sentence)
        self.sections = 0
        self.by_lock = collections.Counter()
        self.kills = 0
        self.refused = 0  # writes of the stale, which the resource turned away
        self.longest_stuck_s = 0.0

    def add(self, kind, event, sentence):
        self.violations.append((kind, f"{event.lock} at {event.at / NS_PER_S:.3f}: {sentence}"))

    def count(self, kind):
        return sum(1 for found, _ in self.violations if found == kind)

    def line(self):
        return (f"{self.sections} sections, {self.kills} kills, {self.refused} stale writes refused, "
                f"{self.count('overlap')} overlaps, {self.count('fence')} falling fences, "
                f"{len(self.violations)} violations, longest stuck {self.longest_stuck_s:.1f} s")


def parse(line):
    words = line.split()
    return Event(int(words[0]), words[1], words[2], words[3], dict(word.split("=", 1) for word in words[4:]))


class LockChecker:
    """The events of one lock, in the order of their times."""

    def __init__(self, verdict, slack_s):
        self.verdict = verdict
        self.slack_ns = slack_s * NS_PER_S
        self.sections = {}        # by holder
        self.forget_above = 1000
        self.latest = None        # the section that believed last
        self.highest_fence = 0    # of grants
        self.fence_erased = False  # by a peer
        self.has_peers = False
        self.written_fence = 0    # of what the resource accepted
        self.longest_lease_ns = 0
        self.reason_at = None     # since when nothing excuses that nobody has the lock

    def take(self, event):
        getattr(self, "on_" + event.kind)(event)

    def on_begin(self, event):
        section = Section(event)
        self.verdict.sections += 1
        self.verdict.by_lock[event.lock] += 1
        if section.deadline is not None and section.begin >= section.deadline:
            self.verdict.add("deadline", event, f"{section.holder} began after its deadline")
        self.check_overlap(section, event)
        self.check_freed_early(section, event)
        self.check_fence(section, event)
        self.longest_lease_ns = max(self.longest_lease_ns, section.lease_ns)
        self.check_stuck(event)
        self.sections[section.holder] = section
        self.forget_old(event.at)
        self.latest = section
        self.reason_at = event.at

    def forget_old(self, at):
        """A long history has more sections than memory; nobody is stopped for longer than this."""
        if len(self.sections) > self.forget_above:
            self.sections = {holder: section for holder, section in self.sections.items()
                             if section.last > at - FORGET_AFTER_NS}
            self.forget_above = 2 * len(self.sections) + 1000

    def check_overlap(self, section, event):
        """Sections come in order, so that it is the one before, or one before that which goes on: see sign_of_life."""
        before = self.latest
        if before is not None and section.begin < before.until:
            self.verdict.add("overlap", event, f"{section.holder} began before {before.holder} had stopped")

    def check_freed_early(self, section, event):
        before = self.latest
        if before is None or before.ended or before.by == "run" or before.deadline is None:
            return
        if section.begin < before.deadline:
            self.verdict.add("early", event, f"{section.holder} got the lock although {before.holder}, which never "
                                             f"gave it back, might have held it for another "
                                             f"{(before.deadline - section.begin) / NS_PER_S:.3f} s")

    def check_fence(self, section, event):
        if not section.fence:
            self.has_peers = True
            if not self.fence_erased:
                self.highest_fence -= FENCE_DOUBT_MS
            self.fence_erased = True
            return
        if section.fence <= self.highest_fence:
            self.verdict.add("fence", event, f"{section.holder} was given fence {section.fence} after "
                                             f"{self.highest_fence}")
        self.highest_fence = section.fence
        self.fence_erased = False

    def check_stuck(self, event):
        """EVENT: somebody got the lock, or could have.  Until then all contenders were kept waiting."""
        if self.reason_at is None:
            return
        stuck_ns = max(0, event.at - self.reason_at)
        self.verdict.longest_stuck_s = max(self.verdict.longest_stuck_s, stuck_ns / NS_PER_S)
        if stuck_ns > self.longest_lease_ns + GRACE_S * NS_PER_S + self.slack_ns:
            self.verdict.add("stuck", event, f"nobody could get the lock for {stuck_ns / NS_PER_S:.1f} s")

    def sign_of_life(self, event):
        """The section of EVENT, which is known to live now; None where it does not believe any more."""
        section = self.sections.get(event.holder)
        if section is None:
            self.verdict.add("history", event, f"{event.kind} of {event.holder}, which never began")
            return None
        if section.ended or (section.deadline is not None and event.at >= section.deadline):
            return None
        section.last = max(section.last, event.at)
        if section is not self.latest and self.latest.begin < section.until:
            self.verdict.add("overlap", event, f"{section.holder} was at work after {self.latest.holder} had begun")
        if section is self.latest:
            self.reason_at = event.at
        return section

    def on_tick(self, event):
        self.sign_of_life(event)

    def on_renew(self, event):
        section = self.sign_of_life(event)
        if section is not None:
            section.deadline = int(event.values["deadline"])

    def on_end(self, event):
        self.sign_of_life(event)
        if event.holder in self.sections:
            self.sections[event.holder].ended = True
            if self.sections[event.holder] is self.latest:
                self.reason_at = max(self.reason_at, event.at)

    def on_write(self, event):
        fence = int(event.values["fence"])
        section = self.sign_of_life(event)
        if event.values["accepted"] == "1":
            if fence < self.written_fence:
                self.verdict.add("stale", event, f"a write with fence {fence} was accepted after one with "
                                                 f"{self.written_fence}")
            self.written_fence = max(self.written_fence, fence)
            return
        self.verdict.refused += 1
        excused = self.has_peers and fence > self.written_fence - FENCE_DOUBT_MS
        if section is not None and not excused:
            self.verdict.add("refused", event, f"{section.holder} holds the lock, and its fence {fence} was refused")

    def on_killed(self, event):
        self.verdict.kills += 1
        self.note_reason(event)

    def on_doubt(self, event):
        self.note_reason(event)

    def note_reason(self, event):
        self.reason_at = max(self.reason_at or 0, event.at)

    def on_suspend(self, event):
        """No renewal comes while all stand still, so that its deadline is at most a lease away."""
        for section in self.sections.values():
            if section.holder.startswith(event.holder) and section.deadline is None:
                section.deadline = event.at + section.lease_ns

    def on_free(self, event):
        self.check_stuck(event)
        self.reason_at = None

    def close(self, lock, at):
        """At the end everybody has gone: whatever is not free by now was orphaned."""
        if self.reason_at is not None:
            self.verdict.add("orphan", Event(at, "close", lock, "-", {}), "it never became free at the end")


def in_order(lines, window_s=60):
    """The events in the order of their times.  Between a stamp and its line a process may be stopped, for WINDOW_S at
    the most."""
    waiting = []
    for number, line in enumerate(lines):
        event = parse(line)
        heapq.heappush(waiting, (event.at, number, event))
        while waiting[0][0] < event.at - window_s * NS_PER_S:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def check(lines, slack_s=15):
    """The Verdict on a whole history.  SLACK_S: how long waiting, scheduling and delayed requests may take."""
    verdict = Verdict()
    locks = {}
    at = 0
    for event in in_order(lines):
        if event.at < at:
            verdict.add("history", event, "it was written too late to be judged")
        at = event.at
        if event.lock not in locks:
            locks[event.lock] = LockChecker(verdict, slack_s)
        locks[event.lock].take(event)
    for lock, checker in locks.items():
        checker.close(lock, at)
    return verdict
