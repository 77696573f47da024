"""What a judge reads: the exchange's state as its own engine writes it, and the log as its events tell it."""

from decimal import Decimal

import pytest

from patriot.accounts.events import CredentialProblem, CredentialsRejected
from patriot.judge.exchange_books import VenueAccount, read_venue
from patriot.judge.log_evidence import LogEvidence
from patriot.kernel.clock import from_epoch_ms
from patriot.orders.events import OrderFilled, OrderRejected, OrderSubmissionUnknown, RejectStage
from patriot.sim.engine.words import Side as VenueSide
from patriot.trading.terms import Exchange, Leg, Side
from tests.judge.cases import EVENTS, PROTECTED, intent, sent
from tests.portfolio.facts import ALICE, ALICES, NOON, filled, funding, linked, order_id, sampled, transfer
from tests.sim.engine.support import Desk

pytestmark = pytest.mark.unit


def venue_account(desk: Desk) -> VenueAccount:
    accounts, _ = read_venue(desk.venue.state())
    return accounts[desk.uid]


def evidence(*events: object) -> LogEvidence:
    log = LogEvidence()
    for event in events:
        log.take(event)
    return log


# The exchange ---------------------------------------------------------------------------------------------------------


def test_plain_order_and_its_trades_are_read_with_their_client_id() -> None:
    desk = Desk()
    desk.market(VenueSide.BUY, "0.5", client_order_id="ours-1")

    account = venue_account(desk)

    (order,) = account.orders
    assert (order.client_order_id, order.conditional, order.side, order.status) == ("ours-1", False, "BUY", "FILLED")
    assert sum(trade.signed_quantity for trade in account.trades) == Decimal("0.5")
    assert {account.order_client_ids[trade.order_id] for trade in account.trades} == {"ours-1"}
    assert account.positions == {"BTCUSDT": Decimal("0.5")}


def test_conditional_order_and_the_order_it_became_are_one() -> None:
    desk = Desk()
    desk.market(VenueSide.BUY, "0.5")
    desk.stop(VenueSide.SELL, "39000", "0.5", client_algo_id="ours-stop", reduce_only=True)
    desk.move("38990")

    account = venue_account(desk)

    stops = [order for order in account.orders if order.conditional]
    assert [(stop.client_order_id, stop.side, stop.quantity) for stop in stops] == [
        ("ours-stop", "SELL", Decimal("0.5"))
    ]
    assert stops[0].triggered_at is not None
    assert len(account.orders) == 2, "the working order was placed by the exchange, not by the client"
    assert account.order_client_ids[account.trades[-1].order_id] == "ours-stop"
    assert account.positions == {}


def test_order_placed_twice_under_one_client_id_is_read_twice() -> None:
    desk = Desk()
    for _ in range(2):
        desk.market(VenueSide.BUY, "0.5", client_order_id="ours-1")

    assert [order.client_order_id for order in venue_account(desk).orders] == ["ours-1", "ours-1"]


def test_rights_are_those_of_the_account_and_of_all_its_keys() -> None:
    desk = Desk()
    state = desk.venue.state()
    keys = {str(desk.uid): [{"api_key": "k", "permissions": ["read", "withdraw"]}]}

    accounts, _ = read_venue({**state, "keys": keys})

    assert venue_account(desk).permissions == {"read", "trade"}
    assert accounts[desk.uid].permissions == {"read", "trade", "withdraw"}


def test_times_on_the_wire_are_read_with_their_trade_and_their_stop() -> None:
    desk = Desk()
    desk.market(VenueSide.BUY, "0.5")
    stop = desk.stop(VenueSide.SELL, "39000", "0.5", client_algo_id="ours-stop", reduce_only=True)
    first = venue_account(desk).trades[0]
    noted = {f"trade:{first.trade_id}": 5, f"placed:{stop.algo_id}": 8, f"ended:{stop.algo_id}": 9}

    accounts, _ = read_venue({**desk.venue.state(), "wire_ms": {"now": 11, "accounts": {str(desk.uid): noted}}})

    account = accounts[desk.uid]
    assert account.wire_now_ms == 11
    assert account.trades[0].wire_ms == 5
    assert [(s.reduce_only, s.wire_placed_ms, s.wire_ended_ms) for s in account.orders if s.conditional] == [
        (True, 8, 9)
    ]
    assert venue_account(desk).trades[0].wire_ms is None


