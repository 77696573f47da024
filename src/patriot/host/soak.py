"""A soak: the real `patriot up` as a process tree on a fresh folder, plain faults on its exchange, then the judge.

Everything is asked from outside, as an operator would: health over HTTP, faults by the simulator's control API, the end
by SIGTERM, the judgment by `patriot verify`. Whatever was started is ended by its process id, also when interrupted.
"""

import asyncio
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from patriot.adapters.environment import environment_of_child
from patriot.adapters.simulator.control import SimControl, SimGone
from patriot.host.data_folder import DataFolder
from patriot.host.down import bring_down
from patriot.host.sim_process import PORTS_FILE
from patriot.host.soak_faults import rounds
from patriot.judge.case import Verdict
from patriot.judge.ends import RESTING
from patriot.judge.summary import Summary
from patriot.kernel.clock import Clock
from patriot.kernel.errors import StartupError
from patriot.sim.faults.wishes import FaultWish

START_SECONDS = 120.0
IN_STEP_SECONDS = 90.0  # an account whose worker failed is started again within 30 s
REST_SECONDS = 240.0  # an order of which nothing is known is watched for two minutes
END_SECONDS = 90.0  # a fast shutdown of PostgreSQL writes one checkpoint
COMMAND_SECONDS = 600.0  # the judge reads the whole log, and rebuilds every read model
POLL_SECONDS = 0.5
STILL_POLLS = 4  # so often in a row all must be at rest
REAL_TIME = 1
LAWS_OF_ORDERS = ("1", "2", "3", "4", "8", "11")
LAW_OF_REAL_TIME = "2"  # two seconds of a clock that runs sixty times as fast are not enough for one answer


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """How long, how fast the exchange's clock runs, and the seed of prices and faults alike."""

    folder: DataFolder
    seconds: float
    speed: int
    seed: int
    accounts: int


@dataclass(slots=True)
class SoakReport:
    """What was done to the platform, and what was found wrong; `broken` has one line for each."""

    faults: Counter[str] = field(default_factory=Counter)
    pairs: int = 0
    summary: Summary | None = None
    broken: list[str] = field(default_factory=list)


