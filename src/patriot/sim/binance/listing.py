"""Listed instruments as the venue publishes them: exchangeInfo with its filters, and leverage brackets."""

from decimal import Decimal

from patriot.sim.binance.render import Json, plain
from patriot.sim.engine.records import Instrument
from patriot.sim.engine.words import InstrumentStatus

# of the venue's words for a contract, the one for a symbol that is listed and takes no orders now
STATUSES = {InstrumentStatus.TRADING: "TRADING", InstrumentStatus.HALTED: "PENDING_TRADING"}


def leverage_brackets(instrument: Instrument) -> Json:
    """Return one symbol of leverageBracket."""
    return {
        "symbol": instrument.symbol,
        "notionalCoef": 1.0,
        "brackets": [
            {
                "bracket": row.bracket,
                "initialLeverage": row.initial_leverage,
                "notionalCap": int(row.notional_cap),
                "notionalFloor": int(row.notional_floor),
                "maintMarginRatio": float(row.maintenance_ratio),
                "cum": float(row.maintenance_amount),
            }
            for row in instrument.brackets
        ],
    }


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a grid has.

    >>> decimals_of(Decimal("0.10")), decimals_of(Decimal("0.001")), decimals_of(Decimal(1))
    (1, 3, 0)
    """
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def symbol_info(instrument: Instrument) -> Json:
    """Return one symbol of exchangeInfo, filters included."""
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": instrument.onboard_ms,
        "status": STATUSES[instrument.status],
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "marginAsset": instrument.quote_asset,
        "pricePrecision": decimals_of(instrument.tick_size),
        "quantityPrecision": decimals_of(instrument.step_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": plain(instrument.liquidation_fee_rate),
        "marketTakeBound": plain(instrument.market_take_bound),
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(instrument),
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _filters(instrument: Instrument) -> list[Json]:
    minimum, step = plain(instrument.min_quantity), plain(instrument.step_size)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(instrument.min_price),
            "maxPrice": plain(instrument.max_price),
            "tickSize": plain(instrument.tick_size),
        },
        {"filterType": "LOT_SIZE", "minQty": minimum, "maxQty": plain(instrument.max_quantity), "stepSize": step},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": minimum,
            "maxQty": plain(instrument.market_max_quantity),
            "stepSize": step,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": instrument.max_open_algo_orders},
        {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": plain(instrument.price_band_up),
            "multiplierDown": plain(instrument.price_band_down),
            "multiplierDecimal": "4",
        },
    ]
