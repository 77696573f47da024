"""Proving history: the hash chain of every stream, and one Merkle root over each closed span of the log. Pure.

Roots are published daily and at each start and end; whoever has kept one can tell that no event before it was changed,
lost, added or moved since, and no stream removed, without trusting the database.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from patriot.kernel.eventstore import GENESIS_HASH, ChainedEvent, Envelope, NewEvent, StreamKey

NO_ROOT = bytes(32)  # before the first span
MAX_FAULTS = 100  # more say nothing new; the count goes on


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Where a stream ends: its version and the hash of its last event."""

    version: int
    last_hash: bytes


NO_EVENTS = StreamHead(0, GENESIS_HASH)


@dataclass(frozen=True, slots=True)
class ChainFault:
    """One event, or place of an event, that does not fit; the problem says what was expected and what was found."""

    stream: StreamKey
    stream_version: int
    problem: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a verification found. `root` is the Merkle root over all event hashes, in log order."""

    events: int
    streams: int
    fault_count: int
    faults: tuple[ChainFault, ...]
    root: bytes

    @property
    def ok(self) -> bool:
        """Whether every event is what its writer hashed, and none is missing in between."""
        return self.fault_count == 0


def verify_chain(envelopes: Iterable[Envelope]) -> ChainReport:
    """Return what is wrong with events in log order that begin with the first event of each of their streams."""
    verifier = ChainVerifier()
    for envelope in envelopes:
        verifier.add(envelope)
    return verifier.report()


class ChainVerifier:
    """`verify_chain` for a log that is too long to hold: add its events in order, then ask for the report."""

    def __init__(self) -> None:
        self._heads: dict[StreamKey, StreamHead] = {}
        self._tree = MerkleTree()
        self._events = 0
        self._fault_count = 0
        self._faults: list[ChainFault] = []

    def add(self, envelope: Envelope) -> None:
        """Check one event against what came before it in its stream."""
        head = self._heads.get(envelope.stream, NO_EVENTS)
        if envelope.stream_version != head.version + 1:
            self._fault(envelope, f"expected version {head.version + 1} here, found {envelope.stream_version}")
        if envelope.previous_hash != head.last_hash:
            self._fault(
                envelope, f"expected previous hash {_short(head.last_hash)}, found {_short(envelope.previous_hash)}"
            )
        digest = _digest(envelope)
        if digest != envelope.event_hash:
            self._fault(envelope, f"expected hash {_short(digest)} of its content, found {_short(envelope.event_hash)}")
        self._heads[envelope.stream] = StreamHead(envelope.stream_version, envelope.event_hash)
        self._tree.add(envelope.event_hash)
        self._events += 1

    def expect_heads(self, expected: Mapping[StreamKey, StreamHead]) -> None:
        """Check that each stream ends where it should: a chain cannot show that its last events were cut off."""
        for stream in expected.keys() | self._heads.keys():
            found, wanted = self._heads.get(stream, NO_EVENTS), expected.get(stream, NO_EVENTS)
            if found != wanted:
                self._faulty(
                    stream,
                    found.version,
                    f"expected the stream to end at version {wanted.version}, {_short(wanted.last_hash)}, "
                    f"found {found.version}, {_short(found.last_hash)}",
                )

    def report(self) -> ChainReport:
        """Return what was found so far."""
        return ChainReport(self._events, len(self._heads), self._fault_count, tuple(self._faults), self._tree.root())

    def _fault(self, envelope: Envelope, problem: str) -> None:
        self._faulty(envelope.stream, envelope.stream_version, problem)

    def _faulty(self, stream: StreamKey, version: int, problem: str) -> None:
        self._fault_count += 1
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(ChainFault(stream, version, problem))


class Span:
    """One span of the log: its events in order, and where each of its streams stands at its end.

    Its root covers the root of the span before it too, so that the newest one vouches for everything.
    """

    def __init__(self, previous: bytes) -> None:
        self.previous = previous
        self.events = 0
        self._heads: dict[StreamKey, StreamHead] = {}
        self._tree = MerkleTree()
        self._tree.add(previous)

    def add(self, envelope: Envelope) -> None:
        """Take in the next event of the log."""
        self._heads[envelope.stream] = StreamHead(envelope.stream_version, envelope.event_hash)
        self._tree.add(envelope.event_hash)
        self.events += 1

    def root(self) -> bytes:
        """Return the root over the span as it is now.

        Leaves: the previous root; the hash of each event, in log order; then, in the order of their type and id, each
        stream's type, id and version in a line each, and the hash of its last event.
        """
        tree = self._tree.copy()
        for stream, head in sorted(self._heads.items(), key=lambda item: (item[0].stream_type, item[0].stream_id)):
            tree.add(f"{stream.stream_type}\n{stream.stream_id}\n{head.version}\n".encode() + head.last_hash)
        return tree.root()


@dataclass(slots=True)
class MerkleTree:
    """A Merkle tree that grows leaf by leaf and keeps only the roots of its full subtrees.

    Source: RFC 6962, section 2.1 (leaves and nodes are hashed under different prefixes, no leaf is duplicated).
    """

    _full: list[tuple[int, bytes]] = field(default_factory=list)  # (number of leaves, root), largest first

    def add(self, leaf: bytes) -> None:
        """Append a leaf."""
        size, node = 1, hashlib.sha256(b"\x00" + leaf).digest()
        while self._full and self._full[-1][0] == size:
            node = _parent(self._full.pop()[1], node)
            size *= 2
        self._full.append((size, node))

    def copy(self) -> "MerkleTree":
        """Return a tree that grows apart from this one."""
        return MerkleTree(list(self._full))

    def root(self) -> bytes:
        """Return the root over the leaves so far; of none, SHA-256 of nothing."""
        if not self._full:
            return hashlib.sha256().digest()
        node = self._full[-1][1]
        for _, left in reversed(self._full[:-1]):
            node = _parent(left, node)
        return node


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle root over leaves in order.

    >>> merkle_root([b"a", b"b", b"c"]) == merkle_root([b"a", b"c", b"b"])
    False
    """
    tree = MerkleTree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _digest(envelope: Envelope) -> bytes:
    event = NewEvent(
        envelope.event_id,
        envelope.event_type,
        envelope.schema_version,
        envelope.occurred_at,
        envelope.data,
        envelope.context,
    )
    return ChainedEvent(envelope.previous_hash, envelope.stream, envelope.stream_version, event).digest()


def _short(digest: bytes) -> str:
    return digest.hex()[:12]
