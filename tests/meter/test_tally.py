"""Tallies: exact against the plainest model, never more than a budget allows, kills included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.saved import SavedTally
from proxy.meter.tally import SubjectTally, SumTally, reservation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW: Final = 60
A, B, C, D = (letter.encode() * 12 for letter in "abcd")

Group = tuple[bytes, ...]
Charged = tuple[float, tuple[Group, ...], int]

gaps = st.sampled_from([0, 1, 7, 29, 30, 31, 59, 60, 61])
keys = st.sampled_from([A, B, C, D])
groups = st.lists(keys, min_size=1, max_size=2, unique=True).map(tuple)
single_groups = st.lists(keys.map(lambda key: (key,)), max_size=3).map(tuple)
counts = st.integers(0, 3)


class Subjects:
    """A tally of subjects in one window, as the tests ask it."""

    def __init__(self, seconds: int = WINDOW) -> None:
        self.tally = SubjectTally(1, "test", [seconds])

    def usage(self, now: float) -> int:
        """Return how many are in the window."""
        self.tally.advance(now)
        return self.tally.windows.windows[0].total

    def cost(self, groups: Sequence[Group], anonymous: int, now: float) -> int:
        """Return what a charge would add."""
        self.tally.advance(now)
        return self.tally.costs(self.tally.unseen(groups, now), anonymous)[0]

    def charge(self, groups: Sequence[Group], anonymous: int, now: float) -> None:
        """Add them."""
        self.tally.advance(now)
        self.tally.charge(self.tally.unseen(groups, now), anonymous, now)


class ModelSubject:
    """A subject with all its keys and every moment at which it was disclosed."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        self.moments: list[float] = []


class Model:
    """Remembers everything, and counts it anew at each question."""

    def __init__(self) -> None:
        self.subjects: list[ModelSubject] = []
        self.anonymous: list[tuple[float, int]] = []

    def usage(self, now: float) -> int:
        """Forget whom the window has left; count the others."""
        self.subjects = [one for one in self.subjects if now - max(one.moments) - 1 < WINDOW]
        return len(self.subjects) + sum(
            n for moment, n in self.anonymous if now - moment - 1 < WINDOW
        )

    def charge(self, groups: tuple[Group, ...], anonymous: int, now: float) -> None:
        """Find each group's subject among all, or make one."""
        for group in groups:
            named = [one for one in self.subjects if not one.keys.isdisjoint(group)]
            known = {key for one in named for key in one.keys}
            owners = [one for one in named if one.keys <= set(group)]
            if not set(group) <= known and not owners:
                owners = [ModelSubject()]
                self.subjects.append(owners[0])
            for one in owners[:1]:
                one.keys |= set(group) - known
            for one in {*named, *owners[:1]}:
                one.moments.append(now)
        self.anonymous.append((now, anonymous))


@given(st.lists(st.tuples(gaps, st.lists(groups, max_size=2).map(tuple), counts), max_size=20))
def test_usage_is_that_of_the_plainest_model(charges: list[Charged]) -> None:
    """After any charges at any moments, both count the same subjects."""
    window, model, now = Subjects(), Model(), 0.0
    for gap, charged, anonymous in charges:
        now += gap
        assert window.usage(now) == model.usage(now)
        window.charge(charged, anonymous, now)
        model.charge(charged, anonymous, now)
        assert window.usage(now) == model.usage(now)


@given(st.lists(st.tuples(gaps, st.lists(groups, max_size=3).map(tuple), counts), max_size=20))
def test_cost_is_never_less_than_what_a_charge_adds(charges: list[Charged]) -> None:
    """What was said to fit does fit; for one group, as for each row, the cost is exact."""
    window, now = Subjects(), 0.0
    for gap, charged, anonymous in charges:
        now += gap
        used = window.usage(now)
        cost = window.cost(charged, anonymous, now)
        window.charge(charged, anonymous, now)
        added = window.usage(now) - used

        assert added <= cost
        if len(charged) <= 1:
            assert added == cost


