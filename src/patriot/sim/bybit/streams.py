"""Who listens to what on the venue's sockets, and how every message finds them, in order.

Topics and their messages are made in market_streams and private_streams, once for all who listen. Faults lie between
here and the sockets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from patriot.sim.bybit import messages
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.market_streams import MarketStreams
from patriot.sim.bybit.private_streams import FAST_EXECUTION, AccountStreams
from patriot.sim.bybit.topics import PRIVATE_TOPICS, Topic, mixes_all_and_one, parse
from patriot.sim.engine.events import (
    AccountEvent,
    AccountUpdated,
    AlgoOrderUpdated,
    LeverageChanged,
    MarginCalled,
    OrderUpdated,
    VenueEvent,
)
from patriot.sim.exchange import VenueName
from patriot.sim.faults.line import Line
from patriot.sim.keys import ApiKey
from patriot.sim.sockets import Session, text_frame

DISCONNECT_TOPIC: Final = "dcp.future"
MAX_ARGUMENT_CHARACTERS: Final = 21_000  # of the args of one request
_PRIVATE_EVENTS: Final = (OrderUpdated, AlgoOrderUpdated, AccountUpdated, LeverageChanged, MarginCalled)
_ENCODE: Final = msgspec.json.Encoder().encode

Json = dict[str, Any]


class Door(StrEnum):
    """The addresses of the stream host, by what stands behind /v5/."""

    LINEAR = "public/linear"
    SPOT = "public/spot"
    INVERSE = "public/inverse"
    OPTION = "public/option"
    STATUS = "public/misc/status"
    PRIVATE = "private"
    TRADE = "trade"

    @property
    def is_public(self) -> bool:
        return self not in (Door.PRIVATE, Door.TRADE)


class SubscriptionRefused(Exception):
    """A request to listen was refused as a whole, in the venue's words."""


@dataclass(eq=False, slots=True)
class ClientSession(Session):
    """A socket of this venue: its door, its topics, and the key it has shown."""

    door: Door = Door.LINEAR
    connection_id: str = ""
    topics: dict[str, Topic | None] = field(default_factory=dict)  # private ones have nothing to take apart
    key: ApiKey | None = None
    request_ids: set[str] = field(default_factory=set)  # used on the trade socket
    idle_seconds: float = 0.0  # without a message either way, after which it is closed
    active_at: float = 0.0  # monotonic seconds
    sent: bool = False  # since the last look

    def tell(self, message: Json) -> None:
        """Queue an answer."""
        self.sent = True
        self.put(_ENCODE(message))


