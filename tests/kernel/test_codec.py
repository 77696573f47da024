"""Canonical text: what goes in comes out, the same text for the same event, no exponent ever."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.codec import EventRegistry, encode
from patriot.kernel.errors import HistoryDamaged

pytestmark = pytest.mark.unit


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True, slots=True)
class Leg:
    price: Decimal
    label: str


@dataclass(frozen=True, slots=True)
class Sample:
    order_id: UUID
    side: Side
    quantity: Decimal
    at: datetime
    note: str | None
    count: int
    legs: tuple[Leg, ...]


REGISTRY = EventRegistry()
REGISTRY.register("test.sample", 3)(Sample)

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18)
MOMENTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
SAMPLES = st.builds(
    Sample,
    st.uuids(),
    st.sampled_from(Side),
    AMOUNTS,
    MOMENTS,
    st.none() | st.text(),
    st.integers(-(2**53), 2**53),
    st.lists(st.builds(Leg, AMOUNTS, st.text())).map(tuple),
)


@given(SAMPLES)
def test_decoding_what_was_encoded_gives_the_same_event(sample: Sample) -> None:
    text = encode(sample)
    assert REGISTRY.decode("test.sample", 3, text) == sample
    assert encode(REGISTRY.decode("test.sample", 3, text)) == text


@given(SAMPLES)
def test_amounts_are_plain_strings_with_all_their_digits(sample: Sample) -> None:
    stored = json.loads(encode(sample))
    assert "E" not in stored["quantity"]
    assert "e" not in stored["quantity"]
    assert Decimal(stored["quantity"]) == sample.quantity
    if sample.quantity.as_tuple().exponent <= 0:  # type: ignore[operator]  # finite, so an integer
        assert str(Decimal(stored["quantity"])) == str(sample.quantity)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0E-8", "0.00000000"), ("1E-20", "0.00000000000000000001"), ("-2.50", "-2.50"), ("0", "0")],
)
def test_exponent_of_a_decimal_is_written_out(value: str, text: str) -> None:
    assert encode(Leg(Decimal(value), "1E+3")) == f'{{"price":"{text}","label":"1E+3"}}'


def test_time_is_written_in_utc_whatever_zone_it_came_in() -> None:
    tokyo = datetime(2030, 1, 2, 21, tzinfo=timezone(timedelta(hours=9)))
    assert encode({"at": tokyo.astimezone(UTC)}) == '{"at":"2030-01-02T12:00:00Z"}'


@dataclass(frozen=True, slots=True)
class Renamed:
    notional: Decimal
    asset: str


def versions() -> EventRegistry:
    registry = EventRegistry()
    registry.register("test.renamed", 3)(Renamed)

    @registry.upcast("test.renamed", from_version=1)
    def _(fields: dict[str, Any]) -> dict[str, Any]:
        return {"notional": fields["amount"]}

    @registry.upcast("test.renamed", from_version=2)
    def _(fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"asset": "USDT"}

    return registry


@pytest.mark.parametrize(
    ("version", "text"),
    [(1, '{"amount":"1.5"}'), (2, '{"notional":"1.5"}'), (3, '{"notional":"1.5","asset":"USDT"}')],
)
def test_event_of_any_version_is_lifted_to_the_newest(version: int, text: str) -> None:
    assert versions().decode("test.renamed", version, text) == Renamed(Decimal("1.5"), "USDT")


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("test.unknown", 1, "{}"),
        ("test.renamed", 3, "{"),
        ("test.renamed", 3, '{"notional":"1.5"}'),
        ("test.renamed", 3, '{"notional":"x","asset":"USDT"}'),
        ("test.renamed", 2, "{}"),
        ("test.renamed", 1, "{}"),
    ],
)
def test_unreadable_event_is_called_damaged_history(name: str, version: int, text: str) -> None:
    with pytest.raises(HistoryDamaged, match=name):
        versions().decode(name, version, text)


def test_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="taken by Renamed"):
        versions().register("test.renamed")(Leg)


def test_registry_knows_its_names_and_classes() -> None:
    registry = versions()
    assert registry.names() == {"test.renamed"}
    assert registry.class_of("test.renamed") is Renamed
    assert registry.name_of(Renamed(Decimal(1), "USDT")) == ("test.renamed", 3)
