"""`patriot demo`: everything on one machine, from recorded prices to verified invoices, with a judgment at the end."""

import asyncio
import shlex
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from patriot.cli.folders import BIGGEST
from patriot.cli.running import run
from patriot.demo.demo import Demo, DemoOptions, DemoProgress, Finished, wipe
from patriot.host.crash import crash_from_environment
from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import holds_data
from patriot.host.logs import log_to
from patriot.host.paper_clients import SYMBOL
from patriot.host.settings import Settings
from patriot.host.verify import records_of
from patriot.judge.case import Verdict
from patriot.judge.summary import Summary, judge_run
from patriot.kernel.clock import SystemClock
from patriot.kernel.errors import InvalidInput
from patriot.sim.prices.recorded import load_recorded
from patriot.trading.terms import AccountId

MODEL = "model"
DEFAULT_DATA = "examples/data/BTCUSDT-1m-3d.csv.gz"
MAX_ACCOUNTS = 500
LAWS = {
    "1": "one intent, at most one order",
    "2": "no position without a stop for 2 s",
    "3": "unknown outcomes are asked about, never resent blindly",
    "4": "the log has the exchange's facts, all of them",
    "6": "keys never leave the vault",
    "8": "money adds up, exactly",
    "9": "every invoice is recomputed offline",
    "10": "history is chained, and rebuilds every read model",
    "11": "whatever was accepted was durable first",
    "end": "every signal answered, every bracket open on both sides or over on both",
}
MEANINGS = {
    "accounts": "clients' accounts, each with its own key",
    "bars": "one-minute bars replayed",
    "signals": "what the strategies wanted",
    "intents": "orders sent: entries, stops, targets, closes",
    "intents_denied": "refused by risk before sending",
    "intents_refused": "refused by the exchange, or never placed",
    "orders_on_exchange": "counted on the exchange itself",
    "duplicate_orders": "orders beyond one per intent",
    "max_unprotected_seconds": "longest wait from a fill to its resting stop",
    "max_excused_seconds": "most of one wait that is not counted: the exchange took nothing (429, 418)",
    "fills": "executions",
    "equity_start": "all accounts together, when linked",
    "equity_end": "by the exchange",
    "realized_pnl": "profit of closed quantity",
    "unrealized_pnl": "open positions at the mark price",
    "fees": "commission paid to the exchange",
    "funding": "received (positive) or paid",
    "transfers": "deposits less withdrawals",
    "invoices": "one per account and month",
    "invoices_verified": "recomputed by the offline verifier",
    "events": "in the log",
    "events_since_root": "newer than the newest root, which does not cover them",
    "roots": "published ones, compared with the log",
    "chain_ok": "every event is what its writer hashed",
    "rebuild_identical": "every read model, row by row",
    "wall_seconds": "from start to judgment",
}


def demo(
    accounts: Annotated[int, typer.Option(help="how many clients")] = 20,
    data: Annotated[str, typer.Option(help="recorded kline CSV (plain, .gz, .zip), or 'model'")] = DEFAULT_DATA,
    days: Annotated[int | None, typer.Option(help="stop after so many days of the recording")] = None,
    seed: Annotated[int, typer.Option(help="same seed and data, same fills", min=-BIGGEST, max=BIGGEST)] = 7,
    json: Annotated[Path | None, typer.Option(help="write the summary to this file")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="keep the data folder for `patriot verify`")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a demo that was interrupted")] = False,
) -> None:
    """Run the main job on this machine: prices, signals, orders on many accounts, protection, fees, proof."""
    again = _resuming(accounts, data, days, seed, json, keep=keep)
    run(_demo(accounts, data, days, seed, json, keep=keep, resume=resume), interrupted=f"Go on with `{again}`.")


def _resuming(accounts: int, data: str, days: int | None, seed: int, json: Path | None, *, keep: bool) -> str:
    """Return the command that goes on with a demo of these options."""
    words = ["patriot", "demo", "--accounts", str(accounts), "--data", data, "--seed", str(seed)]
    words += [*(["--days", str(days)] if days is not None else []), *(["--json", str(json)] if json else [])]
    return shlex.join([*words, *(["--keep"] if keep else []), "--resume"])


