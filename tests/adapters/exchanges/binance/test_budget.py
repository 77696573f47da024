"""Who may send when the weight of an address runs short: the way out always, history last, nobody twice."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from patriot.adapters.exchanges.binance.budget import OrderCount, RateBudget
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeUnavailable
from patriot.simulation.loop import VirtualClock, run_virtually
from patriot.trading.terms import Urgency

pytestmark = pytest.mark.unit

T = TypeVar("T")
PROTECTION, POSITION, NORMAL, BACKGROUND = Urgency


class Scene:
    """Requests that were let through, in order, each with the second in which it was."""

    def __init__(self, weight_per_minute: int | None = 100) -> None:
        self.clock = VirtualClock()
        self.budget = RateBudget(self.clock, weight_per_minute)
        self.budget.answered()
        self.sent: list[tuple[str, float]] = []

    async def ask(self, name: str, weight: int, urgency: Urgency, account: object = None) -> None:
        await self.budget.admit(weight, urgency, account)
        self.sent.append((name, round(self.clock.monotonic(), 3)))

    def soon(self, name: str, weight: int, urgency: Urgency, account: object = None) -> asyncio.Task[None]:
        return asyncio.create_task(self.ask(name, weight, urgency, account))


def play(script: Callable[[Scene], Awaitable[T]], weight_per_minute: int | None = 100) -> T:
    async def run() -> T:
        return await script(Scene(weight_per_minute))

    return run_virtually(run())


def test_a_quarter_of_the_minute_is_left_for_the_way_out() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        await scene.ask("entry", 75, NORMAL)
        waiting = scene.soon("another", 1, POSITION)
        await scene.ask("stop", 25, PROTECTION)
        await waiting
        return scene.sent

    assert play(script) == [("entry", 0), ("stop", 0), ("another", 60)]


def test_protection_waits_when_even_the_reserve_is_spent_and_goes_first_then() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        await scene.ask("much", 100, PROTECTION)
        names = [("income", BACKGROUND), ("rest", NORMAL), ("held", POSITION), ("naked", PROTECTION)]
        await asyncio.gather(*(scene.soon(name, 10, urgency) for name, urgency in names))
        return scene.sent[1:]

    assert play(script) == [("naked", 60), ("held", 60), ("rest", 60), ("income", 60)]


def test_accounts_of_one_class_take_turns() -> None:
    async def script(scene: Scene) -> list[str]:
        await scene.ask("full", 75, NORMAL)
        greedy = [scene.soon(f"greedy {number}", 5, NORMAL, "greedy") for number in range(3)]
        await asyncio.sleep(1)
        await asyncio.gather(*greedy, scene.soon("modest", 5, NORMAL, "modest"))
        return [name for name, _ in scene.sent[1:]]

    assert play(script) == ["greedy 0", "modest", "greedy 1", "greedy 2"]


def test_history_beyond_a_quarter_of_the_minute_is_paced_and_leaves_half_of_it() -> None:
    async def script(scene: Scene) -> list[float]:
        await asyncio.gather(*(scene.soon("income", 10, BACKGROUND) for _ in range(6)))
        return [at for _, at in scene.sent]

    assert play(script) == [0, 0, 0, 15, 30, 60]


def test_count_of_the_venue_wins_when_it_is_higher() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        await scene.ask("first", 1, NORMAL)
        scene.budget.reported(80, asked_at=0)
        await scene.ask("second", 1, NORMAL)
        return scene.sent

    assert play(script) == [("first", 0), ("second", 60)]


def test_count_of_the_venue_that_fell_begins_a_new_minute() -> None:
    async def script(scene: Scene) -> int:
        await scene.ask("first", 70, NORMAL)
        scene.budget.reported(70, asked_at=0)
        await asyncio.sleep(20)
        scene.budget.reported(3, asked_at=scene.clock.monotonic())
        return scene.budget.used

    assert play(script) == 3


def test_minute_ends_with_that_of_the_clock_and_not_a_minute_after_the_first_request() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        await asyncio.sleep(45)
        await scene.ask("first", 1, PROTECTION)
        scene.budget.reported(100, asked_at=45)  # others at the address
        await scene.ask("naked", 10, PROTECTION)
        await asyncio.sleep(170)
        await scene.ask("full", 100, PROTECTION)
        await scene.ask("later", 10, PROTECTION)
        return scene.sent

    assert play(script) == [("first", 45), ("naked", 60), ("full", 230), ("later", 240)]


def test_lower_count_of_an_answer_that_was_overtaken_changes_nothing() -> None:
    async def script(scene: Scene) -> int:
        await scene.ask("first", 70, NORMAL)
        await asyncio.sleep(1)
        scene.budget.reported(70, asked_at=0)
        scene.budget.reported(5, asked_at=0.5)
        return scene.budget.used

    assert play(script) == 70


def test_ban_refuses_everything_at_once_until_it_is_over() -> None:
    async def script(scene: Scene) -> float | None:
        await scene.ask("full", 100, PROTECTION)
        queued = scene.soon("queued", 1, PROTECTION)
        await asyncio.sleep(1)
        scene.budget.banned(None)
        with pytest.raises(ExchangeUnavailable):
            await queued
        with pytest.raises(ExchangeUnavailable) as problem:
            await scene.ask("order", 0, PROTECTION)
        await asyncio.sleep(119)
        with pytest.raises(ExchangeUnavailable):
            await scene.ask("before", 1, PROTECTION)
        await asyncio.sleep(1)
        await scene.ask("after", 1, PROTECTION)
        return problem.value.retry_after_seconds

    assert play(script) == 120, "the shortest ban of the venue"


def test_throttled_address_waits_as_long_as_the_venue_says() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        scene.budget.throttled(7)
        with pytest.raises(ExchangeUnavailable):
            await scene.ask("order", 0, PROTECTION)
        await asyncio.gather(scene.soon("read", 1, NORMAL), scene.soon("naked", 1, PROTECTION))
        return scene.sent

    assert play(script) == [("naked", 7), ("read", 7)]


@pytest.mark.parametrize(("early_seconds", "sent"), [(0.002, [("stop", 1.005)]), (0.1, [])])
def test_order_that_a_timer_sent_a_moment_before_the_address_opens_waits_for_that(
    early_seconds: float, sent: list[tuple[str, float]]
) -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        scene.budget.throttled(1.0)
        await asyncio.sleep(1.0 - early_seconds)
        with suppress(ExchangeUnavailable):
            await scene.ask("stop", 0, PROTECTION)
        return scene.sent

    assert play(script) == sent


def test_throttled_without_a_time_lets_the_urgent_back_first_and_history_last() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        await scene.ask("before", 1, NORMAL)
        scene.budget.throttled(None)
        names = [("income", BACKGROUND), ("read", NORMAL), ("naked", PROTECTION)]
        await asyncio.gather(*(scene.soon(name, 1, urgency) for name, urgency in names))
        return scene.sent[1:]

    assert play(script) == [("naked", 1), ("read", 60), ("income", 120)]


def test_request_given_up_in_the_queue_costs_nothing() -> None:
    async def script(scene: Scene) -> tuple[int, int]:
        await scene.ask("full", 75, NORMAL)
        waiting = scene.soon("given up", 20, NORMAL)
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.sleep(60)
        await scene.ask("next", 1, NORMAL)
        return scene.budget.used, scene.budget.waiting

    assert play(script) == (1, 0)


def test_request_given_up_in_its_very_turn_gives_its_weight_back() -> None:
    async def script(scene: Scene) -> int:
        await scene.ask("full", 75, NORMAL)
        waiting = scene.soon("given up", 20, NORMAL)
        await asyncio.sleep(59)
        asyncio.get_running_loop().call_later(1, waiting.cancel)  # after the queue's own timer of the same instant
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        return scene.budget.used

    assert play(script) == 0


def test_first_request_goes_alone_until_its_answer_tells_what_is_left() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        scene.budget = RateBudget(scene.clock, 100)
        tasks = [scene.soon("first", 1, NORMAL), scene.soon("naked", 1, PROTECTION), scene.soon("read", 1, NORMAL)]
        await asyncio.sleep(2)
        scene.budget.reported(90, asked_at=0)
        scene.budget.answered()
        await asyncio.gather(*tasks)
        return scene.sent

    assert play(script) == [("first", 0), ("naked", 2), ("read", 60)]


def test_first_request_that_is_given_up_does_not_hold_up_the_others() -> None:
    async def script(scene: Scene) -> list[tuple[str, float]]:
        scene.budget = RateBudget(scene.clock, 100)
        scene.budget.throttled(5)
        first, second = scene.soon("first", 1, NORMAL), scene.soon("second", 1, NORMAL)
        await asyncio.sleep(4)
        asyncio.get_running_loop().call_later(1, first.cancel)  # after the queue's own timer of the same instant
        await second
        return scene.sent

    assert play(script) == [("second", 5)]


def test_replay_counts_without_holding_back() -> None:
    async def script(scene: Scene) -> int:
        await scene.ask("everything", 1_000_000, BACKGROUND)
        return scene.budget.used

    assert play(script, weight_per_minute=None) == 1_000_000


class TestOrderCount:
    def test_entries_leave_a_quarter_of_the_orders_for_the_way_out(self) -> None:
        orders = OrderCount(FakeClock())
        for _ in range(225):
            orders.take(way_out=False)

        with pytest.raises(ExchangeUnavailable) as problem:
            orders.take(way_out=False)
        assert problem.value.retry_after_seconds == 10
        orders.take(way_out=True)

    def test_count_of_the_venue_is_taken_over(self) -> None:
        orders = OrderCount(FakeClock())
        orders.reported({"x-mbx-order-count-10s": "3", "x-mbx-order-count-1m": "900"})

        with pytest.raises(ExchangeUnavailable, match="900 in 1m"):
            orders.take(way_out=False)