@given(st.lists(st.tuples(gaps, single_groups, counts), max_size=30), st.integers(0, 4))
def test_no_window_holds_more_than_the_limit(charges: list[Charged], limit: int) -> None:
    """Wherever a window is laid, the distinct subjects released within it are within the limit."""
    window, now = Subjects(), 0.0
    released: list[Charged] = []
    for gap, charged, anonymous in charges:
        now += gap
        used = window.usage(now)
        cost = window.cost(charged, anonymous, now)
        if cost and used + cost > limit:
            continue
        window.charge(charged, anonymous, now)
        released.append((now, charged, anonymous))
        assert window.usage(now) <= limit

    for end, _, _ in released:
        within = [one for one in released if end - WINDOW < one[0] <= end]
        named = {key for _, charged, _ in within for group in charged for key in group}
        assert len(named) + sum(anonymous for _, _, anonymous in within) <= limit


def test_a_window_ends_at_its_last_moment() -> None:
    """A subject counts until the window has passed the step that it was disclosed in."""
    window = Subjects()
    window.charge([(A,)], 2, 100.0)

    assert [window.usage(at) for at in (100.0, 160.999, 161.0)] == [3, 3, 0]
    assert window.cost([(A,)], 0, 161.0) == 1


def test_a_subject_counts_from_its_last_disclosure() -> None:
    """Seen again it costs nothing but stays longer, or twice the limit could leave in a window."""
    window = Subjects()
    window.charge([(A,), (B,)], 0, 0.0)
    assert window.cost([(A,)], 0, 0.0) == 0
    window.charge([(A,)], 0, 59.0)

    assert [window.usage(at) for at in (59.0, 61.0, 119.0, 120.0)] == [2, 1, 1, 0]


def test_those_without_a_key_are_not_refreshed() -> None:
    """Each may be another subject, so each is counted for a window of its own."""
    window = Subjects()
    window.charge([], 2, 0.0)
    window.charge([], 3, 30.0)

    assert [window.usage(at) for at in (30.0, 61.0, 91.0)] == [5, 3, 0]


def test_keys_seen_together_are_one_subject() -> None:
    """After a row with id and NIR, either of them alone is somebody already known."""
    window = Subjects()
    window.charge([(b"id", b"nir")], 0, 0.0)

    assert window.usage(0.0) == 1
    assert window.cost([(b"id",)], 0, 0.0) == window.cost([(b"nir",)], 0, 0.0) == 0
    assert window.cost([(b"nir", b"id")], 0, 0.0) == 0


def test_a_new_key_of_a_known_subject_is_learnt() -> None:
    """The id first, then id and NIR: still one, known by both from then on."""
    window = Subjects()
    window.charge([(b"id",)], 0, 0.0)
    assert window.cost([(b"id", b"nir")], 0, 0.0) == 0
    window.charge([(b"id", b"nir")], 0, 1.0)

    assert window.usage(1.0) == 1
    assert window.cost([(b"nir",)], 0, 1.0) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_children_who_bear_one_nir_are_not_one_subject(order: tuple[int, int]) -> None:
    """A key that many share frees nobody: three ids with one NIR are three, in either order."""
    window = Subjects()
    for child in (b"id1", b"id2", b"id3"):
        row = (child, b"nir")
        window.charge([(row[order[0]], row[order[1]])], 0, 0.0)

    assert window.usage(0.0) == 3
    assert window.cost([(b"id1", b"nir"), (b"id2", b"nir"), (b"nir", b"id3")], 0, 0.0) == 0


def test_each_subject_that_a_shared_key_names_is_refreshed() -> None:
    """The second of two who share a NIR does not expire because the first was found first."""
    window = Subjects()
    window.charge([(b"id1", b"nir"), (b"id2", b"nir")], 0, 0.0)
    window.charge([(b"nir", b"id2")], 0, 59.0)

    assert window.usage(61.0) == 2
    assert window.cost([(b"id2",)], 0, 61.0) == 0


