"""Every law's verdict can be false: each test breaks one thing of a sound case and sees it named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.accounts.events import AccountStatus, AccountStatusChanged, FundingPaid, TransferRecorded
from patriot.judge.case import Case, Verdict
from patriot.judge.exchange_books import VenueAccount, VenueOrderRecord
from patriot.judge.laws import (
    at_most_once,
    commands_were_durable,
    count_orders,
    exchange_owns_facts,
    money_adds_up,
    never_naked,
    rights_beyond_trading,
    unexplained,
    unknown_is_a_state,
)
from patriot.judge.log_evidence import LogEvidence
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.events import (
    CancelReason,
    OrderApproved,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
    RejectStage,
)
from patriot.trading.terms import Leg, SignalId
from tests.judge.cases import (
    ACCOUNT,
    BOUGHT,
    ENTRY,
    ENTRY_ID,
    EVENTS,
    FUNDING,
    LATER,
    STOP,
    STOP_ID,
    STOPPED,
    case,
    intent,
    sent,
    without,
)
from tests.portfolio.facts import ALICE, ALICES, NOON, filled, funding, group, linked, order_id

pytestmark = pytest.mark.unit

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
LAWS: dict[str, Callable[[Case], Verdict]] = {
    "1": lambda found: at_most_once(count_orders(found)),
    "2": never_naked,
    "3": unknown_is_a_state,
    "4": exchange_owns_facts,
    "8": money_adds_up,
    "11": lambda found: commands_were_durable(found, DURABLE),
}


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def orders(*records: VenueOrderRecord) -> VenueAccount:
    return replace(ACCOUNT, orders=records)


@pytest.mark.parametrize("law", LAWS)
def test_sound_case_keeps_the_law_and_says_how_much_was_checked(law: str) -> None:
    found = LAWS[law](case())

    assert found.problems == ()
    assert found.ok
    assert found.checked > 0


@pytest.mark.parametrize("law", LAWS)
def test_case_without_anything_to_check_keeps_no_law(law: str) -> None:
    nothing = LAWS[law](Case(LogEvidence(), {}, {}))

    assert not nothing.ok
    assert nothing.checked == 0


# Law 1 ----------------------------------------------------------------------------------------------------------------


def test_entry_placed_twice_under_one_client_id_is_one_duplicate() -> None:
    count = count_orders(case(account=orders(ENTRY, ENTRY, STOP)))

    assert count.duplicates == 1
    assert f"{ENTRY_ID}: 2 orders of one intent" in at_most_once(count).problems


def test_two_entries_of_one_signal_are_one_duplicate_though_their_ids_differ() -> None:
    signal = SignalId(group(99))
    first = replace(intent(Leg.ENTRY), signal_id=signal)
    second = replace(
        first, order_id=group(2), client_order_id=client_order_id(client_id_prefix(group(2)), Leg.ENTRY, 1)
    )
    more = [first, second, OrderApproved(group(2)), OrderSubmitted(group(2), second.client_order_id, 1, NOON)]
    twice = replace(ENTRY, client_order_id=second.client_order_id)

    count = count_orders(case([*EVENTS, *more], orders(ENTRY, twice, STOP)))

    assert count.duplicates == 1
    assert not at_most_once(count).ok


def test_order_of_ours_on_the_exchange_without_an_intent_breaks_law_1() -> None:
    lost = [event for event in EVENTS if getattr(event, "order_id", None) != order_id(1, Leg.STOP)]

    assert f"{STOP_ID}: on the exchange without an intent" in at_most_once(count_orders(case(lost))).problems


def test_intent_that_was_sent_and_is_not_on_the_exchange_breaks_law_1() -> None:
    found = at_most_once(count_orders(case(account=orders(ENTRY))))

    assert f"{STOP_ID}: sent, and not on the exchange" in found.problems


def test_order_that_is_not_ours_is_not_counted() -> None:
    foreign = replace(ENTRY, client_order_id="web_1")

    assert count_orders(case(account=orders(ENTRY, STOP, foreign))).on_exchange == 2


# Law 3 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [None, -4116])
def test_order_recorded_as_rejected_and_taken_by_the_exchange_breaks_law_3(code: int | None) -> None:
    wrong = OrderRejected(order_id(1), ALICES, RejectStage.EXCHANGE, "EXCHANGE_REFUSED", code, None, NOON)

    assert (
        f"{ENTRY_ID}: recorded as rejected, and on the exchange" in unknown_is_a_state(case([*EVENTS, wrong])).problems
    )


def test_order_that_the_exchange_itself_rejected_at_its_trigger_keeps_law_3() -> None:
    rejected = OrderRejected(order_id(1, Leg.STOP), ALICES, RejectStage.EXCHANGE, "EXCHANGE_REJECTED", None, None, NOON)

    assert unknown_is_a_state(case([*EVENTS, rejected], orders(ENTRY, replace(STOP, status="REJECTED")))).ok


def test_order_left_unknown_breaks_law_3() -> None:
    unknown = OrderSubmissionUnknown(order_id(1, Leg.STOP, 2), "p", "TimeoutError", NOON)
    events = [*EVENTS, *sent(Leg.STOP, 2)[:3], unknown]

    assert not unknown_is_a_state(case(events)).ok


def test_unknown_order_that_was_found_canceled_keeps_law_3() -> None:
    one = order_id(1, Leg.STOP, 2)
    unknown = OrderSubmissionUnknown(one, "p", "TimeoutError", NOON)
    found = OrderCanceled(one, ALICES, CancelReason.RESIZED, Decimal(0), NOON)

    assert unknown_is_a_state(case([*EVENTS, *sent(Leg.STOP, 2)[:3], unknown, found])).ok


def again(*attempts: int, unknown_before: tuple[int, ...] = ()) -> list[object]:
    """Return the events of a sound case whose entry was sent again before it was accepted."""
    more: list[object] = []
    for attempt in attempts:
        if attempt in unknown_before:
            more.append(OrderSubmissionUnknown(order_id(1), ENTRY_ID, "TimeoutError", NOON))
        more.append(OrderSubmitted(order_id(1), ENTRY_ID, attempt, NOON))
    return [*EVENTS[:5], *more, *EVENTS[5:]]


@pytest.mark.parametrize("unknown_before", [(), (2,), (2, 3, 4)])
def test_order_sent_again_within_the_platforms_patience_keeps_law_3(unknown_before: tuple[int, ...]) -> None:
    assert unknown_is_a_state(case(again(2, 3, 4, unknown_before=unknown_before))).ok


@pytest.mark.parametrize(
    "unknown_before", [(), (2,), tuple(range(2, 35))], ids=["no answer asked for", "one unknown", "each unknown"]
)
def test_order_sent_again_and_again_breaks_law_3(unknown_before: tuple[int, ...]) -> None:
    found = unknown_is_a_state(case(again(*range(2, 35), unknown_before=unknown_before)))

    assert any(problem.startswith(f"{ENTRY_ID}: sent 34 times") for problem in found.problems)


@pytest.mark.parametrize("after", [6, 7], ids=["its acceptance", "its execution"])
def test_order_sent_again_after_it_was_known_breaks_law_3(after: int) -> None:
    resent = OrderSubmitted(order_id(1), ENTRY_ID, 2, NOON)
    events = [*EVENTS[:after], resent, *EVENTS[after:]]

    assert f"{ENTRY_ID}: sent again when it was known to exist" in unknown_is_a_state(case(events)).problems


def test_order_sent_twice_and_twice_on_the_exchange_breaks_law_3() -> None:
    found = unknown_is_a_state(case(again(2, unknown_before=(2,)), orders(ENTRY, ENTRY, STOP)))

    assert f"{ENTRY_ID}: sent 2 times, and more than once on the exchange" in found.problems


# Law 4 ----------------------------------------------------------------------------------------------------------------


def test_execution_that_the_log_misses_breaks_law_4() -> None:
    lost = [event for event in EVENTS if not (isinstance(event, OrderFilled) and event.trade_id == "2")]

    assert "trade 2: on the exchange, not in the log" in exchange_owns_facts(case(lost)).problems


def test_every_execution_that_the_log_misses_is_named_and_what_comes_after_is_still_compared() -> None:
    more = [replace(BOUGHT, trade_id=number, at=LATER) for number in ("3", "4")]
    dearer = replace(STOPPED, commission=Decimal("0.06"))

    found = exchange_owns_facts(case(account=replace(ACCOUNT, trades=(*more, BOUGHT, dearer))))

    assert found.problems[:3] == (
        "trade 3: on the exchange, not in the log",
        "trade 4: on the exchange, not in the log",
        "trade 2: the log has other figures than the exchange",
    )


def test_execution_that_the_exchange_does_not_know_breaks_law_4() -> None:
    invented = filled(1, "1", "100", trade="3")

    assert "trade 3: in the log, not on the exchange" in exchange_owns_facts(case([*EVENTS, invented])).problems


def test_execution_that_the_log_counts_twice_breaks_law_4() -> None:
    assert "trade 1: in the log more than once" in exchange_owns_facts(case([*EVENTS, EVENTS[6]])).problems


@pytest.mark.parametrize(
    "other",
    [
        {"quantity": Decimal("1.999")},
        {"price": Decimal("90.1")},
        {"commission": Decimal("0.06")},
        {"realized_pnl": Decimal("-20.00000001")},
        {"side": "BUY"},
    ],
)
def test_execution_with_another_figure_breaks_law_4(other: dict[str, object]) -> None:
    changed = replace(STOPPED, **other)  # type: ignore[arg-type]  # one field each
    account = replace(ACCOUNT, trades=(BOUGHT, changed))

    assert "trade 2: the log has other figures than the exchange" in exchange_owns_facts(case(account=account)).problems


def test_position_that_the_log_does_not_hold_breaks_law_4() -> None:
    account = replace(ACCOUNT, positions={"BTCUSDT": Decimal(1)})

    assert any("the log holds" in problem for problem in exchange_owns_facts(case(account=account)).problems)


def test_execution_of_an_order_that_is_not_ours_is_not_missed() -> None:
    foreign = replace(BOUGHT, trade_id="3", order_id="13")
    account = replace(ACCOUNT, trades=(BOUGHT, STOPPED, foreign), order_client_ids={"11": ENTRY_ID, "13": "web_1"})

    assert exchange_owns_facts(case(account=account)).ok


# Law 6 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "beyond"),
    [
        ({"read"}, []),
        ({"read", "trade"}, []),
        ({"read", "trade", "withdraw"}, [f"account {ALICES}: its key may withdraw"]),
        ({"transfer", "withdraw"}, [f"account {ALICES}: its key may transfer, withdraw"]),
    ],
)
def test_rights_of_a_linked_account_beyond_trading_are_found(permissions: set[str], beyond: list[str]) -> None:
    account = replace(ACCOUNT, permissions=frozenset(permissions))

    assert rights_beyond_trading(case(account=account)) == beyond


# Law 8 ----------------------------------------------------------------------------------------------------------------


def test_deleted_funding_record_is_unexplained_by_exactly_its_amount() -> None:
    found = case(without(FUNDING))

    assert unexplained(found) == {ALICES: Decimal("0.5")}
    assert not money_adds_up(found).ok


@given(st.decimals("-1000", "1000", places=8, allow_nan=False))
def test_money_that_no_event_tells_of_is_unexplained_exactly(amount: Decimal) -> None:
    account = replace(ACCOUNT, equity=ACCOUNT.equity + amount)

    assert unexplained(case(account=account)) == {ALICES: amount}
    assert money_adds_up(case(account=account)).ok is (amount == 0)


def test_open_position_is_worth_its_mark() -> None:
    opened = [event for event in EVENTS if not (isinstance(event, OrderFilled) and event.trade_id == "2")]
    worth = Decimal("1000") - Decimal("0.05") + Decimal("0.5") + 2 * (Decimal(91) - 100)

    assert money_adds_up(case(opened, replace(ACCOUNT, equity=worth, positions={"BTCUSDT": Decimal(2)}))).ok


def test_funding_that_is_recorded_twice_is_unexplained() -> None:
    assert unexplained(case([*EVENTS, funding("0.5", "f-2")])) == {ALICES: Decimal("-0.5")}


# Law 11 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [OrderApproved, OrderSubmitted])
def test_entry_on_the_exchange_that_was_not_durable_before_breaks_law_11(
    gone: type[OrderApproved | OrderSubmitted],
) -> None:
    lost = [event for event in EVENTS if not (isinstance(event, gone) and event.order_id == order_id(1))]

    assert not commands_were_durable(case(lost), DURABLE).ok


@pytest.mark.parametrize(("later", "kept"), [(0, True), (1, True), (1.001, False), (7200, False)])
def test_entry_that_the_exchange_had_before_its_first_submission_breaks_law_11(later: float, kept: bool) -> None:
    events = [
        replace(event, submitted_at=NOON + seconds(later)) if isinstance(event, OrderSubmitted) else event
        for event in EVENTS
    ]

    found = commands_were_durable(case(events), DURABLE)

    assert found.ok is kept
    assert kept or f"{ENTRY_ID}: on the exchange before its first submission" in found.problems


@pytest.mark.parametrize("setting", DURABLE)
def test_server_that_does_not_sync_breaks_law_11(setting: str) -> None:
    found = commands_were_durable(case(), DURABLE | {setting: "off"})

    assert f"PostgreSQL runs with {setting} = off" in found.problems


def test_every_execution_of_the_exchange_is_counted_once() -> None:
    assert exchange_owns_facts(case()).checked == len(ACCOUNT.trades)


def test_account_whose_books_were_never_opened_says_nothing_about_money_until_it_trades() -> None:
    assert money_adds_up(case([linked()])).checked == 0
    lost = [event for event in EVENTS if not isinstance(event, TransferRecorded | FundingPaid)]
    assert money_adds_up(case(lost)).problems


@pytest.mark.parametrize(
    ("statuses", "told"),
    [((AccountStatus.SUSPENDED,), False), ((AccountStatus.SUSPENDED, AccountStatus.ACTIVE), True)],
)
def test_account_that_was_suspended_for_its_key_keeps_law_6_until_it_trades_again(
    statuses: tuple[AccountStatus, ...], told: bool
) -> None:
    account = replace(ACCOUNT, permissions=frozenset({"read", "trade", "withdraw"}))
    changes = [AccountStatusChanged(ALICES, ALICE, AccountStatus.ACTIVE, new, "CAN_WITHDRAW", NOON) for new in statuses]

    assert bool(rights_beyond_trading(case([*EVENTS, *changes], account))) is told
