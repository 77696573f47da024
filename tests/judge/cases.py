"""A small sound case for judges: one bracket of one account, as the log and as the exchange tell it.

An account is funded with 1,000, buys 2 at 100, has a stop at 90 at once, is stopped out an hour later, and on the way
receives funding of 0.5. Tests break one thing of it.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from patriot.execution.events import PositionProtected
from patriot.judge.case import Case
from patriot.judge.exchange_books import VenueAccount, VenueOrderRecord, VenueTrade
from patriot.judge.log_evidence import LogEvidence
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.events import OrderAccepted, OrderApproved, OrderCreated, OrderSubmitted
from patriot.risk.events import ExposureReleased, ExposureReserved
from patriot.trading.terms import Leg, Side
from tests.portfolio.facts import ALICES, NOON, TREND, closed, created, filled, funding, group, order_id, transfer

LATER = NOON + timedelta(hours=1)
MARK = Decimal(91)
PREFIX = client_id_prefix(group(1))
ENTRY_ID, STOP_ID = client_order_id(PREFIX, Leg.ENTRY, 1), client_order_id(PREFIX, Leg.STOP, 1)


def intent(leg: Leg, sequence: int = 1) -> OrderCreated:
    side = Side.BUY if leg is Leg.ENTRY else Side.SELL
    client_id = client_order_id(PREFIX, leg, sequence)
    return replace(created(1, leg, side=side, sequence=sequence), client_order_id=client_id, client_id_prefix=PREFIX)


def sent(leg: Leg, sequence: int = 1) -> list[object]:
    """Return the events of an order that the exchange took."""
    order = intent(leg, sequence)
    one = order.order_id
    return [
        order,
        OrderApproved(one),
        OrderSubmitted(one, order.client_order_id, 1, NOON),
        OrderAccepted(one, ALICES, f"v{leg}", NOON),
    ]


RESERVED = ExposureReserved(ALICES, order_id(1), TREND, "BTCUSDT", Decimal(200))
RELEASED = ExposureReleased(ALICES, order_id(1), "BTCUSDT")
PROTECTED = PositionProtected(group(1), ALICES, "BTCUSDT", NOON, NOON, Decimal("0.02"))
FUNDING = funding("0.5")
EVENTS: list[object] = [
    transfer("1000"),
    RESERVED,
    *sent(Leg.ENTRY),
    filled(1, "2", "100", trade="1"),
    *sent(Leg.STOP),
    PROTECTED,
    FUNDING,
    filled(1, "2", "90", "-20", leg=Leg.STOP, side=Side.SELL, trade="2", at=LATER),
    closed(1),
    RELEASED,
]
ENTRY = VenueOrderRecord(
    client_order_id=ENTRY_ID,
    symbol="BTCUSDT",
    conditional=False,
    side="BUY",
    order_type="MARKET",
    reduce_only=False,
    quantity=Decimal(2),
    status="FILLED",
    created_at=NOON,
    updated_at=NOON,
    triggered_at=None,
)
STOP = VenueOrderRecord(
    client_order_id=STOP_ID,
    symbol="BTCUSDT",
    conditional=True,
    side="SELL",
    order_type="STOP_MARKET",
    reduce_only=True,
    quantity=Decimal(2),
    status="FINISHED",
    created_at=NOON,
    updated_at=LATER,
    triggered_at=LATER,
)
BOUGHT = VenueTrade("1", "11", "BTCUSDT", "BUY", Decimal(2), Decimal(100), Decimal("0.05"), Decimal(0), NOON)
STOPPED = VenueTrade("2", "12", "BTCUSDT", "SELL", Decimal(2), Decimal(90), Decimal("0.05"), Decimal(-20), LATER)
WALLET = Decimal("980.40")
ACCOUNT = VenueAccount(
    uid=1,
    permissions=frozenset({"read", "trade"}),
    wallet=WALLET,
    equity=WALLET,
    orders=(ENTRY, STOP),
    trades=(BOUGHT, STOPPED),
    positions={},
    order_client_ids={"11": ENTRY_ID, "12": STOP_ID},
    as_of=LATER + timedelta(minutes=1),
)


def case(events: Iterable[object] = EVENTS, account: VenueAccount = ACCOUNT) -> Case:
    """Return a case of these events and this account of the exchange."""
    log = LogEvidence()
    for event in events:
        log.events += 1
        log.take(event)
    return Case(log, {ALICES: account}, {"BTCUSDT": MARK})


def without(*gone: object) -> list[object]:
    """Return the events but for some."""
    left = [event for event in EVENTS if event not in gone]
    assert len(left) == len(EVENTS) - len(gone), "every event that is taken away was there"
    return left
