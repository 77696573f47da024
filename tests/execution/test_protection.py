"""A position is protected as soon as anything shows that it is there, whatever else is late or silent."""

from __future__ import annotations

import asyncio

import pytest

from tests.execution.exchange import D, Exchange
from tests.execution.kit import Account
from tests.laws.virtual_time import run_virtually

pytestmark = pytest.mark.unit


def test_position_is_protected_from_the_answer_while_its_executions_are_late() -> None:
    async def day() -> None:
        account = Account(Exchange(fills_streamed=False, trades_lag=40))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert not await account.log("order.filled")
        await asyncio.sleep(60)
        assert [event.quantity for _, event in await account.log("order.filled")] == [D(1)]
        assert account.exchange.resting() == {"s1": D(1), "t1": D(1)}
        assert await account.log("execution.position_protected")
        await account.end()

    run_virtually(day())


def test_position_whose_stop_fired_is_flat_before_its_executions_are_known() -> None:
    async def day() -> None:
        account = Account(Exchange(fills_streamed=False, trades_lag=40))
        await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.execute(next(key for key in account.exchange.orders if key.endswith("s1")))
        await asyncio.sleep(5)
        assert account.exchange.resting() == {}
        assert not await account.log("position.closed")
        await asyncio.sleep(80)
        assert len(await account.log("order.filled")) == 2
        assert len(await account.log("position.closed")) == 1
        await account.end()

    run_virtually(day())
