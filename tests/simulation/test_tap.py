"""What an overloaded exchange takes, and what it turns away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from patriot.simulation.tap import Wires
from patriot.simulation.wire import Request

pytestmark = pytest.mark.unit

STOP = {"clientAlgoId": "s1", "reduceOnly": "true"}


def turned_away(method: str, path: str, parameters: dict[str, str], now: float = 4.0) -> bool:
    unused: Any = None
    loop = cast("Any", SimpleNamespace(time=lambda: now))
    wires = Wires(loop, unused, unused, unused, unused, unused, unused, overloaded_until=5.0)
    return wires.turns_away(Request(b"", method, path, parameters, {}))


def test_overloaded_exchange_turns_away_entries_and_questions() -> None:
    assert turned_away("POST", "/fapi/v1/order", {"newClientOrderId": "e1"})
    assert turned_away("GET", "/fapi/v1/order", {"origClientOrderId": "e1"})
    assert turned_away("GET", "/sapi/v1/account/apiRestrictions", {})


def test_overloaded_exchange_takes_what_reduces_and_cancels_and_lets_streams_open() -> None:
    assert not turned_away("POST", "/fapi/v1/algoOrder", STOP)
    assert not turned_away("POST", "/fapi/v1/order", STOP)
    assert not turned_away("DELETE", "/fapi/v1/algoOrder", {"clientAlgoId": "s1"})
    assert not turned_away("GET", "/private/ws", {})


def test_overload_ends() -> None:
    assert not turned_away("GET", "/fapi/v1/order", {"origClientOrderId": "e1"}, now=5.0)
