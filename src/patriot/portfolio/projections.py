"""Positions, the ledger, the equity series and closed positions as rows, exact to the last digit the venue reported."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import ClassVar, assert_never
from uuid import UUID

from patriot.accounts.events import (
    AccountLinked,
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
)
from patriot.execution.events import PositionClosed
from patriot.kernel.money import EXACT
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql
from patriot.orders.events import OrderFilled
from patriot.portfolio.valuation import Balance, Holding, MoneyEvent, after_fill, after_funding
from patriot.trading.terms import AccountId, StrategyId, UserId


class EntryKind(StrEnum):
    """What a ledger entry books; its amount is the change of the wallet, so a commission paid is negative."""

    TRANSFER = "TRANSFER"
    REALIZED_PNL = "REALIZED_PNL"
    COMMISSION = "COMMISSION"
    FUNDING = "FUNDING"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account's ledger."""

    account_id: AccountId
    kind: EntryKind
    entry_id: str  # the venue's record, or order and trade: one entry per kind
    user_id: UserId
    asset: str
    amount: Decimal
    symbol: str | None
    strategy_id: StrategyId | None
    booked_at: datetime

    @property
    def key(self) -> tuple[UUID, str, str]:
        """Return what is booked once."""
        return (self.account_id, self.kind, self.entry_id)


_LOAD_ACCOUNTS = "SELECT account_id, user_id, asset FROM read.ledger_accounts WHERE account_id = ANY($1::uuid[])"
_SAVE_ACCOUNT = """
    INSERT INTO read.ledger_accounts (account_id, user_id, asset) VALUES ($1, $2, $3)
    ON CONFLICT (account_id) DO UPDATE SET user_id = excluded.user_id, asset = excluded.asset
"""
_KNOWN_ENTRIES = """
    SELECT account_id, kind, entry_id FROM read.ledger_entries
    JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (account_id, kind, entry_id)
        USING (account_id, kind, entry_id)
"""
_SAVE_ENTRY = """
    INSERT INTO read.ledger_entries
        (account_id, kind, entry_id, user_id, asset, amount, symbol, strategy_id, booked_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_LOAD_LEDGER = """
    SELECT account_id, asset, transfers, realized_pnl, commission, funding FROM read.ledger
    WHERE account_id = ANY($1::uuid[])
"""
_SAVE_LEDGER = """
    INSERT INTO read.ledger (account_id, asset, user_id, transfers, realized_pnl, commission, funding)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (account_id, asset) DO UPDATE SET transfers = excluded.transfers,
        realized_pnl = excluded.realized_pnl, commission = excluded.commission, funding = excluded.funding
"""
_LOAD_POSITIONS = """
    SELECT account_id, symbol, quantity, cost_basis, realized_pnl, commission, funding, strategy_id FROM read.positions
    WHERE account_id = ANY($1::uuid[])