class Soak:
    """One soak. `phase` is told what is under way."""

    def __init__(self, options: SoakOptions, clock: Clock, phase: Callable[[str], None]) -> None:
        self._options = options
        self._folder = options.folder
        self._clock = clock
        self._phase = phase
        self._port = _free_port()
        self._address = f"http://127.0.0.1:{self._port}"
        self._up: asyncio.subprocess.Process | None = None
        self.report = SoakReport()

    async def run(self) -> SoakReport:
        """Return the report. Errors: StartupError when the platform does not start, with its own words."""
        if self._folder.path.exists() and any(self._folder.path.iterdir()):
            raise StartupError(f"{self._folder.path} is not empty: a soak begins with a fresh folder")
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
                await self._start(http)
                control = await self._control(http)
                try:
                    await self._disturb(control)
                    await self._come_to_rest(http, control)
                except SimGone as error:
                    self.report.broken.append(f"nothing to ask any more: {error}")
                await self._end()
            self._phase("judging")
            await self._judge()
        finally:
            await self._kill()
        return self.report

    async def _start(self, http: aiohttp.ClientSession) -> None:
        self._phase("starting the platform")
        self._folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = self._options
        with (self._folder.path / "up.log").open("ab") as said:
            self._up = await self._command(
                *("up", "--accounts", str(options.accounts), "--lively"),
                *("--seed", str(options.seed), "--speed", str(options.speed)),
                stdout=said,
                stderr=said,
            )
        if not await self._within(START_SECONDS, lambda: self._in_step(http)):
            words = (self._folder.path / "up.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise StartupError(f"the platform was not ready after {START_SECONDS:.0f} s: {' '.join(words)}")

    async def _control(self, http: aiohttp.ClientSession) -> SimControl:
        ports = msgspec.json.decode((self._folder.sim / PORTS_FILE).read_bytes())
        return SimControl(http, f"http://127.0.0.1:{ports['control_port']}", self._folder.sim_token())

    async def _disturb(self, control: SimControl) -> None:
        """Put faults in force until the time is over; then end them all."""
        keys = (await control.state())["keys"]  # clients first offered some keys that may withdraw: nobody works there
        uids = sorted(int(uid) for uid, held in keys.items() if all("withdraw" not in k["permissions"] for k in held))
        end = self._clock.monotonic() + self._options.seconds
        plan = rounds(self._options.seed, uids)
        self._phase(f"disturbing its exchange for {self._options.seconds / 60:g} minutes")
        while (left := end - self._clock.monotonic()) > 0 and self._lives():
            following = next(plan)
            await asyncio.sleep(min(following.pause_seconds, left))
            made = [name for name, fault in following.faults if await _put_in_force(control, fault)]
            self.report.faults.update(made)
            self.report.pairs += len(made) > 1
        await control.call("DELETE", "/faults")

    async def _come_to_rest(self, http: aiohttp.ClientSession, control: SimControl) -> None:
        """Wait until every account is in step; then close everything, so that nothing happens while nobody looks."""
        self._phase("waiting until every account is in step")
        if not await self._within(IN_STEP_SECONDS, lambda: self._in_step(http)):
            self.report.broken.append(
                f"not in step {IN_STEP_SECONDS:.0f} s after the last fault: {await self._ready(http)}"
            )
        self._phase("closing every position")
        await self._said("halt", "--level", "h3", "--reason", "SOAK_ENDS")
        if not await self._within(REST_SECONDS, lambda: self._is_at_rest(http, control)):
            rest = ", ".join(held((await control.state())["accounts"])) or await self._ready(http)
            self.report.broken.append(f"law 5: not at rest {REST_SECONDS:.0f} s after all was to be closed: {rest}")

    async def _end(self) -> None:
        self._phase("ending the platform")
        if self._up is None:
            return
        with suppress(ProcessLookupError):
            self._up.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                status = await self._up.wait()
        except TimeoutError:
            self.report.broken.append(f"the platform did not end within {END_SECONDS:.0f} s")
            return
        if status != 0:
            self.report.broken.append(f"the platform ended with status {status}: see up.log in the folder")
            await bring_down(self._folder)  # a server that it left behind

    async def _judge(self) -> None:
        status, judgment, complaints = await self._said("verify", str(self._folder.path), "--json")
        try:
            self.report.summary = summary = msgspec.json.decode(judgment, type=Summary)
        except msgspec.DecodeError:
            self.report.broken.append(f"verify ended with status {status}: {complaints.strip()[-300:]}")
            return
        self.report.broken += broken_laws(summary.laws, self._options.speed)

    async def _kill(self) -> None:
        """End what still runs: the platform, and a server that it left behind."""
        if self._up is not None and self._up.returncode is None:
            with suppress(ProcessLookupError):
                self._up.terminate()
            try:
                async with asyncio.timeout(END_SECONDS):
                    await self._up.wait()
            except TimeoutError:
                self._up.kill()
                await self._up.wait()
        await bring_down(self._folder)

    # Questions --------------------------------------------------------------------------------------------------------

    def _lives(self) -> bool:
        return self._up is not None and self._up.returncode is None

    async def _in_step(self, http: aiohttp.ClientSession) -> bool:
        status, _ = await self._answer(http, "/ready")
        _, metrics = await self._answer(http, "/metrics")
        return status == 200 and f'patriot_accounts{{of="in_step"}} {float(self._options.accounts)}' in metrics

    async def _is_at_rest(self, http: aiohttp.ClientSession, control: SimControl) -> bool:
        """Tell whether all is flat, and nothing is still to be found out: not even whether a lost order ever was."""
        _, metrics = await self._answer(http, "/metrics")
        settled = 'patriot_accounts{of="unsettled"} 0.0' in metrics
        return settled and await self._in_step(http) and not held((await control.state())["accounts"])

    async def _ready(self, http: aiohttp.ClientSession) -> str:
        return (await self._answer(http, "/ready"))[1]

    async def _answer(self, http: aiohttp.ClientSession, path: str) -> tuple[int, str]:
        try:
            async with http.get(self._address + path) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return 0, f"no answer: {error!r}"

    async def _within(self, seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
        """Return whether something holds several times in a row before so many seconds are over."""
        deadline, still = self._clock.monotonic() + seconds, 0
        while self._clock.monotonic() < deadline and self._lives():
            still = still + 1 if await holds() else 0
            if still == STILL_POLLS:
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _said(self, *words: str) -> tuple[int | None, bytes, str]:
        """Run a command of ours to its end; return its status and what it said."""
        process = await self._command(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                out, complaints = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode, out, complaints.decode(errors="replace")

    async def _command(self, *words: str, stdout: Any, stderr: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "patriot.cli.main", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment_of_child({"PATRIOT_HOME": str(self._folder.path), "PATRIOT_PORT": str(self._port)}),
            start_new_session=True,  # Ctrl-C is ours to pass on
        )


def broken_laws(laws: Mapping[str, Verdict], speed: int) -> list[str]:
    """Return what broke, a line each; law 2 is a matter of real seconds, and counts at their speed only.

    A law of the order path that was not put to the test is not kept: then nothing traded.
    """
    counted = {number: law for number, law in laws.items() if number != LAW_OF_REAL_TIME or speed == REAL_TIME}
    broken = [f"law {number}: {problem}" for number, law in counted.items() for problem in law.problems]
    untested = [number for number in LAWS_OF_ORDERS if number in counted and not counted[number].checked]
    return broken + [f"law {number}: was not put to the test" for number in untested]


def held(accounts: Mapping[str, Any]) -> list[str]:
    """Return what is still open on the exchange: positions, and orders that rest."""
    found = []
    for uid, account in accounts.items():
        found += [f"account {uid} holds {row['quantity']} {row['symbol']}" for row in account["positions"]]
        for kind, name in (("orders", "client_order_id"), ("algo_orders", "client_algo_id")):
            resting = [row for row in account[kind] if row["status"] in RESTING]
            found += [f"account {uid} has {row['symbol']} order {row[name]}" for row in resting]
    return found


async def _put_in_force(control: SimControl, fault: FaultWish) -> bool:
    """Return whether there was anything to hit: a listen key that has just ended cannot end again."""
    try:
        await control.call("POST", "/faults", fault)
    except SimGone:
        raise
    except StartupError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
