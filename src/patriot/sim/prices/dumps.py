"""Recorded files in the venue's public dump formats: read, unpacked, and checked line by line.

Klines of one minute and aggregate trades, as CSV, gzipped or zipped, with or without a header row. Rows are kept as
one block of text and parsed when they are played.
Source: layout of Binance public data, USD-M klines and aggTrades, read 2026-11-22.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import parse_decimal
from patriot.sim.prices.feed import MINUTE_MS

KLINE_COLUMNS: Final = 12
TRADE_COLUMNS: Final = 7
MAX_DUMP_BYTES: Final = 512 * 1024 * 1024
DEFAULT_SYMBOL: Final = "BTCUSDT"
DUMP_SUFFIXES: Final = (".csv", ".csv.gz", ".zip")
_SYMBOL_OF_NAME: Final = re.compile(r"[A-Z0-9]+USDT(?=[-._])")
_HEADERS: Final = ("open_time", "agg_trade_id")  # of the first column
_KLINE_NUMBERS: Final = (
    ("open", 1),
    ("high", 2),
    ("low", 3),
    ("close", 4),
    ("volume", 5),
    ("quote_volume", 7),
    ("taker_buy_volume", 9),
    ("taker_buy_quote_volume", 10),
)
_SIDES: Final = ("true", "false")


class Kind(StrEnum):
    KLINES = "klines"
    TRADES = "trades"


class Rows:
    """Rows of a file, in one block of text."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._starts = array("Q")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> list[str]:
        start = self._starts[index]
        end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self._text)
        return self._text[start : end - 1].decode("ascii").split(",")

    def add(self, row: list[str]) -> None:
        self._starts.append(len(self._text))
        self._text += (",".join(row) + "\n").encode("ascii")


@dataclass(slots=True)
class Dump:
    """One checked file. Times are of whole minutes: from the first one to the one behind the last."""

    name: str
    symbol: str
    kind: Kind
    sha256: str
    rows: Rows = field(default_factory=Rows)
    start_ms: int = 0
    end_ms: int = 0


