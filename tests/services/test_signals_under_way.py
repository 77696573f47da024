"""Signals on their way, as the execution service keeps them: counted, ended with it, and missed when they fail."""

from __future__ import annotations

import asyncio

import pytest

from patriot.execution.routing import SignalRouter
from patriot.simulation.loop import run_virtually
from tests.services.paper import ALICE, TREND, Paper

pytestmark = pytest.mark.unit


async def founded() -> Paper:
    paper = Paper()
    await paper.found([(ALICE, await paper.link(ALICE))])
    return paper


def test_signal_is_under_way_until_it_is_routed_and_ends_with_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    routed: list[None] = []

    async def slowly(*_words: object) -> None:
        await asyncio.sleep(30)
        routed.append(None)

    async def day() -> None:
        paper = await founded()
        async with paper.running() as service:
            telling = asyncio.create_task(paper.signal(TREND))
            await asyncio.sleep(1)
            assert "signals 1" in service.busy
            await asyncio.sleep(40)
            assert (service.busy, len(routed)) == ("", 1)
            await telling
            telling = asyncio.create_task(paper.signal(TREND))
            await asyncio.sleep(1)
        await asyncio.sleep(40)
        await telling
        assert len(routed) == 1

    monkeypatch.setattr(SignalRouter, "_route", slowly)
    run_virtually(day())


def test_signal_that_cannot_be_routed_ends_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_words: object) -> None:
        raise LookupError("no such strategy")

    async def day() -> None:
        paper = await founded()
        with pytest.raises(AssertionError, match="no such strategy"):  # what the services ended with
            async with paper.running():
                await paper.signal(TREND)

    monkeypatch.setattr(SignalRouter, "_route", fails)
    run_virtually(day())
