"""`patriot soak`: the whole platform on a fresh folder under seeded faults of its exchange, judged at the end."""

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import typer
from rich.console import Console

from patriot.cli.demo import MAX_ACCOUNTS, show
from patriot.cli.folders import BIGGEST
from patriot.cli.running import run
from patriot.cli.up import Speed
from patriot.host.data_folder import DataFolder
from patriot.host.soak import Soak, SoakOptions, SoakReport
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import InvalidInput

MAX_MINUTES = 1_440
NAME = "patriot-soak-"


def soak(
    minutes: Annotated[float, typer.Option(help="how long faults come; start, rest and judgment come on top")] = 3,
    seed: Annotated[int, typer.Option(help="of prices and faults", min=-BIGGEST, max=BIGGEST)] = 1,
    speed: Annotated[Speed, typer.Option(help="of the simulated exchange's clock; law 2 counts at 1")] = Speed.FAST,
    accounts: Annotated[int, typer.Option(help="paper clients")] = 6,
    home: Annotated[
        Path | None, typer.Option(help="empty data folder, kept; else a new one, kept if a law broke")
    ] = None,
) -> None:
    """Run the whole platform under seeded faults of its exchange, and judge what happened.

    Exit status 1 if a law was broken or the platform did not come to rest; then the data folder is kept.
    """
    report = run(_soak(minutes, seed, speed, accounts, home))
    if report.broken:
        raise typer.Exit(1)


async def _soak(minutes: float, seed: int, speed: Speed, accounts: int, home: Path | None) -> SoakReport:
    if not 0 < minutes <= MAX_MINUTES:
        raise InvalidInput("--minutes", f"expected more than 0 and at most {MAX_MINUTES}, found {minutes}")
    if not 1 <= accounts <= MAX_ACCOUNTS:
        raise InvalidInput("--accounts", f"expected 1 to {MAX_ACCOUNTS}, found {accounts}")
    folder = DataFolder((home or Path(mkdtemp(prefix=NAME))).absolute())
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"data folder {folder.path}")
    options = SoakOptions(folder, minutes * 60, int(speed), seed, accounts)
    with console.status("starting") as status:
        phase = status.update if console.is_terminal else console.print
        report = await Soak(options, SystemClock(), phase).run()
    _show(console, report, options)
    if home is None and not report.broken:
        shutil.rmtree(folder.path)
    return report


def _show(console: Console, report: SoakReport, options: SoakOptions) -> None:
    if report.summary is not None:
        show(console, report.summary)
    console.print(f"faults {report.faults.total()}, rounds of two at once {report.pairs}")
    for name, count in sorted(report.faults.items()):
        console.print(f"  {count:>4} {name}")
    seed = f"seed {options.seed}, speed {options.speed}, {options.accounts} accounts, {options.seconds / 60:g} minutes"
    if not report.broken:
        console.print(f"clean: {seed}")
        return
    for line in report.broken:
        console.print(f"broken: {line}", style="red")
    console.print(f"broken {len(report.broken)} times: {seed}; kept {options.folder.path}")
