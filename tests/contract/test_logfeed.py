"""What every log feed must do: one suite, on the feed in memory and on PostgreSQL. Places are never looked into."""

import asyncio
from typing import cast
from uuid import UUID

import pytest

from patriot.kernel.eventstore import START
from tests.contract.stored import Stored

pytestmark = pytest.mark.integration


@pytest.fixture(params=["stored_in_memory", pytest.param("stored_on_postgres", marks=pytest.mark.postgres)])
def given(request: pytest.FixtureRequest) -> Stored:
    return cast("Stored", request.getfixturevalue(request.param))


async def test_feed_gives_all_streams_in_the_order_of_their_appends(given: Stored) -> None:
    ids: list[UUID] = []
    for _ in range(5):
        events = given.events(3)
        await given.append(given.stream(), 0, *events)
        ids += [event.event_id for event in events]
    page = await given.feed.read(START)
    assert [envelope.event_id for envelope in page.events] == ids
    assert [envelope.event_id async for read in given.feed.scan(page=4) for envelope in read] == ids


async def test_places_are_ordered_by_the_feed_as_their_events_are(given: Stored) -> None:
    await given.append(given.stream(), 0, *given.events(6))
    await given.append(given.stream(), 0, *given.events(6))
    places = [START, *(envelope.place for envelope in (await given.feed.read(START)).events)]
    assert len(set(places)) == 13
    for n, place in enumerate(places):
        assert [given.feed.reached(place, target) for target in places] == [m <= n for m in range(13)]


async def test_feed_is_read_in_pages_from_any_place(given: Stored) -> None:
    await given.append(given.stream(), 0, *given.events(7))
    everything = (await given.feed.read(START)).events
    for n, start in enumerate((START, *(envelope.place for envelope in everything))):
        paged, after = [], start
        while (page := await given.feed.read(after, limit=2)).events:
            assert len(page.events) <= 2
            paged += page.events
            after = page.next
        assert paged == everything[n:]
        assert [envelope async for read in given.feed.scan(start, 2) for envelope in read] == everything[n:]


async def test_feed_can_be_narrowed_to_event_types(given: Stored) -> None:
    created, filled = given.event(), given.event(event_type="order.filled")
    await given.append(given.stream(), 0, created, filled, given.event())
    for _ in range(2):  # the second reading may come from memory
        page = await given.feed.read(START, event_types=frozenset({"order.filled"}))
        assert [envelope.event_id for envelope in page.events] == [filled.event_id]
        first = await given.feed.read(START, limit=1, event_types=frozenset({"order.created"}))
        assert [envelope.event_id for envelope in first.events] == [created.event_id]
        assert len((await given.feed.read(first.next)).events) == 2
        assert len((await given.feed.read(START)).events) == 3


async def test_narrowed_reader_that_goes_on_misses_nothing_that_comes_later(given: Stored) -> None:
    wanted = frozenset({"order.filled"})
    await given.feed.read(START)  # what is read from here on may come from memory
    place, seen = START, []
    for _ in range(4):
        await given.append(given.stream(), 0, given.event(), given.event(event_type="order.filled"), given.event())
        page = await given.feed.read(place, event_types=wanted)
        seen += page.events
        place = page.next
    assert [envelope.event_type for envelope in seen] == ["order.filled"] * 4
    assert len({envelope.event_id for envelope in seen}) == 4


async def test_empty_page_keeps_the_place(given: Stored) -> None:
    assert (await given.feed.read(START)).next == START
    await given.append(given.stream(), 0, *given.events(2))
    end = (await given.feed.read(START)).next
    for _ in range(2):
        page = await given.feed.read(end)
        assert (page.events, page.next) == ([], end)


async def test_newest_is_the_place_of_the_last_event(given: Stored) -> None:
    assert await given.feed.newest() == START
    await given.append(given.stream(), 0, *given.events(2))
    page = await given.feed.read(START)
    assert await given.feed.newest() == page.events[-1].place == page.next


async def test_distance_tells_how_far_behind_a_reader_is(given: Stored) -> None:
    await given.append(given.stream(), 0, *given.events(5))
    newest = await given.feed.newest()
    places = [START, *(envelope.place for envelope in (await given.feed.read(START)).events)]
    assert [given.feed.distance(place, newest) for place in places] == [5, 4, 3, 2, 1, 0]
    assert given.feed.distance(newest, places[2]) == 0


async def test_waiting_ends_when_something_is_appended(given: Stored) -> None:
    await given.append(given.stream(), 0, given.event())
    end = (await given.feed.read(START)).next
    waiting = asyncio.create_task(given.feed.wait(end, timeout_seconds=30))
    await given.append(given.stream(), 0, given.event())
    async with asyncio.timeout(5):
        await waiting
    assert len((await given.feed.read(end)).events) == 1


async def test_waiting_ends_at_once_for_what_is_already_there(given: Stored) -> None:
    await given.append(given.stream(), 0, given.event())
    async with asyncio.timeout(5):
        await given.feed.wait(START, timeout_seconds=30)


async def test_waiting_ends_with_its_time_out(given: Stored) -> None:
    async with asyncio.timeout(5):
        await given.feed.wait(START, timeout_seconds=0.01)
    assert (await given.feed.read(START)).events == []
