"""The world of the running simulator: venues, their common place in the prices, clock, journal. No sockets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

import msgspec

from patriot.kernel.errors import HistoryDamaged, InvalidInput, PatriotError, StartupError
from patriot.sim.engine.events import InstrumentChanged, KlineClosed, PriceMoved, Printed, VenueEvent
from patriot.sim.engine.klines import interval_ms
from patriot.sim.engine.operations import CloseBar, FundInsurance, MovePrice, Operation, SettleFunding
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import Liquidity
from patriot.sim.exchange import (
    Applied,
    DisconnectWindowSet,
    Exchange,
    ExchangeRecord,
    ListenKeyMade,
    Settlement,
    ToldToWait,
    VenueName,
)
from patriot.sim.journal import Journal
from patriot.sim.prices.feed import MINUTE_MS, Feed, Step
from patriot.sim.shocks import Shocked, Shocks
from patriot.sim.wire_times import WireTimes

FUNDING_STEP_MS = 3_600_000  # every funding interval is a multiple of it
STOPPING_INTERVAL_MS = 15 * MINUTE_MS  # the shortest bar a strategy may decide on
INSURANCE_FUND = Decimal(10_000_000)  # USDT in the fund of a venue whose accounts share a book, at its beginning
MAX_SHOCK_FACTOR = 10
MAX_SHOCK_MINUTES = 1_440


class Advanced(msgspec.Struct, frozen=True, tag=True):
    """The place in the prices: this many ticks were played, and this is the venues' time."""

    ticks: int
    now_ms: int


class Header(msgspec.Struct, frozen=True, tag=True):
    """What a journal belongs to: the first record of the file."""

    prices: str  # identity of the feed
    seed: int
    venues: tuple[VenueName, ...] = (VenueName.BINANCE,)
    liquidity: Liquidity = Liquidity.PRIVATE


Record = Header | Advanced | Shocked | ExchangeRecord


class JournalLost(PatriotError):
    """The journal cannot be written: this process knows more than it may and must end."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What one step of the clock did."""

    bars_played: int
    stopped_by: tuple[str, ...]  # empty when the asked time was reached


Emitted = dict[VenueName, list[VenueEvent]]


