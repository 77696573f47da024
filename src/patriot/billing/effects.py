"""The month-end run: read an account's books and terms, compute, book once. Safe to run at any time, and twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from patriot.accounts.events import (
    AccountLinked,
    AccountUnlinked,
    EquitySampled,
    LedgerOpened,
    account_stream,
    ledger_stream,
)
from patriot.billing.assessment import STEP, ClosedMonth, Cut, History, MarkSpan, assess, held_at, missing_marks
from patriot.billing.commands import ClosePeriod
from patriot.billing.decider import TERMS, Terms
from patriot.billing.events import EventRange, FeeAssessed, MarkSeries, PeriodClosed, period_stream, terms_stream
from patriot.billing.period import following, period_end, period_of
from patriot.billing.ports import MarkHistory
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused
from patriot.kernel.eventstore import Context, Envelope, EventStore
from patriot.kernel.ids import derived_id
from patriot.trading.terms import AccountId, Exchange

MINUTES_OF_STEP = int(STEP.total_seconds() // 60)


@dataclass(frozen=True, slots=True)
class _Books:
    """One account's past, read in one snapshot."""

    account_id: AccountId
    exchange: Exchange
    asset: str
    history: History
    balance: Sequence[Envelope]
    terms: Terms
    terms_hash: str
    unlinked_at: frozenset[datetime]  # nothing was held then

    @property
    def first_period(self) -> str:
        """Return the month in which the books began, or in which the first terms hold if that is earlier."""
        return min(period_of(self.balance[0].occurred_at), self.terms.agreed[0].effective_from)


class MonthEnd:
    """Close months on the exchange's time."""

    def __init__(
        self, store: EventStore, bus: CommandBus, clock: Clock, marks: Callable[[Exchange], MarkHistory]
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._marks = marks

    async def close_period(
        self, account_id: AccountId, period: str, *, ends_at: datetime | None = None
    ) -> tuple[str, ...]:
        """Close a month of an account, and first every earlier one that is still open; return the months closed now.

        The first month is the one in which the first terms that the client agreed to begin to hold. An account that was
        linked again is not closed before its client has agreed again. `ends_at` cuts the month there, where the
        account's record ends: it is unlinked, or a replay ends.
        Errors: CommandRefused if the month is not over, a mark price is missing, or the account was unlinked and its
        executions are not all booked; ExchangeError if the exchange does not answer. Nothing of that month is booked.
        """
        period_end(period)  # refuses what is not a month
        books = await self._read(account_id)
        if books is None:
            return ()
        known = await self._closed_months(account_id, books.first_period, period)
        month = next(iter(known), period_of(books.terms.begin_at))
        closed: list[str] = []
        earlier: list[ClosedMonth] = []
        close_hash = ""
        while month <= period:
            events = known.get(month)
            if events is None:
                await self._close(books, earlier, close_hash, month, ends_at if month == period else None)
                closed.append(month)
                events = await self._store.read_stream(period_stream(account_id, month))
            earlier.append(month_of(events))
            close_hash, month = seal_of(events), following(month)
        return tuple(closed)

    async def _closed_months(self, account_id: AccountId, first: str, last: str) -> dict[str, list[Envelope]]:
        """Return the months that are closed already, ascending: the first may be older than the terms of today."""
        months = [first]
        while months[-1] < last:
            months.append(following(months[-1]))
        streams = await self._store.read_streams([period_stream(account_id, month) for month in months])
        return {month: events for month, events in zip(months, streams, strict=True) if events}

    async def _read(self, account_id: AccountId) -> _Books | None:
        streams = [ledger_stream(account_id), terms_stream(account_id), account_stream(account_id)]
        balance, agreed, life = await self._store.read_streams(streams)
        links = decode_all(life)
        linked = [event for event in links if isinstance(event, AccountLinked)]
        unlinked_at = frozenset(event.unlinked_at for event in links if isinstance(event, AccountUnlinked))
        events = decode_all(balance)
        asset = next((event.asset for event in events if isinstance(event, LedgerOpened | EquitySampled)), None)
        if not agreed or not linked or asset is None:
            return None
        terms = TERMS.fold(decode_all(agreed))
        if len(linked) > 1 and terms.agreed[-1].agreed_at < linked[-1].linked_at:
            return None  # linked again: the client has not consented again
        history = list(zip((e.stream_version for e in balance), events, strict=True))
        terms_hash = agreed[-1].event_hash.hex()
        return _Books(account_id, linked[-1].exchange, asset, history, balance, terms, terms_hash, unlinked_at)

    async def _close(
        self,
        books: _Books,
        earlier: Sequence[ClosedMonth],
        close_hash: str,
        period: str,
        ends_at: datetime | None,
    ) -> None:
        at, terms = self._clock.now(), books.terms
        cut = cut_of(terms, earlier, period, ends_at)
        if at < cut.at:
            raise CommandRefused(f"period {period} can be closed from {cut.at.isoformat()} on, it is {at.isoformat()}")
        held = held_at(books.history, books.asset, cut.at) if ends_at in books.unlinked_at else {}
        if held:
            symbols = ", ".join(sorted(held))
            raise CommandRefused(f"executions of {symbols} are not booked: nothing was held when it was unlinked")
        missing = missing_marks(books.history, books.asset, earlier, cut)
        marks = tuple([await self._series(books.exchange, span) for span in missing])
        assessment = assess(books.history, books.asset, earlier, cut, marks, final=ends_at is not None)
        user_id = terms.agreed[-1].user_id
        command = ClosePeriod(
            books.account_id, user_id, assessment, _known(books.balance), books.terms_hash, close_hash, at
        )
        cause = derived_id("billing", books.account_id, period)
        await self._bus.dispatch(command, Context(cause, user_id=user_id, account_id=books.account_id))

    async def _series(self, exchange: Exchange, span: MarkSpan) -> MarkSeries:
        minutes = (span.count - 1) * MINUTES_OF_STEP + 1
        opens = await self._marks(exchange).mark_opens(span.symbol, span.first_at, minutes)
        return MarkSeries(span.symbol, span.first_at, tuple(opens[::MINUTES_OF_STEP]))


def cut_of(terms: Terms, earlier: Sequence[ClosedMonth], period: str, ends_at: datetime | None) -> Cut:
    """Return the cut of a month: at its end, or where the record ends if that is earlier.

    Errors: CommandRefused if no terms hold in the month.
    """
    begins_at = earlier[-1].closed.begins_at if earlier else terms.begin_at
    end = period_end(period) if ends_at is None else min(period_end(period), ends_at)
    if end < begins_at:
        raise CommandRefused(f"the terms hold from {begins_at.isoformat()} on: there is nothing to close before")
    return Cut(period, terms.rate_in(period), begins_at, end)


def _known(balance: Sequence[Envelope]) -> EventRange:
    first, last = balance[0], balance[-1]
    return EventRange(first.stream_version, last.stream_version, first.event_id, last.event_id, last.event_hash.hex())


def month_of(month: Sequence[Envelope]) -> ClosedMonth:
    """Return what a closed month's stream hands to the next: its first two events."""
    closed, assessed = decode_all(list(month[:2]))
    assert isinstance(closed, PeriodClosed)  # noqa: S101  the first events of every month's stream
    assert isinstance(assessed, FeeAssessed)  # noqa: S101
    return ClosedMonth(closed, assessed)


def seal_of(month: Sequence[Envelope]) -> str:
    """Return the hash that seals a closed month: of its invoice or draft, the third event of the closing append."""
    return month[2].event_hash.hex()
