"""A process says in words what does not work, and counts what happened."""

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from patriot.host.health import health_app
from patriot.host.self_report import MAX_LAG_EVENTS, Inside, SelfReport
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeUnavailable, StoreUnavailable
from patriot.kernel.subscription import Tail as KernelTail
from patriot.services.execution import ExecutionService
from patriot.services.plugged_in import PluggedIn

pytestmark = pytest.mark.integration

ACCOUNT = UUID(int=7)
COMPARED = {ACCOUNT: "it is compared with its exchange"}


class Market:
    """An exchange that answers, or does not."""

    def __init__(self, problem: Exception | None = None, *, unheard: str = "", **unknown: int) -> None:
        self.problem = problem
        self.market = self
        self.stream_problem = unheard
        self.unknown_seen = unknown

    async def server_time(self) -> None:
        if self.problem is not None:
            raise self.problem


class Feed:
    """A log of 2,000 events, or one that is away."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem

    async def newest(self) -> int:
        if self.problem is not None:
            raise self.problem
        return 2_000

    def distance(self, place: int, newest: int) -> int:
        return newest - place

    def reached(self, place: int, target: int) -> bool:
        return place >= target


class Tail:
    """A reader at a place."""

    name = "risk"

    def __init__(self, place: int) -> None:
        self.place = place


class Worker:
    """One account's worker as a report sees it."""

    def __init__(self, *, ready: bool, busy: dict[str, int] | None = None) -> None:
        self.ready = self
        self._ready = ready
        self.busy = busy or {}

    def is_set(self) -> bool:
        return self._ready


class Execution:
    """The execution service as a report sees it."""

    def __init__(self, troubles: dict[UUID, str], *workers: Worker) -> None:
        self.workers = dict(enumerate(workers))
        self.started = Worker(ready=True)
        self.fleet = self
        self._troubles = troubles

    def troubles(self) -> dict[UUID, str]:
        return self._troubles


class Plugged:
    """What a report is made of, with nothing behind it."""

    def __init__(self, feed: Feed, market: Market) -> None:
        self.ports = self
        self.feed = feed
        self.venues = {"BINANCE": market}
        self.alerts = self
        self.raised = 3
        self.clock = FakeClock()


async def told(path: str, *, feed: Feed | None = None, market: Market | None = None, **inside: Any) -> httpx.Response:
    """Return what a process answers that is as described, and in order otherwise."""
    plugged = Plugged(feed or Feed(), market or Market())
    report = SelfReport(cast(PluggedIn, plugged), Inside(**({"tails": lambda: [Tail(1_999)]} | inside)))
    app = health_app("platform", report.checks, report.figures, report.counts, report.notes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://patriot") as asked:
        return await asked.get(path)


def execution(troubles: dict[UUID, str], *workers: Worker) -> Any:
    return lambda: cast(ExecutionService, Execution(troubles, *workers))


async def test_process_in_order_is_ready_and_has_nothing_to_note() -> None:
    answer = await told("/ready", execution=execution({}, Worker(ready=True)))
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": dict.fromkeys(("services", "started", "database", "tails", "exchange"), "ok"),
        "notes": {},
    }


@pytest.mark.parametrize(
    ("check", "words", "wrong"),
    [
        ("services", "they are started again: KeyError: 'x'", {"restarting": lambda: "KeyError: 'x'"}),
        ("started", "accounts are not in step", {"execution": execution(COMPARED, Worker(ready=False))}),
        ("started", "accounts are not in step", {"execution": execution({ACCOUNT: "nobody works for it"})}),
        ("database", "away", {"feed": Feed(StoreUnavailable("away"))}),
        ("tails", "risk is 1001 events behind", {"tails": lambda: [Tail(2_000 - MAX_LAG_EVENTS - 1)]}),
        ("exchange", "closed this address", {"market": Market(ExchangeUnavailable("it closed this address"))}),
    ],
)
async def test_what_does_not_work_is_said_in_words(check: str, words: str, wrong: dict[str, Any]) -> None:
    answer = await told("/ready", **wrong)
    assert answer.status_code == 503
    assert words in answer.json()["checks"][check]


class Watched:
    """A report on one tail that is asked again and again while time passes."""

    def __init__(self, place: int) -> None:
        self.tail = Tail(place)
        self._plugged = Plugged(Feed(), Market())
        inside = Inside(tails=lambda: [cast(KernelTail, self.tail)])
        self._check = SelfReport(cast(PluggedIn, self._plugged), inside).checks["tails"]

    async def after(self, seconds: float) -> str:
        self._plugged.clock.advance(timedelta(seconds=seconds))
        return await self._check()


async def test_tail_that_stands_behind_the_log_is_told_after_half_a_minute() -> None:
    watched = Watched(1_998)
    assert await watched.after(0) == ""
    assert await watched.after(30) == ""
    assert await watched.after(1) == "risk is behind and has stood still for 31 s"
    watched.tail.place = 1_999
    assert await watched.after(60) == ""
    assert await watched.after(31) == "risk is behind and has stood still for 31 s"
    watched.tail.place = 2_000
    assert await watched.after(0) == ""


async def test_tail_at_the_end_of_the_log_stands_still_for_as_long_as_nothing_happens() -> None:
    watched = Watched(2_000)
    assert [await watched.after(3_600) for _ in range(3)] == ["", "", ""]
    watched.tail.place = 1_999  # something happened since the last look, not an hour ago
    assert await watched.after(3_600) == ""


async def test_account_that_is_not_in_step_is_noted_with_its_reason_and_others_go_on() -> None:
    broken = execution({ACCOUNT: "nobody works for it: ExchangeRefused: -2015"}, Worker(ready=True))
    answer = await told("/ready", execution=broken)
    assert answer.status_code == 200
    assert answer.json()["notes"] == {f"account {ACCOUNT}": "nobody works for it: ExchangeRefused: -2015"}


async def test_platform_without_accounts_is_ready() -> None:
    assert (await told("/ready", execution=execution({}))).status_code == 200


async def test_prices_that_are_not_heard_are_noted() -> None:
    answer = await told("/ready", market=Market(unheard="the line was lost"))
    assert answer.status_code == 200
    assert answer.json()["notes"] == {"market stream of BINANCE": "the line was lost"}


async def test_metrics_show_what_an_exchange_said_that_is_unknown() -> None:
    text = (await told("/metrics", market=Market(NEXT_YEARS_EVENT=3))).text
    assert 'patriot_exchange_unknown_total{of="NEXT_YEARS_EVENT"} 3.0' in text


async def test_metrics_show_accounts_counts_and_lags() -> None:
    workers = (
        Worker(ready=True),
        Worker(ready=False),
        Worker(ready=True, busy={"desk": 2}),
        Worker(ready=True, busy={"chores": 1}),
    )
    restarts = {"restarts": {"sim": 2.0}}
    text = (await told("/metrics", execution=execution({}, *workers), counts=lambda: restarts)).text
    for line in (
        'patriot_accounts{of="at_work"} 4.0',
        'patriot_accounts{of="in_step"} 3.0',
        'patriot_accounts{of="unsettled"} 1.0',
        'patriot_restarts_total{of="sim"} 2.0',
        'patriot_alerts_raised_total{of="critical"} 3.0',
        'patriot_tail_lag_events{of="risk"} 1.0',
    ):
        assert line in text
