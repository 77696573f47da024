"""Services that end in any way are started again within seconds, and the keeper itself ends when it is told to."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from patriot.host import keepers
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.keepers import PlatformKeeper, PostgresKeeper, SimKeeper
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.kernel.errors import StartupError, StoreUnavailable

pytestmark = pytest.mark.unit

Work = Callable[[], Coroutine[Any, Any, None]]


async def goes_on() -> None:
    await asyncio.sleep(3_600)


async def returns() -> None:
    """End as if all were done."""


async def canceled_inside() -> None:
    """Wait for something that somebody else cancels."""
    other = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


async def store_is_gone() -> None:
    raise StoreUnavailable("gone")


async def has_a_bug() -> None:
    raise ExceptionGroup("two of one group", [KeyError("a symbol nobody thought of"), StoreUnavailable("gone")])


class Services:
    """What a keeper builds: each does what it was made to do."""

    def __init__(self, run: Work, keep_ticking: Work) -> None:
        self.run = run
        self.keep_ticking = keep_ticking


class Raised:
    """Alerts, kept."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str]] = []

    def critical(self, name: str, **fields: object) -> None:
        self.alerts.append((name, str(fields.get("error"))))


def keeper_of(*lives: Services) -> tuple[PlatformKeeper[Services], Raised]:
    """Return a keeper whose services do, one life after the other, what is given; the last one goes on."""
    left: Iterator[Services] = iter([*lives, Services(goes_on, goes_on)])
    raised = Raised()
    return PlatformKeeper(lambda: next(left), raised), raised


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "BACKOFF_SECONDS", (0.0,))


@pytest.mark.parametrize(
    ("life", "said"),
    [
        (Services(store_is_gone, goes_on), "StoreUnavailable: gone"),
        (Services(has_a_bug, goes_on), "KeyError: 'a symbol nobody thought of'; StoreUnavailable: gone"),
        (Services(returns, goes_on), "EndedByItself"),
        (Services(canceled_inside, goes_on), "EndedByItself"),
        (Services(goes_on, store_is_gone), "StoreUnavailable: gone"),
        (Services(goes_on, returns), "EndedByItself"),
    ],
    ids=["store gone", "a bug", "returns", "canceled inside", "ticks fail", "ticks end"],
)
async def test_services_that_end_are_built_anew_and_a_person_is_told(life: Services, said: str) -> None:
    keeper, raised = keeper_of(life)
    keeping = asyncio.create_task(keeper.run())
    await until(lambda: keeper.restarts == 1 and keeper.platform is not life)
    assert keeper.restarting == ""
    (alert,) = raised.alerts
    assert alert[0] == "platform.failed"
    assert alert[1].startswith(said)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_services_that_are_started_again_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "BACKOFF_SECONDS", (3_600.0,))
    keeper, _ = keeper_of(Services(store_is_gone, goes_on))
    keeping = asyncio.create_task(keeper.run())
    await until(lambda: keeper.restarting == "StoreUnavailable: gone")
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_keeper_that_is_canceled_ends_although_its_services_fail_meanwhile() -> None:
    async def fails_at_its_end() -> None:
        try:
            await goes_on()
        finally:
            raise StoreUnavailable("gone while it was told to end")

    keeper, raised = keeper_of(Services(fails_at_its_end, goes_on))
    keeping = asyncio.create_task(keeper.run())
    await asyncio.sleep(0.01)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await keeping
    assert (keeper.restarts, raised.alerts) == (0, [])


class Server:
    """A database server that was killed, and cannot be started as often as it is told."""

    def __init__(self, failures: list[Exception]) -> None:
        self.runs = False
        self._failures = failures

    async def running(self) -> object | None:
        return self if self.runs else None

    async def start(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.runs = True


async def test_database_that_cannot_be_started_is_tried_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "LOOK_SECONDS", 0.0)
    server = Server([StartupError("the disk is full"), OSError("no memory")])
    keeper = PostgresKeeper(cast(EmbeddedPostgres, server))
    keeping = asyncio.create_task(keeper.run())
    await until(lambda: server.runs)
    assert keeper.restarts == 3
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


class Sim:
    """A simulator that ends as soon as it runs, or goes on."""

    binance_port, control_port = 1_001, 1_002

    def __init__(self, died: Work) -> None:
        self.died = died


async def test_simulator_that_came_back_is_followed_by_whoever_goes_by_its_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ends() -> None:
        raise StartupError("killed")

    lives: list[Sim | StartupError] = [Sim(ends), StartupError("its port is taken"), Sim(goes_on)]
    started: list[SimSpec] = []
    followed: list[object] = []

    async def start(spec: SimSpec) -> Sim:
        started.append(spec)
        if isinstance(life := lives.pop(0), StartupError):
            raise life
        return life

    async def came_back() -> None:
        followed.append(keeper.sim)

    monkeypatch.setattr(SimProcess, "start", start)
    keeper = SimKeeper(SimSpec(Path("sim"), "t", 7, "1", None), cast(SimProcess, Sim(ends)))
    keeping = asyncio.create_task(keeper.run(came_back))
    try:
        await until(lambda: not lives and len(followed) == 2)
        assert followed[-1] is keeper.sim
        assert keeper.restarts == 3
        again = {(spec.binance_port, spec.control_port) for spec in started}
        assert again == {(Sim.binance_port, Sim.control_port)}
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_pauses_grow_and_begin_anew_after_a_steady_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    now = [0.0]
    monkeypatch.setattr(keepers, "BACKOFF_SECONDS", (0.2, 0.5, 1.0))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0], raising=False)
    backoff = keepers.Backoff()
    for at in (100.0, 101.0, 102.0, 103.0, 300.0):
        now[0] = at
        await backoff.pause()
    assert slept == [0.2, 0.5, 1.0, 1.0, 0.2]
    assert backoff.failures == 5
