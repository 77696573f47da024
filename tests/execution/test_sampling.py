"""Samples of a fleet's accounts: late and not lost, paced, one for two wishes."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import pytest

from patriot.accounts.events import SampleReason
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, StoreUnavailable
from patriot.trading.terms import AccountId, Urgency
from tests.execution.yard import (
    NOTHING_HELD,
    ONE,
    TWO,
    Yard,
    at_work,
    day,
)

pytestmark = pytest.mark.unit


@day
async def test_sample_that_failed_is_repeated_within_the_hour() -> None:
    refusals = [ExchangeUnavailable("429", 20.0), ExchangeUnavailable("5xx"), StoreUnavailable("away")]
    yard = Yard(books_fail={ONE: list(refusals)})
    async with at_work(yard, ONE, TWO) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(60)
        (late,) = yard.of(ONE)[0].ledger.sampled
        (punctual,) = yard.of(TWO)[0].ledger.sampled
        assert late[1] is punctual[1] is SampleReason.HOURLY
        assert punctual[0] < 2
        assert 20 < late[0] < 60  # the exchange's own wish to wait is heeded
        assert yard.counted["account.sample_late"] == 1
        assert yard.of(ONE)[0].worker.checked == [NOTHING_HELD]


@day
async def test_sample_goes_on_with_the_worker_that_comes_next() -> None:
    yard = Yard(books_fail={ONE: [ExchangeUnavailable("away")]})
    async with at_work(yard, ONE) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        yard.of(ONE)[0].worker.stop()
        await asyncio.sleep(30)
        assert yard.of(ONE)[0].ledger.sampled == []
        assert len(yard.of(ONE)[-1].ledger.sampled) == 1


@day
async def test_samples_of_many_accounts_are_paced() -> None:
    yard = Yard()
    many = [AccountId(UUID(int=100 + number)) for number in range(20)]
    async with at_work(yard, *many) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(60)
        moments = Counter(put.ledger.sampled[0][0] for put in yard.put)
        assert len(moments) == 5
        assert set(moments.values()) == {4}
        assert {one for put in yard.put for one in put.ledger.urgencies} == {Urgency.BACKGROUND}


@day
async def test_samples_of_a_month_end_wait_for_nobody() -> None:
    yard = Yard()
    many = [AccountId(UUID(int=100 + number)) for number in range(20)]
    async with at_work(yard, *many) as fleet:
        fleet.sample_equity(SampleReason.HOURLY, paced=False)
        await asyncio.sleep(60)
        assert len({put.ledger.sampled[0][0] for put in yard.put}) == 1
        assert {one for put in yard.put for one in put.ledger.urgencies} == {Urgency.NORMAL}


@day
async def test_second_wish_for_a_sample_joins_the_one_under_way() -> None:
    yard = Yard(books_fail={ONE: [ExchangeUnavailable("away")]})
    async with at_work(yard, ONE) as fleet:
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(0.5)
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(30)
        assert len(yard.of(ONE)[0].ledger.sampled) == 1
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(30)
        assert len(yard.of(ONE)[0].ledger.sampled) == 2


@day
async def test_sample_that_fails_again_and_again_is_tried_at_longer_and_longer_pauses() -> None:
    yard = Yard(books_fail={ONE: [StoreUnavailable("away") for _ in range(6)]})
    async with at_work(yard, ONE) as fleet:
        began = yard.clock.monotonic()
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(200)
        ((sampled_at, _),) = yard.of(ONE)[0].ledger.sampled
        assert sampled_at - began == 7 + (1 + 2 + 5 + 10 + 30 + 30)  # each try takes a second


@day
async def test_sample_that_is_refused_for_the_key_has_the_key_looked_at() -> None:
    yard = Yard(
        books_fail={ONE: [ExchangeRefused(-2015, "no such key", about_key=True)], TWO: [ExchangeRefused(-1, "")]}
    )
    async with at_work(yard, ONE, TWO) as fleet:
        await asyncio.sleep(1)
        before = dict(yard.checked)
        fleet.sample_equity(SampleReason.HOURLY)
        await asyncio.sleep(5)
        assert (yard.checked[ONE] - before[ONE], yard.checked[TWO] - before[TWO]) == (1, 0)
