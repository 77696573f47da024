"""A seeded model of prices: regimes of four hours, jumps, and minutes without a trade.

Every number comes from hashes of (seed, symbol, minute). The index is a basket that the last price leaves and finds
back to; the mark price is the index with a smoothed premium. A minute is walked through its open, its extremes and its
close; in fine steps it moves every five seconds, between the same four prices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Final

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import EXACT, round_to_tick
from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Bar
from patriot.sim.engine.words import ZERO
from patriot.sim.exchange import VenueName
from patriot.sim.listing import listed, model_price, model_volume
from patriot.sim.prices.feed import MINUTE_MS, TICK_OFFSETS_MS, Feed, Minute, flat_bar, seeded_digest

MODEL_START_MS: Final = 1_706_572_800_000  # 2024-01-30T00:00Z: a month ends on the second day
DEFAULT_SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
REGIME_MINUTES: Final = 240
# Drift and volatility of one minute, as fractions: quiet, up, down, wild.
_REGIMES: Final = (
    (Decimal(0), Decimal("0.0004")),
    (Decimal("0.00004"), Decimal("0.0006")),
    (Decimal("-0.00004"), Decimal("0.0006")),
    (Decimal(0), Decimal("0.0015")),
)
_RETURN_GRID: Final = Decimal("1E-9")
_BELL_GRID: Final = Decimal("1E-6")
_JUMPS_IN_65536: Final = 16  # of a minute: one jump in about three days
_SILENCES_IN_65536: Final = 16
_LONGEST_SILENCE: Final = 5  # minutes
_JUMP_FLOOR, _JUMP_SPAN = Decimal("0.005"), Decimal("0.025")  # as fractions of the price
_BASIS_KEPT, _BASIS_NOISE = Decimal("0.9"), Decimal("0.00006")  # per minute
_PREMIUM_KEPT: Final = Decimal("0.95")
_FINE_OFFSETS_MS: Final = tuple(sorted({*TICK_OFFSETS_MS, *range(5_000, MINUTE_MS, 5_000)}))
_FINE: Final = "fine"


@dataclass(frozen=True, slots=True)
class ModelSymbol:
    """What the model needs to know of a symbol."""

    name: str
    first_price: Decimal
    tick_size: Decimal
    step_size: Decimal
    typical_volume: Decimal  # base asset per minute


class ModelFeed(Feed):
    """Prices without end from a seed."""

    def __init__(
        self,
        seed: int,
        start_ms: int = MODEL_START_MS,
        symbols: Iterable[str] = DEFAULT_SYMBOLS,
        *,
        fine: bool = False,
    ) -> None:
        names = tuple(symbols)
        sources = [ModelSource(_known(name), seed, start_ms, fine=fine) for name in names]
        steps = f":{_FINE}" if fine else ""
        super().__init__(sources, start_ms, None, f"model:{seed}:{','.join(names)}{steps}:{start_ms}")


def model_start_ms(identity: str) -> int | None:
    """Return where the model of a journal began, None for other prices."""
    return int(identity.rpartition(":")[2]) if identity.startswith("model:") else None


def model_is_fine(identity: str) -> bool:
    """Return whether the model of a journal moved in fine steps."""
    return f":{_FINE}:" in identity


def _known(name: str) -> ModelSymbol:
    instrument = next((one for one in listed(VenueName.BINANCE) if one.symbol == name), None)
    if instrument is None:
        names = ", ".join(one.symbol for one in listed(VenueName.BINANCE))
        raise InvalidInput("--symbols", f"expected listed ones ({names}), found {name[:40]!r}")
    first_price = round_to_tick(model_price(name), instrument.tick_size)
    return ModelSymbol(name, first_price, instrument.tick_size, instrument.step_size, model_volume(name))


class ModelSource:
    """One symbol of the model. It remembers the newest minute only, and begins again when an earlier one is asked."""

    def __init__(self, spec: ModelSymbol, seed: int, start_ms: int, *, fine: bool = False) -> None:
        self.symbol = spec.name
        self._fine = fine
        self._spec = spec
        self._seed = seed
        self._start_ms = start_ms
        self._begin()

    def _begin(self) -> None:
        self._made = -1
        self._close = self._spec.first_price
        self._basis = self._premium = Decimal(0)
        self._silent_until = 0  # minutes
        self._minute = Minute(flat_bar(self._start_ms, self._close), ())

    def minute(self, index: int) -> Minute:
        if index < self._made:
            self._begin()
        while self._made < index:
            self._made += 1
            self._minute = self._next(self._made)
            self._close = self._minute.bar.close
        return self._minute

    def _next(self, number: int) -> Minute:
        noise = seeded_digest(self._seed, "bar", self.symbol, number)
        if number and number >= self._silent_until and int.from_bytes(noise[28:30], "big") < _SILENCES_IN_65536:
            self._silent_until = number + 1 + noise[30] % _LONGEST_SILENCE
        if number < self._silent_until:
            return Minute(flat_bar(self._start_ms + number * MINUTE_MS, self._close), ())
        after_silence = number > 0 and number == self._silent_until
        jump = after_silence or (number > 0 and int.from_bytes(noise[25:27], "big") < _JUMPS_IN_65536)
        bar = self._bar(number, noise, jump=jump)
        self._basis = (self._basis * _BASIS_KEPT + _BASIS_NOISE * _bell(noise[0:6])).quantize(_RETURN_GRID)
        self._premium = (self._premium * _PREMIUM_KEPT + self._basis * (1 - _PREMIUM_KEPT)).quantize(_RETURN_GRID)
        low_first = noise[31] & 1
        prices = (bar.open, bar.low, bar.high, bar.close) if low_first else (bar.open, bar.high, bar.low, bar.close)
        path = list(zip(TICK_OFFSETS_MS, prices, strict=True))
        if self._fine:
            path = self._between(path, bar, number)
        quantities = self._shared(bar.volume, len(path), noise)
        ticks = tuple(
            (offset_ms, self._move(price, quantity, noise[place % 32] & 1 == 1, jump=jump and place == 0))
            for place, ((offset_ms, price), quantity) in enumerate(zip(path, quantities, strict=True))
        )
        return Minute(_summed(bar, [move for _, move in ticks]), ticks)

    def _between(self, anchors: list[tuple[int, Decimal]], bar: Bar, number: int) -> list[tuple[int, Decimal]]:
        """Return the anchors with a noisy way between them that never leaves the bar."""
        noise = seeded_digest(self._seed, "path", self.symbol, number)
        spread, known = bar.high - bar.low, dict(anchors)
        path = []
        for place, at_ms in enumerate(_FINE_OFFSETS_MS):
            if at_ms in known:
                path.append((at_ms, known[at_ms]))
                continue
            after = next(number for number, (offset_ms, _) in enumerate(anchors) if offset_ms > at_ms)
            (left_ms, left), (right_ms, right) = anchors[after - 1], anchors[after]
            way = (right - left) * (at_ms - left_ms) / (right_ms - left_ms)
            price = round_to_tick(left + way + spread * (noise[place] - 128) / 512, self._spec.tick_size)
            path.append((at_ms, min(max(price, bar.low), bar.high)))
        return path

    def _shared(self, volume: Decimal, count: int, noise: bytes) -> list[Decimal]:
        """Share a minute's volume out among its prints, each at least one step of quantity."""
        step = self._spec.step_size
        weights = [1 + noise[(7 * place) % 32] for place in range(count)]
        return [max(volume * weight / sum(weights) // step * step, step) for weight in weights]

    def _bar(self, number: int, noise: bytes, *, jump: bool) -> Bar:
        spec = self._spec
        regime = seeded_digest(self._seed, "regime", spec.name, number // REGIME_MINUTES)[0] % len(_REGIMES)
        drift, volatility = _REGIMES[regime]
        open_ = self._close
        if jump:
            size = _JUMP_FLOOR + _JUMP_SPAN * noise[27] / 255
            open_ = _moved(open_, size if noise[31] & 2 else -size, spec.tick_size)
        close = _moved(open_, drift + volatility * _bell(noise[:12]), spec.tick_size)
        wick = volatility / 2
        high = max(open_, close, _moved(max(open_, close), wick * _bell(noise[12:18]), spec.tick_size))
        low = min(open_, close, _moved(min(open_, close), wick * _bell(noise[18:24]), spec.tick_size))
        volume = spec.typical_volume * (1 + noise[24]) / 128 // spec.step_size * spec.step_size
        return Bar(self._start_ms + number * MINUTE_MS, open_, high, low, close, volume)

    def _move(self, last: Decimal, quantity: Decimal, sold: bool, *, jump: bool) -> MovePrice:
        tick = self._spec.tick_size
        index = _moved(last, -self._basis, tick)
        mark = _moved(index, self._premium, tick)
        return MovePrice(
            symbol=self.symbol,
            last=last,
            mark=mark,
            index=index,
            jump=jump,
            quantity=quantity,
            buyer_is_maker=sold,
        )


def _summed(bar: Bar, moves: list[MovePrice]) -> Bar:
    """Return the bar with the volumes that its prints add up to."""
    volume = bought = quote = bought_quote = ZERO
    for move in moves:
        quantity = move.quantity or ZERO
        volume, quote = volume + quantity, quote + quantity * move.last
        if not move.buyer_is_maker:
            bought, bought_quote = bought + quantity, bought_quote + quantity * move.last
    return replace(
        bar,
        volume=volume,
        quote_volume=quote,
        trades=len(moves),
        taker_buy_volume=bought,
        taker_buy_quote_volume=bought_quote,
    )


def _bell(noise: bytes) -> Decimal:
    """Return a number near N(0, 1): the centred sum of uniform bytes."""
    return EXACT.divide(Decimal(2 * sum(noise) - 255 * len(noise)), _twice_spread(len(noise))).quantize(_BELL_GRID)


@cache
def _twice_spread(count: int) -> Decimal:
    """Return twice the standard deviation of the sum of so many bytes."""
    return 2 * (Decimal(count * 65535) / 12).sqrt(EXACT)


def _moved(price: Decimal, fraction: Decimal, tick: Decimal) -> Decimal:
    moved = round_to_tick(price * (1 + fraction.quantize(_RETURN_GRID, ROUND_HALF_EVEN)), tick)
    return max(moved, tick)
