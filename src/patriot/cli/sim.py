"""`patriot sim`: the exchange simulator alone, for people and programs that speak the wire of the venue."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from patriot.cli.folders import BIGGEST
from patriot.cli.sim_clients import epilog
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import InvalidInput, PatriotError
from patriot.sim.exchange import VenueName
from patriot.sim.listing import listed
from patriot.sim.prices.model import DEFAULT_SYMBOLS
from patriot.sim.server import SimServer, SimSettings, end_on_signals, end_with_parent

TOKEN_VARIABLE = "PATRIOT_SIM_TOKEN"  # noqa: S105 - the name of a variable, not a token
MODEL = "model"


class Speed(StrEnum):
    """How venue time runs: as real time, sixty times as fast, or only when the control API says so."""

    REAL = "1"
    FAST = "60"
    STEP = "step"


app = typer.Typer(add_completion=False)


@app.command(name="sim", epilog=epilog())
def sim(
    binance_port: Annotated[
        int, typer.Option(help="REST and WebSocket of the Binance face; 0 takes a free port", min=0, max=65_535)
    ] = 9101,
    bybit_port: Annotated[
        int, typer.Option(help="REST and WebSocket of the Bybit face; 0 takes a free port", min=0, max=65_535)
    ] = 9102,
    control_port: Annotated[
        int, typer.Option(help="accounts, clock, faults, state; 0 takes a free port", min=0, max=65_535)
    ] = 9100,
    venue: Annotated[
        list[VenueName] | None, typer.Option(help="a venue to run; once for each, both when none is named")
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="recorded klines or aggTrades (CSV, .gz, .zip), or a folder of them; repeatable; else a seeded model"
        ),
    ] = None,
    symbols: Annotated[
        str, typer.Option(help="of the model: names with commas between, or how many of the listed ones")
    ] = ",".join(DEFAULT_SYMBOLS),
    loop: Annotated[bool, typer.Option("--loop", help="play the recording again and again")] = False,
    seed: Annotated[int, typer.Option(help="same seed, same prices and fills", min=-BIGGEST, max=BIGGEST)] = 7,
    speed: Annotated[Speed, typer.Option(help="venue seconds per second, or step by POST /clock")] = Speed.REAL,
    journal: Annotated[Path | None, typer.Option(help="folder that brings everything back after a kill")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="put an old journal aside and begin anew")] = False,
    scenario: Annotated[
        Path | None, typer.Option(help="YAML file of faults, each at a time or after so many orders")
    ] = None,
    announce: Annotated[bool, typer.Option("--announce", help="print the ports as one JSON line")] = False,
    parent_pipe: Annotated[bool, typer.Option("--parent-pipe", help="end when standard input closes")] = False,
) -> None:
    """Run an exchange that speaks the wire protocols of Binance USD-M Futures and Bybit v5."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        token = secrets.token_urlsafe(24)
        typer.echo(f"control token (set {TOKEN_VARIABLE} to choose your own): {token}", err=True)
    try:
        if fresh and journal is None:
            raise InvalidInput("--fresh", "expected --journal with it: there is nothing to put aside")
        if loop and not data:
            raise InvalidInput("--loop", "expected --data with it: the model has no end")
        settings = SimSettings(
            token=token,
            binance_port=binance_port,
            bybit_port=bybit_port,
            venues=tuple(venue or VenueName),
            control_port=control_port,
            host=host,
            data=_recorded(data or [MODEL]),
            symbols=_names(symbols),
            loop=loop,
            seed=seed,
            speed=None if speed is Speed.STEP else int(speed.value),
            journal=journal,
            fresh=fresh,
            scenario=scenario,
        )
        _run(settings, announce=announce, parent_pipe=parent_pipe)
    except (PatriotError, OSError) as error:
        typer.echo(f"patriot sim: {error}", err=True)
        raise typer.Exit(2) from error


def _recorded(data: list[str]) -> tuple[Path, ...] | None:
    if data == [MODEL]:
        return None
    if MODEL in data:
        raise InvalidInput("--data", "expected recordings or 'model', found both")
    return tuple(Path(path) for path in data)


def _names(symbols: str) -> tuple[str, ...]:
    """Return the model's symbols. Errors: InvalidInput for a count out of range; unlisted names are found later."""
    named = tuple(dict.fromkeys(name.strip().upper() for name in symbols.split(",") if name.strip()))
    if not named:
        raise InvalidInput("--symbols", "expected at least one")
    if not symbols.isdecimal():
        return named
    names = [instrument.symbol for instrument in listed(VenueName.BINANCE)]
    count = int(symbols)
    if not 0 < count <= len(names):
        raise InvalidInput("--symbols", f"expected 1 to {len(names)}, or names, found {symbols[:20]}")
    return tuple(names[:count])


def _run(settings: SimSettings, *, announce: bool, parent_pipe: bool) -> None:
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        runner.run(_serve(settings, announce=announce, parent_pipe=parent_pipe))


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:  # no wheel for this platform: the standard loop does the same, slower
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return factory


async def _serve(settings: SimSettings, *, announce: bool, parent_pipe: bool) -> None:
    server = SimServer(settings, SystemClock())
    await server.start()
    if server.put_aside is not None:
        typer.echo(f"the old journal was put aside as {server.put_aside}", err=True)
    end_on_signals(server)
    if parent_pipe:
        await end_with_parent(server)
    ports = {"control_port": server.control_port, "pid": os.getpid()}
    if VenueName.BINANCE in settings.venues:
        ports["binance_port"] = server.binance_port
    if VenueName.BYBIT in settings.venues:
        ports["bybit_port"] = server.bybit_port
    if announce:
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
    else:
        base = f"http://{settings.host}"
        if "binance_port" in ports:
            streams = "streams on /public, /market, /private"
            typer.echo(f"Binance face  {base}:{server.binance_port}/fapi/v1/ping   ({streams})")
        if "bybit_port" in ports:
            streams = "sockets on /v5/public/linear, /v5/private, /v5/trade"
            typer.echo(f"Bybit face    {base}:{server.bybit_port}/v5/market/time   ({streams})")
        typer.echo(f"control API   {base}:{server.control_port}/state")
        typer.echo("Ctrl-C ends it" + (f"; --journal {settings.journal} brings it back" if settings.journal else ""))
    await server.run_until_ended()


if __name__ == "__main__":
    app()
