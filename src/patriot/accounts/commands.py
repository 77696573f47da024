"""Wishes to an exchange account, and reports about its money. What the exchange said arrives inside."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from patriot.accounts.events import PositionMode, PositionSample, SampleReason, TradeOrigin
from patriot.trading.reports import IncomeRecord, KeyPermissions
from patriot.trading.terms import AccountId, Environment, Exchange, Side, UserId


@dataclass(frozen=True, slots=True)
class LinkAccount:
    """Link an account whose key was checked. `permissions` is None when the exchange does not know the key.

    `venue_account_id` is None where the key did not tell; whether another holds it is for its own stream to say.
    """

    account_id: AccountId
    user_id: UserId
    exchange: Exchange
    environment: Environment
    permissions: KeyPermissions | None
    position_mode: PositionMode
    quote_asset: str
    credential_version: int
    accounts_of_user: int  # linked before this one
    at: datetime
    venue_account_id: UUID | None = None
    linked_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class ReplaceCredentials:
    """Put another key in the place of the account's key."""

    account_id: AccountId
    permissions: KeyPermissions | None
    credential_version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordPermissions:
    """What the key may do now; one that gained a forbidden right suspends the account."""

    account_id: AccountId
    permissions: KeyPermissions | None
    at: datetime


@dataclass(frozen=True, slots=True)
class SuspendAccount:
    account_id: AccountId
    reason_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ResumeAccount:
    """Trade again, with a key that was checked again."""

    account_id: AccountId
    permissions: KeyPermissions | None
    reason_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class UnlinkAccount:
    account_id: AccountId
    open_positions: int
    open_orders: int
    reason_code: str
    at: datetime
    venue_account_id: UUID | None = None


AccountCommand = LinkAccount | ReplaceCredentials | RecordPermissions | SuspendAccount | ResumeAccount | UnlinkAccount


@dataclass(frozen=True, slots=True)
class ClaimVenueAccount:
    """Hold an exchange's account for an account of ours; without an id there is nothing to hold."""

    venue_account_id: UUID | None
    account_id: AccountId
    user_id: UserId
    at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseVenueAccount:
    venue_account_id: UUID | None
    account_id: AccountId
    at: datetime


VenueAccountCommand = ClaimVenueAccount | ReleaseVenueAccount


@dataclass(frozen=True, slots=True)
class OpenLedger:
    """Begin an account's books with what the exchange shows: its wallet, and the income records that led to it."""

    account_id: AccountId
    user_id: UserId
    asset: str
    wallet_balance: Decimal
    income: tuple[IncomeRecord, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordTransfer:
    account_id: AccountId
    user_id: UserId
    record_id: str
    asset: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordFunding:
    account_id: AccountId
    user_id: UserId
    record_id: str
    symbol: str
    asset: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordTrade:
    """Book one execution; `commission_value` is its commission in the quote asset."""

    account_id: AccountId
    user_id: UserId
    symbol: str
    trade_id: str
    origin: TradeOrigin
    side: Side
    quantity: Decimal
    price: Decimal
    realized_pnl: Decimal
    commission: Decimal
    commission_asset: str
    commission_value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordCharge:
    account_id: AccountId
    user_id: UserId
    record_id: str
    charge: str
    symbol: str
    asset: str
    amount: Decimal
    value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordEquity:
    account_id: AccountId
    user_id: UserId
    reason: SampleReason
    asset: str
    wallet_balance: Decimal
    equity: Decimal
    positions: tuple[PositionSample, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordReconciliation:
    """What a wallet held when it was sampled, beyond what the events give; found out at `at`, from a later sample."""

    account_id: AccountId
    user_id: UserId
    unexplained: Decimal
    sampled_at: datetime
    at: datetime


LedgerCommand = (
    OpenLedger | RecordTransfer | RecordFunding | RecordTrade | RecordCharge | RecordEquity | RecordReconciliation
)
