"""What the log says of a run: intents, routes, fills, protection, reservations, money; in one pass over it."""

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from patriot.accounts.events import (
    AccountLinked,
    AccountStatus,
    AccountStatusChanged,
    ChargeBooked,
    CredentialsRejected,
    EquitySampled,
    FundingPaid,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
)
from patriot.billing.events import InvoiceDrafted, InvoiceIssued
from patriot.execution.events import (
    PositionAdjusted,
    PositionClosed,
    PositionProtected,
    ProtectionFailed,
    RoutedAccount,
    SignalRouted,
)
from patriot.execution.followers import BookEvent, FollowerBook
from patriot.kernel.eventstore import START, Place
from patriot.kernel.feed import LogFeed
from patriot.kernel.projection import Recorded
from patriot.orders.decider import PROVEN_ABSENT
from patriot.orders.events import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCreated,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
)
from patriot.portfolio.valuation import AccountBook
from patriot.risk.events import ExposureReleased, ExposureReserved
from patriot.strategies.events import SignalGenerated
from patriot.trading.terms import AccountId, Leg, OrderId, SignalId


@dataclass(slots=True)
class LoggedAccount:
    """One account as the log has it."""

    book: AccountBook = field(default_factory=lambda: AccountBook("USDT"))
    opened: bool = False  # any money was recorded: before its books are open, an account's wallet says nothing
    fills: dict[str, OrderFilled] = field(default_factory=dict)
    repeated_fills: list[str] = field(default_factory=list)  # trade ids that the log counts twice
    booked: set[tuple[str, str]] = field(default_factory=set)  # symbol and trade id of what others executed
    samples: list[EquitySampled] = field(default_factory=list)


