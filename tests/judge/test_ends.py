"""Nothing is half over: each test breaks one invariant of a sound case and sees it named."""

from dataclasses import replace
from decimal import Decimal

import pytest

from patriot.accounts.events import TradeBooked, TradeOrigin
from patriot.execution.events import PositionAdjusted
from patriot.judge.case import Case
from patriot.judge.ends import (
    came_to_rest,
    checkpoints_are_within_the_log,
    closings_are_recorded_once,
    positions_are_the_exchanges,
    protection_belongs_to_open_brackets,
    reservations_equal_open_brackets,
)
from patriot.judge.exchange_books import VenueAccount
from patriot.kernel.eventstore import Place
from patriot.kernel.memory import MemoryFeed
from patriot.orders.events import OrderFilled, OrderRejected, RejectStage
from patriot.trading.terms import Leg, Side
from tests.judge.cases import (
    ACCOUNT,
    BOUGHT,
    ENTRY,
    ENTRY_ID,
    EVENTS,
    LATER,
    PROTECTED,
    RELEASED,
    RESERVED,
    STOP,
    STOP_ID,
    STOPPED,
    case,
    sent,
    without,
)
from tests.portfolio.facts import ALICE, ALICES, NOON, closed, filled, group, order_id

pytestmark = pytest.mark.unit

CLOSED = closed(1)
OPEN = replace(
    ACCOUNT,
    orders=(ENTRY, replace(STOP, status="NEW", triggered_at=None, updated_at=NOON)),
    trades=(BOUGHT,),
    positions={"BTCUSDT": Decimal(2)},
)


def still_open(*gone: object) -> list[object]:
    """Return the events of a bracket that was not stopped out yet."""
    stopped = next(event for event in EVENTS if isinstance(event, OrderFilled) and event.leg is Leg.STOP)
    return without(stopped, CLOSED, RELEASED, *gone)


def never_filled(*more: object) -> Case:
    """Return a case of an entry that the exchange refused."""
    rejected = OrderRejected(order_id(1), ALICES, RejectStage.EXCHANGE, "EXCHANGE_REFUSED", -2019, None, NOON)
    nothing: VenueAccount = replace(ACCOUNT, orders=(), trades=(), order_client_ids={})
    return case([RESERVED, *sent(Leg.ENTRY)[:3], rejected, *more], nothing)


@pytest.mark.parametrize(
    "sound",
    [case(), case(still_open(), OPEN), never_filled(RELEASED)],
    ids=["over", "open", "never filled"],
)
def test_bracket_that_is_the_same_on_both_sides_came_to_rest(sound: Case) -> None:
    found = came_to_rest(sound)

    assert found.problems == ()
    assert found.ok
    assert found.checked == 1


def test_exposure_of_a_bracket_that_is_over_and_was_never_released_is_found() -> None:
    assert reservations_equal_open_brackets(case(without(RELEASED))) == [
        f"{ENTRY_ID}: over, and its exposure was never released"
    ]


def test_exposure_of_an_entry_that_was_never_filled_and_never_released_is_found() -> None:
    assert reservations_equal_open_brackets(never_filled()) == [
        f"{ENTRY_ID}: over, and its exposure was never released"
    ]


def test_entry_on_its_way_may_reserve() -> None:
    on_its_way = case([RESERVED, *sent(Leg.ENTRY)[:2]], replace(ACCOUNT, orders=(), trades=()))

    assert reservations_equal_open_brackets(on_its_way) == []


@pytest.mark.parametrize("events", [still_open(RESERVED), [*still_open(), RELEASED]], ids=["never", "too early"])
def test_open_position_without_a_reservation_is_found(events: list[object]) -> None:
    assert reservations_equal_open_brackets(case(events, OPEN)) == [
        f"{ENTRY_ID}: open, and no exposure is reserved for it"
    ]


def test_entry_that_rests_without_a_reservation_is_found() -> None:
    resting = replace(ACCOUNT, orders=(replace(ENTRY, status="NEW"),), trades=())

    assert reservations_equal_open_brackets(case(sent(Leg.ENTRY), resting)) == [
        f"{ENTRY_ID}: open, and no exposure is reserved for it"
    ]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (without(CLOSED), "filled and flat, and never recorded as closed"),
        ([*EVENTS, CLOSED], "recorded as closed 2 times"),
    ],
)
def test_filled_and_flat_bracket_is_recorded_as_closed_exactly_once(events: list[object], said: str) -> None:
    assert closings_are_recorded_once(case(events)) == [f"{ENTRY_ID}: {said}"]


def test_bracket_recorded_as_closed_that_was_never_filled_is_found() -> None:
    assert closings_are_recorded_once(never_filled(RELEASED, CLOSED)) == [
        f"{ENTRY_ID}: recorded as closed, and never filled"
    ]


