"""Reads that are asked again until they are answered, and what a person is told of those that are refused."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from patriot.execution.reads import Reads
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, StoreUnavailable
from patriot.simulation.loop import run_virtually
from tests.execution.kit import Alarm
from tests.orders.kit import ACCOUNT

pytestmark = pytest.mark.unit


class Question:
    """A read that fails as often as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked_at: list[float] = []

    async def __call__(self) -> None:
        self.asked_at.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)

    @property
    def pauses(self) -> list[float]:
        return [round(later - earlier, 3) for earlier, later in pairwise(self.asked_at)]


def test_read_that_is_not_answered_is_repeated_and_nobody_is_told() -> None:
    async def day() -> None:
        alarm = Alarm()
        question = Question(*[ExchangeUnavailable("away"), StoreUnavailable("away")] * 4)
        await Reads(ACCOUNT, alarm).until_read("income", question)
        assert question.pauses == [0.1, 0.5, 1, 2, 5, 5, 5, 5]
        assert alarm.names == []

    run_virtually(day())


def test_refused_read_is_repeated_more_seldom_and_told_once_for_each_code() -> None:
    async def day() -> None:
        alarm = Alarm()
        reads = Reads(ACCOUNT, alarm)
        refusals = [ExchangeRefused(-1121, "Invalid symbol.")] * 6
        question = Question(*refusals, ExchangeRefused(-4000, "Other"))
        reading = asyncio.create_task(reads.until_read("income", question))
        await asyncio.sleep(0.5)
        assert reads.words == ["the exchange refuses to tell income: -1121: Invalid symbol."]
        await reading
        assert question.pauses == [1, 2, 5, 10, 30, 60, 60]
        assert reads.words == []
        told = [(name, fields["what"], fields["reason"]) for name, fields in alarm.raised]
        assert told == [
            ("account.read_refused", "income", "-1121: Invalid symbol."),
            ("account.read_refused", "income", "-4000: Other"),
        ]

    run_virtually(day())


@pytest.mark.parametrize("about_key", [True, False])
def test_refusal_that_speaks_of_the_key_is_passed_on(*, about_key: bool) -> None:
    heard: list[None] = []
    reads = Reads(ACCOUNT, Alarm())
    reads.on_key_refused = lambda: heard.append(None)
    reads.note("income", ExchangeRefused(-2015, "no", about_key=about_key))
    assert bool(heard) is about_key
