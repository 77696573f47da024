"""A service in a process of its own: when its work ends in any way, so does the process, for its keeper to see."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from patriot.accounts.ports import ApiKey
from patriot.adapters.vault import MasterKey, PostgresShelf, Vault, load_master_key
from patriot.host.data_folder import DataFolder
from patriot.host.exchange import SIM_ADDRESS
from patriot.host.root_file import RootFile
from patriot.host.serve import ServeOptions, serve_service
from patriot.host.settings import Settings
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import EndedByItself, NotFound, PatriotError, StoreUnavailable
from patriot.kernel.eventstore import Context
from patriot.risk.events import Scope
from patriot.risk.limits import set_limit
from patriot.services.engine import Engine
from patriot.services.plugged_in import plug_in
from patriot.services.table import TABLE, Role, Service, Supplies
from patriot.trading.terms import AccountId, UserId
from patriot.users.commands import RegisterUser
from patriot.users.events import RiskProfile
from patriot.users.events import Role as UserRole
from tests.cli.kit import free_port
from tests.support import eventually

pytestmark = pytest.mark.integration

Work = Callable[[], Coroutine[Any, Any, None]]


class Told(Engine):
    """A service's engine that does what it is told, and notes what else it was asked."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.asked: list[str] = []

    async def run(self) -> None:
        await self._work()

    async def tick(self, now: datetime) -> None:
        self.asked.append("tick")
        raise StoreUnavailable("away")

    async def finish(self) -> None:
        self.asked.append("finish")
        raise StoreUnavailable("away")


async def returns() -> None:
    """End as if all were done."""


async def canceled_inside() -> None:
    """Wait for something that somebody else cancels."""
    other = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


async def fails() -> None:
    raise StoreUnavailable("gone")


async def has_a_bug() -> None:
    raise KeyError("a symbol nobody thought of")


async def goes_on() -> None:
    await asyncio.sleep(3_600)


def served(engine: Engine, dsn: str, home: Path, monkeypatch: pytest.MonkeyPatch, ended: asyncio.Event) -> Any:
    """Return the serving of a risk service whose engine does what is told."""
    monkeypatch.setitem(TABLE, Service.RISK, replace(TABLE[Service.RISK], build=lambda _: engine))
    settings = Settings(home=home, database_url=dsn)
    options = ServeOptions(Service.RISK, Role.WORKER, DataFolder(home), settings, free_port())
    return serve_service(options, lambda _: None, ended)


@pytest.mark.parametrize(
    ("run", "error"),
    [(returns, EndedByItself), (canceled_inside, EndedByItself), (fails, StoreUnavailable), (has_a_bug, KeyError)],
)
async def test_service_whose_work_ends_ends_its_process_with_an_error(
    run: Work, error: type[Exception], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(error):
            await served(Told(run), database, tmp_path, monkeypatch, asyncio.Event())


async def test_service_that_is_told_to_end_ends_without_one(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, engine = asyncio.Event(), Told(goes_on)
    serving = asyncio.create_task(served(engine, database, tmp_path, monkeypatch, ended))
    await eventually(lambda: serving.done() or len(engine.asked) == 2, 20)
    assert not serving.done()
    assert engine.asked == ["tick", "tick"]  # each second, though the store was away at the first
    ended.set()
    async with asyncio.timeout(20):
        await serving
    assert engine.asked[-1] == "finish"


async def test_read_models_of_a_service_are_kept(database: str, tmp_path: Path) -> None:
    ended, settings = asyncio.Event(), Settings(home=tmp_path, database_url=database)
    options = ServeOptions(Service.IDENTITY, Role.WORKER, DataFolder(tmp_path), settings, free_port())
    async with plug_in(database, SIM_ADDRESS, SystemClock()) as plugged:
        wish = RegisterUser(UserId(UUID(int=1)), UserRole.USER, RiskProfile.MEDIUM, plugged.ports.clock.now())
        await plugged.ports.bus.dispatch(wish, Context(correlation_id=UUID(int=2)))
        serving = asyncio.create_task(serve_service(options, lambda _: None, ended))
        await eventually(lambda: plugged.database.fetch("SELECT user_id FROM read.users"), 20)
        ended.set()
        async with asyncio.timeout(20):
            await serving


async def test_role_that_a_service_has_not_is_refused(tmp_path: Path) -> None:
    options = ServeOptions(Service.RISK, Role.API, DataFolder(tmp_path), Settings(home=tmp_path))
    with pytest.raises(PatriotError, match="risk has nothing to run as api: its role is worker"):
        await serve_service(options, lambda _: None, asyncio.Event())


async def test_ledger_publishes_a_root_at_its_start_and_at_its_end(database: str, tmp_path: Path) -> None:
    folder, ended = DataFolder(tmp_path), asyncio.Event()
    options = ServeOptions(
        Service.LEDGER, Role.WORKER, folder, Settings(home=tmp_path, database_url=database), free_port()
    )
    roots = RootFile(folder.roots)
    async with plug_in(database, SIM_ADDRESS, SystemClock()) as plugged:

        async def limit(value: int) -> None:
            wish = set_limit(Scope.GLOBAL, "", "max_leverage", Decimal(value), plugged.ports.clock.now())
            await plugged.ports.bus.dispatch(wish, Context(correlation_id=wish.limits_id))

        await limit(7)
        serving = asyncio.create_task(serve_service(options, lambda _: None, ended))
        await eventually(lambda: serving.done() or len(roots.lines()) == 1, 20)
        assert not serving.done()
        await limit(6)
        ended.set()
        async with asyncio.timeout(20):
            await serving
        assert len(roots.lines()) == 2


async def test_service_that_signs_has_the_vault_of_its_folder_and_starts_though_one_key_does_not_open(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = AccountId(UUID(int=1)), AccountId(UUID(int=2))
    given, ended = list[Supplies](), asyncio.Event()

    def build(supplies: Supplies) -> Engine:
        given.append(supplies)
        return Told(goes_on)

    monkeypatch.setitem(TABLE, Service.EXECUTION, replace(TABLE[Service.EXECUTION], build=build))
    options = ServeOptions(
        Service.EXECUTION,
        Role.WORKER,
        DataFolder(tmp_path),
        Settings(home=tmp_path, database_url=database),
        free_port(),
    )
    async with plug_in(database, SIM_ADDRESS, SystemClock()) as plugged:
        shelf, key = PostgresShelf(plugged.database), ApiKey("key", "secret")
        await Vault(shelf, load_master_key(options.folder.master_key, None)).store(ours, 1, key)
        await Vault(shelf, MasterKey(bytes(32))).store(theirs, 1, key)
        serving = asyncio.create_task(serve_service(options, lambda _: None, ended))
        await eventually(lambda: serving.done() or bool(given), 20)
        vault = given[0].open_vault()
        assert await vault.open(ours) == key
        with pytest.raises(NotFound):
            await vault.open(theirs)
        ended.set()
        async with asyncio.timeout(20):
            await serving


async def test_service_that_signs_nothing_has_no_vault(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(supplies: Supplies) -> Engine:
        supplies.open_vault()
        return Told(goes_on)

    monkeypatch.setitem(TABLE, Service.RISK, replace(TABLE[Service.RISK], build=build))
    settings = Settings(home=tmp_path, database_url=database)
    options = ServeOptions(Service.RISK, Role.WORKER, DataFolder(tmp_path), settings, free_port())
    with pytest.raises(AssertionError, match="risk does not sign"):
        await serve_service(options, lambda _: None, asyncio.Event())
    assert not options.folder.master_key.exists()