def test_bracket_that_somebody_else_closed_is_over() -> None:
    elsewhere = PositionAdjusted(group(1), ALICES, "BTCUSDT", Decimal(2), Decimal(0), Decimal(2), LATER)
    foreign = replace(ACCOUNT, trades=(BOUGHT, replace(STOPPED, order_id="99")))

    assert came_to_rest(case([*still_open(), elsewhere, CLOSED, RELEASED], foreign)).problems == ()
    assert closings_are_recorded_once(case([*still_open(), elsewhere], foreign)) == [
        f"{ENTRY_ID}: filled and flat, and never recorded as closed"
    ]


def test_part_that_somebody_else_closed_leaves_the_rest_open() -> None:
    elsewhere = PositionAdjusted(group(1), ALICES, "BTCUSDT", Decimal(2), Decimal(1), Decimal(1), LATER)

    assert came_to_rest(case([*still_open(), elsewhere], OPEN)).problems == ()


@pytest.mark.parametrize("status", ["NEW", "PARTIALLY_FILLED", "TRIGGERING", "TRIGGERED"])
def test_stop_that_is_not_over_and_whose_bracket_is_flat_is_found(status: str) -> None:
    left = replace(ACCOUNT, orders=(ENTRY, replace(STOP, status=status)))

    assert protection_belongs_to_open_brackets(case(account=left)) == [
        f"{STOP_ID}: rests on the exchange, and its bracket is flat"
    ]


def test_order_of_somebody_else_may_rest() -> None:
    foreign = replace(ACCOUNT, orders=(ENTRY, STOP, replace(STOP, client_order_id="web_1", status="NEW")))

    assert came_to_rest(case(account=foreign)).problems == ()


def test_position_that_only_one_side_has_is_found() -> None:
    (problem,) = positions_are_the_exchanges(case(account=replace(ACCOUNT, positions={"BTCUSDT": Decimal(1)})))

    assert problem.startswith(f"account {ALICES}: the log holds {{}}, the exchange")


@pytest.mark.parametrize("gone", [CLOSED, RELEASED])
def test_account_that_nobody_showed_is_judged_by_its_fills(gone: object) -> None:
    unseen = case(without(gone))

    assert came_to_rest(Case(case().log, {}, {})).problems == ()
    assert came_to_rest(Case(unseen.log, {}, {})).problems != ()


def test_account_that_nobody_showed_and_that_holds_a_position_is_open() -> None:
    only_entry = [RESERVED, *sent(Leg.ENTRY), filled(1, "2", "100", trade="1"), *sent(Leg.STOP), PROTECTED]

    assert came_to_rest(Case(case(only_entry).log, {}, {})).problems == ()
    assert came_to_rest(Case(case([*only_entry, RELEASED]).log, {}, {})).problems != ()


def test_checkpoint_beyond_the_log_is_found() -> None:
    newest = Place("30")
    checkpoints = {"execution": newest, "read model orders": Place("31"), "risk": Place("9")}

    assert checkpoints_are_within_the_log(MemoryFeed(), checkpoints, newest) == [
        "read model orders claims to have come to 31, the log ends at 30"
    ]


def test_position_of_a_person_is_not_the_logs_to_hold() -> None:
    theirs = replace(BOUGHT, order_id="77", trade_id="9", quantity=Decimal(5))
    account = replace(ACCOUNT, trades=(*ACCOUNT.trades, theirs))

    assert positions_are_the_exchanges(case(account=replace(account, positions={"BTCUSDT": Decimal(5)}))) == []
    (problem,) = positions_are_the_exchanges(case(account=replace(account, positions={"BTCUSDT": Decimal(4)})))
    assert problem == f"account {ALICES}: the log holds {{}}, the exchange {{'BTCUSDT': Decimal('4')}}"


THEIRS = replace(BOUGHT, order_id="77", trade_id="9", quantity=Decimal(5))
THEIRS_BOOKED = TradeBooked(
    ALICES, ALICE, "BTCUSDT", "9", TradeOrigin.CLIENT, Side.BUY, Decimal(5), THEIRS.price, Decimal(0),
    THEIRS.commission, "USDT", THEIRS.commission, THEIRS.at,
)  # fmt: skip
WITH_THEIRS = replace(ACCOUNT, trades=(*ACCOUNT.trades, THEIRS), positions={"BTCUSDT": Decimal(5)})


def test_execution_of_a_person_that_is_in_the_books_counts_once() -> None:
    assert positions_are_the_exchanges(case([*EVENTS, THEIRS_BOOKED], WITH_THEIRS)) == []
    short = replace(THEIRS_BOOKED, quantity=Decimal(4))
    assert positions_are_the_exchanges(case([*EVENTS, short], WITH_THEIRS)) != []


def test_execution_of_a_person_that_is_booked_as_ours_without_a_fill_still_counts_as_theirs() -> None:
    booked = replace(THEIRS_BOOKED, origin=TradeOrigin.PATRIOT)
    assert positions_are_the_exchanges(case([*EVENTS, booked], WITH_THEIRS)) == []
