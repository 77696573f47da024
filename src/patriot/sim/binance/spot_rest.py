"""What clients ask of the venue's other hosts before they trade futures: rights of a key, a snapshot, empty listings.

They weigh next to nothing here, since those hosts count for themselves.
Source: Binance Wallet, "Get API Key Permission" and "Daily Account Snapshot"; exchange information of spot and COIN-M;
what public clients send while they start, read 2026-11-22.
"""

from decimal import Decimal
from typing import Any

from patriot.sim.binance import refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.requests import DAY_MS, Call, Security
from patriot.sim.engine.margin import after_fill
from patriot.sim.engine.records import Position
from patriot.sim.engine.words import ZERO, Permission, PositionSide, Side

Json = dict[str, Any]
SNAPSHOT_TYPES = ("SPOT", "MARGIN", "FUTURES")
SNAPSHOTS_KEPT_DAYS = 30
_DEFAULT_SNAPSHOTS, _MOST_SNAPSHOTS = 7, 30


@ENDPOINTS.add("GET", "/sapi/v1/account/apiRestrictions", Security.READ)
def api_restrictions(face: FaceContext, call: Call) -> Json:
    """Answer what the calling key may do."""
    key = face.exchange.keys.find(call.api_key)
    permissions = key.permissions if key is not None else ()
    return {
        "ipRestrict": False,
        "createTime": key.created_ms if key is not None else 0,
        "enableReading": Permission.READ in permissions,
        "enableWithdrawals": Permission.WITHDRAW in permissions,
        "enableInternalTransfer": Permission.TRANSFER in permissions,
        "enableMargin": False,
        "enableFutures": Permission.TRADE in permissions,
        "permitsUniversalTransfer": Permission.TRANSFER in permissions,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": True,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
    }


@ENDPOINTS.add("GET", "/sapi/v1/accountSnapshot", Security.READ)
def account_snapshot(face: FaceContext, call: Call) -> Json:
    """Answer the futures account as it stood at each midnight, oldest first; the other wallets do not exist here."""
    kind = call.required_text("type")
    if kind not in SNAPSHOT_TYPES:
        raise refusals.invalid_data("type")
    start, end = call.time_range()
    limit, now_ms = call.limit(_DEFAULT_SNAPSHOTS, _MOST_SNAPSHOTS), face.now_ms
    snapshots: list[Json] = []
    if kind == "FUTURES":
        income = face.exchange.venue.income(call.uid)
        last_ms = now_ms - now_ms % DAY_MS
        oldest_ms = max(last_ms - (SNAPSHOTS_KEPT_DAYS - 1) * DAY_MS, income[0].at_ms if income else now_ms)
        midnights = (last_ms - days * DAY_MS for days in reversed(range(SNAPSHOTS_KEPT_DAYS)))
        asked = [
            at_ms for at_ms in midnights if max(oldest_ms, start or 0) <= at_ms <= (last_ms if end is None else end)
        ]
        snapshots = [_snapshot(face, call.uid, at_ms) for at_ms in asked[-limit:]]
    return {"code": 200, "msg": "", "snapshotVos": snapshots}


def _snapshot(face: FaceContext, uid: int, at_ms: int) -> Json:
    venue = face.exchange.venue
    wallet = sum((record.amount for record in venue.income(uid) if record.at_ms <= at_ms), ZERO)
    rows: list[Json] = []
    unrealized = ZERO
    for position in _held_at(face, uid, at_ms):
        bars = venue.klines(position.symbol, "1d", limit=1, end_ms=at_ms - DAY_MS)
        mark = bars[-1].close if bars and bars[-1].open_ms == at_ms - DAY_MS else position.entry_price
        unrealized += position.unrealized_pnl(mark)
        rows.append(
            {
                "symbol": position.symbol,
                "entryPrice": render.plain(position.entry_price),
                "markPrice": render.plain(mark),
                "positionAmt": render.plain(position.quantity),
                "unRealizedProfit": render.money(position.unrealized_pnl(mark)),
            }
        )
    assets = [
        {"asset": "USDT", "marginBalance": render.money(wallet + unrealized), "walletBalance": render.money(wallet)}
    ]
    return {"data": {"assets": assets, "position": rows}, "type": "futures", "updateTime": at_ms}


def _held_at(face: FaceContext, uid: int, at_ms: int) -> list[Position]:
    """Return what the account held at a time: the sum of its trades."""
    held: dict[tuple[str, PositionSide], Position] = {}
    for trade in face.exchange.venue.trades(uid):
        if trade.at_ms > at_ms:
            break
        name = trade.symbol, trade.position_side
        signed: Decimal = trade.quantity if trade.side is Side.BUY else -trade.quantity
        before = held.get(name) or Position(*name)
        held[name], _ = after_fill(before, signed, trade.price, isolated_leverage=None, at_ms=trade.at_ms)
    return [position for position in held.values() if position.quantity]


@ENDPOINTS.add("GET", "/sapi/v1/capital/config/getall", Security.READ)
@ENDPOINTS.add("GET", "/sapi/v1/margin/allPairs", Security.KEY)
@ENDPOINTS.add("GET", "/sapi/v1/margin/isolated/allPairs", Security.READ)
def nothing_listed(_face: FaceContext, _call: Call) -> list[Json]:
    """Answer that no coin moves in or out over a chain, and that none is lent."""
    return []


@ENDPOINTS.add("GET", "/api/v3/ping")
@ENDPOINTS.add("GET", "/dapi/v1/ping")
def ping(_face: FaceContext, _call: Call) -> Json:
    """Answer an empty object."""
    return {}


@ENDPOINTS.add("GET", "/api/v3/time")
@ENDPOINTS.add("GET", "/dapi/v1/time")
def server_time(face: FaceContext, _call: Call) -> Json:
    """Answer the venue's clock."""
    return {"serverTime": face.now_ms}


@ENDPOINTS.add("GET", "/sapi/v1/system/status")
def system_status(_face: FaceContext, _call: Call) -> Json:
    """Answer that the venue is up; in maintenance a fault answers instead."""
    return {"status": 0, "msg": "normal"}


@ENDPOINTS.add("GET", "/api/v3/exchangeInfo")
@ENDPOINTS.add("GET", "/dapi/v1/exchangeInfo")
@ENDPOINTS.add("GET", "/eapi/v1/exchangeInfo")
def no_symbols(face: FaceContext, _call: Call) -> Json:
    """Answer that spot, COIN-M and options list nothing: this venue trades USD-M futures."""
    return {
        "timezone": "UTC",
        "serverTime": face.now_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": [],
        "optionSymbols": [],
    }
