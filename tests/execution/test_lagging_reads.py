"""What an exchange tells late, in parts, or of the wrong thing: protection and the way out do not wait for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import pytest

from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable
from patriot.orders.client_ids import leg_order_id
from patriot.orders.decider import Status
from patriot.simulation.loop import run_virtually
from patriot.trading.reports import AccountSnapshot, OrderReport, VenueOrder, VenueStatus
from patriot.trading.terms import Leg, Side, Urgency
from tests.execution.exchange import D, Exchange, lost
from tests.execution.kit import STOP, Account, Acknowledging, entered, first_stop
from tests.orders.kit import ORDER_ID

pytestmark = pytest.mark.unit


@dataclass
class LaggingPositions(Acknowledging):
    """Shows positions as they were a while ago."""

    acknowledges: bool = False
    lag: float = 0.0

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        snapshot = await super().snapshot(urgency=urgency)
        until = self.clock.monotonic() - self.lag
        held: dict[str, Decimal] = {}
        for at, trade in self.executions:
            if at <= until:
                held[trade.symbol] = held.get(trade.symbol, D(0)) + trade.quantity * trade.side.sign
        seen = [position for position in snapshot.positions if held.get(position.symbol)]
        return replace(snapshot, positions=tuple(replace(one, quantity=held[one.symbol]) for one in seen))


@pytest.mark.parametrize("acknowledges", [True, False])
def test_entry_is_protected_though_queries_and_positions_and_stream_lag_together(*, acknowledges: bool) -> None:
    async def day() -> None:
        exchange = LaggingPositions(query_lag=10, list_lag=10, stream_lag=10, trades_lag=10, lag=10)
        exchange.acknowledges = acknowledges
        exchange.answers = {} if acknowledges else {"e1": [lost()]}
        account = Account(exchange)
        await account.start()
        await account.enter()
        await asyncio.sleep(30)
        assert first_stop(exchange) - exchange.first("place e1") < 2
        await account.end()

    run_virtually(day())


@dataclass
class Halves(Acknowledging):
    """Executes an entry in two parts, and tells of the first only."""

    acknowledges: bool = False
    stale_until: float = 0.0

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        report = await super().find_order(symbol, client_order_id, conditional=conditional, urgency=urgency)
        if report and client_order_id.endswith("e1") and self.clock.monotonic() < self.stale_until:
            return replace(report, status=VenueStatus.PARTIALLY_FILLED, executed_quantity=D("0.4"))
        return report

    def execute(self, client_id: str, quantity: Decimal | None = None) -> None:
        if not client_id.endswith("e1"):
            super().execute(client_id, quantity)
            return
        super().execute(client_id, D("0.4"))
        self.deaf = True
        super().execute(client_id, D("0.6"))


@pytest.mark.parametrize(("acknowledges", "stale_until"), [(True, 0.0), (False, 0.0), (False, 1.5)])
def test_rest_of_an_entry_is_protected_though_only_its_first_execution_was_told(
    *, acknowledges: bool, stale_until: float
) -> None:
    async def day() -> None:
        exchange = Halves(acknowledges=acknowledges, stale_until=stale_until)
        exchange.answers = {} if acknowledges else {"e1": [lost()]}
        account = Account(exchange)
        await account.start()
        await account.enter()
        await asyncio.sleep(3)
        assert exchange.positions["BTCUSDT"] == D(1)
        assert D(1) in [quantity for leg, quantity in exchange.resting().items() if leg.startswith("s")]
        await account.end()

    run_virtually(day())


@pytest.mark.parametrize("resumed", [True, False])
@pytest.mark.parametrize("arrives", [2.2, 5.1])
def test_entry_that_arrives_late_is_protected_though_the_stream_is_away(*, arrives: float, resumed: bool) -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}, deaf=True))
        await account.start()
        await account.enter()
        await asyncio.sleep(arrives)
        account.exchange.arrive("e1")
        at = account.exchange.clock.monotonic()
        if resumed:
            await asyncio.sleep(0.2)
            account.exchange.deaf = False
            account.exchange.resume()
        await asyncio.sleep(30)
        assert first_stop(account.exchange) - at < 2
        await account.end()

    run_virtually(day())


def test_entry_that_can_be_asked_for_is_led_out_though_the_account_cannot_be_read() -> None:
    async def day() -> None:
        account = Account(Exchange(answers={"e1": [lost()]}, query_lag=2, deaf=True))
        await account.start()
        account.exchange.failing = {"snapshot": 1_000}
        await account.enter()
        await asyncio.sleep(4)
        await account.worker.flatten("HALTED")
        await asyncio.sleep(10)
        assert account.exchange.positions["BTCUSDT"] == D(0)
        await account.end()

    run_virtually(day())


# A close that was turned away says nothing of what is held


@pytest.mark.parametrize("refusal", [ExchangeUnavailable("busy"), ExchangeRefused(-4131, "PERCENT_PRICE")])
@pytest.mark.parametrize(("lag", "after"), [(3, 0.5), (5, 2), (20, 3)])
def test_close_that_is_turned_away_does_not_give_the_position_up(
    refusal: ExchangeError, lag: float, after: float
) -> None:
    async def day() -> None:
        exchange = LaggingPositions(lag=lag)
        account = Account(exchange)
        await account.start()
        await account.enter()
        await asyncio.sleep(after)
        exchange.refusals = {f"c{number}": [refusal] for number in range(1, 5)}
        await account.worker.flatten("HALTED")
        await asyncio.sleep(60)
        assert exchange.positions["BTCUSDT"] == D(0)
        assert "position.differs" not in account.alarm.names
        await account.end()

    run_virtually(day())


def test_close_that_another_owner_sent_under_the_same_id_is_not_recorded_as_rejected() -> None:
    @dataclass
    class Contended(Exchange):
        async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
            if order.client_order_id.endswith("c1"):
                self.place_as_predecessor("c1", D(1))  # takes the half that is left
                raise ExchangeRefused(-2022, "ReduceOnly Order is rejected.", nothing_to_reduce=True)
            return await super().place(order, sent_at)

    async def day() -> None:
        account = await entered(Contended())
        await account.end()
        await account.start()
        await asyncio.sleep(10)
        account.exchange.trade("BTCUSDT", Side.SELL, D("0.5"))  # a person takes a half
        known = account.worker._desk.known  # type: ignore[attr-defined]
        await account.worker.flatten("HALTED")
        await asyncio.sleep(1)
        close = known[leg_order_id(ORDER_ID, Leg.CLOSE, 1)]
        assert close.status is not Status.REJECTED
        assert close.filled == D("0.5")
        await account.end()

    run_virtually(day())


def test_doubted_order_is_not_asked_for_by_ever_more_tasks() -> None:
    async def day() -> None:
        account = await entered()
        account.exchange.cancel_silently(STOP)
        account.exchange.deaf = True
        account.exchange.failing = {"find": 10**6}
        for _ in range(11):
            account.exchange.resume()
            await asyncio.sleep(5)
        now = account.exchange.clock.monotonic()
        assert 0 < len([at for at in account.exchange.times("find s1") if at > now - 5]) < 20
        await account.end()

    run_virtually(day())


def test_entry_that_arrives_late_is_protected_though_only_its_position_is_told() -> None:
    async def day() -> None:
        account = Account(Exchange(silent={"e1"}, deaf=True))
        await account.start()
        account.exchange.failing = {"find": 1_000}
        await account.enter()
        await asyncio.sleep(5)
        account.exchange.arrive("e1")
        at = account.exchange.clock.monotonic()
        await asyncio.sleep(10)
        assert first_stop(account.exchange) - at < 2
        await account.end()

    run_virtually(day())
