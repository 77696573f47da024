"""The running venue: the engine with its keys, its place in the prices and its journal. No sockets.

Everything that changes it goes through here: applied, journaled, and only then told to anyone.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

import msgspec

from patriot.kernel.errors import PatriotError, StartupError
from patriot.sim.engine.klines import interval_ms
from patriot.sim.engine.model import (
    AccountView,
    AlgoOrder,
    CloseBar,
    CreateAccount,
    KlineClosed,
    MovePrice,
    Operation,
    Order,
    Permission,
    PriceMoved,
    Result,
    SetPermissions,
    SettleFunding,
    VenueEvent,
)
from patriot.sim.engine.venue import Venue
from patriot.sim.feed import MINUTE_MS, TICK_OFFSETS_MS, TICKS_PER_BAR, Feed, walk
from patriot.sim.journal import Journal
from patriot.sim.keys import ApiKey, KeyRing
from patriot.sim.wire_times import WireTimes

STOPPING_INTERVAL_MS = 15 * MINUTE_MS  # the shortest bar a strategy may decide on
KEY_BYTES = 48  # 64 characters, as long as the venue's own


class Advanced(msgspec.Struct, frozen=True, tag=True):
    """The place in the prices: this many ticks were played, and this is the venue's time."""

    ticks: int
    now_ms: int


class KeyMade(msgspec.Struct, frozen=True):
    """A key was made, or its permissions were changed."""

    api_key: str
    secret: str
    uid: int
    permissions: tuple[Permission, ...]
    created_ms: int


class Applied(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """An operation that the engine accepted, with the key that was made or changed by it."""

    at_ms: int
    operation: Operation
    key: KeyMade | None = None


class ListenKeyMade(msgspec.Struct, frozen=True, tag=True):
    """A listen key was handed out."""

    uid: int
    listen_key: str


class Header(msgspec.Struct, frozen=True, tag=True):
    """What a journal belongs to: the first record of the file."""

    prices: str  # identity of the feed
    seed: int


Record = Header | Applied | Advanced | ListenKeyMade


class JournalLost(PatriotError):
    """The journal cannot be written: this process knows more than it may and must end."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One funding settlement of the past."""

    symbol: str
    at_ms: int
    rate: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True)
class Advance:
    """What one step of the clock did."""

    bars_played: int
    stopped_by: tuple[str, ...]  # empty when the asked time was reached


