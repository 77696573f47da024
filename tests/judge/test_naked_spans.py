"""How long a position was without a stop, by the log, the exchange's time and the wire's: law 2 and what breaks it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.execution.events import PositionProtected, ProtectionFailed
from patriot.judge.case import Case
from patriot.judge.exchange_books import VenueAccount, VenueOrderRecord
from patriot.judge.laws import (
    max_excused_seconds,
    max_unprotected_seconds,
    never_naked,
)
from patriot.judge.log_evidence import LogEvidence
from patriot.orders.events import (
    OrderFilled,
)
from patriot.trading.terms import Leg
from tests.judge.cases import (
    ACCOUNT,
    BOUGHT,
    ENTRY,
    ENTRY_ID,
    EVENTS,
    LATER,
    PROTECTED,
    STOP,
    STOPPED,
    case,
    without,
)
from tests.portfolio.facts import ALICE, ALICES, NOON, closed, group

pytestmark = pytest.mark.unit


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def orders(*records: VenueOrderRecord) -> VenueAccount:
    return replace(ACCOUNT, orders=records)


def on_the_wire(bought_ms: int | None, placed_ms: int) -> VenueAccount:
    """Return the sound account, with the simulator's own times for its executions and its stop."""
    stopped_ms = 90_000
    return replace(
        ACCOUNT,
        orders=(ENTRY, replace(STOP, wire_placed_ms=placed_ms, wire_ended_ms=stopped_ms)),
        trades=(replace(BOUGHT, wire_ms=bought_ms), replace(STOPPED, wire_ms=stopped_ms)),
        wire_now_ms=100_000,
    )


@pytest.mark.parametrize("late", [2.001, 3, 60])
def test_stop_that_rests_more_than_two_seconds_after_the_fill_breaks_law_2(late: float) -> None:
    found = case(account=orders(ENTRY, replace(STOP, created_at=NOON + seconds(late))))

    assert not never_naked(found).ok
    assert max_unprotected_seconds(found) == Decimal(str(late))


def test_stop_that_rests_within_two_seconds_keeps_law_2() -> None:
    assert never_naked(case(account=orders(ENTRY, replace(STOP, created_at=NOON + seconds(2))))).ok


def test_recorded_time_without_a_stop_counts_as_well_as_the_exchanges() -> None:
    slow = replace(PROTECTED, unprotected_seconds=Decimal("2.5"))
    found = case([*without(PROTECTED), slow])

    assert max_unprotected_seconds(found) == Decimal("2.5")
    assert not never_naked(found).ok


def test_filled_entry_that_was_never_protected_breaks_law_2() -> None:
    assert f"{ENTRY_ID}: filled and never protected" in never_naked(case(without(PROTECTED))).problems


def test_failed_protection_that_was_closed_at_market_keeps_law_2() -> None:
    failed = ProtectionFailed(group(1), ALICES, ALICE, "BTCUSDT", 3, NOON)
    closed_at_once = replace(STOPPED, at=NOON + seconds(1))
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT, closed_at_once))

    assert never_naked(case([*without(PROTECTED), failed], account)).ok


def test_failed_protection_that_was_never_closed_breaks_law_2() -> None:
    """Even while the exchange's time stands still, as it does in a stepped replay."""
    failed = ProtectionFailed(group(1), ALICES, ALICE, "BTCUSDT", 3, NOON)
    still_held = [e for e in without(PROTECTED, closed(1)) if not (isinstance(e, OrderFilled) and e.leg is Leg.STOP)]
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT,), as_of=NOON)

    found = never_naked(case([*still_held, failed], account))

    assert f"{ENTRY_ID}: protection failed and never closed" in found.problems


def test_failed_protection_that_only_the_log_has_closed_breaks_law_2() -> None:
    failed = ProtectionFailed(group(1), ALICES, ALICE, "BTCUSDT", 3, NOON)
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT,), as_of=NOON)

    found = never_naked(case([*without(PROTECTED, closed(1)), failed], account))

    assert f"{ENTRY_ID}: protection failed and never closed" in found.problems


def test_failed_protection_of_a_position_that_somebody_else_closed_keeps_law_2() -> None:
    failed = ProtectionFailed(group(1), ALICES, ALICE, "BTCUSDT", 3, NOON)
    still_held = [e for e in without(PROTECTED, closed(1)) if not (isinstance(e, OrderFilled) and e.leg is Leg.STOP)]
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT, replace(STOPPED, order_id="13", at=NOON + seconds(1))))

    assert never_naked(case([*still_held, failed, closed(1)], account)).ok


@pytest.mark.parametrize(
    "other", [{"reduce_only": False}, {"order_type": "STOP"}, {"order_type": "TAKE_PROFIT_MARKET"}]
)
def test_order_that_is_no_reducing_market_stop_does_not_protect(other: dict[str, object]) -> None:
    weaker = replace(STOP, **other)  # type: ignore[arg-type]  # one field each

    assert max_unprotected_seconds(case(account=orders(ENTRY, weaker))) == 3600


