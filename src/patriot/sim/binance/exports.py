"""Files for download: an account's orders, trades or income of a span as CSV, under a link that ends after a day.

A file is made when it is fetched, of what the account has done up to then. How the venue's own files look is not
published: columns are those of the REST answers. What was asked for is forgotten with the process.
Source: USD-M Futures, "Get Futures Order / Trade / Transaction History Download Link by Id", read 2026-11-22.
"""

import csv
import io
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from patriot.sim.binance import render
from patriot.sim.binance.requests import DAY_MS
from patriot.sim.exchange import Exchange

Json = dict[str, Any]
EXPORT_PATH = "/export/{name}"
LINK_LIVES_MS = DAY_MS
_FIRST_ID = 545_000_000_000_000_000
_KEPT = 10_000  # the oldest are forgotten first
_NAME_BYTES = 24


@dataclass(frozen=True, slots=True)
class Export:
    """What one account has asked for; the name is the secret part of its link."""

    kind: str
    uid: int
    start_ms: int
    end_ms: int
    expires_ms: int
    name: str = field(repr=False)


@dataclass(slots=True)
class Exports:
    """What can be downloaded, by id and by the name in its link."""

    _by_id: dict[str, Export] = field(default_factory=dict)
    _by_name: dict[str, Export] = field(default_factory=dict)
    _next_id: int = _FIRST_ID
    _random_text: Callable[[int], str] = secrets.token_urlsafe

    def add(self, kind: str, uid: int, span: tuple[int, int], now_ms: int) -> str:
        """Note what is asked for; return its id."""
        download_id, self._next_id = str(self._next_id), self._next_id + 1
        export = Export(kind, uid, *span, now_ms + LINK_LIVES_MS, self._random_text(_NAME_BYTES))
        self._by_id[download_id] = self._by_name[export.name] = export
        if len(self._by_id) > _KEPT:
            del self._by_name[self._by_id.pop(next(iter(self._by_id))).name]
        return download_id

    def find(self, download_id: str) -> Export | None:
        return self._by_id.get(download_id)

    def named(self, name: str, now_ms: int) -> Export | None:
        """Return what a link stands for, while it lives."""
        export = self._by_name.get(name)
        return export if export is not None and now_ms < export.expires_ms else None


def file_of(export: Export, exchange: Exchange) -> str:
    """Return the file: a header and a row for each record, oldest first; nothing where there is no record."""
    rows = [row for row in _rows(export, exchange) if export.start_ms <= row["time"] <= export.end_ms]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys() if rows else (), lineterminator="\n")
    if rows:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(export: Export, exchange: Exchange) -> Iterable[Json]:
    match export.kind:
        case "order":
            return map(render.order, exchange.venue.orders(export.uid))
        case "trade":
            return map(render.trade, exchange.venue.trades(export.uid))
        case _:
            return map(render.income, exchange.venue.income(export.uid))
