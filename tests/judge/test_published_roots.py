"""What a forger who owns the database can do to a log with whole chains, and that each published root tells of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.audit.effects import RootPublisher
from patriot.audit.events import ROOTS, RootPublished
from patriot.audit.streams import register as register_audit
from patriot.judge.published_roots import NEVER, RootReport, compare_roots
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.codec import encode
from patriot.kernel.eventstore import Envelope, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids
from patriot.kernel.integrity import verify_chain
from patriot.kernel.memory import MemoryEventStore
from tests.audit.kit import Shelf
from tests.kernel.toys import CONTEXT, Credit, register

pytestmark = pytest.mark.unit

ALICE, BOB, CAROL = UUID(int=100), UUID(int=200), UUID(int=300)


@dataclass(frozen=True, slots=True)
class History:
    """Three spans of a log, two of them closed, and the lines that were kept of their roots."""

    log: list[Envelope]
    kept: list[str]

    def stream_of(self, account_id: UUID) -> StreamKey:
        return next(envelope.stream for envelope in self.log if envelope.stream.stream_id == account_id)


@pytest.fixture
async def history() -> History:
    clock = FakeClock()
    store = MemoryEventStore(clock)
    bus = register(CommandBus(store, clock, Ids(clock)))
    register_audit(bus)
    shelf = Shelf()
    publisher = RootPublisher(store, store.feed, bus, shelf, clock)
    for accounts in ((ALICE, BOB, ALICE), (BOB, CAROL, CAROL), (ALICE,)):
        for account_id in accounts:
            await bus.dispatch(Credit(account_id, Decimal(1)), CONTEXT)
        if accounts != (ALICE,):
            await publisher.publish()
    return History(await read(store), shelf.kept)


async def read(store: MemoryEventStore) -> list[Envelope]:
    return [envelope async for page in store.feed.scan() for envelope in page]


async def written(envelopes: Iterable[Envelope]) -> MemoryEventStore:
    """Return a log that holds these events with whole chains: what a forger makes who knows how they are hashed."""
    store = MemoryEventStore(FakeClock())
    versions: dict[StreamKey, int] = {}
    for e in envelopes:
        event = NewEvent(e.event_id, e.event_type, e.schema_version, e.occurred_at, e.data, e.context)
        await store.append([StreamAppend(e.stream, versions.get(e.stream, 0), (event,))])
        versions[e.stream] = versions.get(e.stream, 0) + 1
    assert verify_chain(await read(store)).ok, "the chains alone say nothing"
    return store


async def judged(envelopes: Iterable[Envelope], kept: list[str]) -> RootReport:
    store = await written(envelopes)
    return await compare_roots(store, store.feed, kept)


async def test_history_as_it_was_published_is_whole(history: History) -> None:
    report = await judged(history.log, history.kept)

    assert report.problems == []
    assert (report.compared, report.since) == (2, 2), "the second root's own event, and one after it"
    assert report.newest is not None
    assert report.newest.number == 2


@pytest.mark.parametrize("account_id", [ALICE, BOB, CAROL])
async def test_stream_that_was_removed_as_a_whole_is_missed(history: History, account_id: UUID) -> None:
    left = [envelope for envelope in history.log if envelope.stream.stream_id != account_id]

    assert (await judged(left, history.kept)).problems != []


async def test_span_that_lost_events_is_told_from_the_one_that_did_not(history: History) -> None:
    left = [envelope for envelope in history.log if envelope.stream.stream_id != CAROL]

    assert (await judged(left, history.kept)).problems == [
        "root 2: the log no longer holds the event that its span ends with, "
        f"{history.stream_of(CAROL).stream_type} {CAROL} v2"
    ]


@pytest.mark.parametrize("index", range(8))
async def test_each_single_event_that_was_removed_is_missed(history: History, index: int) -> None:
    assert (await judged(history.log[:index] + history.log[index + 1 :], history.kept)).problems != []


async def test_end_of_a_stream_that_was_cut_off_is_missed(history: History) -> None:
    cut = next(e for e in history.log if (e.stream.stream_id, e.stream_version) == (CAROL, 2))

    assert (await judged([e for e in history.log if e is not cut], history.kept)).problems != []


@pytest.mark.parametrize(
    "forge",
    [
        lambda log: [replace(log[0], data=log[0].data.replace('"1"', '"2"')), *log[1:]],
        lambda log: [log[1], log[0], *log[2:]],
        lambda log: [log[0], replace(log[0], event_id=UUID(int=9), stream=StreamKey("TOY", CAROL)), *log[1:]],
    ],
    ids=["changed", "moved", "added"],
)
async def test_span_that_was_written_anew_is_found(
    history: History, forge: Callable[[list[Envelope]], list[Envelope]]
) -> None:
    (problem, *_) = (await judged(forge(history.log), history.kept)).problems

    assert problem.startswith("root 1: ")


async def test_what_came_after_the_newest_root_is_not_covered_and_counted(history: History) -> None:
    report = await judged(history.log[:-1], history.kept)

    assert report.problems == []
    assert report.since == 1


async def test_root_that_was_removed_from_the_log_is_found_by_the_shelf(history: History) -> None:
    left = [envelope for envelope in history.log if envelope.stream != ROOTS]

    assert "root 2: in roots.jsonl, not in the log" in (await judged(left, history.kept)).problems


@pytest.mark.parametrize("number", [1, 2])
async def test_line_that_was_removed_from_the_shelf_is_found_by_the_log(history: History, number: int) -> None:
    left = history.kept[: number - 1] + history.kept[number:]

    assert (await judged(history.log, left)).problems == [f"root {number}: in the log, not in roots.jsonl"]


async def test_history_and_roots_that_were_forged_together_contradict_the_shelf(history: History) -> None:
    """A forger who removes a stream and publishes fitting roots cannot reach the copy beside the log."""
    clock, shelf = FakeClock(), Shelf()
    store = await written(e for e in history.log if e.stream.stream_id != CAROL and e.stream != ROOTS)
    bus = CommandBus(store, clock, Ids(clock))
    register_audit(bus)
    await RootPublisher(store, store.feed, bus, shelf, clock).publish()

    assert (await compare_roots(store, store.feed, shelf.kept)).problems == []
    assert (
        "root 1: the log and roots.jsonl do not say the same"
        in (await compare_roots(store, store.feed, history.kept)).problems
    )


async def test_root_that_does_not_follow_the_one_before_is_found(history: History) -> None:
    first, second = (
        root for root in decode_all([e for e in history.log if e.stream == ROOTS]) if isinstance(root, RootPublished)
    )
    kept = [encode(first), encode(replace(second, previous_root="ab" * 32))]

    assert "root 2: it does not follow root 1" in (await judged(history.log, kept)).problems


async def test_root_that_was_published_twice_differently_is_found(history: History) -> None:
    """As a log does that went back in time, and on from there."""
    second = decode_all([e for e in history.log if e.stream == ROOTS])[1]
    again = encode(replace(second, root="ab" * 32))

    assert (await judged(history.log, [*history.kept, again])).problems == [
        "root 2 stands twice in roots.jsonl, and not the same"
    ]


async def test_line_that_cannot_be_read_is_found(history: History) -> None:
    first = decode_all([e for e in history.log if e.stream == ROOTS])[0]
    for line in ("{}", "no json", encode(replace(first, root="no hexadecimal number"))):
        assert "roots.jsonl line 3 cannot be read" in (await judged(history.log, [*history.kept, line])).problems


async def test_log_without_any_root_says_so(history: History) -> None:
    left = [envelope for envelope in history.log if envelope.stream != ROOTS]

    assert (await judged(left, [])).problems == [NEVER]


async def test_empty_log_has_nothing_to_prove() -> None:
    assert (await judged([], [])).problems == []
