"""Facts of exchange accounts: their life (stream type ACCOUNT) and their money as the exchange reports it (BALANCE)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.trading.terms import AccountId, Environment, Exchange, Side, UserId

STREAM_TYPE = "ACCOUNT"
LEDGER_STREAM_TYPE = "BALANCE"  # stream id: derived_id("balance", account_id)
VENUE_ACCOUNT_STREAM_TYPE = "VENUE_ACCOUNT"


def account_stream(account_id: AccountId) -> StreamKey:
    """Return the stream of an account's life."""
    return StreamKey(STREAM_TYPE, account_id)


def ledger_id(account_id: AccountId) -> UUID:
    """Return the id of an account's BALANCE stream."""
    return derived_id("balance", account_id)


def ledger_stream(account_id: AccountId) -> StreamKey:
    """Return the stream of an account's money."""
    return StreamKey(LEDGER_STREAM_TYPE, ledger_id(account_id))


def venue_account_id(exchange: Exchange, environment: Environment, identity: str) -> UUID:
    """Return the id of what an exchange knows as one account, whatever key speaks for it."""
    return derived_id("venue account", exchange, environment, identity)


def venue_account_stream(of: UUID) -> StreamKey:
    """Return the stream of who holds an exchange's account."""
    return StreamKey(VENUE_ACCOUNT_STREAM_TYPE, of)


class AccountStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    UNLINKED = "UNLINKED"


class PositionMode(StrEnum):
    ONE_WAY = "ONE_WAY"
    HEDGE = "HEDGE"


class CredentialProblem(StrEnum):
    INVALID = "INVALID"
    WITHDRAW_ENABLED = "WITHDRAW_ENABLED"
    TRANSFER_ENABLED = "TRANSFER_ENABLED"
    NO_TRADE_PERMISSION = "NO_TRADE_PERMISSION"
    NO_READ_PERMISSION = "NO_READ_PERMISSION"
    IP_NOT_ALLOWED = "IP_NOT_ALLOWED"
    EXPIRED = "EXPIRED"
    LINKED_ELSEWHERE = "LINKED_ELSEWHERE"


class SampleReason(StrEnum):
    HOURLY = "HOURLY"
    TRANSFER = "TRANSFER"
    PERIOD_END = "PERIOD_END"
    LINKED = "LINKED"


class TradeOrigin(StrEnum):
    """Whose order an execution belongs to."""

    PATRIOT = "PATRIOT"
    CLIENT = "CLIENT"  # placed by hand, or by another program
    EXCHANGE = "EXCHANGE"  # a liquidation, auto-deleveraging, a settlement


@event("account.linked")
@dataclass(frozen=True, slots=True)
class AccountLinked:
    """The account trades by a client's key, for the first time or again: its books and what was charged go on."""

    account_id: AccountId
    user_id: UserId
    exchange: Exchange
    environment: Environment
    position_mode: PositionMode
    quote_asset: str
    credential_version: int
    linked_at: datetime
    venue_account_id: UUID | None = None  # by what the exchange calls it; None: linked before that was asked


@event("account.credentials_rejected")
@dataclass(frozen=True, slots=True)
class CredentialsRejected:
    """The key was refused at linking, or lost its innocence later."""

    account_id: AccountId
    user_id: UserId
    exchange: Exchange
    reason_code: CredentialProblem
    rejected_at: datetime


@event("account.credentials_updated")
@dataclass(frozen=True, slots=True)
class CredentialsUpdated:
    account_id: AccountId
    user_id: UserId
    credential_version: int
    updated_at: datetime


@event("account.status_changed")
@dataclass(frozen=True, slots=True)
class AccountStatusChanged:
    account_id: AccountId
    user_id: UserId
    previous_status: AccountStatus
    new_status: AccountStatus
    reason_code: str
    changed_at: datetime


@event("account.unlinked")
@dataclass(frozen=True, slots=True)
class AccountUnlinked:
    account_id: AccountId
    user_id: UserId
    exchange: Exchange
    reason_code: str
    unlinked_at: datetime


AccountEvent = AccountLinked | CredentialsRejected | CredentialsUpdated | AccountStatusChanged | AccountUnlinked


@event("venue_account.claimed")
@dataclass(frozen=True, slots=True)
class VenueAccountClaimed:
    """A user linked an exchange's account: nobody else can until it is released."""

    venue_account_id: UUID
    account_id: AccountId
    user_id: UserId
    claimed_at: datetime


