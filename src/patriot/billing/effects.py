"""Read an account's history, compute a month, have it booked. Idempotent: a month is closed once, whoever asks."""

from collections.abc import Sequence
from dataclasses import dataclass

from patriot.accounts.events import ledger_stream
from patriot.billing.assessment import Books, assess, books_after
from patriot.billing.commands import ClosePeriod
from patriot.billing.decider import TERMS, Terms
from patriot.billing.events import EventRange, PeriodClosed, period_stream, terms_stream
from patriot.billing.nav import Facts, facts_of
from patriot.billing.period import following, period_end, period_of
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.eventstore import Context, Envelope, EventStore
from patriot.kernel.ids import derived_id
from patriot.trading.terms import AccountId


@dataclass(frozen=True, slots=True)
class _History:
    """One account's past, read in one snapshot."""

    facts: Facts
    balance: Sequence[Envelope]
    terms: Terms
    terms_hash: str

    @property
    def first_period(self) -> str:
        return period_of(self.facts.samples[0].at)


class MonthEnd:
    """Close months on the exchange's time."""

    def __init__(self, store: EventStore, bus: CommandBus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def close_period(self, account_id: AccountId, period: str, *, final: bool = False) -> tuple[str, ...]:
        """Close a month of an account, and first every earlier one that is still open; return the months closed now.

        Call it from day 1 12:05 UTC on: the NAV window ends twelve hours after the month. `final` closes the month at
        this moment, with a shortened window: the account is unlinked, or a replay ends.
        Errors: CommandRefused if the window is not over, or no terms are agreed; nothing of that month is booked then.
        """
        period_end(period)  # refuses what is not a month
        history = await self._read(account_id)
        if history is None:
            return ()
        closed: list[str] = []
        books, close_hash, month = Books(), "", history.first_period
        while month <= period:
            events = await self._store.read_stream(period_stream(account_id, month))
            if not events:
                await self._close(account_id, month, history, books, close_hash, final=final and month == period)
                closed.append(month)
                events = await self._store.read_stream(period_stream(account_id, month))
            books, close_hash = books_of(events), seal_of(events)
            month = following(month)
        return tuple(closed)

    async def _read(self, account_id: AccountId) -> _History | None:
        streams = [ledger_stream(account_id), terms_stream(account_id)]
        balance, agreed = await self._store.read_streams(streams)
        events = decode_all(balance)
        facts = facts_of(zip((e.stream_version for e in balance), events, strict=True))
        if not facts.samples:
            return None
        terms_hash = agreed[-1].event_hash.hex() if agreed else ""
        return _History(facts, balance, TERMS.fold(decode_all(agreed)), terms_hash)

    async def _close(
        self, account_id: AccountId, period: str, history: _History, books: Books, close_hash: str, *, final: bool
    ) -> None:
        at = self._clock.now()
        terms = history.terms
        assessment = assess(books, history.facts, period, terms.rate_in(period), at, final=final)
        user_id = terms.agreed[-1].user_id
        command = ClosePeriod(
            account_id, user_id, assessment, _known(history.balance), history.terms_hash, close_hash, at
        )
        cause = derived_id("billing", account_id, period)
        await self._bus.dispatch(command, Context(cause, user_id=user_id, account_id=account_id))


def _known(balance: Sequence[Envelope]) -> EventRange:
    first, last = balance[0], balance[-1]
    return EventRange(first.stream_version, last.stream_version, first.event_id, last.event_id, last.event_hash.hex())


def books_of(month: Sequence[Envelope]) -> Books:
    """Return the books that a closed month's stream hands to the next."""
    closed = decode_all(list(month[:1]))[0]
    assert isinstance(closed, PeriodClosed)  # noqa: S101  the first event of every month's stream
    return books_after(closed)


def seal_of(month: Sequence[Envelope]) -> str:
    """Return the hash that seals a closed month: of its invoice or draft, the third event of the closing append."""
    return month[2].event_hash.hex()
