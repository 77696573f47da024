"""The account and its positions as REST answers them. Field names as in the venue's documents, read 2026-11-22."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from patriot.sim.binance.render import Json, money, plain
from patriot.sim.engine.records import AccountView, Order, PositionView
from patriot.sim.engine.words import MarginType, Permission, PositionSide


def position_v3(view: PositionView, open_orders: Sequence[Order], adl: int) -> Json:
    """Return one row of /fapi/v3/positionRisk."""
    position = view.position
    bid, ask = _resting_notional(open_orders, position.symbol, position.position_side)
    return {
        "symbol": position.symbol,
        "positionSide": position.position_side.value,
        "positionAmt": plain(position.quantity),
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(position.entry_price),
        "markPrice": plain(view.mark_price),
        "unRealizedProfit": money(view.unrealized_pnl),
        "liquidationPrice": plain(view.liquidation_price),
        "isolatedMargin": _isolated_margin(view),
        "notional": plain(view.notional),
        "marginAsset": "USDT",
        "isolatedWallet": plain(position.isolated_wallet),
        "initialMargin": money(view.initial_margin + view.open_order_margin),
        "maintMargin": money(view.maintenance_margin),
        "positionInitialMargin": money(view.initial_margin),
        "openOrderInitialMargin": money(view.open_order_margin),
        "adl": adl,
        "bidNotional": bid,
        "askNotional": ask,
        "updateTime": position.updated_ms,
    }


def position_v2(view: PositionView) -> Json:
    """Return one row of /fapi/v2/positionRisk, which shows the settings too."""
    position = view.position
    return {
        "symbol": position.symbol,
        "positionAmt": plain(position.quantity),
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(position.entry_price),
        "markPrice": plain(view.mark_price),
        "unRealizedProfit": money(view.unrealized_pnl),
        "liquidationPrice": plain(view.liquidation_price),
        "leverage": str(view.leverage),
        "maxNotionalValue": plain(view.max_notional),
        "marginType": "isolated" if view.margin_type is MarginType.ISOLATED else "cross",
        "isolatedMargin": _isolated_margin(view),
        "isAutoAddMargin": "false",
        "positionSide": position.position_side.value,
        "notional": plain(view.notional),
        "isolatedWallet": plain(position.isolated_wallet),
        "updateTime": position.updated_ms,
    }


def _isolated_margin(view: PositionView) -> str:
    if view.margin_type is not MarginType.ISOLATED or not view.position.quantity:
        return "0"
    return money(view.position.isolated_wallet + view.unrealized_pnl)


def _resting_notional(orders: Iterable[Order], symbol: str, side: PositionSide) -> tuple[str, str]:
    bid = ask = Decimal(0)
    for resting in orders:
        if resting.symbol == symbol and resting.position_side is side and not resting.reduce_only:
            if resting.side.value == "BUY":
                bid += resting.leaves_quantity * resting.price
            else:
                ask += resting.leaves_quantity * resting.price
    return plain(bid), plain(ask)


def account_position(view: PositionView, *, version: int) -> Json:
    """Return one position inside /fapi/v2|v3/account."""
    position = view.position
    row: Json = {
        "symbol": position.symbol,
        "positionSide": position.position_side.value,
        "positionAmt": plain(position.quantity),
        "unrealizedProfit": money(view.unrealized_pnl),
        "isolatedMargin": _isolated_margin(view),
        "notional": plain(view.notional),
        "isolatedWallet": plain(position.isolated_wallet),
        "initialMargin": money(view.initial_margin + view.open_order_margin),
        "maintMargin": money(view.maintenance_margin),
        "updateTime": position.updated_ms,
    }
    if version == 2:
        row |= {
            "positionInitialMargin": money(view.initial_margin),
            "openOrderInitialMargin": money(view.open_order_margin),
            "leverage": str(view.leverage),
            "isolated": view.margin_type is MarginType.ISOLATED,
            "entryPrice": plain(position.entry_price),
            "breakEvenPrice": plain(position.entry_price),
            "maxNotional": plain(view.max_notional),
            "bidNotional": "0",
            "askNotional": "0",
        }
    return row


def account(view: AccountView, positions: Iterable[PositionView], *, version: int) -> Json:
    """Return /fapi/v2/account or /fapi/v3/account."""
    sums = {
        "initialMargin": money(view.initial_margin),
        "maintMargin": money(view.maintenance_margin),
        "walletBalance": money(view.wallet),
        "marginBalance": money(view.equity),
        "positionInitialMargin": money(view.position_initial_margin),
        "openOrderInitialMargin": money(view.open_order_initial_margin),
        "crossWalletBalance": money(view.cross_wallet),
        "crossUnPnl": money(view.cross_unrealized_pnl),
    }
    ends = {"availableBalance": money(view.available), "maxWithdrawAmount": money(view.max_withdraw)}
    unrealized = money(view.unrealized_pnl)
    answer: Json = {f"total{name[0].upper()}{name[1:]}": value for name, value in sums.items()}
    answer |= {"totalUnrealizedProfit": unrealized, **ends}
    if version == 2:
        answer |= {
            "feeTier": 0,
            "canTrade": Permission.TRADE in view.permissions,
            "canDeposit": True,
            "canWithdraw": Permission.WITHDRAW in view.permissions,
            "feeBurn": False,
            "tradeGroupId": -1,
            "updateTime": 0,
            "multiAssetsMargin": False,
        }
    asset = {"asset": "USDT", "unrealizedProfit": unrealized, **sums, **ends, "updateTime": view.updated_ms}
    if version == 2:
        asset["marginAvailable"] = True
    answer["assets"] = [asset]
    answer["positions"] = [account_position(row, version=version) for row in positions]
    return answer


def balance(view: AccountView, alias: str) -> list[Json]:
    """Return /fapi/v2|v3/balance."""
    return [
        {
            "accountAlias": alias,
            "asset": "USDT",
            "balance": money(view.wallet),
            "crossWalletBalance": money(view.cross_wallet),
            "crossUnPnl": money(view.cross_unrealized_pnl),
            "availableBalance": money(view.available),
            "maxWithdrawAmount": money(view.max_withdraw),
            "marginAvailable": True,
            "updateTime": view.updated_ms,
        }
    ]