def test_two_counted_apart_stay_two() -> None:
    """Seen together later they cost nothing, but what was counted is not forgiven."""
    window = Subjects()
    window.charge([(b"id",), (b"nir",)], 0, 0.0)
    window.charge([(b"id", b"nir")], 0, 1.0)

    assert window.usage(1.0) == 2


def test_one_subject_twice_in_a_charge_costs_once() -> None:
    """A row that names the same key in two columns is about one subject."""
    window = Subjects()

    assert window.cost([(A,), (A,)], 0, 0.0) == 1


def test_groups_of_one_charge_cannot_hide_behind_each_other() -> None:
    """The first gives a known subject its NIR; the second, with another, is then somebody else."""
    window = Subjects()
    window.charge([(b"id",)], 0, 0.0)
    rows = [(b"id", b"nir1"), (b"id", b"nir2")]
    cost = window.cost(rows, 0, 0.0)
    window.charge(rows, 0, 0.0)

    assert window.usage(0.0) == 2
    assert cost >= 1


def test_nothing_is_kept_of_whom_the_window_has_left() -> None:
    """Memory is bounded by the subjects within the window."""
    window = Subjects()
    for number in range(100):
        window.charge([(b"id%010d" % number, b"nir%09d" % number)], 1, float(number))
        window.usage(float(number))

    tally = window.tally
    assert tally.size == len(tally._anonymous) == len(tally._subjects.counts) == 61


class Disk:
    """What is kept of one tally, as a store would keep it."""

    def __init__(self, sort: type[SubjectTally | SumTally], seconds: list[int], limit: int) -> None:
        self.kept = SavedTally(1, "test", sort.counts_subjects, tuple(seconds))
        self._sort = sort
        self._limit = limit

    def start(self, now: float) -> SubjectTally | SumTally:
        """Begin with what is kept, as after a kill."""
        tally = self._sort(1, "test", self.kept.seconds)
        tally.restore(self.kept, now)
        tally.widen([], reservation_of([self._limit]))
        return tally

    def keep(self, tally: SubjectTally | SumTally, now: float, *, works: bool = True) -> None:
        """Take what has changed; or fail to."""
        tally.advance(now)
        change = tally.change(now)
        if change is None:
            return
        if not works:
            tally.not_saved(change)
            return
        gone = {*change.gone_steps}
        pages = [] if change.forgets_subjects else [*self.kept.pages]
        pages = [page for page in pages if page[0] not in gone] + change.pages
        self.kept.pages = sorted(pages, key=lambda page: page[0])
        amounts = {end: n for end, n in self.kept.amounts if end not in gone}
        self.kept.amounts = list((amounts | dict(change.amounts)).items())
        self.kept.reserved = change.reserved
        tally.saved()


steps = st.lists(
    st.tuples(
        st.sampled_from(["charge", "keep", "fail", "kill", "compact", "leave"]),
        gaps,
        st.lists(groups, max_size=2).map(tuple),
        counts,
    ),
    max_size=40,
)