class Simulation:
    """One venue, one feed of prices, one journal."""

    def __init__(
        self,
        venue: Venue,
        feed: Feed,
        seed: int,
        wire: WireTimes,
        random_text: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self.venue = venue
        self.wire = wire
        self.keys = KeyRing()
        self.listen_keys: dict[int, str] = {}  # the newest one handed out, by account
        self.settlements: list[Settlement] = []
        self.activity = 0  # state-changing requests accepted, and private messages sent
        self.publish: Callable[[Sequence[VenueEvent]], None] = _to_nobody
        self._feed = feed
        self._seed = seed
        self._random_text = random_text
        self._journal: Journal[Record] | None = None
        self._ticks = 0
        self._now_ms = feed.start_ms
        self._settled_ms = feed.start_ms
        self._journaled = Advanced(0, feed.start_ms)
        self._live_now: Callable[[], int] | None = None
        self._walked: dict[str, tuple[int, tuple[Decimal, ...]]] = {}

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._feed.symbols

    @property
    def now_ms(self) -> int:
        """The venue's time: where the clock was driven to, or, when it runs by itself, this very moment."""
        return max(self._now_ms, self._live_now()) if self._live_now is not None else self._now_ms

    @property
    def ticks_played(self) -> int:
        return self._ticks

    @property
    def bars_played(self) -> int:
        return self._ticks // TICKS_PER_BAR

    @property
    def bars_left(self) -> int | None:
        """How many bars of the recording are still to come; None for prices without end."""
        return None if self._feed.length is None else self._feed.length - self.bars_played

    # ------------------------------------------------------------------------------------------------ starting

    def restore(self, records: Iterable[Record]) -> None:
        """Bring back what a journal holds; nothing is published and nothing is written."""
        for record in records:
            match record:
                case Applied():
                    self._now_ms = max(self._now_ms, record.at_ms)
                    self.venue.apply(record.operation, record.at_ms)
                    if record.key is not None:
                        self._add_key(record.key)
                case Advanced():
                    self._replay_to(record)
                case Header():
                    self._check(record)
                case ListenKeyMade():
                    self.listen_keys[record.uid] = record.listen_key
                case _:
                    assert_never(record)

    def _check(self, header: Header) -> None:
        own = self._header()
        if header != own:
            raise StartupError(
                f"the journal was written with prices {header.prices} and seed {header.seed}, "
                f"this run has prices {own.prices} and seed {own.seed}: name the same ones, or another journal folder"
            )

    def _header(self) -> Header:
        return Header(self._feed.identity, self._seed)

    def _replay_to(self, place: Advanced) -> None:
        while self._ticks < place.ticks or (self._ended and self._next_ms() <= place.now_ms):
            self._play_next()
        self._now_ms = max(self._now_ms, place.now_ms)
        self._journaled = place

    def run_by(self, live_now: Callable[[], int]) -> None:
        """Let the venue's time run by itself: the function tells it, and never runs backwards."""
        self._live_now = live_now

    def start(self, journal: Journal[Record] | None) -> None:
        """Begin to write the journal; show the first price, so that the venue is open for trading."""
        self._journal = journal
        if self._ticks == 0:
            self._write(self._header())
            self._play_next()
            self._write_place()

    # ------------------------------------------------------------------------------------------------ changing

    def apply(self, operation: Operation, key_of: Callable[[Result], KeyMade] | None = None) -> Result:
        """Apply an operation of an account, journal it, tell its events; key_of makes the key it comes with.

        Errors: VenueRefusal; a refused operation changed nothing and is not journaled.
        """
        at_ms = self.now_ms
        outcome = self.venue.apply(operation, at_ms)
        if outcome.refusal is not None or outcome.result is None:
            raise outcome.refusal or RuntimeError(f"{type(operation).__name__} has neither result nor refusal")
        self._now_ms = max(self._now_ms, at_ms)
        key = key_of(outcome.result) if key_of is not None else None
        self._write_place()
        self._write(Applied(at_ms, operation, key))
        if key is not None:
            self._add_key(key)
        self.activity += 1
        self.wire.note(outcome.emitted)
        self.publish(outcome.emitted)
        return outcome.result

    def order_from(self, operation: Operation) -> Order:
        """Apply an operation whose result is an order."""
        result = self.apply(operation)
        if not isinstance(result, Order):
            raise TypeError(f"{type(operation).__name__} gave {type(result).__name__}, expected Order")
        return result

    def algo_order_from(self, operation: Operation) -> AlgoOrder:
        """Apply an operation whose result is a conditional order."""
        result = self.apply(operation)
        if not isinstance(result, AlgoOrder):
            raise TypeError(f"{type(operation).__name__} gave {type(result).__name__}, expected AlgoOrder")
        return result

    def open_account(self, balance: Decimal, permissions: tuple[Permission, ...]) -> ApiKey:
        """Create an account with one key."""
        name, secret = self._random_text(KEY_BYTES), self._random_text(KEY_BYTES)

        def key_of(result: Result) -> KeyMade:
            if not isinstance(result, AccountView):
                raise TypeError(f"CreateAccount gave {type(result).__name__}, expected AccountView")
            return KeyMade(name, secret, result.uid, permissions, self._now_ms)

        self.apply(CreateAccount(balance=balance, permissions=permissions), key_of)
        return self._key(name)

    def set_permissions(self, key: ApiKey, permissions: tuple[Permission, ...]) -> ApiKey:
        """Change what a key, and the account it trades for, may do."""
        changed = KeyMade(key.api_key, key.secret.decode(), key.uid, permissions, key.created_ms)
        self.apply(SetPermissions(uid=key.uid, permissions=permissions), lambda _: changed)
        return self._key(key.api_key)

    def _key(self, api_key: str) -> ApiKey:
        key = self.keys.find(api_key)
        if key is None:
            raise LookupError("a key that was just added is not there")
        return key

    def make_listen_key(self, uid: int) -> str:
        """Hand out a new listen key; it is journaled, so that a client may come back to a restarted venue with it."""
        listen_key = self._random_text(KEY_BYTES)
        self.listen_keys[uid] = listen_key
        self._write(ListenKeyMade(uid, listen_key))
        return listen_key

    def _add_key(self, made: KeyMade) -> None:
        self.keys.add(ApiKey(made.api_key, made.uid, made.permissions, made.secret.encode(), made.created_ms))

    # ------------------------------------------------------------------------------------------------ the clock

    def advance(self, until_ms: int, *, stop_on_activity: bool, max_ticks: int | None = None) -> Advance:
        """Play prices up to a time, or to the first thing a consumer must react to, or so many ticks.

        Such things are a private event, the close of a bar of 15 minutes or more, and a funding settlement that paid.
        """
        before, played = self.bars_played, 0
        stopped_by: tuple[str, ...] = ()
        while stopped_by == () and (max_ticks is None or played < max_ticks):
            if self._next_ms() > until_ms:
                self._now_ms = max(self._now_ms, until_ms)
                break
            emitted = self._play_next()
            played += 1
            reasons = _reasons(emitted)
            if reasons:
                self._write_place()  # what clients are about to see must survive a kill
            if stop_on_activity:
                stopped_by = reasons
            self.wire.note(emitted)
            self.publish(emitted)
        self._write_place()
        return Advance(self.bars_played - before, stopped_by)

    def next_tick_ms(self) -> int:
        """Return when the next price or settlement is due."""
        return self._next_ms()

    @property
    def _ended(self) -> bool:
        return self._feed.length is not None and self.bars_played >= self._feed.length

    def _next_ms(self) -> int:
        if self._ended:  # the last price holds, and funding goes on
            interval = self.venue.instrument(self._feed.symbols[0]).funding_interval_ms
            return (self._settled_ms // interval + 1) * interval
        index, phase = divmod(self._ticks, TICKS_PER_BAR)
        open_ms = self._feed.start_ms + index * MINUTE_MS
        return open_ms + (MINUTE_MS if phase == TICKS_PER_BAR - 1 else TICK_OFFSETS_MS[phase])

    def _play_next(self) -> list[VenueEvent]:
        """Play one tick of every symbol; with a bar's last tick close it, and settle funding when it is due."""
        emitted: list[VenueEvent] = []
        if self._ended:
            self._settle_funding(self._next_ms(), emitted)
            return emitted
        index, phase = divmod(self._ticks, TICKS_PER_BAR)
        open_ms = self._feed.start_ms + index * MINUTE_MS
        tick_ms = open_ms + TICK_OFFSETS_MS[phase]
        for symbol in self._feed.symbols:
            price = self._price(symbol, index, phase)
            self._engine(MovePrice(symbol=symbol, last=price, jump=phase == 0), tick_ms, emitted)
        self._now_ms = max(self._now_ms, tick_ms)
        self._ticks += 1
        if phase == TICKS_PER_BAR - 1:
            close_ms = open_ms + MINUTE_MS
            self._now_ms = max(self._now_ms, close_ms)
            for symbol in self._feed.symbols:
                self._engine(CloseBar(symbol=symbol, bar=self._feed.bar(symbol, index)), close_ms, emitted)
            self._settle_funding(close_ms, emitted)
        return emitted

    def _price(self, symbol: str, index: int, phase: int) -> Decimal:
        walked = self._walked.get(symbol)
        if walked is None or walked[0] != index:
            walked = self._walked[symbol] = (index, walk(self._feed.bar(symbol, index), symbol, self._seed))
        return walked[1][phase]

    def _settle_funding(self, at_ms: int, emitted: list[VenueEvent]) -> None:
        self._now_ms = max(self._now_ms, at_ms)
        self._settled_ms = at_ms
        for symbol in self._feed.symbols:
            ticker = self.venue.ticker(symbol)
            if at_ms % self.venue.instrument(symbol).funding_interval_ms or ticker is None:
                continue
            rate = self.venue.funding_rate(symbol, at_ms)
            self._engine(SettleFunding(symbol=symbol, rate=rate), at_ms, emitted)
            self.settlements.append(Settlement(symbol, at_ms, rate, ticker.mark))

    def _engine(self, operation: Operation, at_ms: int, emitted: list[VenueEvent]) -> None:
        outcome = self.venue.apply(operation, at_ms)
        if outcome.refusal is not None:
            raise outcome.refusal
        emitted.extend(outcome.emitted)

    # ------------------------------------------------------------------------------------------------ the journal

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


def _reasons(emitted: Iterable[VenueEvent]) -> tuple[str, ...]:
    """Return what among these events a consumer must react to."""
    reasons: dict[str, None] = {}
    for event in emitted:
        match event:
            case PriceMoved():
                continue
            case KlineClosed():
                if interval_ms(event.interval) >= STOPPING_INTERVAL_MS:
                    reasons[f"kline:{event.symbol}:{event.interval}"] = None
            case _:
                reasons[f"private:{event.uid}"] = None
    return tuple(reasons)


def _to_nobody(_events: Sequence[VenueEvent]) -> None:
    """Publish to no one: no face listens yet."""
