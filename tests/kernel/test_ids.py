"""Ids: sorted by time, seeded when asked, the same for the same parts."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.clock import EPOCH, FakeClock, from_epoch_ms, to_epoch_ms
from patriot.kernel.ids import Ids, derived_id

pytestmark = pytest.mark.unit

MILLISECONDS = st.integers(0, 2**41)


@given(MILLISECONDS, st.binary(min_size=10, max_size=10))
def test_new_id_is_a_uuid_of_version_7_that_carries_its_time(milliseconds: int, noise: bytes) -> None:
    made = Ids(FakeClock(from_epoch_ms(milliseconds)), lambda _: noise).new()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == milliseconds


@given(MILLISECONDS, st.integers(1, 10**6))
def test_later_id_sorts_after_an_earlier_one(milliseconds: int, later: int) -> None:
    clock = FakeClock(from_epoch_ms(milliseconds))
    first = Ids(clock).new()
    clock.advance(timedelta(milliseconds=later))
    assert first < Ids(clock).new()


def test_ids_do_not_repeat_within_a_millisecond() -> None:
    ids = Ids(FakeClock())
    assert len({ids.new() for _ in range(1_000)}) == 1_000


def test_same_seed_gives_the_same_ids() -> None:
    first, second = (Ids(FakeClock(), random.Random(7).randbytes) for _ in range(2))
    assert [first.new() for _ in range(3)] == [second.new() for _ in range(3)]


@given(
    st.lists(st.text(alphabet="ab", max_size=3), max_size=4), st.lists(st.text(alphabet="ab", max_size=3), max_size=4)
)
def test_derived_ids_are_equal_exactly_when_their_parts_are(left: list[str], right: list[str]) -> None:
    same = derived_id(*left) == derived_id(*right)
    assert same == (left == right) or sorted([left, right]) == [[], [""]]  # nothing and one empty part look alike


@given(MILLISECONDS)
def test_milliseconds_survive_the_way_through_a_datetime(milliseconds: int) -> None:
    assert to_epoch_ms(from_epoch_ms(milliseconds)) == milliseconds
    assert from_epoch_ms(0) == EPOCH
