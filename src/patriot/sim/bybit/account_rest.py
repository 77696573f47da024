"""The account: wallet, margin mode, fees, the ledger, and what its key may do. Unified accounts only.

Source: bybit-exchange.github.io/docs/v5/account and /v5/user, read 2026-11-22.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from patriot.sim.bybit import lookup, refusals, render_account
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, Reply, category, is_linear
from patriot.sim.bybit.market_rest import instruments
from patriot.sim.bybit.parameters import symbol_of
from patriot.sim.bybit.query_rest import WEEK_MS, require_unified
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import DAY_MS, Call, Security
from patriot.sim.bybit.text import money, number
from patriot.sim.engine.operations import SetMarginType
from patriot.sim.engine.records import Income
from patriot.sim.engine.words import QUOTE_ASSET, ZERO, MarginType, Permission
from patriot.sim.keys import ApiKey

Json = dict[str, Any]

UNIFIED_STATUS: Final = 6  # unified trading account 2.0 Pro
KEY_LIFE: Final = timedelta(days=90)  # of a key that is bound to no address
_MARGIN_MODES: Final = {"ISOLATED_MARGIN": MarginType.ISOLATED, "REGULAR_MARGIN": MarginType.CROSSED}


def is_isolated(face: FaceContext, uid: int) -> bool:
    """Return whether an account is under isolated margin: one mode for all symbols."""
    settings = face.exchange.venue.symbol_settings(uid, face.exchange.symbols[0])
    return settings.margin_type is MarginType.ISOLATED


def wallet_row(face: FaceContext, uid: int) -> Json:
    """Return the unified account, for the query and for the stream."""
    view = face.exchange.venue.account(uid)
    return render_account.wallet(view, isolated=is_isolated(face, uid), realized=face.ledger.realized(uid))


@ENDPOINTS.add("GET", "/v5/account/wallet-balance", Security.READ)
def wallet_balance(face: FaceContext, call: Call) -> Json:
    """Answer the wallet; only USDT is held here."""
    if call.required_text("accountType") != "UNIFIED":
        raise Refused(*refusals.ONLY_UNIFIED)
    row = wallet_row(face, call.uid)
    coins = (call.text("coin") or QUOTE_ASSET).split(",")
    return {"list": [row | {"coin": row["coin"] if QUOTE_ASSET in coins else []}]}


@ENDPOINTS.add("GET", "/v5/account/info", Security.READ)
def account_info(face: FaceContext, call: Call) -> Json:
    """Answer margin mode and kind of the account."""
    view = face.exchange.venue.account(call.uid)
    return {
        "unifiedMarginStatus": UNIFIED_STATUS,
        "marginMode": "ISOLATED_MARGIN" if is_isolated(face, call.uid) else "REGULAR_MARGIN",
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": str(view.updated_ms),
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
    }


@ENDPOINTS.add("POST", "/v5/account/set-margin-mode", Security.TRADE, per_second=5)
def set_margin_mode(face: FaceContext, call: Call) -> Json | Reply:
    """Set crossed or isolated margin for all symbols; not while anything is held or ordered."""
    if call.text("setMarginMode") == "PORTFOLIO_MARGIN":
        raise _mode_failed("Equity needs to be equal to or greater than 1000 USDC")
    wanted = call.required_choice("setMarginMode", _MARGIN_MODES)
    if (wanted is MarginType.ISOLATED) == is_isolated(face, call.uid):
        return {"reasons": []}
    venue = face.exchange.venue
    if venue.positions(call.uid) or venue.open_orders(call.uid) or venue.open_algo_orders(call.uid):
        raise _mode_failed("Positions or open orders exist, so the margin mode cannot be switched.")
    for symbol in face.exchange.symbols:
        face.exchange.apply(SetMarginType(uid=call.uid, symbol=symbol, margin_type=wanted))
    return {"reasons": []}


def _mode_failed(reason: str) -> Refused:
    reasons = {"reasons": [{"reasonCode": "3400000", "reasonMsg": reason}]}
    return Refused(3400045, "Set margin mode failed", result=reasons)


@ENDPOINTS.add("GET", "/v5/account/instruments-info", Security.READ)
def account_instruments(face: FaceContext, call: Call) -> Json:
    """Answer the instruments that the account may trade: all of them."""
    return instruments(face, call)


@ENDPOINTS.add("GET", "/v5/account/fee-rate", Security.READ, per_second=10)
def fee_rate(face: FaceContext, call: Call) -> Json:
    """Answer what the account pays as maker and taker."""
    if call.text("category") is not None and not is_linear(call):
        return {"category": category(call), "list": []}
    venue, base = face.exchange.venue, call.text("baseCoin")
    listed = venue.instruments if call.text("symbol") is None else (venue.instrument(symbol_of(face, call)),)
    rows = [
        {
            "symbol": instrument.symbol,
            "baseCoin": "",
            "takerFeeRate": number(instrument.taker_fee_rate),
            "makerFeeRate": number(instrument.maker_fee_rate),
        }
        for instrument in listed
        if base is None or instrument.base_asset == base
    ]
    return {"category": "linear", "list": rows}


@ENDPOINTS.add("GET", "/v5/account/withdrawal", Security.READ)
def transferable(face: FaceContext, call: Call) -> Json:
    """Answer how much could leave the account."""
    coins = call.required_text("coinName").split(",")
    amount = money(face.exchange.venue.account(call.uid).max_withdraw)
    each = {coin: amount if coin == QUOTE_ASSET else "0" for coin in coins}
    return {"availableWithdrawal": each[coins[0]], "availableWithdrawalMap": each}


@ENDPOINTS.add("GET", "/v5/account/collateral-info", Security.READ)
def collateral_info(_face: FaceContext, call: Call) -> Json:
    """Answer which coins count as collateral: USDT, in full."""
    row = {
        "currency": QUOTE_ASSET,
        "hourlyBorrowRate": "0",
        "maxBorrowingAmount": "0",
        "freeBorrowingLimit": "0",
        "freeBorrowAmount": "0",
        "borrowAmount": "0",
        "otherBorrowAmount": "0",
        "availableToBorrow": "0",
        "borrowable": False,
        "freeBorrowingAmount": "",
        "borrowUsageRate": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "collateralRatio": "1",
    }
    return {"list": [row] if call.text("currency") in (None, QUOTE_ASSET) else []}


@ENDPOINTS.add("GET", "/v5/account/borrow-history", Security.READ)
def borrow_history(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: nothing is ever borrowed here."""
    return {"list": [], "nextPageCursor": ""}


