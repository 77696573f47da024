"""One venue of the running simulator, as its face sees it: the engine, its keys, its time, and who is told. No sockets.

Everything that changes it goes through apply(): applied, journaled, and only then told to anyone.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from patriot.kernel.errors import HistoryDamaged
from patriot.sim.closed_times import ClosedTimes
from patriot.sim.engine.events import Result, VenueEvent
from patriot.sim.engine.operations import CreateAccount, Operation, PassTime, SetPermissions
from patriot.sim.engine.records import AccountView, AlgoOrder, Depth, Order
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import Permission
from patriot.sim.keys import ApiKey, KeyRing
from patriot.sim.wire_times import WireTimes

KEY_BYTES = 48  # 64 characters, as long as the venue's own
PEM_BEGINS = b"-----BEGIN"  # a public key, where else a secret stands
Listener = Callable[[Sequence[VenueEvent]], None]


class VenueName(StrEnum):
    BINANCE = "binance"
    BYBIT = "bybit"


class KeyMade(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key was made, its permissions were changed, or it was revoked."""

    api_key: str
    secret: str  # of an Ed25519 key: the public key, PEM
    uid: int
    permissions: tuple[Permission, ...]
    created_ms: int
    revoked: bool = False  # from now on it is no key any more


class Applied(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """An operation that the engine accepted, with the key that was made or changed by it."""

    at_ms: int
    operation: Operation
    key: KeyMade | None = None
    venue: VenueName = VenueName.BINANCE


class ListenKeyMade(msgspec.Struct, frozen=True, tag=True):
    """A listen key was handed out."""

    uid: int
    listen_key: str


class DisconnectWindowSet(msgspec.Struct, frozen=True, tag=True):
    """An account chose how long after its last private socket its orders end."""

    uid: int
    seconds: int


class ToldToWait(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Accounts were told to ask for nothing until a time of the venue."""

    uids: tuple[int, ...]
    at_ms: int
    until_ms: int
    venue: VenueName = VenueName.BINANCE


ExchangeRecord = Applied | ListenKeyMade | DisconnectWindowSet | ToldToWait  # what an exchange has the journal keep


class Keeper(Protocol):
    """What an exchange needs of the world it stands in: the time, and the journal."""

    @property
    def now_ms(self) -> int: ...

    @property
    def speed(self) -> int:
        """Seconds of this time in a real one; 0 for a time that is driven."""
        ...

    def reach(self, at_ms: int) -> None:
        """Let the world's time be at least this."""
        ...

    def write(self, record: ExchangeRecord) -> None:
        """Journal a record, behind the place in the prices at which it happened."""
        ...


@dataclass(frozen=True, slots=True)
class Settlement:
    """One funding settlement of the past."""

    symbol: str
    at_ms: int
    rate: Decimal
    mark_price: Decimal


class Exchange:
    """One engine with its keys; requests come in by apply(), events go out to those who subscribed."""

    def __init__(
        self,
        name: VenueName,
        venue: Venue,
        keeper: Keeper,
        wire: WireTimes,
        random_text: Callable[[int], str] = secrets.token_urlsafe,
    ) -> None:
        self.name = name
        self.venue = venue
        self.wire = wire
        self.keys = KeyRing()
        self.listen_keys: dict[int, str] = {}  # the newest one handed out, by account
        self.disconnect_windows: dict[int, int] = {}  # seconds, by account
        self.closed = ClosedTimes()  # by the venue's time
        self.settlements: list[Settlement] = []
        self.activity = 0  # state-changing requests accepted, and private messages sent
        self.skew_ms = 0  # how far the clock that clients see is ahead; a fault, not journaled
        self._keeper = keeper
        self._random_text = random_text
        self._listeners: list[Listener] = []
        self._symbols = tuple(instrument.symbol for instrument in venue.instruments)

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def symbols(self) -> tuple[str, ...]:
        return self._symbols

    @property
    def now_ms(self) -> int:
        """The venue's time in UTC milliseconds."""
        return self._keeper.now_ms

    @property
    def wire_now_ms(self) -> int:
        """The time that clients are told and that their requests are checked against."""
        return self.now_ms + self.skew_ms

    def depth(self, symbol: str, limit: int) -> Depth:
        """Return the public book with the time that clients are told."""
        book = self.venue.depth(symbol, limit)
        return replace(book, at_ms=book.at_ms + self.skew_ms) if self.skew_ms else book

    def subscribe(self, listener: Listener) -> None:
        """Tell a listener everything that happens from now on."""
        self._listeners.append(listener)

    def publish(self, events: Sequence[VenueEvent]) -> None:
        """Tell every listener what happened, and when by the clock that clients are told."""
        self.wire.note(events)
        if self.skew_ms:
            events = [replace(event, at_ms=event.at_ms + self.skew_ms) for event in events]
        for listener in self._listeners:
            listener(events)

    # ------------------------------------------------------------------------------------------------ changing

    def apply(self, operation: Operation, key_of: Callable[[Result], KeyMade] | None = None) -> Result:
        """Apply an operation, journal it, tell its events; key_of makes the key it comes with.

        Errors: VenueRefusal; a refused operation changed nothing and is not journaled.
        """
        at_ms = self.now_ms
        self.pass_time(at_ms)
        return self._apply(operation, at_ms, key_of)[0]

    def pass_time(self, at_ms: int) -> Sequence[VenueEvent]:
        """End what had a time to end by now (GTD orders, countdowns); return what was told of it."""
        due_ms = self.venue.next_deadline_ms
        if due_ms is None or due_ms > at_ms:
            return ()
        return self._apply(PassTime(), at_ms, None)[1]

    def _apply(
        self, operation: Operation, at_ms: int, key_of: Callable[[Result], KeyMade] | None
    ) -> tuple[Result, Sequence[VenueEvent]]:
        outcome = self.venue.apply(operation, at_ms)
        if outcome.refusal is not None or outcome.result is None:
            raise outcome.refusal or RuntimeError(f"{type(operation).__name__} has neither result nor refusal")
        self._keeper.reach(at_ms)
        key = key_of(outcome.result) if key_of is not None else None
        self._keeper.write(Applied(at_ms, operation, key, self.name))
        if key is not None:
            self._add_key(key)
        self.activity += 1
        self.publish(outcome.emitted)
        return outcome.result, outcome.emitted

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

    def open_account(
        self,
        balance: Decimal,
        permissions: tuple[Permission, ...],
        public_key: bytes | None = None,
        *,
        hedge_mode: bool = False,
    ) -> ApiKey:
        """Create an account with one key: of a secret that is made here, or of the public key (PEM) of the caller."""
        name = self._random_text(KEY_BYTES)
        secret = self._random_text(KEY_BYTES) if public_key is None else public_key.decode().strip()

        def key_of(result: Result) -> KeyMade:
            if not isinstance(result, AccountView):
                raise TypeError(f"CreateAccount gave {type(result).__name__}, expected AccountView")
            return KeyMade(name, secret, result.uid, permissions, self.now_ms)

        self.apply(CreateAccount(balance=balance, permissions=permissions, hedge_mode=hedge_mode), key_of)
        return self._key(name)

    def add_key(self, uid: int, permissions: tuple[Permission, ...], public_key: bytes | None = None) -> ApiKey:
        """Give an account one more key; what the account itself may do stays as it is."""
        name = self._random_text(KEY_BYTES)
        secret = self._random_text(KEY_BYTES) if public_key is None else public_key.decode().strip()
        made = KeyMade(name, secret, uid, permissions, self.now_ms)
        self.apply(SetPermissions(uid=uid, permissions=self.venue.account(uid).permissions), lambda _: made)
        return self._key(name)

    def revoke(self, key: ApiKey) -> None:
        """Make a key one that the venue does not know."""
        gone = KeyMade(key.api_key, key.secret.decode(), key.uid, key.permissions, key.created_ms, revoked=True)
        self.apply(SetPermissions(uid=key.uid, permissions=self.venue.account(key.uid).permissions), lambda _: gone)

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
        self._keeper.write(ListenKeyMade(uid, listen_key))
        return listen_key

    def set_disconnect_window(self, uid: int, seconds: int) -> None:
        """Keep how long after the last private socket of an account its orders end."""
        self._keeper.write(DisconnectWindowSet(uid, seconds))
        self.disconnect_windows[uid] = seconds

    def tell_to_wait(self, uids: Iterable[int], seconds: int) -> None:
        """Keep that accounts were told to ask for nothing in so many real seconds: a judge counts that against nobody.

        Errors: JournalLost.
        """
        at_ms = self.now_ms
        until_ms = at_ms + seconds * 1000 * self._keeper.speed
        told = tuple(uids)
        self.wire.close(told, seconds)
        later = tuple(uid for uid in told if self.closed.ends(uid) < until_ms)
        if later and until_ms > at_ms:  # a time that is driven stands still while they wait
            record = ToldToWait(later, at_ms, until_ms, self.name)
            self._keeper.write(record)
            self._close(record)

    def _close(self, record: ToldToWait) -> None:
        for uid in record.uids:
            self.closed.add(uid, record.at_ms, record.until_ms)

    def restore(self, record: ExchangeRecord) -> None:
        """Bring back what a journal holds; nothing is told and nothing is written.

        Errors: HistoryDamaged when the engine does not take what it once took.
        """
        if isinstance(record, ListenKeyMade):
            self.listen_keys[record.uid] = record.listen_key
            return
        if isinstance(record, DisconnectWindowSet):
            self.disconnect_windows[record.uid] = record.seconds
            return
        if isinstance(record, ToldToWait):
            self._close(record)
            return
        try:
            refusal = self.venue.apply(record.operation, record.at_ms).refusal
        except KeyError as error:
            raise HistoryDamaged(
                f"{type(record.operation).__name__} of an account that is not there: {error}"
            ) from None
        if refusal is not None:
            raise HistoryDamaged(f"{type(record.operation).__name__} is refused now ({refusal})")
        if record.key is not None:
            self._add_key(record.key)

    def _add_key(self, made: KeyMade) -> None:
        if made.revoked:
            self.keys.remove(made.api_key)
            return
        secret = made.secret.encode()
        public_key = secret if secret.startswith(PEM_BEGINS) else None
        self.keys.add(ApiKey(made.api_key, made.uid, made.permissions, secret, made.created_ms, public_key))
