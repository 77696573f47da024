"""Command in: load the stream (and its gate), fold, decide, append; reload and decide again when someone wrote first.

Returns after the append is durable. Knows nothing of what the commands mean.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from patriot.kernel.aggregate import Decider
from patriot.kernel.clock import Clock
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.errors import (
    CommandRefused,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    NotPermitted,
    PatriotError,
    VersionConflict,
)
from patriot.kernel.eventstore import (
    Context,
    Envelope,
    EventStore,
    Fence,
    IdempotentResult,
    NewEvent,
    StreamAppend,
    StreamKey,
)
from patriot.kernel.ids import Ids

C = TypeVar("C")
REMEMBERED_STREAMS = 10_000  # folded states kept so that the single writer of a stream need not reload it
MAX_ATTEMPTS = 8  # a conflict means that another writer got through, so contention cannot starve everybody


@dataclass(frozen=True, slots=True)
class Gate(Generic[C]):
    """A second stream that must agree: its events go into the same append as the command's own.

    `command_of` asks the gate; `admit` puts the gate's answer, its new events, into the command. Without new events the
    append still proves that the gate stood where it was asked.
    """

    stream_of: Callable[[C], StreamKey]
    decider: Decider[Any, Any, Any]
    command_of: Callable[[C], object]
    admit: Callable[[C, list[Any]], C]


@dataclass(frozen=True, slots=True)
class Handler(Generic[C]):
    """How one type of command reaches its aggregate; `occurred_at` is when the world did what its events say."""

    stream_of: Callable[[C], StreamKey]
    decider: Decider[Any, Any, Any]
    gate: Gate[C] | None = None
    occurred_at: Callable[[C], datetime] | None = None

    @property
    def deciders(self) -> list[Decider[Any, Any, Any]]:
        """Return the deciders of the streams a command touches: its own, then the gate's."""
        return [self.decider] if self.gate is None else [self.decider, self.gate.decider]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a command did: the events of its own stream, now durable, and the stream's version.

    `replayed` is the stored answer when the idempotency key had been used before; `events` is empty then.
    """

    events: tuple[Any, ...]
    version: int
    replayed: str | None = None


class CommandBus:
    """Dispatch commands to their aggregates over one event store."""

    def __init__(self, store: EventStore, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._handlers: dict[type, Handler[Any]] = {}
        self._memory: dict[StreamKey, _Folded] = {}

    def handle(self, command_type: type[C], handler: Handler[C]) -> None:
        """Register the one handler of a command type."""
        if command_type in self._handlers:
            raise ValueError(f"{command_type.__name__} has a handler already")
        self._handlers[command_type] = handler

    async def dispatch(
        self,
        command: object,
        context: Context,
        *,
        idempotency_key: str | None = None,
        fence: Fence | None = None,
    ) -> Decided:
        """Decide a command and make its events durable.

        Errors: CommandRefused from the decider; VersionConflict after 8 lost races; IdempotencyMismatch;
        LeaseLost, also when there is nothing to write; StoreUnavailable (repeat the same command).
        """
        answer = _Answer(type(command).__name__, idempotency_key, command)
        if idempotency_key:
            known = await self._store.find_result(answer.scope, idempotency_key)
            if known is not None:
                return answer.replay(known)
        handler = self._handlers[type(command)]
        streams = [handler.stream_of(command)]
        if handler.gate is not None:
            streams.append(handler.gate.stream_of(command))
        # What is remembered of a stream may be old, and one never seen may not be new. An append proves what was
        # assumed; a refusal or a no-op does not: those reload.
        assumed = [
            self._memory.get(stream) or _Folded(decider.initial, 0)
            for stream, decider in zip(streams, handler.deciders, strict=True)
        ]
        with suppress(VersionConflict, CommandRefused, InvalidInput, NotFound, NotPermitted):
            decided = await self._attempt(handler, command, context, streams, assumed, answer, fence)
            if decided.events:
                return decided
        for _ in range(MAX_ATTEMPTS):
            loaded = await self._load(handler, streams)
            try:
                decided = await self._attempt(handler, command, context, streams, loaded, answer, fence)
            except VersionConflict:
                continue
            if fence is not None and not decided.events:  # done already, perhaps by who has the lease now
                await self._store.append([], fence=fence)
            return decided
        raise VersionConflict(f"{answer.scope}: {MAX_ATTEMPTS} attempts lost to other writers")

    async def _load(self, handler: Handler[Any], streams: list[StreamKey]) -> list["_Folded"]:
        histories = await self._store.read_streams(streams)
        return [
            _Folded(decider.fold(decode_all(history)), len(history))
            for decider, history in zip(handler.deciders, histories, strict=True)
        ]

    async def _attempt(
        self,
        handler: Handler[Any],
        command: object,
        context: Context,
        streams: list[StreamKey],
        folded: Sequence["_Folded"],
        answer: "_Answer",
        fence: Fence | None,
    ) -> Decided:
        own, gate = folded[0], handler.gate
        gate_events: list[Any] = []
        if gate is not None:
            gate_events = gate.decider.decide(folded[1].state, gate.command_of(command))
            command = gate.admit(command, gate_events)
        events = handler.decider.decide(own.state, command)
        if not events:
            return Decided((), own.version)
        at = handler.occurred_at(command) if handler.occurred_at else self._clock.now()
        written = [(handler.decider, own, events)]
        if gate is not None:
            written.append((gate.decider, folded[1], gate_events))
        appends = [
            StreamAppend(stream, before.version, self._pack(new, at, context))
            for stream, (_, before, new) in zip(streams, written, strict=False)
        ]
        try:
            appended = await self._store.append(appends, result=answer.result(own.version + len(events)), fence=fence)
        except PatriotError:
            for stream in streams:
                self._memory.pop(stream, None)
            raise
        if appended.replayed is not None:
            return answer.replay(appended.replayed)
        for stream, (decider, before, new) in zip(streams, written, strict=False):
            self._remember(stream, _Folded(decider.fold(new, before.state), before.version + len(new)))
        return Decided(tuple(events), appended.versions[0])

    def _remember(self, stream: StreamKey, folded: "_Folded") -> None:
        self._memory.pop(stream, None)  # newest last, so that the first is the one to forget
        self._memory[stream] = folded
        if len(self._memory) > REMEMBERED_STREAMS:
            del self._memory[next(iter(self._memory))]

    def _pack(self, events: list[Any], at: datetime, context: Context) -> tuple[NewEvent, ...]:
        packed = []
        for event in events:
            name, version = EVENTS.name_of(event)
            packed.append(NewEvent(self._ids.new(), name, version, at, encode(event), context))
        return tuple(packed)


def decode_all(envelopes: list[Envelope]) -> list[Any]:
    """Return the events of stored envelopes, lifted to the current schema."""
    return [EVENTS.decode(e.event_type, e.schema_version, e.data) for e in envelopes]


@dataclass(frozen=True, slots=True)
class _Folded:
    state: Any
    version: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """The stored answer to a command that carries an idempotency key."""

    scope: str
    key: str | None
    command: object

    def _request_hash(self) -> str:
        return hashlib.sha256(encode(self.command).encode()).hexdigest()

    def result(self, version: int) -> IdempotentResult | None:
        return IdempotentResult(self.scope, self.key, self._request_hash(), str(version)) if self.key else None

    def replay(self, known: IdempotentResult) -> Decided:
        if known.request_hash != self._request_hash():
            raise IdempotencyMismatch(f"idempotency key {known.key!r} was used for another {known.scope}")
        return Decided((), int(known.result), replayed=known.result)