def test_closed_times_are_read_on_both_clocks() -> None:
    desk = Desk()
    uid, state = str(desk.uid), desk.venue.state()
    wire = {"now": 11, "accounts": {}, "closed": {uid: [[3, 5], [7, 8]]}}

    accounts, _ = read_venue({**state, "wire_ms": wire, "closed_ms": {uid: [[1_000, 2_500]]}})

    assert accounts[desk.uid].wire_closed_ms == ((3, 5), (7, 8))
    assert accounts[desk.uid].closed == ((from_epoch_ms(1_000), from_epoch_ms(2_500)),)
    assert (venue_account(desk).closed, venue_account(desk).wire_closed_ms) == ((), ())


def test_equity_and_mark_are_the_exchanges() -> None:
    desk = Desk(balance="1000")
    desk.move("41000", "40990")

    accounts, marks = read_venue(desk.venue.state())

    assert accounts[desk.uid].equity == 1000
    assert marks == {"BTCUSDT": Decimal(40990)}


# The log --------------------------------------------------------------------------------------------------------------


def test_money_events_give_the_books_of_their_account() -> None:
    log = evidence(transfer("100"), funding("0.5"), filled(1, "1", "100"))

    book = log.accounts[ALICES].book
    assert book.wallet == Decimal("100.45")
    assert book.holdings["BTCUSDT"].quantity == 1


def test_fill_that_comes_twice_is_noted() -> None:
    log = evidence(filled(1, "1", "100", trade="9"), filled(1, "1", "100", trade="9"))

    assert log.accounts[ALICES].repeated_fills == ["9"]


def test_sent_intents_are_those_submitted_and_not_rejected() -> None:
    rejected = OrderRejected(order_id(1, Leg.STOP), ALICES, RejectStage.EXCHANGE, "PROVEN_ABSENT", None, None, NOON)
    log = evidence(*sent(Leg.ENTRY), *sent(Leg.STOP)[:3], rejected, intent(Leg.TARGET))

    assert list(log.sent()) == [order_id(1)]


def test_unknown_order_is_known_again_by_its_execution() -> None:
    one = order_id(1, Leg.STOP)
    unknown = OrderSubmissionUnknown(one, "p", "TimeoutError", NOON)
    fill = filled(1, "2", "90", leg=Leg.STOP, side=Side.SELL)

    assert evidence(*sent(Leg.STOP)[:3], unknown).left_unknown == {one}
    assert evidence(*sent(Leg.STOP)[:3], unknown, fill).left_unknown == set()


def test_accounts_samples_refusals_and_protection_are_counted() -> None:
    refused = CredentialsRejected(ALICES, ALICE, Exchange.BINANCE, CredentialProblem.WITHDRAW_ENABLED, NOON)
    log = evidence(linked(), sampled("100"), sampled("101"), refused, PROTECTED)

    assert list(log.linked) == [ALICES]
    assert [sample.equity for sample in log.accounts[ALICES].samples] == [100, 101]
    assert log.refused_keys == 1
    assert list(log.protected.values()) == [PROTECTED]


def test_whole_case_is_taken_in_without_a_loss() -> None:
    log = evidence(*EVENTS)

    assert len(log.intents) == 2
    assert len(log.accounts[ALICES].fills) == sum(isinstance(event, OrderFilled) for event in EVENTS)


@pytest.mark.parametrize("event", [transfer("1"), funding("1"), sampled("0")])
def test_books_of_an_account_are_open_once_any_money_is_recorded(event: object) -> None:
    assert not evidence(linked()).accounts[ALICES].opened
    assert evidence(linked(), event).accounts[ALICES].opened
