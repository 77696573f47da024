"""What each venue lists: 100 USDT perpetuals with their filters, leverage brackets and fees.

Grids, sizes and bands of perpetuals.csv are those of a stored answer of Binance's /fapi/v1/exchangeInfo of 2021-09-06
(repository izzortsi/rezbot, file exchangeInfo.json, read 2026-11-22); BTCUSDT, ETHUSDT and SOLUSDT are newer, from the
engine's own list. No dump of Bybit's /v5/market/instruments-info was at hand: its contracts have Binance's grids with
Bybit's minimum notional and fees, and BTCUSDT, ETHUSDT and SOLUSDT its own steps and sizes, from memory and unchecked.
Brackets are those of a large and of a small contract of each venue, not of each symbol; Bybit's are in the steps of its
risk limits (the first one of a small contract is 200,000 USDT), and also unchecked. model_price is where the seeded
model begins, near the prices of those weeks.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Final

from patriot.sim.engine.instruments import BTCUSDT, ETHUSDT, SOLUSDT, brackets_from
from patriot.sim.engine.records import Instrument
from patriot.sim.exchange import VenueName

D = Decimal

BYBIT_TAKER_FEE_RATE: Final = D("0.00055")  # fraction of notional, as in Bybit's v5 documents, read 2026-11-22
BYBIT_MAKER_FEE_RATE: Final = D("0.0002")
BYBIT_MAX_OPEN_ORDERS: Final = 500  # of an account in a symbol; v5 "Place Order", read 2026-11-22
BYBIT_MAX_CONDITIONAL_ORDERS: Final = 10  # of an account in a symbol; the same page
BYBIT_MIN_NOTIONAL: Final = D("5")  # USDT; minNotionalValue of instruments-info
_MODEL_PRICES: Final = {"BTCUSDT": D("42000.0"), "ETHUSDT": D("2300.00"), "SOLUSDT": D("100.00")}
_TURNOVER: Final = D(200_000)  # USDT per minute of the model, where nothing else is said
_MODEL_VOLUMES: Final = {"BTCUSDT": D(60), "ETHUSDT": D(700)}  # base asset per minute

# In the shape of Bybit's risk limits: (notional cap in USDT, leverage, maintenance margin ratio), ascending; the
# leverage is cut to whole numbers.
_BYBIT_LARGE: Final = (
    ("2000000", 100, "0.005"),
    ("4000000", 55, "0.01"),
    ("6000000", 38, "0.015"),
    ("8000000", 29, "0.02"),
    ("10000000", 23, "0.025"),
    ("12000000", 20, "0.03"),
    ("14000000", 17, "0.035"),
    ("16000000", 15, "0.04"),
    ("18000000", 13, "0.045"),
    ("20000000", 12, "0.05"),
)
_BYBIT_SMALL: Final = (
    ("200000", 50, "0.01"),
    ("400000", 33, "0.02"),
    ("600000", 25, "0.03"),
    ("800000", 16, "0.04"),
    ("1000000", 12, "0.05"),
    ("2000000", 5, "0.1"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table: the instrument as Binance has it, and where the model begins."""

    instrument: Instrument
    model_price: Decimal


@cache
def _rows() -> tuple[_Row, ...]:
    text = files(__package__).joinpath("perpetuals.csv").read_text("ascii")
    return tuple(_row(fields) for fields in csv.DictReader(text.splitlines()))


def _row(fields: dict[str, str]) -> _Row:
    band = D(fields["band_percent"]) / 100
    instrument = Instrument(
        symbol=fields["symbol"],
        base_asset=fields["symbol"].removesuffix("USDT"),
        tick_size=D(fields["tick_size"]),
        step_size=D(fields["step_size"]),
        min_quantity=D(fields["step_size"]),
        max_quantity=D(fields["max_quantity"]),
        market_max_quantity=D(fields["market_max_quantity"]),
        min_notional=D(5),
        brackets=SOLUSDT.brackets,
        min_price=D(fields["min_price"]),
        max_price=D(fields["max_price"]),
        price_band_up=1 + band,
        price_band_down=1 - band,
        market_take_bound=band,
    )
    return _Row(instrument, D(fields["model_price"]).quantize(instrument.tick_size))


@cache
def listed(venue: VenueName) -> tuple[Instrument, ...]:
    """Return what a venue lists, the largest contracts first; both list the same symbols.

    >>> [len(listed(venue)) for venue in VenueName]
    [100, 100]
    """
    binance = (BTCUSDT, ETHUSDT, SOLUSDT, *(row.instrument for row in _rows()))
    return binance if venue is VenueName.BINANCE else tuple(_on_bybit(instrument) for instrument in binance)


def _on_bybit(instrument: Instrument) -> Instrument:
    """Return Bybit's contract of the same coin."""
    large = instrument.symbol in ("BTCUSDT", "ETHUSDT")
    instrument = replace(
        instrument,
        brackets=brackets_from(_BYBIT_LARGE if large else _BYBIT_SMALL),
        min_notional=BYBIT_MIN_NOTIONAL,
        min_price=instrument.tick_size,
        taker_fee_rate=BYBIT_TAKER_FEE_RATE,
        maker_fee_rate=BYBIT_MAKER_FEE_RATE,
        max_open_orders=BYBIT_MAX_OPEN_ORDERS,
        max_open_algo_orders=BYBIT_MAX_CONDITIONAL_ORDERS,
    )
    match instrument.symbol:
        case "BTCUSDT":
            return replace(instrument, max_quantity=D("1190"), market_max_quantity=D("500"), max_price=D("1999999.80"))
        case "ETHUSDT":
            return replace(
                instrument,
                step_size=D("0.01"),
                min_quantity=D("0.01"),
                max_quantity=D("7240"),
                market_max_quantity=D("1450"),
                max_price=D("199999.98"),
            )
        case "SOLUSDT":
            return replace(instrument, tick_size=D("0.010"), step_size=D("0.1"), min_quantity=D("0.1"))
        case _:
            return instrument


def model_price(symbol: str) -> Decimal:
    """Return the price at which the seeded model begins. Errors: KeyError for what nobody lists."""
    prices = _MODEL_PRICES | {row.instrument.symbol: row.model_price for row in _rows()}
    return prices[symbol]


def model_volume(symbol: str) -> Decimal:
    """Return what the model trades in a usual minute, in the base asset."""
    volume = _MODEL_VOLUMES.get(symbol)
    if volume is not None:
        return volume
    instrument = next(instrument for instrument in listed(VenueName.BINANCE) if instrument.symbol == symbol)
    step = instrument.step_size
    return max(_TURNOVER / model_price(symbol) // step, D(1)) * step
