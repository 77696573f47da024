"""What an overloaded exchange takes and turns away, and which reads one refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from patriot.simulation.tap import RefusedRead, Wires
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


@pytest.mark.parametrize(
    ("uid", "method", "path", "parameters", "met"),
    [
        (1, "GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, True),
        (1, "GET", "/fapi/v1/openOrders", {"symbol": "ETHUSDT"}, False),
        (1, "GET", "/fapi/v1/openOrders", {}, False),
        (1, "DELETE", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, False),
        (1, "GET", "/fapi/v1/allOrders", {"symbol": "BTCUSDT"}, False),
        (2, "GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, False),
    ],
)
def test_read_is_refused_of_one_account_and_symbol(
    *, uid: int, method: str, path: str, parameters: dict[str, str], met: bool
) -> None:
    refused = RefusedRead("r", 1, "/fapi/v1/openOrders", "BTCUSDT", -1121, 60.0)

    assert refused.meets(uid, Request(b"", method, path, parameters, {})) is met


def test_read_of_an_account_is_refused_whatever_is_asked_for() -> None:
    refused = RefusedRead("r", 1, "/fapi/v1/income", "", -1130, 60.0)

    assert refused.meets(1, Request(b"", "GET", "/fapi/v1/income", {"symbol": "BTCUSDT"}, {}))
    assert refused.meets(1, Request(b"", "GET", "/fapi/v1/income", {}, {}))