def dump_files(paths: tuple[Path, ...]) -> list[Path]:
    """Return the files that are named, and of a folder its dumps by name. Errors: InvalidInput for one without any."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if one.name.endswith(DUMP_SUFFIXES) and one.is_file())
        if not inside:
            raise InvalidInput(str(path), f"expected dumps in this folder ({', '.join(DUMP_SUFFIXES)}), found none")
        found += inside
    return found


def read_dump(path: Path) -> Dump:
    """Read and check one file; its first row tells whether it holds klines or trades.

    A name that opens with a symbol tells it, as in ETHUSDT-1m-2022-01.csv.gz; prices of another name are BTCUSDT.
    Errors: InvalidInput naming the file and the line, with what was expected there.
    """
    named = _SYMBOL_OF_NAME.match(path.name)
    try:
        raw = path.read_bytes()
        text = _unpacked(path, raw).decode("ascii")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise InvalidInput(path.name, f"expected a readable CSV (plain, .gz or .zip), found: {error}") from error
    dump = Dump(path.name, named[0] if named else DEFAULT_SYMBOL, Kind.KLINES, hashlib.sha256(raw).hexdigest())
    check: Callable[[list[str], int | None], str | None] = _kline_problem
    previous: int | None = None
    for number, row in _numbered_rows(path.name, text):
        if previous is None and len(row) == TRADE_COLUMNS:
            dump.kind, check = Kind.TRADES, _trade_problem
        problem = check(row, previous)
        if problem:
            raise InvalidInput(f"{path.name} line {number}", problem)
        at_ms = int(row[0] if dump.kind is Kind.KLINES else row[5])
        if previous is None:
            dump.start_ms = at_ms - at_ms % MINUTE_MS
        previous = at_ms
        dump.rows.add(row)
    if previous is None:
        raise InvalidInput(path.name, "expected at least one bar, found none")
    dump.end_ms = previous - previous % MINUTE_MS + MINUTE_MS
    return dump


def _unpacked(path: Path, raw: bytes) -> bytes:
    if raw[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(raw)) as stream:
            data = stream.read(MAX_DUMP_BYTES + 1)
    elif raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            if len(names) != 1:
                raise InvalidInput(path.name, f"expected one CSV in the archive, found {len(names)}")
            with archive.open(names[0]) as member:
                data = member.read(MAX_DUMP_BYTES + 1)
    else:
        data = raw
    if len(data) > MAX_DUMP_BYTES:
        raise InvalidInput(path.name, f"expected at most {MAX_DUMP_BYTES} bytes of CSV")
    return data


def _numbered_rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if reader.line_num == 1 and row and row[0] in _HEADERS:
                continue
            yield reader.line_num, row
    except csv.Error as error:
        raise InvalidInput(f"{name} line {reader.line_num}", f"expected CSV, found: {error}") from error


def _is_time(text: str) -> bool:
    return text.isdecimal() and len(text) == 13


def _kline_problem(row: list[str], previous_open_ms: int | None) -> str | None:
    """Return what is wrong with a row of klines, or None."""
    if len(row) != KLINE_COLUMNS:
        return f"expected {KLINE_COLUMNS} columns, found {len(row)}"
    if not (_is_time(row[0]) and int(row[0]) % MINUTE_MS == 0):
        return f"expected open_time in milliseconds on a full minute, found {row[0][:40]!r}"
    open_ms = int(row[0])
    if row[6] != str(open_ms + MINUTE_MS - 1):
        return f"expected close_time {open_ms + MINUTE_MS - 1}, found {row[6][:40]!r}"
    if not row[8].isdecimal():
        return f"count: expected a whole number of trades, found {row[8][:40]!r}"
    try:
        values = [parse_decimal(name, row[column]) for name, column in _KLINE_NUMBERS]
    except InvalidInput as error:
        return str(error)
    for (name, _), value in zip(_KLINE_NUMBERS, values, strict=True):
        if value < 0 or (value == 0 and "volume" not in name):
            return f"{name}: expected a positive number, found {value}"
    open_, high, low, close = values[:4]
    if not low <= min(open_, close) <= max(open_, close) <= high:
        return f"expected low <= open, close <= high, found open {open_}, high {high}, low {low}, close {close}"
    return _order_problem(open_ms, previous_open_ms)


def _order_problem(open_ms: int, previous_ms: int | None) -> str | None:
    if previous_ms is None or open_ms == previous_ms + MINUTE_MS:
        return None
    expected = from_epoch_ms(previous_ms) + timedelta(minutes=1)
    what = "duplicate bar" if open_ms == previous_ms else "unsorted bar" if open_ms < previous_ms else "gap"
    return f"{what}: expected the bar of {expected:%Y-%m-%d %H:%M}, found {from_epoch_ms(open_ms):%Y-%m-%d %H:%M}"


def _trade_problem(row: list[str], previous_ms: int | None) -> str | None:
    """Return what is wrong with a row of aggregate trades, or None."""
    if len(row) != TRADE_COLUMNS:
        return f"expected {TRADE_COLUMNS} columns, found {len(row)}"
    for name, column in (("agg_trade_id", 0), ("first_trade_id", 3), ("last_trade_id", 4)):
        if not (row[column].isdecimal() and len(row[column]) < 19):
            return f"{name}: expected a whole number, found {row[column][:40]!r}"
    if int(row[4]) < int(row[3]):
        return f"expected first_trade_id <= last_trade_id, found {row[3]} and {row[4]}"
    try:
        values = {name: parse_decimal(name, row[column]) for name, column in (("price", 1), ("quantity", 2))}
    except InvalidInput as error:
        return str(error)
    for name, value in values.items():
        if value <= 0:
            return f"{name}: expected a positive number, found {value}"
    if not _is_time(row[5]):
        return f"expected transact_time in milliseconds, found {row[5][:40]!r}"
    if row[6].lower() not in _SIDES:
        return f"is_buyer_maker: expected true or false, found {row[6][:40]!r}"
    if previous_ms is not None and int(row[5]) < previous_ms:
        return f"unsorted trade: expected a time from {previous_ms} on, found {row[5]}"
    return None
