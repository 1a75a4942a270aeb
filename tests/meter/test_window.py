"""Sliding windows: exact against the plainest model, and never more than a budget allows."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.meter.window import SubjectWindow, SumWindow
from tests.kernels import each_kernel

WINDOW: Final = 60

Group = tuple[bytes, ...]
Charged = tuple[float, tuple[Group, ...], int]

gaps = st.sampled_from([0, 1, 7, 29, 30, 31, 59, 60, 61])
keys = st.sampled_from([b"a", b"b", b"c", b"d"])
groups = st.lists(keys, min_size=1, max_size=2, unique=True).map(tuple)
single_groups = st.lists(keys.map(lambda key: (key,)), max_size=3).map(tuple)
counts = st.integers(0, 3)


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
        self.subjects = [one for one in self.subjects if now - max(one.moments) < WINDOW]
        return len(self.subjects) + sum(n for moment, n in self.anonymous if now - moment < WINDOW)

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


@each_kernel
@given(st.lists(st.tuples(gaps, st.lists(groups, max_size=2).map(tuple), counts), max_size=20))
def test_usage_is_that_of_the_plainest_model(kernel: Any, charges: list[Charged]) -> None:
    """After any charges at any moments, both count the same subjects."""
    window, model, now = kernel.SubjectWindow(WINDOW), Model(), 0.0
    for gap, charged, anonymous in charges:
        now += gap
        assert window.usage(now) == model.usage(now)
        window.charge(charged, anonymous, now)
        model.charge(charged, anonymous, now)
        assert window.usage(now) == model.usage(now)


@each_kernel
@given(st.lists(st.tuples(gaps, st.lists(groups, max_size=3).map(tuple), counts), max_size=20))
def test_cost_is_never_less_than_what_a_charge_adds(kernel: Any, charges: list[Charged]) -> None:
    """What was said to fit does fit; for one group, as for each row, the cost is exact."""
    window, now = kernel.SubjectWindow(WINDOW), 0.0
    for gap, charged, anonymous in charges:
        now += gap
        used = window.usage(now)
        cost = window.cost(charged, anonymous)
        window.charge(charged, anonymous, now)
        added = window.usage(now) - used

        assert added <= cost
        if len(charged) <= 1:
            assert added == cost


@each_kernel
@given(st.lists(st.tuples(gaps, single_groups, counts), max_size=30), st.integers(0, 4))
def test_no_window_holds_more_than_the_limit(
    kernel: Any, charges: list[Charged], limit: int
) -> None:
    """Wherever a window is laid, the distinct subjects released within it are within the limit."""
    window, now = kernel.SubjectWindow(WINDOW), 0.0
    released: list[Charged] = []
    for gap, charged, anonymous in charges:
        now += gap
        used = window.usage(now)
        cost = window.cost(charged, anonymous)
        if cost and used + cost > limit:
            continue
        window.charge(charged, anonymous, now)
        released.append((now, charged, anonymous))
        assert window.usage(now) <= limit

    for end, _, _ in released:
        within = [one for one in released if end - WINDOW < one[0] <= end]
        named = {key for _, charged, _ in within for group in charged for key in group}
        assert len(named) + sum(anonymous for _, _, anonymous in within) <= limit


@each_kernel
def test_a_window_ends_at_its_last_moment(kernel: Any) -> None:
    """A subject counts until the window's length has passed, and at that moment no more."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"a",)], 2, 100.0)

    assert [window.usage(at) for at in (100.0, 159.999, 160.0)] == [3, 3, 0]
    assert window.cost([(b"a",)], 0) == 1


@each_kernel
def test_a_subject_counts_from_its_last_disclosure(kernel: Any) -> None:
    """Seen again it costs nothing but stays longer, or twice the limit could leave in a window."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"a",), (b"b",)], 0, 0.0)
    assert window.cost([(b"a",)], 0) == 0
    window.charge([(b"a",)], 0, 59.0)

    assert [window.usage(at) for at in (59.0, 60.0, 118.0, 119.0)] == [2, 1, 1, 0]


@each_kernel
def test_those_without_a_key_are_not_refreshed(kernel: Any) -> None:
    """Each may be another subject, so each is counted for a window of its own."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([], 2, 0.0)
    window.charge([], 3, 30.0)

    assert [window.usage(at) for at in (30.0, 60.0, 90.0)] == [5, 3, 0]


@each_kernel
def test_keys_seen_together_are_one_subject(kernel: Any) -> None:
    """After a row with id and NIR, either of them alone is somebody already known."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"id", b"nir")], 0, 0.0)

    assert window.usage(0.0) == 1
    assert window.cost([(b"id",)], 0) == window.cost([(b"nir",)], 0) == 0
    assert window.cost([(b"nir", b"id")], 0) == 0


@each_kernel
def test_a_new_key_of_a_known_subject_is_learnt(kernel: Any) -> None:
    """The id first, then id and NIR: still one, known by both from then on."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"id",)], 0, 0.0)
    assert window.cost([(b"id", b"nir")], 0) == 0
    window.charge([(b"id", b"nir")], 0, 1.0)

    assert window.usage(1.0) == 1
    assert window.cost([(b"nir",)], 0) == 0


