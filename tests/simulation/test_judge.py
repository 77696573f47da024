"""The judge can fail: each test breaks one rule in a small made-up world, and sees it told."""

import pytest

from patriot.kernel.errors import EndedByItself, ExchangeUnavailable, LeaseLost, NotFound, StoreUnavailable
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.sim.engine.words import MarginType
from patriot.simulation.faults import Fault
from patriot.simulation.judge import MAX_LEVERAGE
from patriot.simulation.loop import Life
from patriot.simulation.wire import Request
from patriot.trading.terms import Leg, OrderId
from tests.simulation.scene import ACCOUNT, PREFIX, SIGNAL, SYMBOL, Scene

pytestmark = pytest.mark.unit

ENTRY_ID = client_order_id(PREFIX, Leg.ENTRY, 1)
LEASE = f"account:{ACCOUNT}"
AT_WORK = {("process 1", ACCOUNT): 0.0}


def test_entry_of_a_signal_under_settings_of_the_operator_breaks_nothing() -> None:
    scene = Scene()

    scene.trade(Leg.ENTRY)

    assert scene.judge.violations == []
    assert scene.judge.placed.total() == 1


@pytest.mark.parametrize(
    ("leverage", "margin_type"), [(MAX_LEVERAGE + 1, MarginType.ISOLATED), (MAX_LEVERAGE, MarginType.CROSSED)]
)
def test_entry_under_other_settings_is_told(leverage: int, margin_type: MarginType) -> None:
    scene = Scene()
    scene.settle(leverage, margin_type)

    scene.trade(Leg.ENTRY)

    assert scene.judge.violations == [f"law 11: entry {ENTRY_ID} went in {margin_type} at {leverage}x"]


@pytest.mark.parametrize(
    ("looked", "changed", "entered", "told"),
    [(10.0, 10.0, 40.0, False), (10.0, 39.9, 40.0, False), (10.0, 9.9, 11.0, True), (9.9, 10.0, 40.0, True)],
)
def test_entry_just_before_which_a_person_changes_the_settings_is_told_if_a_look_could_have_seen_it(
    *, looked: float, changed: float, entered: float, told: bool
) -> None:
    scene = Scene()
    scene.seconds = looked
    scene.look()
    scene.settle(MAX_LEVERAGE + 1, MarginType.ISOLATED)
    scene.judge.dice.note("plan 1", Fault.SETTINGS_CHANGED, "plan", changed, changed, scene.uid)

    scene.seconds = entered
    scene.trade(Leg.ENTRY)

    assert bool(scene.judge.violations) is told


def test_settings_changed_on_another_account_or_by_nobody_are_told() -> None:
    scene = Scene()
    scene.look()
    scene.settle(MAX_LEVERAGE + 1, MarginType.ISOLATED)
    scene.judge.dice.note("plan 1", Fault.SETTINGS_CHANGED, "plan", 0.0, 0.0, scene.uid + 1)
    scene.judge.dice.note("plan 2", Fault.MANUAL_CLOSE, "plan", 0.0, 0.0, scene.uid)

    scene.trade(Leg.ENTRY)

    assert len(scene.judge.violations) == 1


def test_way_out_is_free_under_any_settings() -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.settle(MAX_LEVERAGE + 1, MarginType.ISOLATED)

    scene.trade(Leg.CLOSE)

    assert scene.judge.violations == []


@pytest.mark.parametrize("leg", [Leg.ENTRY, Leg.CLOSE])
def test_order_that_belongs_to_no_signal_is_told(leg: Leg) -> None:
    scene = Scene()
    strange = client_id_prefix(OrderId(SIGNAL))

    scene.trade(leg, strange)

    assert scene.judge.violations == [f"law 1: order {client_order_id(strange, leg, 1)} belongs to no signal"]


@pytest.mark.parametrize(
    ("acting", "allowed", "whom"), [(True, 2.0, "by its worker"), (False, 40.0, "and nobody worked for it")]
)
def test_position_is_without_its_stop_for_so_long_and_no_longer(*, acting: bool, allowed: float, whom: str) -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    at_work = AT_WORK if acting else {}

    for scene.seconds in (0.0, allowed):
        scene.judge.look(at_work, 0.0)
    assert scene.judge.violations == []

    scene.seconds = allowed + 0.5
    scene.judge.look(at_work, 0.0)
    said = f"law 2: account {scene.uid} BTCUSDT was without its stop for more than {allowed} s {whom}"
    assert scene.judge.violations == [said]


@pytest.mark.parametrize(("seconds", "told"), [(8.0, False), (8.5, True)])
def test_account_that_the_exchange_tells_nothing_has_until_it_must_notice(*, seconds: float, told: bool) -> None:
    scene = Scene()
    scene.deaf = True
    scene.trade(Leg.ENTRY)

    for scene.seconds in (0.0, seconds):
        scene.judge.look(AT_WORK, 0.0)

    assert bool(scene.judge.violations) is told


CANCELED, REDUCED = Fault.STOP_CANCELED, Fault.MANUAL_REDUCE


