"""What the exchange booked on one account, each record once. Pure; the state remembers only what keeps repeats out."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from patriot.accounts.commands import (
    LedgerCommand,
    OpenLedger,
    RecordCharge,
    RecordEquity,
    RecordFunding,
    RecordReconciliation,
    RecordTrade,
    RecordTransfer,
)
from patriot.accounts.events import (
    AccountReconciled,
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerEvent,
    LedgerOpened,
    SampleReason,
    TradeBooked,
    TransferRecorded,
)
from patriot.kernel.aggregate import Decider
from patriot.kernel.money import ZERO
from patriot.trading.reports import IncomeRecord, IncomeType

REMEMBERED = timedelta(days=3)  # records that are kept apart by their ids; as far back the exchange is asked again
SETTLING = timedelta(hours=1)  # before the opening: the exchange may show a record so much later than it booked it
REMEMBERED_TRADES = 1_024  # the newest, however old they are
OPENING = "opening"
BOOKED = (IncomeType.TRANSFER, IncomeType.FUNDING_FEE, IncomeType.CHARGE)  # from income; the rest comes with the trades


@dataclass(frozen=True, slots=True)
class Ledger:
    asset: str | None = None  # that samples are taken in; None: not opened
    began_at: datetime | None = None  # everything up to then is inside the opening balance
    newest: datetime | None = None  # of all records
    recent: dict[str, datetime] = field(default_factory=dict)  # records not older than REMEMBERED before the newest
    closed_until: datetime | None = None  # of the newest record whose id is forgotten, or that the opening settled
    unsampled: bool = False  # money of the sampled asset moved in or out, and no sample shows it yet
    sampled: bool = False
    sampled_hours: dict[SampleReason, datetime] = field(default_factory=dict)
    trades: dict[str, datetime] = field(default_factory=dict)  # (symbol and id) those that may come again
    reconciled: AccountReconciled | None = None

    @property
    def opened(self) -> bool:
        """Return whether the books have begun."""
        return self.asset is not None

    def has_hour(self, reason: SampleReason, at: datetime) -> bool:
        """Return whether the hour of a moment, or a later one, was sampled for a reason."""
        newest = self.sampled_hours.get(reason)
        return newest is not None and _hour(at) <= newest

    def knows(self, record_id: str, at: datetime) -> bool:
        """Return whether a record was taken before. However late, it is new unless its id may be forgotten."""
        return record_id in self.recent or (self.closed_until is not None and at <= self.closed_until)

    def lacks_trade(self, symbol: str, trade_id: str, at: datetime) -> bool:
        """Return whether an execution happened since the books began and was not booked."""
        began = self.began_at
        return began is not None and at > began and _trade_key(symbol, trade_id) not in self.trades


def decide(ledger: Ledger, command: LedgerCommand) -> list[LedgerEvent]:
    """Return what a report adds. Reports of the exchange are never refused."""
    match command:
        case OpenLedger() as c:
            return [] if ledger.opened else _open(c)
        case RecordTransfer() as c:
            if not c.amount or ledger.knows(c.record_id, c.at):
                return []
            return [TransferRecorded(c.account_id, c.user_id, c.record_id, c.asset, c.amount, c.at)]
        case RecordFunding() as c:
            if not c.amount or ledger.knows(c.record_id, c.at):
                return []
            return [FundingPaid(c.account_id, c.user_id, c.record_id, c.symbol, c.asset, c.amount, c.at)]
        case RecordTrade() as c:
            return [_trade(c)] if ledger.lacks_trade(c.symbol, c.trade_id, c.at) else []
        case RecordCharge() as c:
            if not c.amount or ledger.knows(c.record_id, c.at):
                return []
            return [
                ChargeBooked(c.account_id, c.user_id, c.record_id, c.charge, c.symbol, c.asset, c.amount, c.value, c.at)
            ]
        case RecordEquity() as c:
            return _sample(ledger, c)
        case RecordReconciliation() as c:
            return _reconcile(ledger, c)
        case _:
            assert_never(command)


def _open(c: OpenLedger) -> list[LedgerEvent]:
    """Begin the books: the wallet is what transfers brought, and the rest in one opening entry."""
    settled_until = max([c.at, *(record.at for record in c.income)])
    close = [r for r in c.income if r.income_type in BOOKED and r.at > settled_until - SETTLING]
    transfers = [r for r in c.income if r.income_type is IncomeType.TRANSFER and r.amount]
    rest = c.wallet_balance - sum((r.amount for r in transfers if r.asset == c.asset), ZERO)
    opened = LedgerOpened(
        account_id=c.account_id,
        user_id=c.user_id,
        asset=c.asset,
        wallet_balance=c.wallet_balance,
        settled_until=settled_until,
        settled_records=tuple(record.record_id for record in close),
        opened_at=c.at,
    )
    events: list[LedgerEvent] = [opened]
    events += [_transfer(c, record) for record in transfers]
    if rest:
        events.append(TransferRecorded(c.account_id, c.user_id, OPENING, c.asset, rest, settled_until))
    return events


def _transfer(c: OpenLedger, record: IncomeRecord) -> TransferRecorded:
    return TransferRecorded(c.account_id, c.user_id, record.record_id, record.asset, record.amount, record.at)


def _trade(c: RecordTrade) -> TradeBooked:
    return TradeBooked(
        account_id=c.account_id,
        user_id=c.user_id,
        symbol=c.symbol,
        trade_id=c.trade_id,
        origin=c.origin,
        side=c.side,
        quantity=c.quantity,
        price=c.price,
        realized_pnl=c.realized_pnl,
        commission=c.commission,
        commission_asset=c.commission_asset,
        commission_value=c.commission_value,
        traded_at=c.at,
    )


def _trade_key(symbol: str, trade_id: str) -> str:
    return f"{symbol}:{trade_id}"


def _sample(ledger: Ledger, c: RecordEquity) -> list[LedgerEvent]:
    match c.reason:
        case SampleReason.TRANSFER | SampleReason.LINKED:
            repeated = not ledger.unsampled
        case SampleReason.HOURLY | SampleReason.PERIOD_END:
            repeated = ledger.has_hour(c.reason, c.at)
        case _:
            assert_never(c.reason)
    if repeated:
        return []
    return [
        EquitySampled(
            account_id=c.account_id,
            user_id=c.user_id,
            reason=c.reason,
            asset=c.asset,
            wallet_balance=c.wallet_balance,
            equity=c.equity,
            positions=c.positions,
            sampled_at=c.at,
        )
    ]


def _reconcile(ledger: Ledger, c: RecordReconciliation) -> list[LedgerEvent]:
    last = ledger.reconciled
    if last is not None and (c.unexplained == last.unexplained or c.at <= last.reconciled_at):
        return []  # nothing new, or repeated
    since = c.sampled_at if c.unexplained else None
    if c.unexplained and last is not None and last.unexplained_since is not None:
        since = last.unexplained_since  # it was not explained before: its age goes on
    return [AccountReconciled(c.account_id, c.user_id, c.unexplained, since, c.at)]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def evolve(ledger: Ledger, event: LedgerEvent) -> Ledger:
    """Return the ledger after an event."""
    match event:
        case LedgerOpened():
            recent = dict.fromkeys(event.settled_records, event.settled_until)
            return replace(
                ledger,
                asset=event.asset,
                began_at=event.settled_until,
                newest=event.settled_until,
                recent=recent,
                closed_until=event.settled_until - SETTLING,
                unsampled=True,
            )
        case TransferRecorded():
            unsampled = ledger.unsampled or event.asset == ledger.asset
            return replace(_after(ledger, event.record_id, event.transferred_at), unsampled=unsampled)
        case FundingPaid():
            return _after(ledger, event.record_id, event.funding_time)
        case ChargeBooked():
            return _after(ledger, event.record_id, event.booked_at)
        case TradeBooked():
            return replace(ledger, trades=_with_trade(ledger, event))
        case EquitySampled():
            shows_transfer = event.reason in (SampleReason.TRANSFER, SampleReason.LINKED)
            hours = (
                ledger.sampled_hours
                if shows_transfer
                else {**ledger.sampled_hours, event.reason: _hour(event.sampled_at)}
            )
            unsampled = ledger.unsampled and not shows_transfer
            return replace(ledger, sampled=True, sampled_hours=hours, unsampled=unsampled)
        case AccountReconciled():
            return replace(ledger, reconciled=event)
        case _:
            assert_never(event)


def _after(ledger: Ledger, record_id: str, at: datetime) -> Ledger:
    newest = at if ledger.newest is None else max(ledger.newest, at)
    recent = {**ledger.recent, record_id: at}
    forgotten = {known: when for known, when in recent.items() if when < newest - REMEMBERED}
    closed_until = max((*forgotten.values(), *((ledger.closed_until,) if ledger.closed_until else ())), default=None)
    kept = {known: when for known, when in recent.items() if known not in forgotten}
    return replace(ledger, newest=newest, recent=kept, closed_until=closed_until)


def _with_trade(ledger: Ledger, event: TradeBooked) -> dict[str, datetime]:
    """Forget what is older than what the exchange is asked for again, but never the newest."""
    trades = {**ledger.trades, _trade_key(event.symbol, event.trade_id): event.traded_at}
    oldest, at = next(iter(trades.items()))
    if len(trades) > REMEMBERED_TRADES and at < read_from(ledger, at):
        del trades[oldest]
    return trades


def missing_equity(ledger: Ledger) -> SampleReason | None:
    """Return why a sample is due, or None: money moved, and nothing shows what the account was worth then."""
    if not ledger.unsampled:
        return None
    return SampleReason.TRANSFER if ledger.sampled else SampleReason.LINKED


def read_from(ledger: Ledger, fallback: datetime) -> datetime:
    """Return the time from which income may hold records that are new."""
    if ledger.newest is None:
        return fallback
    since = ledger.newest - REMEMBERED
    return since if ledger.closed_until is None else max(since, ledger.closed_until)


LEDGER = Decider(initial=Ledger(), decide=decide, evolve=evolve)