@each_kernel
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_children_who_bear_one_nir_are_not_one_subject(kernel: Any, order: tuple[int, int]) -> None:
    """A key that many share frees nobody: three ids with one NIR are three, in either order."""
    window = kernel.SubjectWindow(WINDOW)
    for child in (b"id1", b"id2", b"id3"):
        row = (child, b"nir")
        window.charge([(row[order[0]], row[order[1]])], 0, 0.0)

    assert window.usage(0.0) == 3
    assert window.cost([(b"id1", b"nir"), (b"id2", b"nir"), (b"nir", b"id3")], 0) == 0


@each_kernel
def test_each_subject_that_a_shared_key_names_is_refreshed(kernel: Any) -> None:
    """The second of two who share a NIR does not expire because the first was found first."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"id1", b"nir"), (b"id2", b"nir")], 0, 0.0)
    window.charge([(b"nir", b"id2")], 0, 59.0)

    assert window.usage(60.0) == 2
    assert window.cost([(b"id2",)], 0) == 0


@each_kernel
def test_two_counted_apart_stay_two(kernel: Any) -> None:
    """Seen together later they cost nothing, but what was counted is not forgiven."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"id",), (b"nir",)], 0, 0.0)
    window.charge([(b"id", b"nir")], 0, 1.0)

    assert window.usage(1.0) == 2


@each_kernel
def test_one_subject_twice_in_a_charge_costs_once(kernel: Any) -> None:
    """A row that names the same key in two columns is about one subject."""
    window = kernel.SubjectWindow(WINDOW)

    assert window.cost([(b"a",), (b"a",)], 0) == 1


@each_kernel
def test_groups_of_one_charge_cannot_hide_behind_each_other(kernel: Any) -> None:
    """The first gives a known subject its NIR; the second, with another, is then somebody else."""
    window = kernel.SubjectWindow(WINDOW)
    window.charge([(b"id",)], 0, 0.0)
    rows = [(b"id", b"nir1"), (b"id", b"nir2")]
    cost = window.cost(rows, 0)
    window.charge(rows, 0, 0.0)

    assert window.usage(0.0) == 2
    assert cost >= 1


@each_kernel
def test_nothing_is_kept_of_whom_the_window_has_left(kernel: Any) -> None:
    """Memory is bounded by the subjects within the window."""
    window = kernel.SubjectWindow(WINDOW)
    for number in range(100):
        window.charge([(b"id%d" % number, b"nir%d" % number)], 1, float(number))
        window.usage(float(number))

    assert window.kept == (60, 120, 60)


amounts = st.lists(st.tuples(gaps | st.floats(0, 90), st.integers(1, 1000)), max_size=30)


@given(amounts)
def test_a_sum_is_true_to_a_step(charges: list[tuple[float, int]]) -> None:
    """Never less than the true sum of the window, never more than that of one step longer."""
    window, now = SumWindow(WINDOW), 0.0
    charged: list[tuple[float, int]] = []
    step = WINDOW / SumWindow.STEPS
    for gap, amount in charges:
        now += gap
        window.charge(amount, now)
        charged.append((now, amount))
        used = window.usage(now)

        assert used >= sum(n for moment, n in charged if now - moment < WINDOW)
        assert used <= sum(n for moment, n in charged if now - moment <= WINDOW + step)
        assert len(window._steps) <= SumWindow.STEPS + 1


def test_a_sum_in_time_that_goes_by_falls() -> None:
    """Without further charges it only falls, and in the end to nothing."""
    window = SumWindow(WINDOW)
    for second in range(0, 60, 10):
        window.charge(5, float(second))

    sums = [window.usage(float(at)) for at in range(60, 130)]

    assert sums[0] == 30
    assert sums[-1] == 0
    assert all(earlier >= later for earlier, later in pairwise(sums))


@pytest.mark.parametrize(("at", "used"), [(159.0, 7), (160.0, 7), (160.5, 7), (161.0, 0)])
def test_a_step_of_a_sum_ends_when_all_of_it_has_left(at: float, used: int) -> None:
    """Charged at second 100.5 of steps of a second, it counts until second 161."""
    window = SumWindow(WINDOW)
    window.charge(7, 100.5)

    assert window.usage(at) == used


@each_kernel
def test_a_table_of_many_keys_is_that_of_few(kernel: Any) -> None:
    """Thousands of keys come and go: every kernel counts as the one in Python."""
    chance = random.Random(7)  # noqa: S311 - repeatable
    window, plain, now = kernel.SubjectWindow(WINDOW), SubjectWindow(WINDOW), 0.0
    for _ in range(1500):
        now += chance.choice((0, 0, 1, 3))
        charged = [
            tuple(b"%d" % chance.randrange(2000) for _ in range(chance.choice((1, 1, 2, 3))))
            for _ in range(chance.randrange(8))
        ]
        assert window.usage(now) == plain.usage(now)
        assert window.cost(charged, 1) == plain.cost(charged, 1)
        window.charge(charged, 1, now)
        plain.charge(charged, 1, now)
        assert window.kept == plain.kept