class StreamHub:
    """Every subscription; an event is rendered once for all who listen."""

    def __init__(self, context: FaceContext) -> None:
        self.context = context
        self.sessions = context.sessions
        self._exchange = context.exchange
        self._line = Line(context.faults, VenueName.BYBIT, context.sessions.call_later)
        self._markets = MarketStreams(context, self._send_public)
        self._accounts = AccountStreams(context)
        self._listeners: dict[str, dict[ClientSession, None]] = {}  # by public topic; a dict keeps their order
        self._private: dict[int, dict[str, dict[ClientSession, None]]] = {}  # by account and topic
        self._told: dict[int, int] = {}  # private messages so far, by account
        self._symbols = frozenset(context.exchange.symbols)

    # ------------------------------------------------------------------------------------------------ events out

    def publish(self, events: Sequence[VenueEvent]) -> None:
        """Send the messages of these events to everyone who listens, in order."""
        self._markets.publish(events)
        if not self._private:
            return
        by_account: dict[int, list[AccountEvent]] = {}
        for event in events:
            if isinstance(event, _PRIVATE_EVENTS) and event.uid in self._private:
                by_account.setdefault(event.uid, []).append(event)
        for uid, happened in by_account.items():
            self._publish_private(uid, happened)

    def _publish_private(self, uid: int, events: list[AccountEvent]) -> None:
        topics = self._private[uid]

        def wanted(topic: str) -> bool:
            return topic in topics or f"{topic}.linear" in topics

        for topic, rows in self._accounts.messages(uid, events, wanted):
            if wanted(topic):
                self._send_private(uid, topic, rows)

    def _send_private(self, uid: int, topic: str, rows: list[Json]) -> None:
        exchange = self._exchange
        exchange.activity += 1
        number = self._told[uid] = self._told.get(uid, 0) + 1
        identifier, now_ms = f"{uid}_{topic}_{number}", exchange.wire_now_ms

        def send() -> None:
            for name in (topic, f"{topic}.linear"):
                listeners = self._private.get(uid, {}).get(name)
                if listeners:
                    message = messages.private(identifier, name, now_ms, rows)
                    if topic == FAST_EXECUTION:
                        del message["id"]
                    _put(listeners, _ENCODE(message))

        def cut() -> None:
            self.sessions.disconnect(uid)

        self._line.private(uid, topic, str(rows[0].get("symbol", "")), send, cut)

    def _send_public(self, name: str, data: bytes) -> None:
        if name not in self._listeners:
            return

        def send() -> None:
            _put(self._listeners.get(name, ()), data)

        def cut() -> None:
            for session in self._listeners.get(name, ()):
                session.end()

        event, _, rest = name.partition(".")
        self._line.public(name, event, rest.rpartition(".")[2], send, cut)

    def tell_again(self) -> None:
        """Tell again what the venue tells again when nothing happens."""
        self._markets.tell_again()

    # ------------------------------------------------------------------------------------------------ subscriptions

    def check_subscribe(self, session: ClientSession, names: list[str]) -> list[Topic | None]:
        """Return what these topics mean to this socket. Errors: SubscriptionRefused; one bad topic refuses them all."""
        if sum(map(len, names)) > MAX_ARGUMENT_CHARACTERS:
            raise SubscriptionRefused(f"args length > {MAX_ARGUMENT_CHARACTERS}")
        if not session.door.is_public:
            return _private_topics(names)
        topics: list[Topic | None] = []
        for name in names:
            topic = parse(name, self._symbols) if session.door is Door.LINEAR else None
            if topic is None and not (session.door is Door.STATUS and name == "system.status"):
                raise SubscriptionRefused(f"error:handler not found,topic:{name}")
            if name in session.topics:
                raise SubscriptionRefused(f"error:already subscribed,topic:{name}")
            topics.append(topic)
        return topics

    def subscribe(self, session: ClientSession, names: Iterable[str], topics: Iterable[Topic | None]) -> None:
        """Let a socket listen from now on; a topic with a state tells it at once."""
        for name, topic in zip(names, topics, strict=True):
            session.topics[name] = topic
            if session.key is not None:
                account = self._private.setdefault(session.key.uid, {})
                account.setdefault(name, {})[session] = None
            elif topic is not None:
                if name not in self._listeners:
                    self._listeners[name] = {}
                    self._markets.begin(topic)
                self._listeners[name][session] = None
                first = self._markets.first_message(topic)
                if first is not None and not self.context.faults.silent(VenueName.BYBIT):
                    _put((session,), first)

    def unsubscribe(self, session: ClientSession, names: Iterable[str]) -> None:
        """Let a socket listen no longer; what it did not listen to is no error."""
        for name in names:
            if name not in session.topics:
                continue
            topic = session.topics.pop(name)
            if session.key is not None:
                self._leave_account(session, session.key.uid, name)
            elif topic is not None:
                listeners = self._listeners[name]
                del listeners[session]
                if not listeners:
                    del self._listeners[name]
                    self._markets.end(topic)

    def is_watched(self, uid: int) -> bool:
        """Whether a socket of an account asks that its orders end with the last such socket."""
        return DISCONNECT_TOPIC in self._private.get(uid, ())

    def _leave_account(self, session: ClientSession, uid: int, name: str) -> None:
        account = self._private[uid]
        del account[name][session]
        if not account[name]:
            del account[name]
        if not account:
            del self._private[uid]


def _private_topics(names: list[str]) -> list[Topic | None]:
    """Check the names of private topics, which have nothing to take apart. Errors: SubscriptionRefused."""
    if mixes_all_and_one(names):
        raise SubscriptionRefused("Params Error")
    unknown = next((name for name in names if name not in PRIVATE_TOPICS), None)
    if unknown is not None:
        raise SubscriptionRefused(f"error:handler not found,topic:{unknown}")
    return [None] * len(names)


def _put(listeners: Iterable[ClientSession], data: bytes) -> None:
    frame = text_frame(data)
    for session in listeners:
        session.sent = True
        session.put_frame(frame)