@given(steps, st.integers(1, 40), st.sampled_from([[60], [60, 300], [300, 7], [7, 60, 600]]))
def test_a_kill_never_refunds(
    told: list[tuple[str, float, tuple[Group, ...], int]], limit: int, seconds: list[int]
) -> None:
    """Whatever is charged, kept, not kept or killed: no window is given more than the limit.

    What is charged is released once it is covered, and at each window's every moment the distinct
    subjects that were released within it are counted anew.
    """
    disk, now = Disk(SubjectTally, seconds, limit), 0.0
    tally = disk.start(now)
    released: list[Charged] = []
    for what, gap, charged, anonymous in told:
        now += gap
        assert isinstance(tally, SubjectTally)
        match what:
            case "charge":
                tally.advance(now)
                if tally.is_away:
                    tally.come_back(disk.kept.pages)
                new = tally.unseen(charged, now)
                costs = tally.costs(new, anonymous)
                windows = tally.windows.windows
                if any(
                    cost and one.total + cost > limit
                    for one, cost in zip(windows, costs, strict=True)
                ):
                    continue
                tally.charge(new, anonymous, now)
                if not tally.is_covered:
                    disk.keep(tally, now)
                assert tally.is_covered
                released.append((now, charged, anonymous))
            case "keep":
                disk.keep(tally, now)
            case "fail":
                disk.keep(tally, now, works=False)
            case "compact":
                tally.compact()
            case "leave" if tally.may_leave:
                tally.leave()
            case "leave":
                pass
            case _:
                tally = disk.start(now)
    for length in seconds:
        for end, _, _ in released:
            within = [one for one in released if end - length < one[0] <= end]
            named = {group[0] for _, charged, _ in within for group in charged if len(group) == 1}
            assert len(named) + sum(n for _, _, n in within) <= limit


@given(st.lists(st.tuples(st.sampled_from(["charge", "keep", "fail", "kill"]), gaps, counts)))
def test_a_kill_refunds_no_sum(told: list[tuple[str, float, int]]) -> None:
    """Rows, bytes and statements as subjects."""
    limit, disk, now = 20, Disk(SumTally, [60], 20), 0.0
    tally = disk.start(now)
    released: list[tuple[float, int]] = []
    for what, gap, amount in told:
        now += gap
        assert isinstance(tally, SumTally)
        match what:
            case "charge":
                tally.advance(now)
                if tally.windows.windows[0].total + amount > limit:
                    continue
                tally.charge(amount, now)
                if not tally.is_covered:
                    disk.keep(tally, now)
                released.append((now, amount))
            case "keep":
                disk.keep(tally, now)
            case "fail":
                disk.keep(tally, now, works=False)
            case _:
                tally = disk.start(now)
    for end, _ in released:
        assert sum(n for at, n in released if end - 60 < at <= end) <= limit


def test_a_kill_costs_at_most_what_is_reserved() -> None:
    """A sixteenth of the smallest limit; an orderly end costs nothing."""
    disk = Disk(SubjectTally, [3600], 320)
    tally = disk.start(0.0)
    assert isinstance(tally, SubjectTally)
    tally.charge([(A,)], 0, 0.0)
    disk.keep(tally, 0.0)

    killed = disk.start(1.0)
    assert killed.windows.windows[0].total == 1 + 20
    change = tally.change(1.0, reserves=False)
    assert change is not None
    assert change.reserved == 0


def test_more_is_reserved_before_there_is_none_left() -> None:
    """At half of it, so that a result seldom waits."""
    disk = Disk(SumTally, [3600], 320)
    tally = disk.start(0.0)
    assert isinstance(tally, SumTally)
    tally.charge(1, 0.0)
    assert not tally.is_covered
    disk.keep(tally, 0.0)
    tally.charge(10, 0.0)
    seen = [(tally.is_covered, tally.wants_saving())]
    tally.charge(1, 0.0)
    seen.append((tally.is_covered, tally.wants_saving()))
    assert tally.change(0.0) is not None
    for amount in (9, 1):
        tally.charge(amount, 0.0)
        seen.append((tally.is_covered, True))
    tally.saved()

    assert seen == [(True, False), (True, True), (True, True), (False, True)]
    assert tally.is_covered


def test_compaction_forgives_nothing() -> None:
    """The number stays; whoever comes again costs again."""
    window = Subjects()
    window.charge([(A,), (B,)], 1, 0.0)
    window.tally.compact()

    assert window.usage(0.0) == 3
    assert window.cost([(A,)], 0, 0.0) == 1
    assert window.tally.size == 0
