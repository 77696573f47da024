"""Where prices come from: recorded kline dumps, or a seeded model. No sockets, no clock.

A bar of one minute is walked in four ticks, open-low-high-close or open-high-low-close as a seeded hash decides.
Mark and index price equal the last price: a kline dump records neither, and nothing is invented.
"""

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Protocol

from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import EXACT, parse_decimal, round_to_tick
from patriot.sim.engine.records import Bar

MINUTE_MS = 60_000
TICKS_PER_BAR = 4
TICK_OFFSETS_MS = (1_000, 20_000, 40_000, 59_999)  # between full minutes, so that a driver may stop on one
DUMP_COLUMNS = 12  # Binance public data, USD-M klines, read 2026-11-22
MODEL_START_MS = 1_706_572_800_000  # 2024-01-30T00:00Z: a month ends on the second day
MAX_DUMP_BYTES = 512 * 1024 * 1024
DEFAULT_SYMBOL = "BTCUSDT"
_SYMBOL_OF_NAME = re.compile(r"[A-Z0-9]+USDT(?=[-._])")
_PRICE_COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume")


class Feed(Protocol):
    """Prices of some symbols from a first minute on; the same feed gives the same bars every time."""

    @property
    def symbols(self) -> tuple[str, ...]: ...

    @property
    def start_ms(self) -> int: ...

    @property
    def length(self) -> int | None:
        """Return how many bars there are, or None if the feed never ends."""
        ...

    @property
    def identity(self) -> str:
        """Return what the prices depend on, so that a journal of other prices is refused."""
        ...

    def bar(self, symbol: str, index: int) -> Bar:
        """Return a bar by its place, 0 being the first minute."""
        ...


def walk(bar: Bar, symbol: str, seed: int) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Return the four prices a bar is walked through."""
    low_first = seeded_digest(seed, "walk", symbol, bar.open_ms)[0] & 1
    return (bar.open, bar.low, bar.high, bar.close) if low_first else (bar.open, bar.high, bar.low, bar.close)


def seeded_digest(*parts: object) -> bytes:
    """Return 32 bytes that depend on nothing but the parts."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()


class RecordedFeed:
    """One symbol's bars from a recorded dump; rows are kept as text and parsed when they are played."""

    def __init__(self, symbol: str, rows: list[str], start_ms: int, sha256: str) -> None:
        self.symbols = (symbol,)
        self.start_ms = start_ms
        self.length: int | None = len(rows)
        self.identity = f"file:{sha256}"
        self._rows = rows

    def bar(self, symbol: str, index: int) -> Bar:
        fields = self._rows[index].split(",")
        open_, high, low, close, volume = (Decimal(text) for text in fields[1:6])
        return Bar(int(fields[0]), open_, high, low, close, volume, Decimal(fields[7]))


def load_recorded(path: Path) -> RecordedFeed:
    """Read and check a Binance public-data kline CSV of one-minute bars, plain, gzipped or zipped.

    A name that opens with a symbol tells it, as in ETHUSDT-1m-2022-01.csv.gz; prices of another name are BTCUSDT.
    Errors: InvalidInput naming the file and the line, with what was expected there.
    Source: layout of Binance public data, USD-M klines, read 2026-11-22.
    """
    named = _SYMBOL_OF_NAME.match(path.name)
    symbol = named[0] if named else DEFAULT_SYMBOL
    try:
        raw = path.read_bytes()
        text = _unpack(path, raw).decode("ascii")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise InvalidInput(path.name, f"expected a readable kline CSV (plain, .gz or .zip), found: {error}") from error
    rows: list[str] = []
    previous: int | None = None
    for number, row in _numbered_rows(text):
        problem = _problem_of(row, previous)
        if problem:
            raise InvalidInput(f"{path.name} line {number}", problem)
        previous = int(row[0])
        rows.append(",".join(row))
    if previous is None:
        raise InvalidInput(path.name, "expected at least one bar, found none")
    return RecordedFeed(symbol, rows, int(rows[0].split(",", 1)[0]), hashlib.sha256(raw).hexdigest())


def _unpack(path: Path, raw: bytes) -> bytes:
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


def _numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if reader.line_num == 1 and row and row[0] == "open_time":
                continue
            yield reader.line_num, row
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num}", f"expected CSV, found: {error}") from error


