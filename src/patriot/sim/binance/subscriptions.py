"""Who listens to what on the stream host: its sockets, their subscriptions, and the topics that events are sent to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from patriot.sim.binance.stream_depth import DepthTeller
from patriot.sim.binance.stream_names import Entry, Kind, StreamName, market_stream
from patriot.sim.sockets import Session, text_frame

SLACK_MS = 100  # a second of housekeeping is not quite a second of the venue
_ENCODE = msgspec.json.Encoder().encode
_NOTHING: Mapping[Kind, list["Topic"]] = {}


@dataclass(eq=False, slots=True)
class StreamSession(Session):
    """A socket of the stream host: its door and its subscriptions."""

    entry: Entry = Entry.PUBLIC
    combined: bool = False  # messages travel in an envelope with their stream's name
    streams: dict[str, None] = field(default_factory=dict)  # in the order of subscription
    filters: dict[str, frozenset[str]] = field(default_factory=dict)  # listen key -> events allowed


class Topic:
    """One stream that somebody listens to. A message is built once, or twice when some listen with envelopes."""

    __slots__ = ("_combined", "_prefix", "_raw", "event", "name", "teller", "text", "told_ms")

    def __init__(self, text: str, name: StreamName | None) -> None:
        self.text = text
        self.name = name  # None: the user data of a listen key
        self.teller: DepthTeller | None = None  # of a depth stream
        self.told_ms = 0  # venue time of the newest message, where there is an update speed
        self.event = text.partition("@")[2] or text.removeprefix("!")
        self._prefix = b'{"stream":' + _ENCODE(text) + b',"data":'
        self._raw: dict[StreamSession, None] = {}  # in the order in which they came: a set's would be that of addresses
        self._combined: dict[StreamSession, None] = {}

    def __bool__(self) -> bool:
        return bool(self._raw or self._combined)

    def is_due(self, at_ms: int) -> bool:
        """Whether the stream's update speed lets it speak again at this venue time."""
        return self.name is not None and abs(at_ms - self.told_ms) >= self.name.every_ms - SLACK_MS

    def add(self, session: StreamSession) -> None:
        (self._combined if session.combined else self._raw)[session] = None

    def discard(self, session: StreamSession) -> None:
        self._raw.pop(session, None)
        self._combined.pop(session, None)

    def send(self, data: bytes) -> None:
        """Queue a message for every listener."""
        self._queue(data, self._raw, self._combined)

    def send_event(self, data: bytes, event: str) -> None:
        """Queue a message of an account for every listener whose filter lets the event through."""
        raw = [session for session in self._raw if self._lets_through(session, event)]
        combined = [session for session in self._combined if self._lets_through(session, event)]
        self._queue(data, raw, combined)

    def _lets_through(self, session: StreamSession, event: str) -> bool:
        allowed = session.filters.get(self.text)
        return allowed is None or event in allowed

    def _queue(self, data: bytes, raw: Iterable[StreamSession], combined: Iterable[StreamSession]) -> None:
        if raw:
            frame = text_frame(data)
            for session in raw:
                session.put_frame(frame)
        if combined:
            frame = text_frame(self._prefix + data + b"}")
            for session in combined:
                session.put_frame(frame)

    def cut(self) -> None:
        """Close every socket that listens."""
        for session in (*self._raw, *self._combined):
            session.end()


class Subscriptions:
    """The topics in use: by their text for those who subscribe, by symbol and kind for those who have news."""

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}
        self._by_symbol: dict[str, dict[Kind, list[Topic]]] = {}

    def find(self, text: str) -> Topic | None:
        return self._topics.get(text)

    def of(self, symbol: str) -> Mapping[Kind, list[Topic]]:
        """Return the topics of a symbol; of the empty symbol: those that carry all symbols."""
        return self._by_symbol.get(symbol, _NOTHING)

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that somebody listens to."""
        return tuple(symbol for symbol in self._by_symbol if symbol)

    def add(self, session: StreamSession, text: str) -> Topic | None:
        """Subscribe to a stream; return its topic, None where the door of this socket does not serve it."""
        if session.entry is Entry.PRIVATE and "@" in text:
            text, _, event = text.partition("@")
            session.filters[text] = session.filters.get(text, frozenset()) | {event}
        session.streams[text] = None
        name = market_stream(text)
        if not session.entry.serves(name.door if name is not None else Entry.PRIVATE):
            return None
        topic = self._topics.get(text)
        if topic is None:
            topic = self._topics[text] = Topic(text, name)
            if name is not None:
                self._by_symbol.setdefault(name.symbol, {}).setdefault(name.kind, []).append(topic)
        topic.add(session)
        return topic

    def remove(self, session: StreamSession, texts: Iterable[str]) -> None:
        """Unsubscribe; what a socket has not subscribed to is passed over."""
        for text in texts:
            if session.entry is Entry.PRIVATE:
                text = text.partition("@")[0]  # a listen key with an event stands for the key
            session.streams.pop(text, None)
            session.filters.pop(text, None)
            topic = self._topics.get(text)
            if topic is None:
                continue
            topic.discard(session)
            if not topic:
                self._forget(topic)

    def _forget(self, topic: Topic) -> None:
        del self._topics[topic.text]
        if topic.name is None:
            return
        kinds = self._by_symbol[topic.name.symbol]
        kinds[topic.name.kind].remove(topic)
        if not kinds[topic.name.kind]:
            del kinds[topic.name.kind]
        if not kinds:
            del self._by_symbol[topic.name.symbol]

    def set_combined(self, session: StreamSession, combined: bool) -> None:
        """Let a socket's messages travel with or without envelope from now on."""
        heard = [topic for text in session.streams if (topic := self._topics.get(text)) is not None]
        for topic in heard:
            topic.discard(session)
        session.combined = combined
        for topic in heard:
            if session.entry.serves(topic.name.door if topic.name is not None else Entry.PRIVATE):
                topic.add(session)