@pytest.mark.parametrize(("placed_ms", "kept"), [(7_000, True), (9_000, True), (9_001, False), (60_000, False)])
def test_gap_while_the_exchanges_time_stood_still_is_measured_on_the_wire(placed_ms: int, kept: bool) -> None:
    account = on_the_wire(bought_ms=7_000, placed_ms=placed_ms)

    assert never_naked(case(account=account)).ok is kept
    assert max_unprotected_seconds(case(account=account)) == max(Decimal("0.02"), Decimal(placed_ms - 7_000) / 1000)


def test_gap_that_began_before_the_simulator_last_started_is_not_judged_on_the_wire() -> None:
    assert never_naked(case(account=on_the_wire(bought_ms=None, placed_ms=60_000))).ok


def test_stop_that_is_canceled_while_the_exchanges_time_stands_still_leaves_a_gap_on_the_wire() -> None:
    account = on_the_wire(bought_ms=7_000, placed_ms=7_010)
    left = replace(account.orders[1], status="CANCELED", triggered_at=None, wire_ended_ms=80_000)

    found = never_naked(case(account=replace(account, orders=(ENTRY, left))))

    assert f"account {ALICES}: no stop for 10 s on the exchange" in found.problems


def test_stop_that_is_canceled_before_the_position_is_closed_leaves_it_naked() -> None:
    canceled = replace(STOP, status="CANCELED", triggered_at=None, updated_at=LATER - seconds(30))

    assert max_unprotected_seconds(case(account=orders(ENTRY, canceled))) == 30


def test_stop_that_is_smaller_than_the_position_does_not_protect_it() -> None:
    assert not never_naked(case(account=orders(ENTRY, replace(STOP, quantity=Decimal("1.999"))))).ok


def test_stop_on_the_wrong_side_does_not_protect() -> None:
    assert not never_naked(case(account=orders(ENTRY, replace(STOP, side="BUY")))).ok


def test_open_position_without_a_stop_is_naked_until_now() -> None:
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT,), as_of=NOON + seconds(7))

    assert max_unprotected_seconds(case(account=account)) == 7


def test_stop_of_a_short_position_protects_it() -> None:
    mirrored = replace(
        ACCOUNT,
        orders=(replace(ENTRY, side="SELL"), replace(STOP, side="BUY")),
        trades=(replace(BOUGHT, side="SELL"), replace(STOPPED, side="BUY")),
    )

    assert never_naked(case(account=mirrored)).ok


# ------------------------------------------------------------------------------ told to ask for nothing (429, 418)


def closed_out(gap: float, *spans: tuple[float, float]) -> VenueAccount:
    """Return an account with a gap before its stop, on both clocks, and times in which the exchange took nothing."""
    wire = on_the_wire(bought_ms=7_000, placed_ms=7_000 + round(gap * 1000))
    return replace(
        wire,
        orders=(ENTRY, replace(wire.orders[1], created_at=NOON + seconds(gap))),
        closed=tuple((NOON + seconds(begun), NOON + seconds(over)) for begun, over in spans),
        wire_closed_ms=tuple((7_000 + round(begun * 1000), 7_000 + round(over * 1000)) for begun, over in spans),
    )


@pytest.mark.parametrize(
    ("gap", "spans", "counted", "excused"),
    [
        (2.8, [(0.8, 1.8)], "1.8", "1"),
        (3, [(-2, 1.5)], "1.5", "1.5"),  # half of it began before the position
        (3, [(1.5, 9)], "1.5", "1.5"),  # and half of it goes on after the stop
        (4, [(-1, 1), (1.5, 2), (3.5, 60)], "2", "2"),
        (2, [(5, 60)], "2", "0"),
    ],
)
def test_time_in_which_the_exchange_took_nothing_does_not_count(
    gap: float, spans: list[tuple[float, float]], counted: str, excused: str
) -> None:
    found = case(account=closed_out(gap, *spans))

    assert never_naked(found).ok
    assert max_unprotected_seconds(found) == Decimal(counted)
    assert max_excused_seconds(found) == Decimal(excused)


@pytest.mark.parametrize(
    ("gap", "spans"), [(2.001, [(-60, 0), (2.001, 60)]), (3.001, [(0, 1)]), (3.001, [(1, 2), (3.001, 4)])]
)
def test_what_is_left_beside_a_closed_time_is_seen_a_millisecond_above_two_seconds(
    gap: float, spans: list[tuple[float, float]]
) -> None:
    found = case(account=closed_out(gap, *spans))

    assert max_unprotected_seconds(found) == Decimal("2.001")
    assert len(never_naked(found).problems) == 2, "by both clocks"


def test_five_seconds_without_a_stop_break_law_2_though_the_first_of_them_was_closed() -> None:
    found = never_naked(case(account=closed_out(5, (0, 1))))

    said = f"account {ALICES}: no stop for 4 s on the exchange, not counting 1 s in which it took nothing"
    assert found.problems == (said, said)