@event("venue_account.claim_refused")
@dataclass(frozen=True, slots=True)
class VenueAccountRefused:
    """A user offered a key of an exchange's account that another account holds."""

    venue_account_id: UUID
    account_id: AccountId
    user_id: UserId
    refused_at: datetime


@event("venue_account.released")
@dataclass(frozen=True, slots=True)
class VenueAccountReleased:
    venue_account_id: UUID
    account_id: AccountId
    released_at: datetime


VenueAccountEvent = VenueAccountClaimed | VenueAccountRefused | VenueAccountReleased


@event("account.ledger_opened")
@dataclass(frozen=True, slots=True)
class LedgerOpened:
    """The books of an account begin: everything the exchange booked up to `settled_until` is inside `wallet_balance`.

    The wallet itself follows as transfers, the last one with the record id "opening" for what no transfer explains.
    `settled_records` are the income records shortly before, so that one of the same instant is not taken for a new one.
    """

    account_id: AccountId
    user_id: UserId
    asset: str
    wallet_balance: Decimal
    settled_until: datetime
    settled_records: tuple[str, ...]
    opened_at: datetime


@event("account.transfer_recorded")
@dataclass(frozen=True, slots=True)
class TransferRecorded:
    """Money moved in (positive) or out (negative), as the exchange's income record says."""

    account_id: AccountId
    user_id: UserId
    record_id: str  # the exchange's own id: recorded once
    asset: str
    amount: Decimal
    transferred_at: datetime


@event("funding.paid")
@dataclass(frozen=True, slots=True)
class FundingPaid:
    """Funding received (positive) or paid (negative)."""

    account_id: AccountId
    user_id: UserId
    record_id: str
    symbol: str
    asset: str
    amount: Decimal
    funding_time: datetime


@event("account.trade_booked")
@dataclass(frozen=True, slots=True)
class TradeBooked:
    """One execution on the account, whoever sent its order, as the exchange booked it.

    Units: quantity base asset; price and realized PnL quote asset; commission in its own asset, positive when paid, and
    what it was worth in the quote asset at its time.
    """

    account_id: AccountId
    user_id: UserId
    symbol: str
    trade_id: str  # the exchange's own, unique within the symbol: booked once
    origin: TradeOrigin
    side: Side
    quantity: Decimal
    price: Decimal
    realized_pnl: Decimal
    commission: Decimal
    commission_asset: str
    commission_value: Decimal
    traded_at: datetime


@event("account.charge_booked")
@dataclass(frozen=True, slots=True)
class ChargeBooked:
    """A charge (negative) or a rebate (positive) of trading: a liquidation's fee, commission that came back.

    `value` is what the amount was worth in the quote asset at its time. Without a symbol it is for all of them.
    """

    account_id: AccountId
    user_id: UserId
    record_id: str
    charge: str  # the exchange's name of it
    symbol: str
    asset: str
    amount: Decimal
    value: Decimal
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class PositionSample:
    """One open position as the exchange reports it. Units: base asset, quote per base, quote."""

    symbol: str
    quantity: Decimal  # signed: negative is short
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal


@event("account.equity_sampled")
@dataclass(frozen=True, slots=True)
class EquitySampled:
    """What the exchange says the account is worth, in quote asset: equity = wallet_balance + sum of unrealized_pnl."""

    account_id: AccountId
    user_id: UserId
    reason: SampleReason
    asset: str
    wallet_balance: Decimal
    equity: Decimal
    positions: tuple[PositionSample, ...]
    sampled_at: datetime


@event("account.reconciled")
@dataclass(frozen=True, slots=True)
class AccountReconciled:
    """The exchange's wallet was compared with the one the events give; `unexplained` is the first minus the second.

    Recorded at the first comparison and whenever the figure changes. `unexplained_since` is the time of the sample that
    first showed money without a record, until all is explained. Unit: the account's quote asset.
    """

    account_id: AccountId
    user_id: UserId
    unexplained: Decimal
    unexplained_since: datetime | None
    reconciled_at: datetime


LedgerEvent = (
    LedgerOpened | TransferRecorded | FundingPaid | TradeBooked | ChargeBooked | EquitySampled | AccountReconciled
)
