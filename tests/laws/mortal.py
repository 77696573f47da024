"""A process that can die at any step: from then on nothing it holds reaches the store or the exchange, or hears them.

Also the witness of the wire: which order requests were sent, what was answered, what was proven absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TypeVar

from patriot.adapters.exchanges.inprocess.account import InProcessAccount, InProcessOrders
from patriot.kernel.errors import ExchangeError, StoreUnavailable
from patriot.kernel.eventstore import Appended, Envelope, Fence, IdempotentResult, StreamAppend, StreamKey
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    IncomeRecord,
    OrderReport,
    PrivateReport,
    SymbolSettings,
    TradeReport,
    VenueOrder,
)
from patriot.trading.steps import Step
from patriot.trading.terms import Urgency

T = TypeVar("T")


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class Life:
    """One process. `doom` answers whether it dies at a step."""

    number: int
    doom: Callable[[Step], bool]
    started_at: float
    alive: bool = True
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    died_at_step: Step | None = None

    def reached(self, step: Step) -> None:
        if self.alive and self.doom(step):
            self.died_at_step = step
            self.end()
        if not self.alive:
            raise Killed(step)

    def end(self) -> None:
        self.alive = False
        self.ended.set()

    async def lives_through(self, work: Awaitable[T]) -> T:
        """Return what the world answers, to a process that is still there to hear it."""
        if not self.alive:
            if asyncio.iscoroutine(work):
                work.close()
            await _for_ever()
        try:
            answer = await work
        except Exception:
            if not self.alive:
                await _for_ever()
            raise
        if not self.alive:
            await _for_ever()
        return answer


async def _for_ever() -> None:
    await asyncio.Event().wait()


class MortalStore(MemoryEventStore):
    """A store as one process sees it: it may be away for a call, before or after the commit."""

    def __init__(self, life: Life, store: MemoryEventStore, random: Random, away: Callable[[], float]) -> None:
        self._life = life
        self._store = store
        self._random = random
        self._away = away

    async def append(
        self, appends: Sequence[StreamAppend], *, result: IdempotentResult | None = None, fence: Fence | None = None
    ) -> Appended:
        return await self._life.lives_through(self._append(appends, result, fence))

    async def _append(
        self, appends: Sequence[StreamAppend], result: IdempotentResult | None, fence: Fence | None
    ) -> Appended:
        await asyncio.sleep(self._random.uniform(0.001, 0.01))
        trouble = self._random.random() < self._away()
        if trouble and self._random.random() < 0.5:
            raise StoreUnavailable("went away before the commit")
        if not self._life.alive:
            raise Killed
        appended = await self._store.append(appends, result=result, fence=fence)
        if trouble:
            raise StoreUnavailable("went away after the commit")
        return appended

    async def read_stream(self, stream: StreamKey, after_version: int = 0) -> list[Envelope]:
        return await self._life.lives_through(self._store.read_stream(stream, after_version))

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        return await self._life.lives_through(self._store.read_streams(streams))

    async def find_result(self, scope: str, key: str) -> IdempotentResult | None:
        return await self._life.lives_through(self._store.find_result(scope, key))


@dataclass(slots=True)
class Attempt:
    """One order request on the wire."""

    life: int
    sent_at: datetime
    outcome: str = "pending"  # for ever, when the sender stopped waiting


@dataclass(slots=True)
class Witness:
    """What went over the wire, by client order id."""

    now: Callable[[], datetime]
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    absences: dict[str, list[datetime]] = field(default_factory=dict)
    on_attempt: Callable[[str, Attempt], None] = lambda _client_id, _attempt: None


class MortalOrders:
    """`OrderVenue` of a mortal process, under the eyes of a witness."""

    def __init__(self, life: Life, orders: InProcessOrders, witness: Witness) -> None:
        self._life = life
        self._orders = orders
        self._witness = witness

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        attempt = Attempt(self._life.number, sent_at)
        if self._life.alive:
            self._witness.on_attempt(order.client_order_id, attempt)
            self._witness.attempts.setdefault(order.client_order_id, []).append(attempt)
        try:
            report = await self._life.lives_through(self._orders.place(order, sent_at))
        except ExchangeError as error:
            attempt.outcome = type(error).__name__
            raise
        attempt.outcome = "accepted"
        return report

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        await self._life.lives_through(self._orders.cancel(symbol, client_order_id, conditional=conditional))

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        found = await self._life.lives_through(
            self._orders.find_order(symbol, client_order_id, conditional=conditional, urgency=urgency)
        )
        if found is None:
            self._witness.absences.setdefault(client_order_id, []).append(self._witness.now())
        return found

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        return await self._life.lives_through(self._orders.open_orders(symbol, urgency=urgency))

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        return await self._life.lives_through(self._orders.recent_orders(symbol, urgency=urgency))

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        return await self._life.lives_through(self._orders.trades(symbol, since, urgency=urgency))


class MortalAccount:
    """The session of a mortal process."""

    def __init__(self, life: Life, account: InProcessAccount) -> None:
        self._life = life
        self._account = account

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        return await self._life.lives_through(self._account.snapshot(urgency=urgency))

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        return await self._life.lives_through(self._account.income(since, urgency=urgency))

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        return await self._life.lives_through(self._account.account_settings())

    async def symbol_settings(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> SymbolSettings:
        return await self._life.lives_through(self._account.symbol_settings(symbol))

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        await self._life.lives_through(self._account.prepare_symbol(symbol, leverage))

    def reopen_stream(self, reason: str) -> None:
        """Do nothing: what this line loses, it says."""

    async def reports(self) -> AsyncIterator[PrivateReport]:
        async for report in self._account.reports():
            if not self._life.alive:
                await _for_ever()
            yield report