def _problem_of(row: list[str], previous_open_time: int | None) -> str | None:
    """Return what is wrong with a row, or None."""
    if len(row) != DUMP_COLUMNS:
        return f"expected {DUMP_COLUMNS} columns, found {len(row)}"
    if not (row[0].isdecimal() and len(row[0]) == 13 and int(row[0]) % MINUTE_MS == 0):
        return f"expected open_time in milliseconds on a full minute, found {row[0][:40]!r}"
    open_time = int(row[0])
    if row[6] != str(open_time + MINUTE_MS - 1):
        return f"expected close_time {open_time + MINUTE_MS - 1}, found {row[6][:40]!r}"
    try:
        values = [parse_decimal(name, text) for name, text in zip(_PRICE_COLUMNS, [*row[1:6], row[7]], strict=True)]
    except InvalidInput as error:
        return str(error)
    for name, value in zip(_PRICE_COLUMNS, values, strict=True):
        if value < 0 or (value == 0 and "volume" not in name):
            return f"{name}: expected a positive number, found {value}"
    open_, high, low, close = values[:4]
    if not low <= min(open_, close) <= max(open_, close) <= high:
        return f"expected low <= open, close <= high, found open {open_}, high {high}, low {low}, close {close}"
    return _order_problem(open_time, previous_open_time)


def _order_problem(open_time: int, previous: int | None) -> str | None:
    if previous is None or open_time == previous + MINUTE_MS:
        return None
    expected = from_epoch_ms(previous) + timedelta(minutes=1)
    what = "duplicate bar" if open_time == previous else "unsorted bar" if open_time < previous else "gap"
    return f"{what}: expected the bar of {expected:%Y-%m-%d %H:%M}, found {from_epoch_ms(open_time):%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class ModelSymbol:
    """What the seeded model needs to know of a symbol."""

    name: str
    first_price: Decimal
    tick_size: Decimal
    typical_volume: Decimal  # base asset per minute


MODEL_SYMBOLS = (
    ModelSymbol("BTCUSDT", Decimal("42000.0"), Decimal("0.1"), Decimal(60)),
    ModelSymbol("ETHUSDT", Decimal("2300.00"), Decimal("0.01"), Decimal(700)),
)
REGIME_MINUTES = 240
# Drift and volatility of one minute, as fractions: quiet, up, down, wild.
_REGIMES = (
    (Decimal(0), Decimal("0.0004")),
    (Decimal("0.00004"), Decimal("0.0006")),
    (Decimal("-0.00004"), Decimal("0.0006")),
    (Decimal(0), Decimal("0.0015")),
)
_RETURN_GRID = Decimal("1E-9")


class ModelFeed:
    """A geometric random walk with regimes of four hours. Every number comes from hashes of (seed, symbol, minute)."""

    def __init__(
        self, seed: int, start_ms: int = MODEL_START_MS, symbols: Iterable[ModelSymbol] = MODEL_SYMBOLS
    ) -> None:
        self._specs = {spec.name: spec for spec in symbols}
        self._bars: dict[str, list[Bar]] = {name: [] for name in self._specs}
        self._seed = seed
        self.symbols = tuple(self._specs)
        self.start_ms = start_ms
        self.length: int | None = None
        self.identity = f"model:{seed}:{start_ms}"

    def bar(self, symbol: str, index: int) -> Bar:
        bars = self._bars[symbol]
        while len(bars) <= index:
            bars.append(self._next_bar(self._specs[symbol], bars))
        return bars[index]

    def _next_bar(self, spec: ModelSymbol, bars: list[Bar]) -> Bar:
        minute = len(bars)
        regime = seeded_digest(self._seed, "regime", spec.name, minute // REGIME_MINUTES)[0] % len(_REGIMES)
        drift, volatility = _REGIMES[regime]
        noise = seeded_digest(self._seed, "bar", spec.name, minute)
        open_ = bars[-1].close if bars else spec.first_price
        close = _moved(open_, drift + volatility * _bell(noise[:12]), spec.tick_size)
        wick = volatility / 2
        high = max(open_, close, _moved(max(open_, close), wick * _bell(noise[12:18]), spec.tick_size))
        low = min(open_, close, _moved(min(open_, close), wick * _bell(noise[18:24]), spec.tick_size))
        volume = (spec.typical_volume * (1 + noise[24]) / 128).quantize(Decimal("0.001"), ROUND_HALF_EVEN)
        quote = (volume * (open_ + close) / 2).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        return Bar(self.start_ms + minute * MINUTE_MS, open_, high, low, close, volume, quote)


def _bell(noise: bytes) -> Decimal:
    """Return a number near N(0, 1): the centred sum of uniform bytes."""
    spread = Decimal(len(noise) * 65535) / 12  # variance of that sum
    return EXACT.divide(Decimal(2 * sum(noise) - 255 * len(noise)), 2 * spread.sqrt(EXACT)).quantize(Decimal("1E-6"))


def _moved(price: Decimal, fraction: Decimal, tick: Decimal) -> Decimal:
    moved = round_to_tick(price * (1 + fraction.quantize(_RETURN_GRID, ROUND_HALF_EVEN)), tick)
    return max(moved, tick)
