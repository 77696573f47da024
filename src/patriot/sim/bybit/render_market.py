"""Prices, bars, book and listed instruments as Bybit shows them.

Source: bybit-exchange.github.io/docs/v5, "Market", read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from patriot.sim.bybit.text import money, number
from patriot.sim.engine.records import Bar, Depth, Instrument, Ticker
from patriot.sim.engine.words import ZERO

Json = dict[str, Any]

FUNDING_CAP: Final = "0.005"
_HOUR_MS: Final = 3_600_000


def ticker(prices: Ticker, instrument: Instrument, day: Sequence[Bar], open_interest: Decimal) -> Json:
    """Return a row of tickers; day holds the bars of the last 24 hours, oldest first."""
    opened = day[0].open if day else prices.last
    hour = next((bar.open for bar in day if bar.open_ms > prices.at_ms - _HOUR_MS), prices.last)
    return {
        "symbol": prices.symbol,
        "lastPrice": on_tick(prices.last, instrument),
        "indexPrice": on_tick(prices.index, instrument),
        "markPrice": on_tick(prices.mark, instrument),
        "prevPrice24h": on_tick(opened, instrument),
        "price24hPcnt": str(((prices.last - opened) / opened).quantize(Decimal("0.000001"))),
        "highPrice24h": on_tick(max((bar.high for bar in day), default=prices.last), instrument),
        "lowPrice24h": on_tick(min((bar.low for bar in day), default=prices.last), instrument),
        "prevPrice1h": on_tick(hour, instrument),
        "openInterest": number(open_interest),
        "openInterestValue": money(open_interest * prices.mark),
        "turnover24h": money(sum((bar.quote_volume for bar in day), ZERO)),
        "volume24h": number(sum((bar.volume for bar in day), ZERO)),
        "fundingRate": number(prices.funding_rate),
        "nextFundingTime": str(prices.next_funding_ms),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "ask1Size": number(prices.ask_quantity),
        "bid1Price": on_tick(prices.bid, instrument),
        "ask1Price": on_tick(prices.ask, instrument),
        "bid1Size": number(prices.bid_quantity),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
        "fundingIntervalHour": str(instrument.funding_interval_ms // _HOUR_MS),
        "basisRateYear": "",
        "fundingCap": FUNDING_CAP,
    }


def on_tick(price: Decimal, instrument: Instrument) -> str:
    """Return a price with as many decimals as the tick has, as the venue's market data shows it."""
    return format(price.quantize(Decimal(number(instrument.tick_size))), "f")


def kline(bar: Bar) -> list[str]:
    """Return one row of kline."""
    prices = (number(price) for price in (bar.open, bar.high, bar.low, bar.close))
    return [str(bar.open_ms), *prices, number(bar.volume), number(bar.quote_volume)]


def price_kline(bar: Bar) -> list[str]:
    """Return one row of the klines of mark, index and premium index, which have no volume."""
    return kline(bar)[:5]


def orderbook(book: Depth, now_ms: int) -> Json:
    """Return /v5/market/orderbook."""
    return {
        "s": book.symbol,
        "b": [[number(price), number(size)] for price, size in book.bids],
        "a": [[number(price), number(size)] for price, size in book.asks],
        "ts": now_ms,
        "u": book.update_id,
        "seq": book.update_id,
        "cts": book.at_ms,
    }


def instrument(record: Instrument) -> Json:
    """Return a row of instruments-info."""
    trading = record.status.value == "TRADING"
    hours = record.funding_interval_ms // 60_000
    return {
        "symbol": record.symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading" if trading else "Closed",
        "baseCoin": record.base_asset,
        "quoteCoin": record.quote_asset,
        "launchTime": str(record.onboard_ms),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(decimals(record.tick_size)),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{record.brackets[0].initial_leverage}.00",
            "leverageStep": "1",
        },
        "priceFilter": {
            "minPrice": number(record.min_price),
            "maxPrice": number(record.max_price),
            "tickSize": number(record.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": number(record.max_quantity),
            "minOrderQty": number(record.min_quantity),
            "qtyStep": number(record.step_size),
            "postOnlyMaxOrderQty": number(record.max_quantity),
            "maxMktOrderQty": number(record.market_max_quantity),
            "minNotionalValue": number(record.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": hours,
        "settleCoin": record.quote_asset,
        "copyTrading": "none",
        "upperFundingRate": FUNDING_CAP,
        "lowerFundingRate": f"-{FUNDING_CAP}",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {
            "priceLimitRatioX": number(record.price_band_up - 1),
            "priceLimitRatioY": number((record.price_band_up - 1) * 2),
        },
        "displayName": "",
        "forbidUplWithdrawal": False,
        "symbolType": "",
        "skipCallAuction": False,
    }


def adl_alerts(symbols: Iterable[str], insurance: Decimal) -> list[Json]:
    """Return how near auto-deleveraging is: the fund that all symbols share; it has no thresholds here."""
    balance = money(insurance)
    unused = dict.fromkeys(("insurancePnlRatio", "pnlRatio", "adlTriggerThreshold", "adlStopRatio"), "0")
    return [
        {"coin": "USDT", "symbol": symbol, "balance": balance, "maxBalance": balance, **unused} for symbol in symbols
    ]


def decimals(step: Decimal) -> int:
    """Return how many decimals a grid has.

    >>> decimals(Decimal("0.10")), decimals(Decimal(1))
    (1, 0)
    """
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def risk_limits(record: Instrument) -> list[Json]:
    """Return the tiers of one symbol, as /v5/market/risk-limit lists them."""
    return [
        {
            "id": row.bracket,
            "symbol": record.symbol,
            "riskLimitValue": number(row.notional_cap),
            "maintenanceMargin": number(row.maintenance_ratio),
            "initialMargin": number((Decimal(1) / row.initial_leverage).quantize(Decimal("0.0001"))),
            "isLowestRisk": 1 if row.bracket == 1 else 0,
            "maxLeverage": f"{row.initial_leverage}.00",
            "mmDeduction": number(row.maintenance_amount),
        }
        for row in record.brackets
    ]
