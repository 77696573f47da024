"""The account as REST answers show it: balances, positions, income, settings, rights of a key.

Source: USD-M Futures "Account Information V2", "Get Income History", "Symbol Configuration", wallet "Get API Key
Permission", read 2026-11-22.
"""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from patriot.adapters.exchanges.binance.wire import Milliseconds, Unknowns
from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.money import ZERO, parse_decimal
from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    AssetBalance,
    IncomeRecord,
    IncomeType,
    KeyPermissions,
    PositionReport,
    SymbolSettings,
)

QUOTE_ASSET = "USDT"
MARK_STEP = Decimal("0.00000001")  # the venue shows a mark price with eight decimals

# Every type that the venue documents: what trading brings, and what only moves money in or out.
_INCOME_TYPES = {
    "REALIZED_PNL": IncomeType.REALIZED_PNL,
    "COMMISSION": IncomeType.COMMISSION,
    "FUNDING_FEE": IncomeType.FUNDING_FEE,
    **dict.fromkeys(
        (
            "INSURANCE_CLEAR", "DELIVERED_SETTELMENT", "COMMISSION_REBATE", "API_REBATE", "REFERRAL_KICKBACK",
            "FEE_RETURN",
        ),
        IncomeType.CHARGE,
    ),
    **dict.fromkeys(
        (
            "TRANSFER", "INTERNAL_TRANSFER", "CROSS_COLLATERAL_TRANSFER", "STRATEGY_UMFUTURES_TRANSFER",
            "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW", "AUTO_EXCHANGE", "WELCOME_BONUS", "CONTEST_REWARD",
            "BFUSD_REWARD", "POSITION_LIMIT_INCREASE_FEE", "OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT",
        ),
        IncomeType.TRANSFER,
    ),
}  # fmt: skip


class _Asset(msgspec.Struct, rename="camel"):
    asset: str
    wallet_balance: str
    available_balance: str
    unrealized_profit: str


class _Position(msgspec.Struct, rename="camel"):
    symbol: str
    position_amt: str
    entry_price: str
    notional: str
    unrealized_profit: str
    leverage: str
    isolated: bool


class _Account(msgspec.Struct, rename="camel"):
    assets: list[_Asset]
    positions: list[_Position]


class _Income(msgspec.Struct, rename="camel"):
    symbol: str
    income_type: str
    income: str
    asset: str
    time: Milliseconds
    tran_id: int | str
    trade_id: int | str = ""


class _SymbolConfig(msgspec.Struct, rename="camel"):
    symbol: str
    margin_type: str
    leverage: int


class _AccountConfig(msgspec.Struct, rename="camel"):
    dual_side_position: bool
    multi_assets_margin: bool


class _Balance(msgspec.Struct, rename="camel"):
    account_alias: str


class _ListenKey(msgspec.Struct, rename="camel"):
    listen_key: str


class _KeptListenKey(msgspec.Struct, rename="camel"):
    listen_key: str | None = None


class _Restrictions(msgspec.Struct, rename="camel"):
    enable_reading: bool
    enable_futures: bool
    enable_withdrawals: bool
    enable_internal_transfer: bool
    permits_universal_transfer: bool
    ip_restrict: bool