@dataclass(slots=True)
class LogEvidence:
    """Everything a judge needs from the log, in one pass over it."""

    events: int = 0
    signals: dict[SignalId, Place] = field(default_factory=dict)  # where in the log
    followers: dict[SignalId, tuple[AccountId, ...]] = field(default_factory=dict)  # when the signal was recorded
    routed: dict[tuple[SignalId, AccountId], RoutedAccount] = field(default_factory=dict)
    intents: dict[OrderId, OrderCreated] = field(default_factory=dict)
    approved: set[OrderId] = field(default_factory=set)
    submissions: dict[OrderId, list[OrderSubmitted]] = field(default_factory=lambda: defaultdict(list))
    sent_when_known: set[OrderId] = field(default_factory=set)  # again after the exchange was known to have it
    unknowns: dict[OrderId, list[int]] = field(default_factory=lambda: defaultdict(list))  # submissions before each
    known: set[OrderId] = field(default_factory=set)  # accepted, filled, canceled or expired
    left_unknown: set[OrderId] = field(default_factory=set)  # asked about, and never answered
    rejected: dict[OrderId, OrderRejected] = field(default_factory=dict)
    protected: dict[OrderId, PositionProtected] = field(default_factory=dict)
    protection_failed: set[OrderId] = field(default_factory=set)
    closed: Counter[OrderId] = field(default_factory=Counter)  # how often each bracket was recorded as over
    closed_elsewhere: dict[OrderId, Decimal] = field(default_factory=dict)  # base asset, of a bracket, all together
    filled: dict[OrderId, Decimal] = field(default_factory=lambda: defaultdict(Decimal))  # base asset
    ended: set[OrderId] = field(default_factory=set)  # rejected, canceled, expired, or filled to the last
    reserved: dict[OrderId, ExposureReserved] = field(default_factory=dict)  # and not released
    accounts: dict[AccountId, LoggedAccount] = field(default_factory=lambda: defaultdict(LoggedAccount))
    linked: dict[AccountId, AccountLinked] = field(default_factory=dict)
    unlinked: set[AccountId] = field(default_factory=set)  # their keys were destroyed
    suspended: set[AccountId] = field(default_factory=set)  # nothing is entered under their keys
    refused_keys: int = 0
    invoices: list[tuple[AccountId, str]] = field(default_factory=list)

    _book: FollowerBook = field(default_factory=FollowerBook)

    def take(self, event: object, place: Place = START) -> None:
        """Take in one event."""
        if isinstance(event, BookEvent):
            with suppress(KeyError):  # of a strategy whose creation the log has lost
                self._book.apply(event)
        match event:
            case SignalGenerated():
                self.signals[event.signal_id] = place
                followers = self._book.in_turn(event.strategy_id, event.signal_id)
                self.followers[event.signal_id] = tuple(follower.account_id for follower in followers)
            case SignalRouted():
                self.routed |= {(event.signal_id, account.account_id): account for account in event.accounts}
            case OrderCreated():
                self.intents[event.order_id] = event
            case OrderApproved():
                self.approved.add(event.order_id)
            case OrderSubmitted():
                self.submissions[event.order_id].append(event)
                if event.order_id in self.known:
                    self.sent_when_known.add(event.order_id)
            case OrderSubmissionUnknown():
                self.left_unknown.add(event.order_id)
                self.unknowns[event.order_id].append(len(self.submissions[event.order_id]))
            case OrderRejected():
                self.rejected[event.order_id] = event
                self.left_unknown.discard(event.order_id)
                self.ended.add(event.order_id)
            case OrderCanceled() | OrderExpired():
                self._found(event.order_id)
                self.ended.add(event.order_id)
            case OrderAccepted():
                self._found(event.order_id)
            case _:
                self._take_bracket(event)

    def _take_bracket(self, event: object) -> None:
        match event:
            case ExposureReserved():
                self.reserved[event.order_id] = event
            case ExposureReleased():
                self.reserved.pop(event.order_id, None)
            case PositionProtected():
                self.protected[event.group_id] = event
            case ProtectionFailed():
                self.protection_failed.add(event.group_id)
            case PositionAdjusted():
                self.closed_elsewhere[event.group_id] = event.closed_elsewhere
            case PositionClosed():
                self.closed[event.group_id] += 1
            case _:
                self._take_money(event)

    def _take_money(self, event: object) -> None:
        match event:
            case OrderFilled():
                account = self.accounts[event.account_id]
                if event.trade_id in account.fills:
                    account.repeated_fills.append(event.trade_id)
                account.fills[event.trade_id] = event
                account.book.apply(event)
                self._found(event.order_id)
                self._note_filled(event)
            case TransferRecorded() | FundingPaid() | TradeBooked() | ChargeBooked():
                account = self.accounts[event.account_id]
                account.book.apply(event)
                account.opened = True
                if isinstance(event, TradeBooked) and event.origin is not TradeOrigin.PATRIOT:
                    account.booked.add((event.symbol, event.trade_id))
            case EquitySampled():
                self.accounts[event.account_id].samples.append(event)
                self.accounts[event.account_id].opened = True
            case AccountLinked():
                self.linked[event.account_id] = event
                self.unlinked.discard(event.account_id)
            case AccountStatusChanged():
                self.suspended.discard(event.account_id)
                if event.new_status is AccountStatus.SUSPENDED:
                    self.suspended.add(event.account_id)
                elif event.new_status is AccountStatus.UNLINKED:
                    self.unlinked.add(event.account_id)
            case CredentialsRejected():
                self.refused_keys += 1
            case InvoiceIssued() | InvoiceDrafted():
                key = (event.account_id, event.period)
                if key not in self.invoices:
                    self.invoices.append(key)

    def _found(self, order_id: OrderId) -> None:
        self.known.add(order_id)
        self.left_unknown.discard(order_id)

    def _note_filled(self, fill: OrderFilled) -> None:
        self.filled[fill.order_id] += fill.quantity
        created = self.intents.get(fill.order_id)
        if created is not None and self.filled[fill.order_id] >= created.quantity:
            self.ended.add(fill.order_id)

    def name(self, order_id: OrderId) -> str:
        """Return what an order is called on the exchange, or by its own id if the log has lost its creation."""
        created = self.intents.get(order_id)
        return created.client_order_id if created is not None else f"order {order_id}"

    def lost_entries(self) -> list[str]:
        """Return the client ids of entries that were noted as sent and never reached the exchange: not sent again."""
        return sorted(
            created.client_order_id
            for order_id, created in self.intents.items()
            if created.leg is Leg.ENTRY
            and order_id in self.rejected
            and self.rejected[order_id].reason_code == PROVEN_ABSENT
        )

    def sent(self) -> dict[OrderId, OrderCreated]:
        """Return the intents that reached the exchange: sent, and not refused."""
        return {
            order_id: created
            for order_id, created in self.intents.items()
            if order_id in self.submissions and order_id not in self.rejected
        }


async def read_log(feed: LogFeed) -> LogEvidence:
    """Read the whole log once. Errors: HistoryDamaged for an event that cannot be read."""
    evidence = LogEvidence()
    async for page in feed.scan():
        for envelope in page:
            evidence.events += 1
            evidence.take(Recorded.of(envelope).event, envelope.place)
    return evidence