@ENDPOINTS.add("GET", "/v5/asset/coin-greeks", Security.READ)
def coin_greeks(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: no options are listed."""
    return {"list": []}


@ENDPOINTS.add("GET", "/v5/account/option-asset-info", Security.READ)
def option_profits(_face: FaceContext, _call: Call) -> Json:
    """Answer nothing: no options are listed."""
    return {"result": []}


@ENDPOINTS.add("GET", "/v5/account/trade-info-for-analysis", Security.READ)
def spot_trades(face: FaceContext, call: Call) -> Json:
    """Answer what spot trades came to: there were none."""
    instrument = face.exchange.venue.instrument(symbol_of(face, call))
    sums = (
        *("symbolRnl", "netExecQty", "sumExecValue", "sumExecQty", "avgBuyExecPrice", "sumBuyExecValue"),
        *("sumBuyExecQty", "sumBuyExecFee", "sumBuyOrderQty", "avgSellExecPrice", "sumSellExecValue"),
        *("sumSellExecQty", "sumSellExecFee", "sumSellOrderQty"),
    )
    names = {"baseCoin": instrument.base_asset, "settleCoin": instrument.quote_asset}
    return {**dict.fromkeys(sums, "0"), **names, "maxMarginVersion": 0, "sumPriceList": []}


@ENDPOINTS.add("GET", "/v5/account/pay-info", Security.READ)
def repayment_collateral(face: FaceContext, call: Call) -> Json:
    """Answer what could repay a debt, and that there is none; refuse a coin, since none is owed."""
    if call.text("coin") is not None:
        raise Refused(*refusals.NO_DEBT)
    free = money(face.exchange.venue.account(call.uid).available)
    row = {
        "coin": QUOTE_ASSET,
        "availableSize": free,
        "availableValue": free,
        "coinScale": 4,
        "borrowSize": "0",
        "spotHedgeAmount": "0",
        "assetFrozen": "0",
    }
    debt = {"borrowSize": "0", "borrowValue": "0", "assetFrozen": "0", "availableBalance": "0"}
    return {"collateralInfo": {"collateralList": [row]}, "borrowInfo": debt}


@ENDPOINTS.add("GET", "/v5/account/smp-group", Security.READ)
def self_trade_group(_face: FaceContext, _call: Call) -> Json:
    """Answer the group of accounts whose orders do not meet: the account is in none."""
    return {"smpGroup": 0}


@ENDPOINTS.add("GET", "/v5/account/user-setting-config", Security.READ)
def user_settings(_face: FaceContext, _call: Call) -> Json:
    """Answer settings that nobody can change here."""
    return {"lpaSpot": False, "lpaPerp": False, "deltaEnable": False}


@ENDPOINTS.add("GET", "/v5/account/mmp-state", Security.READ)
def market_maker_protection(_face: FaceContext, call: Call) -> Json:
    """Answer nothing: it is about options."""
    call.required_text("baseCoin")
    return {"result": []}


@ENDPOINTS.add("POST", "/v5/account/mmp-modify", Security.TRADE)
@ENDPOINTS.add("POST", "/v5/account/mmp-reset", Security.TRADE)
def set_market_maker_protection(_face: FaceContext, _call: Call) -> Json:
    """Refuse: it is about options."""
    raise Refused(110065, "MMP hasn't yet been enabled for your account. Please contact your BD manager.")


@ENDPOINTS.add("POST", "/v5/account/quick-repayment", Security.TRADE)
@ENDPOINTS.add("POST", "/v5/account/no-convert-repay", Security.TRADE)
@ENDPOINTS.add("POST", "/v5/account/repay", Security.TRADE)
def repay(_face: FaceContext, _call: Call) -> Json:
    """Refuse: nothing is ever borrowed here."""
    raise Refused(*refusals.NO_DEBT)


@ENDPOINTS.add("POST", "/v5/account/set-collateral-switch", Security.TRADE)
@ENDPOINTS.add("POST", "/v5/account/set-collateral-switch-batch", Security.TRADE)
def set_collateral(_face: FaceContext, _call: Call) -> Json:
    """Refuse: USDT cannot be switched off as collateral, and nothing else is held."""
    raise Refused(182111, "The requested currency does not support switching status")


@ENDPOINTS.add("POST", "/v5/account/upgrade-to-uta", Security.TRADE)
@ENDPOINTS.add("GET", "/v5/account/contract-transaction-log", Security.READ)
def not_for_unified(_face: FaceContext, _call: Call) -> Json:
    """Refuse what only classic accounts have."""
    raise Refused(*refusals.NOT_FOR_UNIFIED)


@ENDPOINTS.add("POST", "/v5/account/borrow", Security.UNGRANTED)
@ENDPOINTS.add("POST", "/v5/account/set-hedging-mode", Security.UNGRANTED)
@ENDPOINTS.add("POST", "/v5/account/set-delta-mode", Security.UNGRANTED)
@ENDPOINTS.add("POST", "/v5/account/set-limit-px-action", Security.UNGRANTED)
@ENDPOINTS.add("POST", "/v5/account/demo-apply-money", Security.UNGRANTED)
def ungranted(_face: FaceContext, _call: Call) -> Json:
    """Refuse what keys of this venue have no right to."""
    raise Refused(*refusals.PERMISSION)


# -------------------------------------------------------------------------------------------------- the ledger


@ENDPOINTS.add("GET", "/v5/account/transaction-log", Security.READ)
def transaction_log(face: FaceContext, call: Call) -> Json:
    """Answer every change of the wallet, newest first."""
    require_unified(call)
    if (call.text("category") is not None and not is_linear(call)) or call.text("currency") not in (None, QUOTE_ASSET):
        return {"list": [], "nextPageCursor": ""}
    both = call.text("startTime") is not None and call.text("endTime") is not None
    start, end = call.time_range(WEEK_MS if both else DAY_MS, face.exchange.now_ms)
    kind, base = call.text("type"), call.text("baseCoin")
    venue = face.exchange.venue
    rows = [
        row
        for row in _ledger_rows(face, call.uid, start, end)
        if kind in (None, row["type"])
        and (call.text("category") is None or row["symbol"])
        and (base is None or (row["symbol"] and venue.instrument(row["symbol"]).base_asset == base))
    ]
    rows.reverse()
    chosen, cursor = lookup.page(rows, lambda row: str(row["id"]), call.limit(20, 50), call.text("cursor"))
    return {"list": chosen, "nextPageCursor": cursor}


def _ledger_rows(face: FaceContext, uid: int, start: int, end: int) -> list[Json]:
    """Return rows oldest first; profit and fee of one execution are one row."""
    venue = face.exchange.venue
    orders = {order.order_id: order for order in venue.orders(uid)}
    rows: list[Json] = []
    balance = ZERO
    for records in _events(venue.income(uid)):
        balance += sum((record.amount for record in records), ZERO)
        if start <= records[0].at_ms <= end:
            trade_id = records[0].trade_id
            execution = face.ledger.by_trade_id(uid, trade_id) if trade_id is not None else None
            made_by = orders.get(execution.trade.order_id) if execution is not None else None
            rows.append(render_account.transaction(records, balance, execution, made_by))
    return rows


def _events(income: tuple[Income, ...]) -> list[list[Income]]:
    """Return what belongs together: the records of one execution."""
    events: list[list[Income]] = []
    for record in income:
        last = events[-1][-1] if events else None
        if record.trade_id is not None and last is not None and last.trade_id == record.trade_id:
            events[-1].append(record)
        else:
            events.append([record])
    return events


# -------------------------------------------------------------------------------------------------- the key


@ENDPOINTS.add("GET", "/v5/user/query-api", Security.KEY, per_second=10)
def query_api(face: FaceContext, call: Call) -> Json:
    """Answer what the key may do; withdrawals and transfers show under Wallet."""
    assert call.key is not None  # noqa: S101 - a signed call has a key
    key = call.key
    created = datetime.fromtimestamp(key.created_ms / 1000, UTC)
    expires = created + KEY_LIFE
    now = datetime.fromtimestamp(face.exchange.now_ms / 1000, UTC)
    return {
        "id": str(key.created_ms),
        "note": "",
        "apiKey": key.api_key,
        "readOnly": 0 if _writes(key) else 1,
        "secret": "",
        "permissions": permissions(key),
        "ips": ["*"],
        "type": 1,
        "deadlineDay": max((expires - now).days, 0),
        "expiredAt": _iso(expires),
        "createdAt": _iso(created),
        "unified": 0,
        "uta": 1,
        "userID": key.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def _writes(key: ApiKey) -> bool:
    return any(right is not Permission.READ for right in key.permissions)


def permissions(key: ApiKey) -> Json:
    """Return the rights of a key as the venue lists them."""
    trades = Permission.TRADE in key.permissions
    moves = Permission.TRANSFER in key.permissions
    withdraws = Permission.WITHDRAW in key.permissions
    wallet = [*(("AccountTransfer", "SubMemberTransfer") if moves else ()), *(("Withdraw",) if withdraws else ())]
    return {
        "ContractTrade": ["Order", "Position"] if trades else [],
        "Spot": [],
        "Wallet": wallet,
        "Options": [],
        "Derivatives": ["DerivativesTrade"] if trades else [],
        "CopyTrading": [],
        "BlockTrade": [],
        "Exchange": [],
        "NFT": [],
        "Affiliate": [],
        "Earn": [],
        "FiatP2P": [],
        "FiatBybitPay": [],
        "FiatConvertBroker": [],
        "ByXPost": [],
    }


@ENDPOINTS.add("GET", "/v5/user/get-member-type", Security.READ, per_second=5)
def member_type(_face: FaceContext, call: Call) -> Json:
    """Answer which wallets the account has."""
    return {"accounts": [{"uid": str(call.uid), "accountType": ["UNIFIED", "FUND"]}]}


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