@pytest.mark.parametrize(
    ("acting", "deaf", "fault", "at", "allowed_until"),
    [
        (True, True, CANCELED, 0.0, 33.0),
        (True, True, CANCELED, 5.0, 13.0),  # a stop that a person cancels later is not why there is none
        (True, True, REDUCED, 0.0, 8.0),
        (True, False, CANCELED, 0.0, 2.0),
        (False, True, CANCELED, 0.0, 46.0),  # whoever begins to work looks
    ],
)
def test_stop_that_a_person_cancels_unheard_is_missed_by_the_look_at_a_silent_stream(
    *, acting: bool, deaf: bool, fault: Fault, at: float, allowed_until: float
) -> None:
    scene = Scene()
    scene.deaf = deaf
    scene.trade(Leg.ENTRY)
    scene.judge.dice.note("plan 1", fault, "plan", at, at, scene.uid)

    for scene.seconds in (0.0, allowed_until):
        scene.judge.look(AT_WORK if acting else {}, 0.0)
    assert scene.judge.violations == []

    scene.seconds = allowed_until + 0.5
    scene.judge.look(AT_WORK if acting else {}, 0.0)
    assert len(scene.judge.violations) == 1


def test_stop_that_is_canceled_for_another_account_excuses_nothing_here() -> None:
    scene = Scene()
    scene.deaf = True
    scene.trade(Leg.ENTRY)
    scene.judge.dice.note("plan 1", CANCELED, "plan", 0.0, 0.0, scene.uid + 1)

    for scene.seconds in (0.0, 8.5):
        scene.judge.look(AT_WORK, 0.0)
    assert len(scene.judge.violations) == 1


@pytest.mark.parametrize(("seconds", "told"), [(2.0, False), (2.5, True)])
def test_account_that_hears_again_has_the_time_of_one_that_hears(*, seconds: float, told: bool) -> None:
    scene = Scene()
    scene.deaf = True
    scene.trade(Leg.ENTRY)
    for scene.seconds in (0.0, 7.0):
        scene.judge.look(AT_WORK, 0.0)
    scene.deaf = False

    for scene.seconds in (7.1, 7.0 + seconds):
        scene.judge.look(AT_WORK, 0.0)

    assert bool(scene.judge.violations) is told


@pytest.mark.parametrize("acting", [True, False])
@pytest.mark.parametrize("listens", [True, False])
def test_overload_is_an_excuse_for_whoever_can_neither_ask_nor_hear(*, acting: bool, listens: bool) -> None:
    scene = Scene()
    scene.judge.overloaded, scene.judge.listens = lambda: scene.seconds < 100.0, lambda _uid: listens
    scene.trade(Leg.ENTRY)

    for scene.seconds in (0.0, 50.0, 99.5):
        scene.judge.look(AT_WORK if acting else {}, 0.0)
    assert bool(scene.judge.violations) is (acting and listens)

    for scene.seconds in (110.0, 150.0):
        scene.judge.look(AT_WORK if acting else {}, 0.0)
    assert scene.judge.violations


@pytest.mark.parametrize(
    ("holder", "sender", "acting", "allowed_until"),
    [
        ("process 1", "process 1", {"process 1": 0.0}, 2.0),
        ("process 1", "process 2", {"process 1": 0.0, "process 2": 10.0}, 2.0),
        ("process 2", "process 2", {"process 1": 0.0}, 40.0),  # killed; who was deposed cannot know what it sent
        ("process 2", "process 1", {"process 1": 0.0}, 2.0),  # who was deposed knows what it sent itself
        ("process 2", "process 2", {"process 1": 0.0, "process 2": 10.0}, 12.0),
    ],
)
def test_position_is_looked_after_by_its_owner_and_by_who_entered_it(
    holder: str, sender: str, acting: dict[str, float], allowed_until: float
) -> None:
    scene = Scene()
    scene.judge.leases = {LEASE: (holder, 0.0)}
    order = {"symbol": SYMBOL, "newClientOrderId": ENTRY_ID}
    scene.judge.sent(Life(sender), scene.uid, Request(b"", "POST", "/fapi/v1/order", order, {}))
    scene.trade(Leg.ENTRY)
    at_work = {(life, ACCOUNT): since for life, since in acting.items()}

    for scene.seconds in (0.0, allowed_until):
        scene.judge.look(at_work, 0.0)
    assert scene.judge.violations == []

    scene.seconds = allowed_until + 0.5
    scene.judge.look(at_work, 0.0)
    assert len(scene.judge.violations) == 1