class AccountReader:
    """Turn bodies into records; what is not known is counted, what cannot be read raises one of `UNREADABLE`."""

    def __init__(self, unknown: Unknowns) -> None:
        self._unknown = unknown

    def snapshot(self, body: bytes, at: datetime) -> AccountSnapshot:
        """Read /fapi/v2/account: balances and open positions of one instant."""
        account = msgspec.json.decode(body, type=_Account)
        asset = next((row for row in account.assets if row.asset == QUOTE_ASSET), None)
        if asset is None:
            raise ValueError(f"no {QUOTE_ASSET} among the assets")
        others = [
            AssetBalance(row.asset, parse_decimal("walletBalance", row.wallet_balance))
            for row in account.assets
            if row is not asset
        ]
        positions = [_position(row) for row in account.positions]
        return AccountSnapshot(
            asset=QUOTE_ASSET,
            wallet_balance=parse_decimal("walletBalance", asset.wallet_balance),
            available_balance=parse_decimal("availableBalance", asset.available_balance),
            unrealized_pnl=parse_decimal("unrealizedProfit", asset.unrealized_profit),
            positions=tuple(position for position in positions if position.quantity),
            at=at,
            other_assets=tuple(balance for balance in others if balance.wallet_balance),
        )

    def income(self, body: bytes) -> list[IncomeRecord]:
        """Read a page of income."""
        return [self._income(row) for row in msgspec.json.decode(body, type=list[_Income])]

    def _income(self, row: _Income) -> IncomeRecord:
        if row.income_type not in _INCOME_TYPES:
            self._unknown.seen(f"income type {row.income_type}")
        return IncomeRecord(
            record_id=f"{row.income_type}:{row.tran_id}",  # the venue's id is unique within a type only
            income_type=_INCOME_TYPES.get(row.income_type, IncomeType.OTHER),
            raw_type=row.income_type,
            symbol=row.symbol,
            asset=row.asset,
            amount=parse_decimal("income", row.income),
            at=from_epoch_ms(row.time),
            trade_id=str(row.trade_id),
        )


def _position(row: _Position) -> PositionReport:
    quantity, notional = parse_decimal("positionAmt", row.position_amt), parse_decimal("notional", row.notional)
    mark = (notional / quantity).quantize(MARK_STEP, ROUND_HALF_EVEN) if quantity else ZERO
    return PositionReport(
        symbol=row.symbol,
        quantity=quantity,
        entry_price=parse_decimal("entryPrice", row.entry_price),
        mark_price=mark,
        unrealized_pnl=parse_decimal("unrealizedProfit", row.unrealized_profit),
        leverage=int(row.leverage),
        isolated=row.isolated,
    )


def read_symbol_settings(body: bytes, symbol: str) -> SymbolSettings:
    """Read one symbol of /fapi/v1/symbolConfig."""
    rows = msgspec.json.decode(body, type=list[_SymbolConfig])
    row = next(row for row in [*rows, None] if row is None or row.symbol == symbol)
    if row is None:
        raise ValueError(f"no settings for {symbol}")
    return SymbolSettings(row.leverage, row.margin_type == "ISOLATED")


def read_account_settings(body: bytes) -> AccountSettings:
    """Read /fapi/v1/accountConfig."""
    config = msgspec.json.decode(body, type=_AccountConfig)
    return AccountSettings(hedge_mode=config.dual_side_position, multi_assets=config.multi_assets_margin)


def read_listen_key(body: bytes) -> str:
    """Read the answer to a listen key request."""
    return msgspec.json.decode(body, type=_ListenKey).listen_key


def read_kept_listen_key(body: bytes) -> str | None:
    """Read the answer to an extension: the account's active key, if the venue tells it."""
    return msgspec.json.decode(body, type=_KeptListenKey).listen_key


def read_alias(body: bytes) -> str:
    """Read the code of the account from /fapi/v2/balance, where every asset carries it."""
    (alias,) = {row.account_alias for row in msgspec.json.decode(body, type=list[_Balance])}
    if not alias:
        raise ValueError("the account has no alias")
    return alias


def read_permissions(body: bytes) -> KeyPermissions:
    """Read /sapi/v1/account/apiRestrictions; an answer that leaves a right open cannot be read."""
    rights = msgspec.json.decode(body, type=_Restrictions)
    return KeyPermissions(
        read=rights.enable_reading,
        trade=rights.enable_futures,
        withdraw=rights.enable_withdrawals,
        transfer=rights.enable_internal_transfer or rights.permits_universal_transfer,
        ip_restricted=rights.ip_restrict,
    )
