"""The account's one writer: in order, patient with the store, and nobody waits for one that has ended."""

import asyncio

import pytest

from patriot.kernel.errors import CommandRefused, StoreUnavailable
from patriot.kernel.eventstore import SYSTEM, Actor
from patriot.orders.journal import Journal
from patriot.simulation.loop import run_virtually

pytestmark = pytest.mark.unit


class Log:
    """Takes commands; is away for some tries first, refuses "never", and is very slow with "slow"."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.written: list[object] = []

    async def write(self, command: object, actor: Actor) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        if command == "never":
            raise CommandRefused("never")
        if command == "slow":
            await asyncio.sleep(3600)
        self.written.append(command)


def test_commands_are_written_in_order_when_the_store_is_back() -> None:
    async def day() -> None:
        log = Log(away=3)
        journal = Journal(log.write)
        running = asyncio.create_task(journal.run())
        journal.put(1, SYSTEM)
        journal.put(2, SYSTEM)
        await journal.written(3, SYSTEM)
        assert log.written == [1, 2, 3]
        assert journal.pending == 0
        running.cancel()

    run_virtually(day())


def test_command_that_can_never_be_written_ends_the_writer_and_tells_who_waits() -> None:
    async def day() -> None:
        journal = Journal(Log().write)
        running = asyncio.create_task(journal.run())
        waiting = [asyncio.create_task(journal.written(command, SYSTEM)) for command in ("never", "next")]
        answers = await asyncio.gather(running, *waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [CommandRefused, CommandRefused, StoreUnavailable]

    run_virtually(day())


def test_nobody_waits_for_a_writer_that_was_stopped() -> None:
    async def day() -> None:
        journal = Journal(Log().write)
        running = asyncio.create_task(journal.run())
        waiting = [asyncio.create_task(journal.written(command, SYSTEM)) for command in ("slow", "next")]
        await asyncio.sleep(1)
        running.cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreUnavailable, StoreUnavailable]
        with pytest.raises(StoreUnavailable):
            await journal.written("later", SYSTEM)

    run_virtually(day())
