"""Seeded liquidity: spreads, book levels, funding rates. Every number is a hash of what it belongs to.

The levels of uid 0 are the public ones. In private liquidity the best prices are the same for everyone, and what
rests at each level is the account's own, so that no account's arrival ever changes another's fill. Nothing here keeps
state.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Final

from patriot.sim.engine.records import Instrument
from patriot.sim.engine.words import ZERO, Side

_LEVELS_PER_STAGE: Final = 20  # after so many levels the gaps double: thin far from the touch
_FUNDING_UNIT: Final = Decimal("0.000001")
_FUNDING_FLOOR, _FUNDING_SPAN = -50, 301  # -0.005 % to +0.025 % per settlement, 0.01 % on average


def keyed_bits(seed: int, uid: int, symbol: str, at_ms: int, salt: str) -> int:
    """Return 64 bits that depend on the arguments and on nothing else."""
    key = f"{seed}|{uid}|{symbol}|{at_ms}|{salt}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def touch_bits(seed: int, symbol: str, at_ms: int) -> int:
    """Return the bits of which the touch, its public quantities and the print of one move are made."""
    return keyed_bits(seed, 0, symbol, at_ms, "touch")


def touch(instrument: Instrument, center: Decimal, bits: int) -> tuple[Decimal, Decimal]:
    """Return best bid and ask around a last price: one or two ticks apart, the last price on one of them.

    Below the first tick there is nothing: a lower price stands at it.
    """
    tick = instrument.tick_size
    on_grid = max(center - center % tick, tick)
    spread = tick + tick if bits & 1 else tick
    if bits & 2 and on_grid > spread:
        return on_grid - spread, on_grid
    return on_grid, on_grid + spread


def levels(
    instrument: Instrument, side: Side, best: Decimal, *, seed: int, uid: int, at_ms: int
) -> Iterator[tuple[Decimal, Decimal]]:
    """Yield (price, quantity) that a taker of this side meets, best first, without end above zero."""
    tick = instrument.tick_size if side is Side.BUY else -instrument.tick_size
    price, number = best, 0
    while price > ZERO:
        stage = number // _LEVELS_PER_STAGE
        if number or uid:
            bits = keyed_bits(seed, uid, instrument.symbol, at_ms, f"{side}{number}")
        else:
            bits = _top_bits(side, touch_bits(seed, instrument.symbol, at_ms))
        yield price, _level_quantity(instrument, price, bits, stage)
        price += tick * ((1 + (bits >> 8) % 3) << min(stage, 16))
        number += 1


def top_quantity(instrument: Instrument, side: Side, best: Decimal, bits: int) -> Decimal:
    """Return the quantity of the first public level, from the bits of the touch."""
    return _level_quantity(instrument, best, _top_bits(side, bits), 0)


def _top_bits(side: Side, bits: int) -> int:
    return bits >> 32 if side is Side.BUY else bits >> 16 & 0xFFFF


def _level_quantity(instrument: Instrument, price: Decimal, bits: int, stage: int) -> Decimal:
    step = instrument.step_size
    steps = instrument.level_notional * ((10 + bits % 100) * (1 + stage)) // (price * step * 100)
    return steps * step if steps else step


def printed_quantity(instrument: Instrument, bits: int) -> Decimal:
    """Return the size of the trade that moved the price, for the tape."""
    return instrument.step_size * (1 + (bits >> 8) % 2_000)


def seeded_funding_rate(seed: int, symbol: str, settles_ms: int) -> Decimal:
    """Return the funding rate of one settlement, a fraction of notional per interval."""
    bits = keyed_bits(seed, 0, symbol, settles_ms, "funding")
    return _FUNDING_UNIT * (_FUNDING_FLOOR + bits % _FUNDING_SPAN)
