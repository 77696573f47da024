"""Two sides are joined: by the key an account was linked with, else by the orders it holds; nothing is left out."""

from typing import Any

import pytest

from patriot.judge.case import Case, Verdict, join
from patriot.judge.laws import LAWS, exchange_owns_facts
from patriot.orders.events import OrderCreated
from patriot.sim.engine.words import Side as VenueSide
from patriot.trading.terms import Leg
from tests.judge.cases import ENTRY_ID, PROTECTED, RELEASED, case, intent, sent, without
from tests.portfolio.facts import ALICES, linked
from tests.sim.engine.support import Desk

pytestmark = pytest.mark.unit


def broken_laws(case: Case) -> dict[str, Verdict]:
    """Return the verdicts that found something wrong. A law that nothing put to the test is not broken."""
    found = {name: law(case) for name, law in LAWS.items()}
    return {name: one for name, one in found.items() if one.problems}


def traded(client_order_id: str) -> tuple[Desk, dict[str, Any]]:
    """Return a desk with one order under an id, and the exchange's state."""
    desk = Desk()
    desk.market(VenueSide.BUY, "0.5", client_order_id=client_order_id)
    return desk, desk.venue.state()


def test_account_of_the_exchange_is_known_by_the_orders_it_holds() -> None:
    desk, state = traded(ENTRY_ID)

    found = join(case([intent(Leg.ENTRY)]).log, state)

    assert {account_id: account.uid for account_id, account in found.venue.items()} == {ALICES: desk.uid}
    assert found.unclaimed == ()
    assert found.unreachable == []


def test_account_without_orders_is_known_by_its_key() -> None:
    desk = Desk()

    found = join(case([linked()]).log, desk.venue.state(), {ALICES: desk.uid})

    assert list(found.venue) == [ALICES]


def test_account_with_orders_of_ours_that_nobody_claims_breaks_law_4() -> None:
    desk, state = traded(ENTRY_ID)

    found = join(case([linked()]).log, state)

    assert [account.uid for account in found.unclaimed] == [desk.uid]
    assert exchange_owns_facts(found).problems == (
        f"exchange account {desk.uid}: it holds orders of ours, and no account of the log claims it",
    )
    assert "4" in broken_laws(found)


def test_account_that_is_only_somebody_elses_is_not_judged() -> None:
    _, state = traded("web_1")

    assert join(case([linked()]).log, state).unclaimed == ()


def test_account_of_the_log_that_the_exchange_does_not_show_is_named() -> None:
    _, state = traded("web_1")

    assert join(case([linked()]).log, state, {ALICES: 404}).unreachable == [ALICES]
    assert join(case([intent(Leg.ENTRY)]).log, state).unreachable == [ALICES]


def test_account_that_sent_orders_and_that_the_exchange_does_not_show_breaks_law_4() -> None:
    _, state = traded("web_1")

    found = join(case(sent(Leg.ENTRY)).log, state)

    assert exchange_owns_facts(found).problems == (
        f"account {ALICES}: it sent orders, and the exchange does not show it",
    )


def test_without_an_exchange_both_sides_are_not_put_to_the_test_and_the_log_alone_is() -> None:
    alone = join(case().log, None)

    assert broken_laws(alone) == {}
    assert alone.unreachable == [ALICES]
    assert {name: law(alone).ok for name, law in LAWS.items()} == {
        "1": False, "2": True, "3": True, "4": False, "8": False, "11": False, "end": True
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gone", "law"), [(PROTECTED, "2"), (RELEASED, "end")], ids=["never protected", "never released"]
)
def test_without_an_exchange_what_the_log_says_of_itself_can_still_break_a_law(gone: object, law: str) -> None:
    assert list(broken_laws(join(case(without(gone)).log, None))) == [law]


def test_sound_case_breaks_no_law_and_a_case_without_evidence_neither() -> None:
    assert broken_laws(case()) == {}
    assert broken_laws(Case(case([]).log, {}, {})) == {}


def test_events_whose_intent_the_log_has_lost_are_findings_and_not_the_end_of_the_judgment() -> None:
    lost = [event for event in sent(Leg.ENTRY) if not isinstance(event, OrderCreated)]

    found = broken_laws(case(lost))

    assert any("submitted, and its creation is not in the log" in problem for problem in found["11"].problems)