@pytest.mark.parametrize("clock", ["closed", "wire_closed_ms"])
def test_closed_time_excuses_on_its_own_clock_alone(clock: str) -> None:
    account = replace(closed_out(2.8, (0.8, 1.8)), **{clock: ()})  # type: ignore[arg-type]  # one of two tuples

    assert f"account {ALICES}: no stop for 2.8 s on the exchange" in never_naked(case(account=account)).problems


def test_position_that_nobody_could_protect_at_any_time_is_excused_as_a_whole() -> None:
    found = case(account=closed_out(30, (-1, 31)))

    assert never_naked(found).ok
    assert max_unprotected_seconds(found) == 0
    assert max_excused_seconds(found) == 30


@pytest.mark.parametrize(("recorded", "kept", "counted"), [("2.8", True, "1.8"), ("3.001", False, "2.001")])
def test_recorded_time_without_a_stop_is_excused_as_well(recorded: str, kept: bool, counted: str) -> None:
    """The platform measures until it knows of its stop: that may be later than the stop rests."""
    slow = replace(PROTECTED, unprotected_seconds=Decimal(recorded))
    found = case([*without(PROTECTED), slow], closed_out(0.3, (1, 2)))

    assert never_naked(found).ok is kept
    assert max_unprotected_seconds(found) == Decimal(counted)
    told = f"{ENTRY_ID}: unprotected for {counted} s, not counting 1 s in which it took nothing"
    assert (told in never_naked(found).problems) is not kept


THEIRS = replace(BOUGHT, order_id="77", trade_id="9")  # no order of ours


def test_what_a_person_holds_beside_ours_is_not_ours_to_protect() -> None:
    account = replace(ACCOUNT, trades=(BOUGHT, THEIRS, STOPPED), as_of=LATER + seconds(60))

    assert max_unprotected_seconds(case(account=account)) == Decimal("0.02")


def test_what_a_person_closed_of_ours_need_not_be_protected_and_the_rest_must() -> None:
    half = replace(THEIRS, side="SELL", quantity=Decimal(1), at=NOON + seconds(1))
    smaller = replace(STOP, quantity=Decimal(1))
    kept = replace(ACCOUNT, orders=(ENTRY, smaller), trades=(BOUGHT, half), as_of=NOON + seconds(60))

    assert max_unprotected_seconds(case(account=kept)) == 1, "until the person came"
    assert max_unprotected_seconds(case(account=replace(kept, orders=(ENTRY,)))) == 60


def test_what_a_person_opens_after_closing_ours_is_not_ours_to_protect() -> None:
    out = replace(THEIRS, side="SELL", at=NOON + seconds(1))
    anew, away = replace(THEIRS, at=NOON + seconds(20)), replace(out, at=NOON + seconds(50))
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT, out, anew, away), as_of=NOON + seconds(60))

    assert max_unprotected_seconds(case(account=account)) == 1
    more = replace(account, trades=(THEIRS, replace(BOUGHT, at=NOON + seconds(3)), replace(out, at=NOON + seconds(5))))
    assert max_unprotected_seconds(case(account=more)) == 57, "what the person closed was the person's"


def test_our_part_stays_to_be_protected_when_a_person_adds_to_it() -> None:
    account = replace(ACCOUNT, orders=(ENTRY,), trades=(BOUGHT, THEIRS), as_of=NOON + seconds(7))

    assert max_unprotected_seconds(case(account=account)) == 7


def test_stop_of_another_symbol_protects_nothing() -> None:
    elsewhere = replace(STOP, symbol="ETHUSDT", wire_placed_ms=7_000, wire_ended_ms=90_000)
    account = replace(on_the_wire(7_000, 7_000), orders=(ENTRY, elsewhere))

    assert max_unprotected_seconds(case(account=account)) == 3600
    still = replace(account, trades=tuple(replace(trade, at=NOON) for trade in account.trades))
    assert max_unprotected_seconds(case(account=still)) == 83, "on the wire, while the exchange's time stood still"


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.integers(0, 5000))
def test_replacing_stops_new_first_is_never_naked_and_a_gap_is_found_exactly(holds: list[int], gap_ms: int) -> None:
    """A chain of stops, each canceled when the next rests; before the last one there is a gap."""
    chain, start = [], NOON
    for hold in holds:
        end = start + seconds(hold)
        chain.append(replace(STOP, created_at=start, updated_at=end, triggered_at=None, status="CANCELED"))
        start = end
    start += timedelta(milliseconds=gap_ms)
    chain.append(replace(STOP, created_at=start, updated_at=start + seconds(1), triggered_at=start + seconds(1)))
    account = replace(
        ACCOUNT,
        orders=(ENTRY, *chain),
        trades=(BOUGHT, replace(STOPPED, at=start + seconds(1))),
        as_of=start + seconds(9),
    )

    naked = max_unprotected_seconds(Case(LogEvidence(), {ALICES: account}, {}))

    assert naked == Decimal(gap_ms) / 1000


def test_protection_is_measured_from_the_events_that_were_taken_in() -> None:
    other = PositionProtected(group(2), ALICES, "BTCUSDT", NOON, NOON, Decimal("1.5"))

    assert max_unprotected_seconds(case([*EVENTS, other])) == Decimal("1.5")
