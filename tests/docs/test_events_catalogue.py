"""The page of stored events says what the classes say."""

from dataclasses import dataclass

import pytest

from docs.generate_events import FILE, catalogue, registered
from patriot.kernel.codec import EVENTS, EventRegistry

pytestmark = pytest.mark.integration


def test_catalogue_on_disk_is_what_the_classes_say() -> None:
    assert FILE.read_text() == catalogue(), "run .venv/bin/python docs/generate_events.py"


def test_catalogue_names_every_event_once() -> None:
    page = catalogue()

    assert registered()
    assert {name: page.count(f"- **`{name}`**") for name in registered()} == dict.fromkeys(registered(), 1)


def test_event_that_belongs_to_no_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = EventRegistry()
    for name in registered():
        registry.register(name)(EVENTS.class_of(name))

    @registry.register("toy.unlisted")
    @dataclass(frozen=True, slots=True)
    class Unlisted:
        __module__ = "patriot.toys.events"

    monkeypatch.setattr("docs.generate_events.EVENTS", registry)

    with pytest.raises(ValueError, match=r"toy\.unlisted"):
        catalogue()
