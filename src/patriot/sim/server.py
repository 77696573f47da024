"""The simulator as a process: prices, journal, venue, two ports, and a clock that runs by itself or is driven."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.kernel.errors import InvalidInput, StartupError
from patriot.sim.binance.face import BinanceFace
from patriot.sim.binance.limits import UNLIMITED, Limits
from patriot.sim.bybit.face import BybitFace
from patriot.sim.control.api import TICKS_AT_A_TIME, Control
from patriot.sim.engine.records import Instrument
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import Liquidity
from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults.actions import Means
from patriot.sim.faults.desk import FaultDesk
from patriot.sim.faults.rules import Faults
from patriot.sim.faults.scenario import Scenario, ScenarioPlayer, load_scenario
from patriot.sim.journal import Journal
from patriot.sim.listing import listed
from patriot.sim.prices.feed import MINUTE_MS, Feed
from patriot.sim.prices.model import DEFAULT_SYMBOLS, MODEL_START_MS, ModelFeed, model_is_fine, model_start_ms
from patriot.sim.prices.recorded import load_recorded
from patriot.sim.sockets import Sessions
from patriot.sim.timetable import Timetable
from patriot.sim.wire_times import WireTimes
from patriot.sim.world import Header, JournalLost, Record, World

JOURNAL_FILE = "sim.journal"
MAX_HEAD_BYTES = 64 * 1024  # the address of a request, or one of its headers
HOUSEKEEPING_SECONDS = 1.0
LONGEST_SLEEP_SECONDS = 1.0
REAL_TIME = 1  # venue seconds per second
JOURNAL_WAIT_SECONDS = 5.0
JOURNAL_POLL_SECONDS = 0.05
FIRST_UIDS = {VenueName.BINANCE: 1, VenueName.BYBIT: 5_000_001}  # account numbers are unique over venues


@dataclass(frozen=True, slots=True)
class SimSettings:
    """How to run one simulator. Port 0 takes a free one; a speed of None leaves the clock to the control API."""

    token: str
    binance_port: int = 9101
    control_port: int = 9100
    host: str = "127.0.0.1"
    data: Path | tuple[Path, ...] | None = None  # recorded files or folders; None: the seeded model
    symbols: tuple[str, ...] = DEFAULT_SYMBOLS  # of the model
    loop: bool = False  # play a recording again and again
    seed: int = 7
    speed: int | None = 1  # venue seconds per real second
    journal: Path | None = None  # a folder; None forgets everything at the end
    fresh: bool = False  # put an old journal aside and begin anew
    limits: Limits | None = None  # of Binance; None: the venue's own, and none in a stepped replay
    venues: tuple[VenueName, ...] = (VenueName.BINANCE, VenueName.BYBIT)
    bybit_port: int = 9102
    scenario: Path | None = None  # a YAML file of faults
    bybit_limits: bool | None = None  # whether Bybit counts requests; None: unless the replay is stepped


class SimServer:
    """One simulator, from its files to its sockets."""

    def __init__(self, settings: SimSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._journal: Journal[Record] | None = None
        self._over = asyncio.Event()
        self._lost: JournalLost | None = None
        self._broken: BaseException | None = None
        self._sessions: dict[VenueName, Sessions] = {}
        self._end_listen_keys: Callable[[int | None, bool], int] = lambda _uid, _announced: 0
        self._scenario = Scenario()
        self._timetable = Timetable()
        self._begins_ms = 0  # of a model that begins now: the time, and not only its minute
        self.put_aside: Path | None = None  # where the old journal went, with `fresh`
        self.binance_port = 0  # 0: this venue does not run
        self.bybit_port = 0
        self.control_port = 0

    async def start(self) -> None:
        """Load prices and journal, open the ports, let the clock run.

        Errors: StartupError for a taken port or a journal of other prices; InvalidInput for a broken file of prices or
        faults. Then no journal has been changed.
        """
        try:
            await self._open()
        except BaseException:
            await self.stop()
            raise

    async def _open(self) -> None:
        settings = self._settings
        if settings.scenario is not None:
            self._scenario = load_scenario(settings.scenario)
        records = await self._open_journal()
        await self._check_ports()
        header = None if settings.fresh else next(records, None)
        known = header if isinstance(header, Header) else None
        feed = self._feed(known)
        liquidity = Liquidity.PRIVATE if settings.speed is None else Liquidity.SHARED
        if known is not None:  # the books go on as they were begun
            liquidity = known.liquidity
        venues = {
            name: Venue(
                seed=settings.seed, instruments=_listed(name, feed.symbols), liquidity=liquidity, first_uid=first_uid
            )
            for name, first_uid in FIRST_UIDS.items()
            if name in settings.venues
        }
        world = World(venues, feed, settings.seed, WireTimes(self._clock.monotonic), liquidity)
        self._scenario.check_against(world)
        if settings.fresh:
            self._put_aside()
        if header is not None:
            world.restore(chain([header], records))
        self._start_clock(world)
        await self._open_ports(world)

    async def _open_journal(self) -> Iterator[Record]:
        """Open the journal; a simulator that is just ending may hold it for a moment."""
        folder = self._settings.journal
        if folder is None:
            return iter(())
        deadline = self._clock.monotonic() + JOURNAL_WAIT_SECONDS
        while self._journal is None:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._journal = _journal_in(folder)
            except OSError as error:
                raise StartupError(f"--journal {folder} cannot be used as a folder ({error.strerror})") from error
            except StartupError:
                if self._clock.monotonic() >= deadline:
                    raise
                await asyncio.sleep(JOURNAL_POLL_SECONDS)
        return self._journal.replay()

    def _put_aside(self) -> None:
        """Begin a new journal; one that is empty needs no other name."""
        folder, journal = self._settings.journal, self._journal
        if folder is not None and journal is not None and (folder / JOURNAL_FILE).stat().st_size:
            self.put_aside = journal.put_aside()
            self._journal = _journal_in(folder)

    def _feed(self, header: Header | None) -> Feed:
        """Return the prices; a model whose clock runs by itself begins now, or where its journal began."""
        settings = self._settings
        if settings.data is not None:
            paths = (settings.data,) if isinstance(settings.data, Path) else settings.data
            return load_recorded(*paths, seed=settings.seed, loop=settings.loop)
        start_ms = model_start_ms(header.prices) if header is not None else None
        if start_ms is None:
            now_ms = to_epoch_ms(self._clock.now())
            start_ms = MODEL_START_MS if settings.speed is None else now_ms - now_ms % MINUTE_MS
            self._begins_ms = start_ms if settings.speed is None else now_ms
        fine = settings.speed == REAL_TIME if header is None else model_is_fine(header.prices)
        return ModelFeed(settings.seed, start_ms, settings.symbols, fine=fine)

    def _start_clock(self, world: World) -> None:
        speed = self._settings.speed
        world.start(self._journal)
        if speed is None:
            return
        began_ms, began = max(world.now_ms, self._begins_ms), self._clock.monotonic()
        world.run_by(lambda: began_ms + int((self._clock.monotonic() - began) * 1000 * speed), speed)
        self._keep_running(self._drive(world, speed))

    async def _open_ports(self, world: World) -> None:
        settings = self._settings
        faults = Faults(lambda: world.now_ms, self._clock.monotonic, settings.seed)
        for name, exchange in world.exchanges.items():
            if name is VenueName.BINANCE:
                await self._open_binance(exchange, faults)
            else:
                await self._open_bybit(exchange, faults)
        desk = FaultDesk(Means(world, self._sessions, self._end_listen_keys), faults, self._clock.monotonic)
        soon = asyncio.get_running_loop().call_soon
        self._timetable = Timetable((desk, ScenarioPlayer(self._scenario, world, desk.take, soon)))
        control = Control(
            world,
            self._sessions,
            desk,
            self._timetable,
            settings.token,
            stepped=settings.speed is None,
            on_lost_journal=self._journal_lost,
        )
        self.control_port = await self._listen(control.application(), settings.control_port, "--control-port")

    async def _open_binance(self, exchange: Exchange, faults: Faults) -> None:
        settings, live = self._settings, self._settings.speed is not None
        limits = settings.limits or (Limits() if live else UNLIMITED)
        face = BinanceFace(exchange, faults, self._clock, limits, live=live, on_lost_journal=self._journal_lost)
        self._sessions[exchange.name] = face.hub.sessions
        self._end_listen_keys = face.hub.end_listen_keys
        self._keep_running(self._keep_binance(face))
        self.binance_port = await self._listen(face.application(), settings.binance_port, "--binance-port")

    async def _open_bybit(self, exchange: Exchange, faults: Faults) -> None:
        settings, live = self._settings, self._settings.speed is not None
        limits_on = live if settings.bybit_limits is None else settings.bybit_limits
        face = BybitFace(exchange, faults, self._clock, limits_on, live=live, on_lost_journal=self._journal_lost)
        self._sessions[exchange.name] = face.sessions
        self._keep_running(self._keep_bybit(face))
        self.bybit_port = await self._listen(face.application(), settings.bybit_port, "--bybit-port")

    async def _check_ports(self) -> None:
        """Refuse ports that cannot be had before anything is written. Errors: StartupError."""
        settings = self._settings
        wanted = {"--control-port": settings.control_port}
        if VenueName.BINANCE in settings.venues:
            wanted["--binance-port"] = settings.binance_port
        if VenueName.BYBIT in settings.venues:
            wanted["--bybit-port"] = settings.bybit_port
        options: dict[int, str] = {}
        for option, port in wanted.items():
            other = options.setdefault(port, option)
            if port and other != option:
                raise InvalidInput(option, f"expected another port than {other}, found {port} for both")
        for option, port in wanted.items():
            with self._naming_the_port(port, option):
                server = await asyncio.get_running_loop().create_server(
                    asyncio.Protocol, settings.host, port, start_serving=False
                )
            server.close()

    @contextlib.contextmanager
    def _naming_the_port(self, port: int, option: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise StartupError(
                f"port {port} on {self._settings.host} cannot be opened ({reason}): "
                f"stop what holds it, or name another with {option}"
            ) from error

    async def _listen(self, app: web.Application, port: int, option: str) -> int:
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_http_log(),
            shutdown_timeout=1.0,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
        )
        await runner.setup()
        self._runners.append(runner)
        with self._naming_the_port(port, option):
            await web.TCPSite(runner, self._settings.host, port).start()
        address: Any = runner.addresses[0]
        return int(address[1])

    def _keep_running(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the requests; a simulator in which it fails ends, instead of standing still."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self._broken = task.exception()
                self._over.set()

        task = asyncio.create_task(work)
        task.add_done_callback(ended)
        self._tasks.append(task)

    async def _drive(self, world: World, speed: int) -> None:
        """Play each price when its time has come."""
        while True:
            next_ms = self._timetable.stop_before(world.next_tick_ms())
            wait = (next_ms - world.now_ms) / 1000 / speed
            if wait > 0:
                await asyncio.sleep(min(wait, LONGEST_SLEEP_SECONDS))
            try:
                reached_ms = self._timetable.stop_before(world.now_ms)
                world.advance(reached_ms, stop_on_activity=False, max_ticks=TICKS_AT_A_TIME)
                self._timetable.on_time(reached_ms)
            except JournalLost as error:
                self._journal_lost(error)
                return
            await asyncio.sleep(0)

    async def _keep_bybit(self, face: BybitFace) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            face.housekeeping()

    async def _keep_binance(self, face: BinanceFace) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            face.hub.housekeeping()

    def _journal_lost(self, error: JournalLost) -> None:
        self._lost = error
        self._over.set()

    def end(self) -> None:
        """Let run_until_ended() return."""
        self._over.set()

    async def run_until_ended(self) -> None:
        """Wait for end(). Errors: StartupError when the journal could not be written any more."""
        await self._over.wait()
        await self.stop()
        if self._broken is not None:
            raise self._broken
        if self._lost is not None:
            raise StartupError(f"{self._lost}; free space and start again, nothing that was answered is lost")

    async def stop(self) -> None:
        """Close sockets, clock and journal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await asyncio.gather(*(sessions.close() for sessions in self._sessions.values()))
        self._sessions.clear()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _journal_in(folder: Path) -> Journal[Record]:
    return Journal.open(folder / JOURNAL_FILE, msgspec.json.Decoder(Record).decode)


def _http_log() -> logging.Logger:
    """Return a log without what no server could read as HTTP: that is answered with 400, and no fault of ours."""
    log = logging.getLogger("patriot.sim.http")
    log.addFilter(_is_ours)
    return log


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


def _listed(name: VenueName, symbols: tuple[str, ...]) -> list[Instrument]:
    """Return a venue's instruments that have prices."""
    instruments = [instrument for instrument in listed(name) if instrument.symbol in symbols]
    if len(instruments) != len(symbols):
        known = ", ".join(instrument.symbol for instrument in listed(name))
        raise StartupError(f"prices of {', '.join(symbols)} were given, the simulator lists {known}")
    return instruments


def end_on_signals(server: SimServer) -> None:
    """End the server on Ctrl-C and on SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.end)


class _ParentPipe(asyncio.Protocol):
    def __init__(self, server: SimServer) -> None:
        self._server = server

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.end()


async def end_with_parent(server: SimServer) -> None:
    """End the server when the pipe on standard input closes: its parent is gone.

    Errors: InvalidInput when standard input is no pipe.
    """
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: _ParentPipe(server), sys.stdin)
    except ValueError as error:
        raise InvalidInput("--parent-pipe", "expected a pipe on standard input, found something else") from error