"""
_SAVE_POSITION = """
    INSERT INTO read.positions (account_id, symbol, user_id, quantity, cost_basis, realized_pnl, commission, funding,
        strategy_id, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (account_id, symbol) DO UPDATE SET quantity = excluded.quantity, cost_basis = excluded.cost_basis,
        realized_pnl = excluded.realized_pnl, commission = excluded.commission, funding = excluded.funding,
        strategy_id = excluded.strategy_id, changed_at = excluded.changed_at
"""


class LedgerProjection:
    """read.ledger_entries, and what they add up to: read.ledger per account and asset, read.positions per symbol."""

    name: ClassVar[str] = "ledger"
    tables: ClassVar[tuple[str, ...]] = ("ledger_accounts", "ledger_entries", "ledger", "positions")
    event_types: ClassVar[frozenset[str]] = frozenset(
        {
            "account.linked",
            "order.filled",
            "account.trade_booked",
            "account.charge_booked",
            "account.transfer_recorded",
            "funding.paid",
        }
    )

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Book a batch of events; an event that was booked before changes nothing."""
        linked = [recorded.event for recorded in batch if isinstance(recorded.event, AccountLinked)]
        if linked:
            await sql.executemany(
                _SAVE_ACCOUNT, [(event.account_id, event.user_id, event.quote_asset) for event in linked]
            )
        money = [recorded.event for recorded in batch if _moves_money(recorded.event)]
        if not money:
            return
        books = await _Books.load(sql, money)
        for event in money:
            books.apply(event)
        await books.save(sql)


class _Books:
    """The rows that a batch touches, folded in memory."""

    def __init__(self, assets: dict[UUID, str], known: set[tuple[UUID, str, str]]) -> None:
        self._assets = assets
        self._known = known
        self._ledger: dict[tuple[UUID, str], Balance] = {}
        self._holdings: dict[tuple[UUID, str], Holding] = {}
        self._entries: list[Entry] = []
        self._changed_ledger: dict[tuple[UUID, str], UserId] = {}
        self._changed_holdings: dict[tuple[UUID, str], tuple[UserId, datetime]] = {}

    @classmethod
    async def load(cls, sql: Sql, events: list[MoneyEvent]) -> "_Books":
        accounts = list({event.account_id for event in events})
        assets = {row["account_id"]: row["asset"] for row in await sql.fetch(_LOAD_ACCOUNTS, accounts)}
        keys = [_key(event) for event in events]
        rows = await sql.fetch(_KNOWN_ENTRIES, *([*column] for column in zip(*keys, strict=True)))
        books = cls(assets, {(row["account_id"], row["kind"], row["entry_id"]) for row in rows})
        for row in await sql.fetch(_LOAD_LEDGER, accounts):
            books._ledger[row["account_id"], row["asset"]] = Balance(
                row["transfers"], row["realized_pnl"], row["commission"], row["funding"]
            )
        for row in await sql.fetch(_LOAD_POSITIONS, accounts):
            books._holdings[row["account_id"], row["symbol"]] = Holding(
                row["quantity"],
                row["cost_basis"],
                row["realized_pnl"],
                row["commission"],
                row["funding"],
                row["strategy_id"],
            )
        return books

    def apply(self, event: MoneyEvent) -> None:
        if _key(event) in self._known:
            return
        match event:
            case OrderFilled() | TradeBooked():
                self._execute(event)
            case FundingPaid():
                self._fund(event)
            case ChargeBooked():
                self._book(_charge_entry(event), Balance(commission=-event.amount))
            case TransferRecorded():
                self._book(_transfer_entry(event), Balance(transfers=event.amount))
            case _:
                assert_never(event)

    async def save(self, sql: Sql) -> None:
        if not self._entries:
            return
        await sql.executemany(_SAVE_ENTRY, [_entry_values(entry) for entry in self._entries])
        await sql.executemany(
            _SAVE_LEDGER,
            [
                (*key, user_id, row.transfers, row.realized_pnl, row.commission, row.funding)
                for key, user_id in self._changed_ledger.items()
                for row in (self._ledger[key],)
            ],
        )
        await sql.executemany(
            _SAVE_POSITION,
            [
                (*key, user_id, *_holding_values(self._holdings[key]), at)
                for key, (user_id, at) in self._changed_holdings.items()
            ],
        )

    def _execute(self, event: OrderFilled | TradeBooked) -> None:
        quote_asset = self._assets[event.account_id]
        key = (event.account_id, event.symbol)
        holding = after_fill(self._holdings.get(key, Holding()), event, quote_asset)
        self._hold(key, holding, event.user_id, _executed_at(event))
        realized = _fill_entry(event, EntryKind.REALIZED_PNL, quote_asset, event.realized_pnl)
        self._book(realized, Balance(realized_pnl=event.realized_pnl))
        if event.commission or event.commission_asset:
            with localcontext(EXACT):
                paid = _fill_entry(event, EntryKind.COMMISSION, event.commission_asset, -event.commission)
            self._book(paid, Balance(commission=event.commission))

    def _fund(self, event: FundingPaid) -> None:
        key = (event.account_id, event.symbol)
        holding = self._holdings.get(key, Holding())
        paid = after_funding(holding, event, self._assets[event.account_id])
        self._hold(key, paid, event.user_id, event.funding_time)
        entry = Entry(
            event.account_id,
            EntryKind.FUNDING,
            event.record_id,
            event.user_id,
            event.asset,
            event.amount,
            event.symbol,
            holding.strategy_id,
            event.funding_time,
        )
        self._book(entry, Balance(funding=event.amount))

    def _hold(self, key: tuple[UUID, str], holding: Holding, user_id: UserId, at: datetime) -> None:
        self._holdings[key] = holding
        self._changed_holdings[key] = (user_id, at)

    def _book(self, entry: Entry, change: Balance) -> None:
        key = (entry.account_id, entry.asset)
        self._known.add(entry.key)
        self._entries.append(entry)
        self._ledger[key] = self._ledger.get(key, Balance()).plus(change)
        self._changed_ledger[key] = entry.user_id


class EquityProjection:
    """read.equity_series: every sample, by its place in the account's ledger stream."""

    name: ClassVar[str] = "equity_series"
    tables: ClassVar[tuple[str, ...]] = ("equity_series",)
    event_types: ClassVar[frozenset[str]] = frozenset({"account.equity_sampled"})

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write one row per sample."""
        await sql.executemany(
            """
            INSERT INTO read.equity_series
                (account_id, version, user_id, reason, asset, wallet_balance, equity, sampled_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (account_id, version) DO NOTHING
            """,
            [_sample_values(recorded.event, recorded.envelope.stream_version) for recorded in batch],
        )


class ClosedPositionsProjection:
    """read.closed_positions: one row per bracket that is over."""

    name: ClassVar[str] = "closed_positions"
    tables: ClassVar[tuple[str, ...]] = ("closed_positions",)
    event_types: ClassVar[frozenset[str]] = frozenset({"position.closed"})

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        """Write one row per closed bracket."""
        events: Iterable[PositionClosed] = (recorded.event for recorded in batch)
        await sql.executemany(
            """
            INSERT INTO read.closed_positions (group_id, user_id, account_id, strategy_id, symbol, quantity,
                entry_price, exit_price, realized_pnl, commission_assets, commission_amounts, close_reason, opened_at,
                closed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (group_id) DO NOTHING
            """,
            [
                (
                    event.group_id,
                    event.user_id,
                    event.account_id,
                    event.strategy_id,
                    event.symbol,
                    event.quantity,
                    event.entry_price,
                    event.exit_price,
                    event.realized_pnl,
                    [paid.asset for paid in event.commissions],
                    [paid.amount for paid in event.commissions],
                    event.close_reason,
                    event.opened_at,
                    event.closed_at,
                )
                for event in events
            ],
        )


def _moves_money(event: object) -> bool:
    """Return whether an event is booked here: an execution of an order of ours came as its fill."""
    return isinstance(event, MoneyEvent) and not (
        isinstance(event, TradeBooked) and event.origin is TradeOrigin.PATRIOT
    )


def _transfer_entry(event: TransferRecorded) -> Entry:
    return Entry(
        event.account_id,
        EntryKind.TRANSFER,
        event.record_id,
        event.user_id,
        event.asset,
        event.amount,
        None,
        None,
        event.transferred_at,
    )


def _charge_entry(event: ChargeBooked) -> Entry:
    return Entry(
        event.account_id,
        EntryKind.COMMISSION,
        event.record_id,
        event.user_id,
        event.asset,
        event.amount,
        event.symbol or None,
        None,
        event.booked_at,
    )


def _fill_entry(event: OrderFilled | TradeBooked, kind: EntryKind, asset: str, amount: Decimal) -> Entry:
    return Entry(
        event.account_id,
        kind,
        _fill_id(event),
        event.user_id,
        asset,
        amount,
        event.symbol,
        event.strategy_id if isinstance(event, OrderFilled) else None,
        _executed_at(event),
    )


def _fill_id(event: OrderFilled | TradeBooked) -> str:
    owner = event.order_id if isinstance(event, OrderFilled) else event.symbol
    return f"{owner}:{event.trade_id}"


def _executed_at(event: OrderFilled | TradeBooked) -> datetime:
    return event.filled_at if isinstance(event, OrderFilled) else event.traded_at


def _key(event: MoneyEvent) -> tuple[UUID, str, str]:
    """Return the key of the first entry of an event: all of its entries are booked together."""
    match event:
        case OrderFilled() | TradeBooked():
            return (event.account_id, EntryKind.REALIZED_PNL, _fill_id(event))
        case ChargeBooked():
            return (event.account_id, EntryKind.COMMISSION, event.record_id)
        case FundingPaid():
            return (event.account_id, EntryKind.FUNDING, event.record_id)
        case TransferRecorded():
            return (event.account_id, EntryKind.TRANSFER, event.record_id)


def _entry_values(entry: Entry) -> tuple[object, ...]:
    return (
        entry.account_id,
        entry.kind,
        entry.entry_id,
        entry.user_id,
        entry.asset,
        entry.amount,
        entry.symbol,
        entry.strategy_id,
        entry.booked_at,
    )


def _holding_values(holding: Holding) -> tuple[object, ...]:
    return (
        holding.quantity,
        holding.cost_basis,
        holding.realized_pnl,
        holding.commission,
        holding.funding,
        holding.strategy_id,
    )


def _sample_values(event: EquitySampled, version: int) -> tuple[object, ...]:
    return (
        event.account_id,
        version,
        event.user_id,
        event.reason,
        event.asset,
        event.wallet_balance,
        event.equity,
        event.sampled_at,
    )
