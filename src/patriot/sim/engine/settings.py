"""What an account may set: leverage, margin type, position mode, permissions; and money in and out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import refusals
from patriot.sim.engine.account import LARGEST_UID, Account, Settings
from patriot.sim.engine.events import LeverageChanged
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import max_notional
from patriot.sim.engine.operations import (
    AdjustMargin,
    CreateAccount,
    FundInsurance,
    SetLeverage,
    SetMarginType,
    SetPositionMode,
    Transfer,
)
from patriot.sim.engine.records import AccountView, Income, MarginChange, Pools, PositionView
from patriot.sim.engine.words import ZERO, IncomeType, MarginType, PositionSide, UpdateReason, round_money

_LARGEST_AMOUNT: Final = Decimal("1000000000000000")


def create_account(floor: Floor, operation: CreateAccount) -> AccountView:
    """Open an account with its first deposit."""
    uid = operation.uid or max(floor.accounts, default=floor.first_uid - 1) + 1
    if uid in floor.accounts or not 1 <= uid <= LARGEST_UID:
        raise refusals.BAD_UID.because(uid=uid, largest=LARGEST_UID)
    if operation.balance:
        _check_amount(operation.balance)
    if operation.balance < ZERO:
        raise refusals.INVALID_AMOUNT.because()
    account = Account(uid, operation.permissions, operation.hedge_mode)
    floor.accounts[uid] = account
    if operation.balance:
        account.book(IncomeType.TRANSFER, operation.balance, floor.now_ms, info="DEPOSIT")
        floor.tell_account(account, UpdateReason.DEPOSIT, change=operation.balance)
    return account.view(floor.markets)


def transfer(floor: Floor, account: Account, operation: Transfer) -> Income:
    """Move money in or out; out only what neither margin nor unrealized profit is made of."""
    _check_amount(operation.amount)
    if operation.amount < ZERO and -operation.amount > account.view(floor.markets).max_withdraw:
        raise refusals.TRANSFER_TOO_LARGE.because()
    deposit = operation.amount > ZERO
    info = operation.info or ("DEPOSIT" if deposit else "WITHDRAW")
    record = account.book(IncomeType.TRANSFER, operation.amount, floor.now_ms, info=info)
    reason = UpdateReason.DEPOSIT if deposit else UpdateReason.WITHDRAW
    floor.tell_account(account, reason, change=operation.amount)
    floor.refresh_interest(account)
    return record


def fund_insurance(floor: Floor, operation: FundInsurance) -> Pools:
    """Put money into the insurance fund, or take out what it has."""
    _check_amount(operation.amount)
    if operation.amount < ZERO and floor.pools.insurance + operation.amount < ZERO:
        raise refusals.TRANSFER_TOO_LARGE.because()
    floor.pools.fund(operation.amount)
    return floor.pools.view()


def _check_amount(amount: Decimal) -> None:
    if not amount.is_finite() or not amount or abs(amount) > _LARGEST_AMOUNT or round_money(amount) != amount:
        raise refusals.INVALID_AMOUNT.because()


def set_leverage(floor: Floor, account: Account, operation: SetLeverage) -> PositionView:
    """Change the leverage of a symbol; the same leverage again is no error, as on the venue."""
    market = floor.market(operation.symbol)
    settings, leverage = account.settings_of(operation.symbol), operation.leverage
    if not 1 <= leverage <= market.instrument.brackets[0].initial_leverage:
        raise refusals.INVALID_LEVERAGE.because(leverage=leverage)
    mark = market.ticker.mark if market.ticker is not None else ZERO
    wanted = account.symbol_notional(operation.symbol, mark, None)
    if wanted > max_notional(market.instrument, leverage):
        raise refusals.MAX_POSITION.because()
    if leverage < settings.leverage and wanted:
        if settings.margin_type is MarginType.ISOLATED and account.held(operation.symbol):
            raise refusals.LEVERAGE_CUT_ISOLATED.because()
        if wanted / leverage - wanted / settings.leverage > account.free_margin(floor.markets):
            raise refusals.LEVERAGE_TOO_SMALL.because()
    account.settings[operation.symbol] = settings._replace(leverage=leverage)
    if leverage != settings.leverage:
        floor.emitted.append(LeverageChanged(account.uid, floor.now_ms, operation.symbol, leverage))
    return account.position_view(operation.symbol, account.sides_of(operation.symbol)[0], floor.markets)


def set_margin_type(floor: Floor, account: Account, operation: SetMarginType) -> PositionView:
    """Change between crossed and isolated margin of a symbol."""
    floor.market(operation.symbol)
    settings: Settings = account.settings_of(operation.symbol)
    if settings.margin_type is operation.margin_type:
        raise refusals.SAME_MARGIN_TYPE.because()
    if account.orders_in(operation.symbol) or account.algo_orders_in(operation.symbol):
        raise refusals.MARGIN_TYPE_WITH_ORDERS.because()
    if account.held(operation.symbol):
        raise refusals.MARGIN_TYPE_WITH_POSITION.because()
    account.settings[operation.symbol] = settings._replace(margin_type=operation.margin_type)
    return account.position_view(operation.symbol, account.sides_of(operation.symbol)[0], floor.markets)


def adjust_margin(floor: Floor, account: Account, operation: AdjustMargin) -> PositionView:
    """Move money between the wallet and an isolated position.

    In: what is free. Out: what the position needs neither for its initial margin at mark nor for its loss.
    """
    symbol, amount = operation.symbol, operation.amount
    _, ticker = floor.priced(symbol)
    _check_amount(amount)
    if (operation.position_side is PositionSide.BOTH) == account.hedges(symbol):
        raise refusals.POSITION_SIDE_MISMATCH.because()
    if not account.is_isolated(symbol):
        raise refusals.MARGIN_ONLY_ISOLATED.because()
    position = account.position(symbol, operation.position_side)
    if not position.quantity:
        raise refusals.MARGIN_WITHOUT_POSITION.because()
    if amount > account.free_margin(floor.markets):
        raise refusals.CROSS_BALANCE_INSUFFICIENT.because()
    spare = position.isolated_wallet + min(position.unrealized_pnl(ticker.mark), ZERO)
    spare -= abs(position.quantity) * ticker.mark / account.settings_of(symbol).leverage
    if amount < ZERO and -amount > spare:
        raise refusals.ISOLATED_BALANCE_INSUFFICIENT.because()
    row = (symbol, operation.position_side)
    account.hold(replace(position, isolated_wallet=position.isolated_wallet + amount, updated_ms=floor.now_ms))
    account.margin_changes.append(MarginChange(account.uid, *row, amount, floor.now_ms))
    floor.tell_account(account, UpdateReason.MARGIN_TRANSFER, positions=[row])
    floor.refresh_interest(account)
    return account.position_view(*row, floor.markets)


def set_position_mode(floor: Floor, account: Account, operation: SetPositionMode) -> AccountView:
    """Change between one-way and hedge mode: of one symbol, or of every symbol when none is named."""
    symbol = operation.symbol
    if symbol:
        floor.market(symbol)
        same = account.hedges(symbol) == operation.hedge_mode
        orders: bool = bool(account.orders_in(symbol) or account.algo_orders_in(symbol))
    else:
        same = account.hedge_mode == operation.hedge_mode and not account.hedge_by_symbol
        orders = bool(account.open_orders or account.open_algo_orders)
    if same:
        raise refusals.SAME_POSITION_MODE.because()
    if orders:
        raise refusals.POSITION_MODE_WITH_ORDERS.because()
    if account.held(symbol or None):
        raise refusals.POSITION_MODE_WITH_POSITION.because()
    if not symbol:
        account.hedge_mode = operation.hedge_mode
        account.hedge_by_symbol.clear()
    elif operation.hedge_mode == account.hedge_mode:
        account.hedge_by_symbol.pop(symbol, None)
    else:
        account.hedge_by_symbol[symbol] = operation.hedge_mode
    return account.view(floor.markets)