async def _demo(
    accounts: int, data: str, days: int | None, seed: int, json: Path | None, *, keep: bool, resume: bool
) -> None:
    clock = SystemClock()
    started = clock.monotonic()
    if not 1 <= accounts <= MAX_ACCOUNTS:
        raise InvalidInput("--accounts", f"expected 1 to {MAX_ACCOUNTS}, found {accounts}")
    if days is not None and days < 1:
        raise InvalidInput("--days", f"expected at least 1, found {days}")
    played = None if data == MODEL else recording(data)
    settings = Settings.read()
    folder = DataFolder(settings.home / "demo")
    if resume and not (holds_data(folder) or folder.sim.exists()):
        raise InvalidInput("--resume", f"no demo is under way in {folder.path}: begin it without --resume")
    if json is not None:
        _check_writable(json)
    log_to(folder.log, settings.log_level)
    console = Console()
    console.print(f"data folder {folder.path}", highlight=False)
    console.print(f"log         {folder.log}", highlight=False)
    progress = DemoProgress()
    options = DemoOptions(
        folder=folder.path,
        accounts=accounts,
        recording=played,
        days=days,
        seed=seed,
        resume=resume,
        database_url=settings.database_url,
        master_key=settings.given_master_key,
    )

    async def judge(finished: Finished) -> Summary:
        return await judge_run(
            await records_of(finished.plugged, finished.vault, folder, folder.path / "invoices"),
            await finished.control.state(),
            {AccountId(client.account_id): client.uid for client in finished.set_up.linked},
            bars=finished.bars,
            wall_seconds=clock.monotonic() - started,
        )

    work = asyncio.create_task(Demo(options, progress, crash_from_environment()).run(judge))
    summary = await _watched(work, progress, console)
    text = msgspec.json.format(msgspec.json.encode(summary))
    results = json or folder.results
    results.write_bytes(text)
    show(console, summary)
    console.print(f"summary     {results}", highlight=False)
    if keep:
        console.print(f"kept        {folder.path}: check it again with `patriot verify {folder.path}`", highlight=False)
    else:
        await wipe(folder)
    if not summary.all_laws_hold:
        raise typer.Exit(1)


def _check_writable(path: Path) -> None:
    """Refuse a summary's path that no summary can be written to: after the run it would be too late."""
    there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise InvalidInput("--json", f"{path} cannot be written: {error.strerror}") from error
    if not there:
        path.unlink()


def recording(data: str) -> Path:
    """Return the recorded file, from the working folder or from the project's own.

    Errors: InvalidInput naming the file and the line: it is read once here, before anything is changed.
    """
    project = Path(__file__).parents[3]
    for path in (Path(data), project / data):
        if path.is_file():
            symbols = load_recorded(path).symbols
            if symbols != (SYMBOL,):
                raise InvalidInput("--data", f"expected prices of {SYMBOL}, and {path.name} names {symbols[0]}")
            return path.absolute()
    raise InvalidInput("--data", f"expected a recorded file or 'model', and there is no file {data}")


async def _watched(work: "asyncio.Task[Summary]", state: DemoProgress, console: Console) -> Summary:
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )
    task = bar.add_task("bars", total=None)
    if not console.is_terminal:
        return await _told(work, state, console)
    try:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while not work.done():
                bar.update(task, completed=state.bars_played, total=state.bars_total or None)
                live.update(Group(_table(state), bar))
                await asyncio.wait({work}, timeout=0.25)
    finally:
        work.cancel()
    return await work


async def _told(work: "asyncio.Task[Summary]", state: DemoProgress, console: Console) -> Summary:
    """Say in lines, for a log file, what a terminal shows in place."""
    told = ""
    try:
        while not work.done():
            tenth = 10 * state.bars_played // state.bars_total if state.bars_total else 0
            line = f"{state.phase} {10 * tenth} %" if state.phase == "replaying" else state.phase
            if line != told:
                console.print(line, highlight=False)
                told = line
            await asyncio.wait({work}, timeout=0.25)
    finally:
        work.cancel()
    return await work


def _table(state: DemoProgress) -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("phase", state.phase)
    table.add_row("exchange time", f"{state.now:%Y-%m-%d %H:%M} UTC" if state.now else "")
    table.add_row("processes", ", ".join(f"{name} {pid}" for name, pid in state.processes.items()))
    for name, value in state.figures.items():
        table.add_row(name, value)
    return table


def show(console: Console, summary: Summary) -> None:
    """Print the summary, each line with what it means, then the laws."""
    table = Table(title="What happened", show_header=False)
    for name, meaning in MEANINGS.items():
        table.add_row(name, str(getattr(summary, name)), meaning)
    table.add_row(
        "lost_entries",
        ", ".join(summary.lost_entries) or "none",
        "entries noted as sent when a process died",
    )
    rest = {amount for amount in summary.unexplained.values() if amount != "0"}
    table.add_row(
        "unexplained", ", ".join(sorted(rest)) or "0", "equity the exchange reports minus equity the events give"
    )
    console.print(table, highlight=False)
    laws = Table(title="The laws")
    for column in ("law", "", "checked", "kept"):
        laws.add_column(column)
    for number, law in summary.laws.items():
        laws.add_row(number, LAWS[number], str(law.checked), _word(law))
    console.print(laws, highlight=False)
    for number, law in summary.laws.items():
        for problem in law.problems:
            console.print(f"law {number}: {problem}", highlight=False, style="red")


def _word(law: Verdict) -> str:
    if law.ok:
        return "yes"
    return "NO" if law.problems else "not tested"