class World:
    """Some venues on one feed of prices, with one clock and one journal."""

    def __init__(
        self,
        venues: dict[VenueName, Venue],
        feed: Feed,
        seed: int,
        wire: WireTimes,
        liquidity: Liquidity = Liquidity.PRIVATE,
    ) -> None:
        self.wire = wire
        self._liquidity = liquidity
        self.exchanges = {name: Exchange(name, venue, self, wire) for name, venue in venues.items()}
        self._feed = feed
        self._seed = seed
        self._journal: Journal[Record] | None = None
        self._ticks = 0
        self._index = 0  # of the minute in progress
        self._steps: tuple[Step, ...] = ()  # of that minute, from its first tick on
        self._phase = 0  # the next one of them
        self._now_ms = feed.start_ms
        self._settled_ms = feed.start_ms
        self._journaled = Advanced(0, feed.start_ms)
        self._live_now: Callable[[], int] | None = None
        self._speed = 0
        self._moved: dict[str, MovePrice] = {}  # the feed's newest move, by symbol
        self._shocks = Shocks(venues.values())

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def now_ms(self) -> int:
        """The venues' time: where the clock was driven to, or, when it runs by itself, this very moment."""
        return max(self._now_ms, self._live_now()) if self._live_now is not None else self._now_ms

    @property
    def speed(self) -> int:
        """Seconds of the venues' time in a real one; 0 while it is driven."""
        return self._speed

    @property
    def ticks_played(self) -> int:
        return self._ticks

    @property
    def bars_played(self) -> int:
        return self._index

    @property
    def bars_left(self) -> int | None:
        """How many bars of the recording are still to come; None for prices without end."""
        return None if self._feed.length is None else self._feed.length - self.bars_played

    @property
    def activity(self) -> int:
        """State-changing requests accepted, and private messages sent, by all venues."""
        return sum(exchange.activity for exchange in self.exchanges.values())

    def exchange_of(self, uid: int) -> Exchange | None:
        """Return the venue an account stands on; account numbers are unique over venues."""
        return next((e for e in self.exchanges.values() if uid in e.venue.uids), None)

    # ------------------------------------------------------------------------------------------------ starting

    def restore(self, records: Iterable[Record]) -> None:
        """Bring back what a journal holds, the header first; nothing is published and nothing is written.

        Errors: StartupError for the journal of another run; HistoryDamaged for a record that does not fit in.
        """
        for number, record in enumerate(records, start=1):
            try:
                self._restore(record)
            except HistoryDamaged as error:
                raise HistoryDamaged(f"record {number} of the journal does not fit those before it: {error}") from None

    def _restore(self, record: Record) -> None:
        match record:
            case Applied() | ToldToWait():
                self._now_ms = max(self._now_ms, record.at_ms)
                self.exchanges[record.venue].restore(record)
            case Advanced():
                self._replay_to(record)
            case Shocked():
                self._shake(record)
            case Header():
                self._check(record)
            case ListenKeyMade():
                self.exchanges[VenueName.BINANCE].restore(record)
            case DisconnectWindowSet():
                self.exchanges[VenueName.BYBIT].restore(record)
            case _:
                assert_never(record)

    def _check(self, header: Header) -> None:
        own = self._header()
        if header != own:
            raise StartupError(
                f"the journal was written with {_words(header)}, this run has {_words(own)}: "
                "name the same ones, or another journal folder"
            )

    def _header(self) -> Header:
        return Header(self._feed.identity, self._seed, tuple(self.exchanges), self._liquidity)

    def _replay_to(self, place: Advanced) -> None:
        while self._ticks < place.ticks:
            self._play_next()
        self._now_ms = max(self._now_ms, place.now_ms)
        self._journaled = place

    def run_by(self, live_now: Callable[[], int], speed: int = 1) -> None:
        """Let the venues' time run by itself, so fast: the function tells it, and never runs backwards."""
        self._live_now, self._speed = live_now, speed

    def start(self, journal: Journal[Record] | None) -> None:
        """Begin to write the journal; show a first price of every symbol, so that the venues are open for trading.

        Where accounts share a book the insurance fund begins with money, so that a first gap deleverages nobody.
        """
        self._journal = journal
        if self._ticks == 0:
            self._write(self._header())
            for exchange in self.exchanges.values():
                if self._liquidity is Liquidity.SHARED and not exchange.venue.pools().insurance_funded:
                    exchange.apply(FundInsurance(INSURANCE_FUND))
            while len(self._moved) < len(self._feed.symbols) and not self._ended:
                self._play_next()
            self._write_place()

    # ------------------------------------------------------------------------------------------------ the clock

    def advance(self, until_ms: int, *, stop_on_activity: bool, max_ticks: int | None = None) -> Advance:
        """Play prices up to a time, or to the first thing a consumer must react to, or so many ticks.

        Such things are a private event, the close of a bar of 15 minutes or more, and a funding settlement that paid.
        What accounts have set a time for (GTD orders, countdowns) ends at that time.
        """
        before, played = self.bars_played, 0
        stopped_by: tuple[str, ...] = ()
        while stopped_by == () and (max_ticks is None or played < max_ticks):
            next_ms = self._next_ms()
            ended = self._pass_time(min(next_ms, until_ms))
            if ended:
                if stop_on_activity:
                    stopped_by = _reasons(ended)
                continue
            if next_ms > until_ms:
                self._now_ms = max(self._now_ms, until_ms)
                break
            emitted = self._play_next()
            played += 1
            reasons = _reasons(event for events in emitted.values() for event in events)
            if reasons:
                self._write_place()  # what clients are about to see must survive a kill
            if stop_on_activity:
                stopped_by = reasons
            for name, events in emitted.items():
                self.exchanges[name].publish(events)
        self._write_place()
        return Advance(self.bars_played - before, stopped_by)

    def next_tick_ms(self) -> int:
        """Return when the next price, settlement, or time that an account has set is due."""
        due = (exchange.venue.next_deadline_ms for exchange in self.exchanges.values())
        return min([self._next_ms(), *(at_ms for at_ms in due if at_ms is not None)])

    def _pass_time(self, until_ms: int) -> Sequence[VenueEvent]:
        """End what has the earliest time to end, if that is by then; return what was told of it."""
        first: Exchange | None = None
        for exchange in self.exchanges.values():
            due_ms = exchange.venue.next_deadline_ms
            if due_ms is not None and due_ms <= until_ms:
                first, until_ms = exchange, due_ms
        return () if first is None else first.pass_time(until_ms)

    @property
    def _ended(self) -> bool:
        return self._feed.length is not None and self._index >= self._feed.length

    def _next_ms(self) -> int:
        if self._ended:  # the last price holds, and funding goes on
            interval = FUNDING_STEP_MS
            return (self._settled_ms // interval + 1) * interval
        return self._next_step().due_ms

    def _next_step(self) -> Step:
        if not self._steps:
            self._steps = self._feed.steps(self._index)
        return self._steps[self._phase]

    def _play_next(self) -> Emitted:
        """Play the moves of one moment; with a minute's last ones close its bars, and settle funding when it is due."""
        emitted: Emitted = {name: [] for name in self.exchanges}
        if self._ended:
            self._ticks += 1
            self._settle_funding(self._next_ms(), emitted)
            return emitted
        step = self._next_step()
        for move in step.moves:
            self._moved[move.symbol] = move
            told = self._shocks.told(move, step.at_ms) if self._shocks else move
            self._engines(told, step.at_ms, emitted)
        self._now_ms = max(self._now_ms, step.at_ms)
        self._ticks += 1
        self._phase += 1
        if step.bars:
            self._now_ms = max(self._now_ms, step.due_ms)
            for symbol, bar in step.bars:
                told_bar = self._shocks.told_bar(symbol, bar) if self._shocks else bar
                self._engines(CloseBar(symbol=symbol, bar=told_bar), step.due_ms, emitted)
            self._shocks.end_minute()
            self._index, self._phase, self._steps = self._index + 1, 0, ()
            self._settle_funding(step.due_ms, emitted)
        return emitted

    def _settle_funding(self, at_ms: int, emitted: Emitted) -> None:
        self._now_ms = max(self._now_ms, at_ms)
        self._settled_ms = at_ms
        if at_ms % FUNDING_STEP_MS:
            return
        for exchange in self.exchanges.values():
            venue = exchange.venue
            for symbol in self._feed.symbols:
                ticker = venue.ticker(symbol)
                if at_ms % venue.instrument(symbol).funding_interval_ms or ticker is None:
                    continue
                rate = venue.funding_rate(symbol, at_ms)
                _played(venue, SettleFunding(symbol=symbol, rate=rate), at_ms, emitted[exchange.name])
                exchange.settlements.append(Settlement(symbol, at_ms, rate, ticker.mark))

    def _engines(self, operation: Operation, at_ms: int, emitted: Emitted) -> None:
        for name, exchange in self.exchanges.items():
            _played(exchange.venue, operation, at_ms, emitted[name])

    # ------------------------------------------------------------------------------------------------ shocks

    def shock(self, symbol: str, factor: Decimal, minutes: int) -> None:
        """Multiply the feed's prices of a symbol for some minutes, from this moment on; both ends are jumps.

        Errors: InvalidInput for a symbol without a price, a factor or a length out of range.
        """
        if symbol not in self._moved:
            raise InvalidInput("symbol", f"expected one with a price ({', '.join(self._moved)}), found {symbol[:40]!r}")
        if not 0 < factor <= MAX_SHOCK_FACTOR:
            raise InvalidInput("factor", f"expected a number above 0 and up to {MAX_SHOCK_FACTOR}, found {factor}")
        if not 0 < minutes <= MAX_SHOCK_MINUTES:
            raise InvalidInput("minutes", f"expected 1 to {MAX_SHOCK_MINUTES}, found {minutes}")
        at_ms = self.now_ms
        record = Shocked(at_ms, symbol, factor, at_ms + minutes * MINUTE_MS)
        emitted = self._shake(record)
        self._write_place()
        self._write(record)
        for name, events in emitted.items():
            self.exchanges[name].publish(events)

    def _shake(self, shock: Shocked) -> Emitted:
        emitted: Emitted = {name: [] for name in self.exchanges}
        self.reach(shock.at_ms)
        self._engines(self._shocks.begin(shock, self._moved[shock.symbol]), shock.at_ms, emitted)
        return emitted

    # ------------------------------------------------------------------------------------------------ the journal

    def reach(self, at_ms: int) -> None:
        """Let the world's time be at least this."""
        self._now_ms = max(self._now_ms, at_ms)

    def write(self, record: ExchangeRecord) -> None:
        """Journal what an exchange accepted, behind the place in the prices at which it happened."""
        self._write_place()
        self._write(record)

    def _write_place(self) -> None:
        place = Advanced(self._ticks, self._now_ms)
        if place != self._journaled and (self._live_now is None or place.ticks != self._journaled.ticks):
            self._write(place)
            self._journaled = place

    def _write(self, record: Record) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(record)
        except OSError as error:
            raise JournalLost(f"the journal cannot be written: {error}") from error


def _played(venue: Venue, operation: Operation, at_ms: int, emitted: list[VenueEvent]) -> None:
    outcome = venue.apply(operation, at_ms)
    if outcome.refusal is not None:
        raise outcome.refusal
    emitted.extend(outcome.emitted)


def _words(header: Header) -> str:
    return (
        f"prices {header.prices}, seed {header.seed}, venues {', '.join(header.venues)} "
        f"and {header.liquidity.lower()} books"
    )


def _reasons(emitted: Iterable[VenueEvent]) -> tuple[str, ...]:
    """Return what among these events a consumer must react to."""
    reasons: dict[str, None] = {}
    for event in emitted:
        match event:
            case PriceMoved() | Printed() | InstrumentChanged():
                continue
            case KlineClosed():
                if interval_ms(event.interval) >= STOPPING_INTERVAL_MS:
                    reasons[f"kline:{event.symbol}:{event.interval}"] = None
            case _:
                reasons[f"private:{event.uid}"] = None
    return tuple(reasons)
