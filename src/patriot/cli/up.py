"""`patriot up`: the platform live on this machine, until Ctrl-C, SIGTERM or `patriot down`."""

import asyncio
import signal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from patriot.cli.demo import MAX_ACCOUNTS, MODEL, recording
from patriot.cli.folders import BIGGEST
from patriot.cli.running import run
from patriot.host.folder_database import chosen_folder
from patriot.host.logs import log_to
from patriot.host.settings import Settings
from patriot.host.up import DEFAULT_SEED, Running, Up, UpOptions
from patriot.kernel.errors import InvalidInput

NOT_OPENED = "its sealed key does not open with this master key, and it does not trade"


class Speed(StrEnum):
    """Seconds of the simulated exchange per second."""

    REAL = "1"
    FAST = "60"


def up(
    speed: Annotated[
        Speed,
        typer.Option(help="of the simulated exchange's clock; at 60, 2 s of it pass in 0.03 s, which law 2 will show"),
    ] = Speed.REAL,
    data: Annotated[
        str | None, typer.Option(help="recorded kline CSV, or 'model'; a folder keeps what it began with")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="of the price model, for a new folder", min=-BIGGEST, max=BIGGEST)
    ] = DEFAULT_SEED,
    accounts: Annotated[int, typer.Option(help="paper clients that a new folder begins with")] = 0,
    lively: Annotated[
        bool, typer.Option("--lively", help="paper clients' strategies look at minutes and trade every few of them")
    ] = False,
    home: Annotated[Path | None, typer.Option(help="data folder instead of PATRIOT_HOME")] = None,
) -> None:
    """Run the platform live on this machine: database, exchange, every service, until it is ended.

    The exchange is a simulator whose clock is the platform's clock, unless PATRIOT_BINANCE_URL names another.
    """
    work = _up(speed, data, seed, accounts, home, lively=lively)
    run(work, interrupted="`patriot up` goes on where this stopped.")


async def _up(speed: Speed, data: str | None, seed: int, accounts: int, home: Path | None, *, lively: bool) -> None:
    if not 0 <= accounts <= MAX_ACCOUNTS:
        raise InvalidInput("--accounts", f"expected 0 to {MAX_ACCOUNTS}, found {accounts}")
    settings = Settings.read()
    folder = chosen_folder(settings, home or settings.home)
    played = None if data in (None, MODEL) else recording(data)
    options = UpOptions(folder, settings, int(speed), played, seed, accounts, lively)
    console = Console()
    status = console.status("starting")
    ended = asyncio.Event()

    def started(running: Running) -> None:
        status.stop()
        _show(console, running)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):  # from here on these are the usual end, not an interruption
            loop.add_signal_handler(number, ended.set)

    console.print(f"data folder {folder.path}", highlight=False, soft_wrap=True)
    console.print(f"log         {folder.log}", highlight=False, soft_wrap=True)
    log_to(folder.log, settings.log_level)
    try:
        status.start()
        await Up(options, status.update).run(started, ended)
    finally:
        status.stop()
    console.print("ended. `patriot up` goes on where this stopped.")


def _show(console: Console, running: Running) -> None:
    lines = {"exchange": f"{running.exchange.base_url} (streams {running.exchange.ws_url})"}
    if running.control_url is not None:
        token = f"Authorization: Bearer with the token in {running.folder.sim_token_file}"
        lines["control API"] = f"{running.control_url}/state ({token})"
    lines["health"] = f"http://127.0.0.1:{running.port}/health, /ready, /metrics"
    lines["accounts"] = str(running.accounts or "none yet; a new folder begins with paper clients by `--accounts 3`")
    for name, value in lines.items():
        console.print(f"{name:<11} {value}", highlight=False, soft_wrap=True)
    for account_id in running.unopened:
        console.print(f"not opened  account {account_id}: {NOT_OPENED}", highlight=False, soft_wrap=True)
    ending = f"running: Ctrl-C or `patriot down {running.folder.path}` ends it"
    console.print(ending, highlight=False, soft_wrap=True)
