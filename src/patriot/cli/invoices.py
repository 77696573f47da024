"""`patriot invoices` lists and shows; `patriot invoice verify` checks one offline, as a client's accountant would."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from patriot.billing import verify_invoice
from patriot.billing.documents import export_invoice, invoice_page
from patriot.billing.queries import find_invoice, invoice_lines, list_invoices
from patriot.cli.folders import AsJson, Home, Limit, folder_opened
from patriot.cli.listings import Records, show_records
from patriot.cli.running import run
from patriot.kernel.errors import InvalidInput, NotFound

invoices = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List invoices, show one, write its page or its proof."
)
invoice = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Check an invoice offline, from its proof alone."
)
SUMMARY = ("number", "period", "account_id", "status", "total", "paid", "asset", "due_at")
LINES = ("line", "kind", "period", "counted_result", "high_before", "fee_rate", "fee")


@invoices.command("list")
def list_(limit: Limit = 50, home: Home = None, json: AsJson = False) -> None:
    """List invoices and statements, the newest month first."""
    show_records(
        "Invoices",
        run(_list(home, limit)),
        SUMMARY,
        json=json,
        nothing="no invoices: the first comes with the end of a month",
    )


async def _list(home: Home, limit: int) -> Records:
    async with folder_opened(home) as opened:
        return [asdict(found) for found in await list_invoices(opened.database, None, limit=limit)]


@invoices.command("show")
def show(
    number: Annotated[str, typer.Argument(help="as `patriot invoices list` has it")],
    html: Annotated[Path | None, typer.Option(help="write the page that prints well", show_default=False)] = None,
    proof: Annotated[Path | None, typer.Option(help="write the proof", show_default=False)] = None,
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Show one invoice with its lines; write its page or the proof that `patriot invoice verify` checks."""
    found = run(_show(home, number, html, proof))
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        show_records(f"Invoice {number}", [found], SUMMARY, json=False, nothing="")
        show_records("Lines", found["lines"], LINES, json=False, nothing="no fee: no lines")
    for path in (html, proof):
        if path is not None:
            typer.echo(f"written {path}", err=True)


async def _show(home: Home, number: str, html: Path | None, proof: Path | None) -> dict[str, Any]:
    async with folder_opened(home) as opened:
        found = await find_invoice(opened.database, number, None)
        if found is None:
            raise NotFound(f"no invoice {number}: `patriot invoices list` shows those that there are")
        if html is not None:
            _write("--html", html, (await invoice_page(opened.store, found.account_id, found.period)).encode())
        if proof is not None:
            _write("--proof", proof, await export_invoice(opened.store, found.account_id, found.period))
        lines = await invoice_lines(opened.database, found)
        return asdict(found) | {"outstanding": found.outstanding, "lines": [asdict(line) for line in lines]}


def _write(option: str, path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(option, f"{path} cannot be written: {error.strerror}") from error


@invoice.callback()
def _group() -> None:
    """Check an invoice offline, from its proof alone."""


@invoice.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="the JSON file that came with the invoice")],
    head: Annotated[str | None, typer.Option(help="the seal printed on the invoice", show_default=False)] = None,
) -> None:
    """Recompute an invoice from its proof. Exit status 1 if it proves nothing.

    The same program runs without PATRIOT: billing/verify_invoice.py needs nothing but Python.
    """
    if not file.is_file():
        typer.echo(f"patriot: FILE: there is no file {file}", err=True)
        raise typer.Exit(2)
    raise typer.Exit(verify_invoice.main([str(file), *(["--head", head] if head else [])]))
