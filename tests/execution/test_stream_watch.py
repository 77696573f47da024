"""When the private stream is no longer to be trusted."""

import pytest

from patriot.execution.stream_watch import StreamWatch

pytestmark = pytest.mark.unit
DOUBT_SECONDS, EVENT_SECONDS, SILENCE_SECONDS = 5.0, 5.0, 30.0  # what the rest of the platform counts on


def test_stream_owes_an_event_only_after_its_time() -> None:
    watch = StreamWatch()
    watch.answered("a", 10.0)
    assert not watch.owes(10.0 + EVENT_SECONDS)
    assert watch.owes(10.1 + EVENT_SECONDS)
    watch.heard(10.2 + EVENT_SECONDS, "a")
    assert not watch.owes(100.0)


def test_event_that_came_before_the_answer_is_not_owed() -> None:
    watch = StreamWatch()
    watch.heard(9.9, "a")
    watch.answered("a", 10.0)
    assert not watch.owes(100.0)


def test_doubt_lasts_until_the_stream_begins_anew_and_looks_are_spaced() -> None:
    watch = StreamWatch()
    watch.answered("a", 0.0)
    assert watch.is_due(6.0, holding=False)
    watch.looked(6.0)
    assert not watch.is_due(5.9 + DOUBT_SECONDS, holding=True)
    assert watch.is_due(6.0 + DOUBT_SECONDS, holding=False)
    watch.resumed(12.0)
    assert not watch.is_due(20.0, holding=True)


def test_silence_matters_only_while_something_is_held() -> None:
    watch = StreamWatch()
    watch.heard(10.0)
    assert not watch.is_due(9.9 + SILENCE_SECONDS, holding=True)
    assert watch.is_due(10.0 + SILENCE_SECONDS, holding=True)
    assert not watch.is_due(1_000.0, holding=False)
    watch.looked(10.0 + SILENCE_SECONDS)
    assert not watch.is_due(11.0 + SILENCE_SECONDS, holding=True)
