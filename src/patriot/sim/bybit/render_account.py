"""Positions, wallet, closed profit and the account's ledger as Bybit shows them.

Source: bybit-exchange.github.io/docs/v5, "Get Position Info", "Get Wallet Balance", "Get Closed PnL",
"Get Transaction Log", read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from patriot.sim.bybit import ids, render
from patriot.sim.bybit.ledger import Execution
from patriot.sim.bybit.text import POSITION_INDEXES, SIDES, given, money, number
from patriot.sim.engine.records import AccountView, AlgoOrder, Income, Instrument, Order, PositionView
from patriot.sim.engine.words import ZERO, AlgoOrigin, Closing, IncomeType, MarginType

Json = dict[str, Any]

_RATE: Final = Decimal("0.0001")
_FEE_RATE: Final = Decimal("0.000001")
_TYPES: Final = {
    IncomeType.TRANSFER: "TRANSFER_IN",
    IncomeType.REALIZED_PNL: "TRADE",
    IncomeType.COMMISSION: "TRADE",
    IncomeType.FUNDING_FEE: "SETTLEMENT",
    IncomeType.INSURANCE_CLEAR: "LIQUIDATION",
}
_CLOSINGS: Final = {Closing.LIQUIDATION: "LIQUIDATION", Closing.DELEVERAGING: "ADL"}


def risk_id(instrument: Instrument, notional: Decimal) -> int:
    """Return the number of the risk tier that a notional falls into."""
    rows = (row.bracket for row in instrument.brackets if notional <= row.notional_cap)
    return next(rows, instrument.brackets[-1].bracket)


def position(
    view: PositionView,
    instrument: Instrument,
    protections: Iterable[AlgoOrder],
    *,
    net: tuple[Decimal, Decimal],
    created_ms: int,
    rank: int,
) -> Json:
    """Return a position row.

    protections: the account's open conditional orders; net: what the holding, and all before it too, brought after
    fees; rank: its place in the ADL queue.
    """
    held = view.position
    size = abs(held.quantity)
    side = "" if not size else ("Buy" if held.quantity > ZERO else "Sell")
    guards = {
        guard.origin: guard
        for guard in protections
        if guard.ends_with_position
        and guard.close_position
        and (guard.symbol, guard.position_side) == (held.symbol, held.position_side)
    }
    profit, loss = guards.get(AlgoOrigin.TAKE_PROFIT), guards.get(AlgoOrigin.STOP_LOSS)
    trailing = guards.get(AlgoOrigin.TRAILING_STOP)
    liquidation = view.liquidation_price.quantize(instrument.tick_size, ROUND_HALF_EVEN)
    within = instrument.min_price < liquidation < instrument.max_price
    return {
        "positionIdx": POSITION_INDEXES[held.position_side],
        "riskId": risk_id(instrument, abs(view.notional)),
        "riskLimitValue": number(view.max_notional),
        "symbol": held.symbol,
        "side": side,
        "size": number(size),
        "avgPrice": number(held.entry_price),
        "positionValue": given(abs(held.basis)),
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": rank,
        "leverage": str(view.leverage),
        "positionBalance": money(
            held.isolated_wallet if view.margin_type is MarginType.ISOLATED else view.initial_margin
        ),
        "markPrice": number(view.mark_price),
        "liqPrice": number(liquidation) if size and within else "",
        "bustPrice": "",
        "positionMM": money(view.maintenance_margin),
        "positionMMByMp": money(view.maintenance_margin),
        "positionIM": money(view.initial_margin),
        "positionIMByMp": money(view.initial_margin),
        "tpslMode": "Full",
        "takeProfit": given(profit.trigger_price) if profit else "",
        "stopLoss": given(loss.trigger_price) if loss else "",
        "trailingStop": number((trailing.callback_distance if trailing else None) or ZERO),
        "unrealisedPnl": money(view.unrealized_pnl) if size else "",
        "curRealisedPnl": money(net[0]),
        "cumRealisedPnl": money(net[1]),
        "sessionAvgPrice": "",
        "delta": "",
        "gamma": "",
        "vega": "",
        "theta": "",
        "seq": held.updated_ms or -1,
        "isReduceOnly": False,
        "mmrSysUpdateTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(created_ms or held.updated_ms),
        "updatedTime": str(held.updated_ms),
        "breakEvenPrice": number(held.entry_price),
    }


def wallet(view: AccountView, *, isolated: bool, realized: Decimal) -> Json:
    """Return the unified account of /v5/account/wallet-balance and of the wallet stream.

    Sums over the account are left empty under isolated margin, as on the venue.
    """

    def whole(text: str) -> str:
        return "" if isolated else text

    def rate(part: Decimal) -> str:
        return whole(number((part / view.equity).quantize(_RATE)) if view.equity > ZERO else "0")

    initial, maintenance = money(view.initial_margin), money(view.maintenance_margin)
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": rate(view.initial_margin),
        "accountIMRateByMp": rate(view.initial_margin),
        "accountMMRate": rate(view.maintenance_margin),
        "accountMMRateByMp": rate(view.maintenance_margin),
        "totalEquity": money(view.equity),
        "totalWalletBalance": money(view.wallet),
        "totalMarginBalance": whole(money(view.equity)),
        "totalAvailableBalance": whole(money(view.available)),
        "totalPerpUPL": money(view.unrealized_pnl),
        "totalInitialMargin": whole(initial),
        "totalInitialMarginByMp": whole(initial),
        "totalMaintenanceMargin": whole(maintenance),
        "totalMaintenanceMarginByMp": whole(maintenance),
        "coin": [_coin(view, realized)],
    }


def _coin(view: AccountView, realized: Decimal) -> Json:
    return {
        "coin": "USDT",
        "equity": money(view.equity),
        "usdValue": money(view.equity),
        "walletBalance": money(view.wallet),
        "free": "",
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "spotBorrow": "0",
        "availableToBorrow": "",
        "availableToWithdraw": money(view.max_withdraw),
        "accruedInterest": "0",
        "totalOrderIM": money(view.open_order_initial_margin),
        "totalPositionIM": money(view.position_initial_margin),
        "totalPositionMM": money(view.maintenance_margin),
        "unrealisedPnl": money(view.unrealized_pnl),
        "cumRealisedPnl": money(realized),
        "bonus": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
    }


def closed_pnl(executions: list[Execution], made_by: Order, leverage: int) -> Json:
    """Return what one order closed: its executions that took off a position, as one record.

    closedPnl is after the fees of both sides; the entry's fee is taken at this exit's rate, since entries are averaged.
    """
    closed = sum((e.closed for e in executions), ZERO)
    exit_value = sum((e.closed * e.trade.price for e in executions), ZERO)
    entry_value = sum((e.closed * e.entry_price for e in executions), ZERO)
    fee = sum((e.trade.commission * e.closed / e.trade.quantity for e in executions), ZERO)
    open_fee = fee * entry_value / exit_value if exit_value else ZERO
    gained = sum((e.trade.realized_pnl for e in executions), ZERO)
    trade = executions[-1].trade
    return {
        "symbol": trade.symbol,
        "orderId": ids.order_id(made_by),
        "orderType": render.order_type(made_by),
        "leverage": str(leverage),
        "updatedTime": str(trade.at_ms),
        "createdTime": str(made_by.created_ms),
        "side": SIDES[trade.side],
        "qty": number(made_by.quantity),
        "orderPrice": number(made_by.price),
        "closedSize": number(closed),
        "execType": {"LIQUIDATION": "BustTrade", "DELEVERAGING": "AdlTrade"}.get(made_by.closing.value, "Trade"),
        "fillCount": str(len(executions)),
        "cumEntryValue": money(entry_value),
        "avgEntryPrice": money(entry_value / closed),
        "cumExitValue": money(exit_value),
        "avgExitPrice": money(exit_value / closed),
        "openFee": money(open_fee),
        "closeFee": money(fee),
        "closedPnl": money(gained - fee - open_fee),
    }


def transaction(records: list[Income], balance: Decimal, execution: Execution | None, made_by: Order | None) -> Json:
    """Return one row of the transaction log: what one event did to the wallet; balance is the wallet behind it."""
    record = records[0]
    change = sum((part.amount for part in records), ZERO)
    fee = -sum((part.amount for part in records if part.income_type is IncomeType.COMMISSION), ZERO)
    funded = record.income_type is IncomeType.FUNDING_FEE
    kind = _TYPES[record.income_type]
    if record.income_type is IncomeType.TRANSFER and record.amount < ZERO:
        kind = "TRANSFER_OUT"
    if made_by is not None:
        kind = _CLOSINGS.get(made_by.closing, kind)
    trade = execution.trade if execution is not None else None
    return {
        "id": f"{record.uid}_{record.symbol or 'USDT'}_{record.tran_id}",
        "symbol": record.symbol,
        "category": "linear" if record.symbol else "",
        "side": SIDES[trade.side] if trade is not None else "None",
        "transactionTime": str(record.at_ms),
        "type": kind,
        "transSubType": "",
        "qty": number(trade.quantity) if trade is not None else money(abs(change)),
        "size": number(execution.held) if execution is not None else "0",
        "currency": "USDT",
        "tradePrice": number(trade.price) if trade is not None else "0",
        "funding": money(change) if funded else "",
        "fee": money(fee),
        "cashFlow": "0" if funded else money(change + fee),
        "change": money(change),
        "cashBalance": money(balance),
        "feeRate": number((trade.commission / trade.notional).quantize(_FEE_RATE)) if trade is not None else "0",
        "bonusChange": "",
        "tradeId": ids.execution_id(trade) if trade is not None else "",
        "orderId": ids.order_id(made_by) if made_by is not None else "",
        "orderLinkId": ids.link_id(made_by) if made_by is not None else "",
        "extraFees": "",
    }