def test_position_with_its_stop_may_stand_for_ever() -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.rest_stop()

    for scene.seconds in (0.0, 1_000.0):
        scene.judge.stir()
        scene.judge.look(AT_WORK, 0.0)

    assert scene.judge.violations == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ExchangeUnavailable("429"), []),
        (ExceptionGroup("parts", [LeaseLost("another's"), StoreUnavailable("away")]), []),
        (KeyError("symbol"), ["KeyError: 'symbol'"]),
        (ExceptionGroup("parts", [LeaseLost("another's"), KeyError("symbol")]), ["KeyError: 'symbol'"]),
        (ExceptionGroup("all", [ExceptionGroup("parts", [NotFound("key")])]), ["NotFound: key"]),
        (EndedByItself("canceled inside"), ["EndedByItself: canceled inside"]),
    ],
)
def test_end_that_no_fault_makes_is_told_although_a_new_life_follows(error: Exception, told: list[str]) -> None:
    scene = Scene()

    scene.judge.crashed("account.worker_failed", error)

    assert scene.judge.violations == [f"law 2: account.worker_failed ended by itself: {words}" for words in told]


@pytest.mark.parametrize(
    ("senders", "later", "told"),
    [
        (("process 2", "process 1"), 5.0, False),  # who was deposed knows nothing of what the new owner sent
        (("process 1", "process 2"), 0.1, False),  # nor can that one know what is on its way
        (("process 1", "process 2"), 0.2, True),
        (("process 1", "process 1"), 0.1, True),
        (("process 2", "process 2"), 0.1, True),
    ],
)
def test_stop_that_two_owners_send_is_told_unless_neither_could_know(
    *, senders: tuple[str, str], later: float, told: bool
) -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.judge.leases = {LEASE: ("process 2", 0.0)}
    stop = {"clientAlgoId": client_order_id(PREFIX, Leg.STOP, 1), "symbol": SYMBOL}
    for sender in senders:
        scene.judge.sent(Life(sender), scene.uid, Request(b"", "POST", "/fapi/v1/algoOrder", stop, {}))
        scene.seconds += later
    scene.rest_stop()
    scene.cancel_stop()
    scene.rest_stop()

    assert scene.judge.violations == (["law 1: 2 orders for the intent " + f"{PREFIX} s 1"] if told else [])


@pytest.mark.parametrize(("fault", "told"), [(None, True), (Fault.STOP_CANCELED, True), (Fault.LEASE_MOVED, False)])
def test_work_that_ended_without_a_fault_that_ends_it_is_no_excuse(*, fault: Fault | None, told: bool) -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.rest_stop()
    scene.seconds = 100.0
    scene.judge.look(AT_WORK, 0.0)
    if fault is not None:
        scene.judge.dice.note("plan 1", fault, "plan", 100.0, 100.0, scene.uid)
    scene.cancel_stop()

    for scene.seconds in (100.1, 102.5):
        scene.judge.stir()
        scene.judge.look({}, 0.0)

    assert bool(scene.judge.violations) is told


@pytest.mark.parametrize(("symbol", "told"), [("", True), ("ETHUSDT", True), ("BTCUSDT", False)])
def test_refused_read_is_an_excuse_for_the_stop_of_its_symbol_alone(*, symbol: str, told: bool) -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    until = 35.0 if symbol else 0.0
    scene.judge.dice.note("refused read 0", Fault.READ_REFUSED, "GET", 0.0, until, scene.uid, symbol)

    for scene.seconds in (0.0, 3.0):
        scene.judge.look(AT_WORK, 0.0)

    assert bool(scene.judge.violations) is told


@pytest.mark.parametrize(("seconds", "told"), [(10.0, False), (10.5, True)])
def test_what_is_told_to_close_closes_in_its_time_although_a_read_is_refused(*, seconds: float, told: bool) -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.rest_stop()
    scene.judge.told_to_close(["BTCUSDT"], "a halt that closes")
    scene.judge.dice.note("refused read 0", Fault.READ_REFUSED, "GET", 0.0, 35.0, scene.uid, "BTCUSDT")

    scene.seconds = seconds
    scene.judge.look({}, 0.0)

    said = f"law 5: account {scene.uid} still holds BTCUSDT more than 10.0 s after a halt that closes"
    assert scene.judge.violations == ([said] if told else [])


@pytest.mark.parametrize("fault", [Fault.KILL_AT_SEND, Fault.WEIGHT_SPENT])
def test_way_out_may_take_longer_after_a_fault_that_holds_it_up(fault: Fault) -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.judge.told_to_close(["BTCUSDT"], "a halt that closes")
    scene.judge.dice.note("kill", fault, "plan", 5.0, 5.0, scene.uid)

    found = []
    for scene.seconds in (55.0, 55.5):
        scene.judge.look({}, None)
        found.append(bool(scene.judge.violations))

    assert found == [False, True]


def test_position_that_was_closed_as_told_may_be_opened_again() -> None:
    scene = Scene()
    scene.trade(Leg.ENTRY)
    scene.judge.told_to_close(["BTCUSDT"], "its strategy closed")
    scene.trade(Leg.CLOSE)
    assert not scene.judge.way_out.open

    scene.trade(Leg.ENTRY, client_id_prefix(OrderId(SIGNAL)))
    scene.seconds = 100.0
    scene.judge.way_out.look(scene.seconds)

    assert not [one for one in scene.judge.violations if one.startswith("law 5")]
