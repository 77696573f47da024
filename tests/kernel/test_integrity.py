"""What a forger could do to the log, and that each of it is found."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import START, ChainedEvent, Envelope, NewEvent
from patriot.kernel.ids import Ids
from patriot.kernel.integrity import ChainVerifier, Span, StreamHead, merkle_root, verify_chain
from patriot.kernel.memory import MemoryEventStore
from tests.kernel.toys import CONTEXT, Credit, register

pytestmark = pytest.mark.unit

ALICE, BOB = UUID(int=100), UUID(int=200)


@pytest.fixture
async def log() -> list[Envelope]:
    clock = FakeClock()
    store = MemoryEventStore(clock)
    bus = register(CommandBus(store, clock, Ids(clock)))
    for amount in range(1, 6):
        for account in (ALICE, BOB):
            await bus.dispatch(Credit(account, Decimal(f"{amount}.50")), CONTEXT)
    return (await store.feed.read(START)).events


def test_history_as_written_is_whole(log: list[Envelope]) -> None:
    report = verify_chain(log)
    assert (report.ok, report.events, report.streams, report.faults) == (True, 10, 2, ())


@pytest.mark.parametrize("index", range(10))
def test_changed_digit_is_found_at_its_event(log: list[Envelope], index: int) -> None:
    log[index] = replace(log[index], data=log[index].data.replace(".50", ".51"))
    report = verify_chain(log)
    assert [(fault.stream, fault.stream_version) for fault in report.faults] == [
        (log[index].stream, log[index].stream_version)
    ]
    (fault,) = report.faults
    assert fault.problem.startswith("expected hash ")
    assert fault.problem.endswith(f"found {log[index].event_hash.hex()[:12]}")


def test_changed_digit_that_was_hashed_again_is_found_at_the_next_event(log: list[Envelope]) -> None:
    old = log[4]
    data = old.data.replace(".50", ".51")
    event = NewEvent(old.event_id, old.event_type, old.schema_version, old.occurred_at, data, old.context)
    rehashed = ChainedEvent(old.previous_hash, old.stream, old.stream_version, event).digest()
    log[4] = replace(old, data=data, event_hash=rehashed)
    (fault,) = verify_chain(log).faults
    assert (fault.stream, fault.stream_version) == (old.stream, old.stream_version + 1)


@pytest.mark.parametrize(
    "forge",
    [
        lambda log: [*log[:4], *log[5:]],
        lambda log: [*log[:4], log[6], log[5], log[4], *log[7:]],
        lambda log: [*log[:5], log[4], *log[5:]],
        lambda log: [*log[:4], replace(log[4], context=replace(CONTEXT, user_id=BOB)), *log[5:]],
        lambda log: [*log[:4], replace(log[4], event_type="toy.debited"), *log[5:]],
        lambda log: [*log[:4], replace(log[4], stream=log[5].stream), *log[5:]],
        lambda log: log[1:],
    ],
    ids=["missing", "swapped", "doubled", "other owner", "other type", "other stream", "first one missing"],
)
def test_forged_log_is_found(log: list[Envelope], forge: Callable[[list[Envelope]], list[Envelope]]) -> None:
    assert not verify_chain(forge(log)).ok


def test_cut_end_is_found_by_the_stream_heads_and_by_the_root(log: list[Envelope]) -> None:
    heads = {envelope.stream: StreamHead(envelope.stream_version, envelope.event_hash) for envelope in log}
    verifier = ChainVerifier()
    for envelope in log[:-1]:
        verifier.add(envelope)
    assert verifier.report().ok
    verifier.expect_heads(heads)
    assert [fault.stream for fault in verifier.report().faults] == [log[-1].stream]
    assert verifier.report().root != verify_chain(log).root


def test_faults_are_counted_beyond_those_that_are_listed(log: list[Envelope]) -> None:
    verifier = ChainVerifier()
    for _ in range(150):
        verifier.add(replace(log[0], data="{}"))
    report = verifier.report()
    assert len(report.faults) == 100
    assert report.fault_count > 150


LEAVES = st.lists(st.binary(min_size=1, max_size=4), max_size=20)


@given(LEAVES, st.data())
def test_root_changes_with_any_leaf_lost_added_or_swapped(leaves: list[bytes], data: st.DataObject) -> None:
    root = merkle_root(leaves)
    assert merkle_root([*leaves, b"x"]) != root
    if leaves:
        index = data.draw(st.integers(0, len(leaves) - 1))
        assert merkle_root(leaves[:index] + leaves[index + 1 :]) != root
        assert merkle_root([*leaves[:index], leaves[index] + b"x", *leaves[index + 1 :]]) != root


def test_root_of_known_leaves_is_that_of_rfc_6962() -> None:
    # The empty tree and the tree of one empty leaf, as certificate transparency logs publish them.
    assert merkle_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([b""]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_root_of_a_span_covers_its_events_and_where_each_stream_stands(log: list[Envelope]) -> None:
    before = bytes(range(32))
    span = Span(before)
    for envelope in log:
        span.add(envelope)

    newest = {envelope.stream: envelope for envelope in log}
    heads = [
        f"{stream.stream_type}\n{stream.stream_id}\n{last.stream_version}\n".encode() + last.event_hash
        for stream, last in sorted(newest.items(), key=lambda one: (one[0].stream_type, one[0].stream_id))
    ]
    assert len(heads) > 1
    assert span.root() == merkle_root([before, *(envelope.event_hash for envelope in log), *heads])
