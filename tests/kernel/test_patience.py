"""Patience ends with success, with what no repeating can mend, and with whoever is patient."""

import asyncio

import pytest

from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.patience import patiently
from patriot.simulation.loop import run_virtually

pytestmark = pytest.mark.unit

FOR_EVER = 3_600.0


async def fails_while_canceled() -> None:
    try:
        await asyncio.sleep(FOR_EVER)
    finally:
        raise StoreUnavailable("gone while it was told to end")


async def test_cancellation_is_not_lost_to_an_error_of_the_same_moment() -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await fails_while_canceled()

    task = asyncio.create_task(patiently(work, pauses=(0.0,), errors=(StoreUnavailable,)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert (task.cancelled(), tries) == (True, 1)


async def test_pauses_grow_and_what_is_final_is_not_tried_again() -> None:
    tries: list[float] = []

    async def work() -> None:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) < 4:
            raise StoreUnavailable("not yet")
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        await patiently(work, pauses=(0.0, 0.02), errors=(StoreUnavailable, ValueError), final=(ValueError,))
    assert len(tries) == 4
    assert tries[3] - tries[1] >= 0.04


async def test_answer_that_does_not_come_is_asked_for_again() -> None:
    tries = 0

    async def work() -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            await asyncio.sleep(FOR_EVER)
        return tries

    assert await patiently(work, pauses=(0.0,), errors=(TimeoutError,), answer_seconds=0.001) == 3


def test_tries_that_failed_at_once_do_not_lengthen_the_wait_for_an_answer() -> None:
    asked: list[float] = []

    async def work() -> int:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) <= 5:
            raise StoreUnavailable("busy")
        if len(asked) == 6:
            await asyncio.sleep(FOR_EVER)
        return len(asked)

    async def day() -> None:
        errors = (StoreUnavailable, TimeoutError)
        assert await patiently(work, pauses=(0.0,), errors=errors, answer_seconds=0.6) == 7
        assert asked[6] - asked[5] == pytest.approx(0.6)

    run_virtually(day())
