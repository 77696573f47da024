"""The comparison at the end can fail: each test breaks one rule of a sound log or book, and sees that one told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from patriot.execution.events import PROTECTION_STREAM_TYPE, RoutedAccount, Routing, SignalRouted, routing_stream
from patriot.kernel.eventstore import Place, StreamKey
from patriot.orders.client_ids import client_order_id
from patriot.risk.events import ExposureReleased, ExposureReserved, ReasonCode, risk_stream
from patriot.sim.engine.operations import CancelAlgoOrder
from patriot.simulation.loop import START
from patriot.simulation.market import SYMBOLS
from patriot.trading.terms import Leg
from tests.orders.kit import RESERVED, D
from tests.portfolio.facts import closed
from tests.simulation.scene import ACCOUNT, GROUP, PREFIX, SIGNAL, Scene

pytestmark = pytest.mark.unit

STOP_ID = client_order_id(PREFIX, Leg.STOP, 1)
TAKEN = ExposureReserved(ACCOUNT, GROUP, RESERVED.strategy_id, "BTCUSDT", D(40_000))
GIVEN = ExposureReleased(ACCOUNT, GROUP, "BTCUSDT")
CLOSED = replace(closed(1), group_id=GROUP, account_id=ACCOUNT)


async def over(*, closings: int = 1, releases: int = 1) -> Scene:
    """Return a scene in which one bracket was entered, closed, and written down."""
    scene = Scene()
    await scene.scribe.write(risk_stream(ACCOUNT), START, TAKEN)
    for leg in (Leg.ENTRY, Leg.CLOSE):
        scene.trade(leg)
        await scene.write_order(leg)
    for _ in range(closings):
        await scene.scribe.write(StreamKey(PROTECTION_STREAM_TYPE, GROUP), START, CLOSED)
    for _ in range(releases):
        await scene.scribe.write(risk_stream(ACCOUNT), START, GIVEN)
    return scene


async def test_bracket_that_is_over_on_both_sides_breaks_nothing() -> None:
    scene = await over()

    assert await scene.conclude({"execution": await scene.store.feed.newest()}) == []


@pytest.mark.parametrize("closings", [0, 2])
async def test_bracket_is_recorded_as_closed_exactly_once(closings: int) -> None:
    scene = await over(closings=closings)

    assert await scene.conclude() == [
        f"law 8: account {scene.uid}: bracket {GROUP}, of which 1.000 was entered, has {closings} times PositionClosed"
    ]


async def test_exposure_of_a_bracket_that_is_over_is_reserved_no_more() -> None:
    scene = await over(releases=0)

    assert await scene.conclude() == [
        f"law 8: account {scene.uid}: exposure is still reserved for {GROUP}, which is over"
    ]


async def test_exposure_is_released_no_more_often_than_reserved() -> None:
    scene = await over(releases=2)

    assert await scene.conclude() == [
        f"law 8: account {scene.uid}: exposure of {GROUP} was released more often than reserved"
    ]


async def test_order_that_rests_for_a_bracket_that_is_over_is_told() -> None:
    scene = await over()
    scene.rest_stop()
    await scene.write_order(Leg.STOP)

    assert await scene.conclude() == [f"law 4: {STOP_ID} rests on the exchange for a bracket that is over"]


async def test_order_on_the_exchange_that_is_not_in_the_log_is_told() -> None:
    scene = await over()
    scene.rest_stop()
    scene.venue.exchange.apply(CancelAlgoOrder(scene.uid, client_algo_id=STOP_ID))

    assert await scene.conclude() == [f"law 4: {STOP_ID} is on the exchange and not in the log"]


async def test_checkpoint_beyond_the_log_is_told() -> None:
    scene = await over()
    newest = await scene.store.feed.newest()
    beyond = Place(f"{int(newest) + 1}")

    assert await scene.conclude({"risk": newest, "execution": beyond}) == [
        f"law 10: checkpoint execution stands at {beyond}, the log ends at {newest}"
    ]


@pytest.mark.parametrize(
    ("legs", "meant_after_seconds", "reason", "told"),
    [
        ((Leg.ENTRY,), 1, ReasonCode.NO_POSITION, True),
        ((Leg.ENTRY,), -1, ReasonCode.NO_POSITION, False),
        ((Leg.ENTRY, Leg.CLOSE), 1, ReasonCode.NO_POSITION, False),
        ((), 1, ReasonCode.NO_POSITION, False),
        ((Leg.ENTRY,), 1, None, False),
    ],
)
async def test_close_that_is_told_to_find_nothing_is_told_if_the_exchange_held_it(
    *, legs: tuple[Leg, ...], meant_after_seconds: int, reason: ReasonCode | None, told: bool
) -> None:
    scene = Scene()
    for leg in legs:
        scene.trade(leg)
    share = RoutedAccount(ACCOUNT, Routing.SKIPPED if reason else Routing.SENT, None, reason, None)
    strategy_id = next(one for one, symbol in SYMBOLS.items() if symbol == "BTCUSDT")
    scene.judge.meant[SIGNAL] = START + timedelta(seconds=meant_after_seconds)
    routed = SignalRouted(SIGNAL, strategy_id, (share,), START)
    await scene.scribe.write(routing_stream(SIGNAL, ACCOUNT), START, routed)

    found = await scene.conclude()

    said = f"law 5: account {scene.uid} held BTCUSDT, and a close of its strategy was told to find nothing"
    assert (said in found) is told
