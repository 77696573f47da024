"""What a runner and its supervisor say to each other: one JSON document per line, in both directions.

Supervisor: first a `Configuration`, then `NextBar` after `NextBar`. Runner: one `Answer` to the configuration together
with its history (for the last bar of it), then exactly one to each bar.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from patriot.market.events import Bar
from patriot.strategies.interface import StrategySpec, Wish


@dataclass(frozen=True, slots=True)
class Configuration:
    """Which strategy to run, and how many bars of history follow before the first answer is expected."""

    spec: StrategySpec
    history: int


@dataclass(frozen=True, slots=True)
class NextBar:
    bar: Bar


@dataclass(frozen=True, slots=True)
class Answer:
    """Wishes at the close of a bar (None: there was no bar yet), or what went wrong."""

    bar_closed_at: datetime | None = None
    wishes: list[Wish] = field(default_factory=list)
    error: str | None = None


CONFIGURATIONS = msgspec.json.Decoder(Configuration)
BARS = msgspec.json.Decoder(NextBar)
ANSWERS = msgspec.json.Decoder(Answer)
_ENCODER = msgspec.json.Encoder()


def lines_of(messages: Iterable[Configuration | NextBar | Answer]) -> bytes:
    """Return messages as they go over the pipe."""
    return b"".join(_ENCODER.encode(message) + b"\n" for message in messages)
