"""`patriot serve SERVICE`: one service as a process of its own, over a database that others share."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from patriot.cli import sim as simulator
from patriot.cli.running import run
from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import chosen_folder, simulator_of
from patriot.host.logs import log_to
from patriot.host.serve import ServeOptions, serve_service
from patriot.host.settings import Settings
from patriot.host.up import DEFAULT_SEED
from patriot.kernel.errors import StartupError
from patriot.services.table import TABLE, Role, Service
from patriot.sim.exchange import VenueName

WHICH = "; ".join(f"{name}: {row.what}" for name, row in TABLE.items())


def serve(
    service: Annotated[Service, typer.Argument(help=WHICH, case_sensitive=False)],
    role: Annotated[Role | None, typer.Option(help="worker; api for sim", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="of /health, /ready, /metrics; each service has its own", min=1, max=65535)
    ] = None,
    home: Annotated[Path | None, typer.Option("--home", help="data folder instead of PATRIOT_HOME")] = None,
) -> None:
    """Run one service as a process of its own.

    The database is DATABASE_URL, or the one that runs on the data folder. The exchange is the simulator on port 9101
    unless PATRIOT_BINANCE_URL names another. Logs go to standard error.
    """
    if service is Service.SIM:
        _serve_sim(role, port, home)
    else:
        run(_serve(service, role or Role.WORKER, port, home))


async def _serve(service: Service, role: Role, port: int | None, home: Path | None) -> None:
    settings = Settings.read()
    log_to(None, settings.log_level)
    ended = asyncio.Event()

    def started(address: str) -> None:
        typer.echo(f"{service} {role}: {address}/health, /ready, /metrics")
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)

    options = ServeOptions(service, role, chosen_folder(settings, home or settings.home), settings, port)
    await serve_service(options, started, ended)
    typer.echo(f"{service} {role}: ended")


def _serve_sim(role: Role | None, port: int | None, home: Path | None) -> None:
    if role not in (None, TABLE[Service.SIM].role):
        run(_refuse(f"sim has nothing to run as {role}: its role is {TABLE[Service.SIM].role}"))
    settings, folder = run(_chosen(home))
    if settings.sim_token is None:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.environ.setdefault(simulator.TOKEN_VARIABLE, folder.sim_token())
    known = simulator_of(folder, simulator.Speed.REAL)
    simulator.sim(
        binance_port=port or TABLE[Service.SIM].port,
        venue=[VenueName.BINANCE],
        control_port=9100,
        host="127.0.0.1",
        data=[str(known.data)] if known and known.data else None,
        seed=known.seed if known else DEFAULT_SEED,
        speed=simulator.Speed.REAL,
        journal=folder.sim,
        announce=False,
        parent_pipe=False,
    )


async def _chosen(home: Path | None) -> tuple[Settings, DataFolder]:
    settings = Settings.read()
    return settings, chosen_folder(settings, home or settings.home)


async def _refuse(reason: str) -> None:
    raise StartupError(reason)
