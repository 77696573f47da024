"""Work that must go on is seen when it ends in any way, and ends when it is told to."""

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from patriot.kernel.errors import EndedByItself, StoreUnavailable
from patriot.kernel.tasks import Background, Repeatable, in_own_task, while_serving, without_end

pytestmark = pytest.mark.unit

Work = Callable[[], Coroutine[Any, Any, None]]
FOR_EVER = 3_600.0


async def returns() -> None:
    """End as if all were done."""


async def canceled_inside() -> None:
    """Wait for something that somebody else cancels."""
    other = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


async def fails() -> None:
    raise StoreUnavailable("gone")


async def goes_on() -> None:
    await asyncio.sleep(FOR_EVER)


async def fails_while_canceled() -> None:
    """End as a TaskGroup may that is canceled while it fails: with its own error."""
    try:
        await asyncio.sleep(FOR_EVER)
    except asyncio.CancelledError:
        raise StoreUnavailable("gone while it was told to end") from None


@pytest.mark.parametrize("work", [returns, canceled_inside])
async def test_work_without_end_that_ends_quietly_is_an_error_of_its_group(work: Work) -> None:
    async def group_of_two() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(without_end(work, "the tail"))
            group.create_task(goes_on())

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(5):
            await group_of_two()
    assert isinstance(raised.value.exceptions[0], EndedByItself)


async def test_work_without_end_that_is_canceled_before_it_began_is_never_begun() -> None:
    begun: list[None] = []

    async def work() -> None:
        begun.append(None)

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a coroutine that nobody awaits is told of
        task = asyncio.create_task(without_end(work, "the tail"))
        task.cancel()
        await asyncio.wait({task})
        gc.collect()
    assert begun == []


async def test_work_without_end_that_fails_raises_its_own_error() -> None:
    with pytest.raises(StoreUnavailable):
        await without_end(fails, "the tail")


@pytest.mark.parametrize("work", [goes_on, fails_while_canceled])
async def test_work_that_is_canceled_from_outside_ends_canceled(work: Work) -> None:
    task = asyncio.create_task(in_own_task(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@pytest.mark.parametrize("service", [returns, canceled_inside])
async def test_service_that_ends_quietly_ends_the_work_beside_it(service: Work) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(EndedByItself):
            await while_serving(goes_on(), service())


async def test_work_that_is_canceled_inside_is_no_cancellation_of_whoever_serves_it() -> None:
    with pytest.raises(EndedByItself):
        await while_serving(canceled_inside(), goes_on())


async def test_background_task_that_fails_is_seen_by_its_owner() -> None:
    background = Background()
    background.start(fails())
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(5):
            await background.failed()
    await background.close()


async def test_nothing_is_begun_in_the_background_of_an_owner_that_has_ended() -> None:
    begun: list[int] = []

    async def begin() -> None:
        begun.append(1)

    background = Background()
    await background.close()
    late = background.start(begin())
    background.soon(begin)
    await asyncio.gather(late, return_exceptions=True)
    await asyncio.sleep(0)
    assert (begun, background.busy, late.cancelled()) == ([], 0, True)


async def test_background_task_that_is_canceled_inside_is_seen_and_one_that_its_owner_canceled_is_none() -> None:
    background = Background()
    background.start(goes_on()).cancel()
    background.start(goes_on())
    asking = asyncio.create_task(background.failed())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (background.busy, asking.done()) == (1, False)
    background.soon(canceled_inside)
    with pytest.raises(EndedByItself):
        async with asyncio.timeout(5):
            await asking
    await background.close()
    assert background.busy == 0


async def test_service_that_fails_ends_the_work_with_its_error_and_services_end_with_the_work() -> None:
    ended: list[str] = []

    async def serves() -> None:
        try:
            await goes_on()
        finally:
            ended.append("service")

    with pytest.raises(StoreUnavailable):
        await while_serving(goes_on(), serves(), fails())
    await while_serving(asyncio.sleep(0), serves())
    assert ended == ["service", "service"]


async def test_repeatable_work_is_never_done_twice_at_once_and_once_more_for_all_who_asked_meanwhile() -> None:
    tasks, began, at_once = Background(), 0, 0
    release = asyncio.Event()

    async def work() -> None:
        nonlocal began, at_once
        began += 1
        at_once += 1
        assert at_once == 1
        await release.wait()
        at_once -= 1

    repeatable = Repeatable(tasks, work)
    first = repeatable.ask()
    await asyncio.sleep(0)
    assert repeatable.ask() is first
    assert repeatable.ask() is first
    release.set()
    await first
    assert began == 2
    await repeatable.ask()
    assert began == 3
    await tasks.close()
