"""Listed instruments. Filters and brackets as the venue publishes them; the caller may bring others."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from patriot.sim.engine.records import Instrument, LeverageBracket
from patriot.sim.engine.words import ZERO

D = Decimal

# (notional cap in USDT, leverage, maintenance margin ratio), ascending
_BTC_TIERS: Final = (
    ("50000", 125, "0.004"),
    ("600000", 100, "0.005"),
    ("3000000", 75, "0.0065"),
    ("12000000", 50, "0.01"),
    ("70000000", 25, "0.02"),
    ("100000000", 20, "0.025"),
    ("230000000", 10, "0.05"),
    ("480000000", 5, "0.1"),
    ("600000000", 4, "0.125"),
    ("800000000", 3, "0.15"),
    ("1200000000", 2, "0.25"),
    ("1800000000", 1, "0.5"),
)
_ALT_TIERS: Final = (
    ("5000", 75, "0.005"),
    ("50000", 50, "0.01"),
    ("600000", 25, "0.02"),
    ("1200000", 20, "0.025"),
    ("3200000", 10, "0.05"),
    ("5360000", 5, "0.1"),
    ("12320000", 4, "0.125"),
    ("32000000", 2, "0.25"),
    ("64000000", 1, "0.5"),
)


def brackets_from(tiers: tuple[tuple[str, int, str], ...]) -> tuple[LeverageBracket, ...]:
    """Build leverage brackets whose maintenance amounts make the maintenance margin continuous.

    >>> [str(bracket.maintenance_amount) for bracket in brackets_from(_BTC_TIERS)[:4]]
    ['0', '50.000', '950.0000', '11450.0000']
    """
    brackets: list[LeverageBracket] = []
    floor, ratio_before, amount = ZERO, ZERO, ZERO
    for number, (cap, leverage, ratio_text) in enumerate(tiers, start=1):
        ratio = D(ratio_text)
        if brackets:
            amount += floor * (ratio - ratio_before)
        brackets.append(LeverageBracket(number, floor, D(cap), leverage, ratio, amount))
        floor, ratio_before = D(cap), ratio
    return tuple(brackets)


BTCUSDT: Final = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    tick_size=D("0.10"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D("1000"),
    market_max_quantity=D("120"),
    min_notional=D("100"),
    min_price=D("261.10"),
    max_price=D("4529764"),
    brackets=brackets_from(_BTC_TIERS),
)
ETHUSDT: Final = Instrument(
    symbol="ETHUSDT",
    base_asset="ETH",
    tick_size=D("0.01"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D("10000"),
    market_max_quantity=D("2000"),
    min_notional=D("20"),
    min_price=D("18.67"),
    max_price=D("306177"),
    brackets=brackets_from(_BTC_TIERS),
)
SOLUSDT: Final = Instrument(
    symbol="SOLUSDT",
    base_asset="SOL",
    tick_size=D("0.0100"),
    step_size=D("0.01"),
    min_quantity=D("0.01"),
    max_quantity=D("1000000"),
    market_max_quantity=D("80000"),
    min_notional=D("5"),
    min_price=D("0.42"),
    max_price=D("6857"),
    brackets=brackets_from(_ALT_TIERS),
)
LISTED: Final = (BTCUSDT, ETHUSDT, SOLUSDT)
