"""A scenario: faults that a YAML file asks for, each at a time of the venue or after so many orders.

    faults:
      - at: 90s                  # after the venue's time at the start; or 2h, 1h30m, or 2026-11-22T12:00:00Z
        fault: rate_limit        # then the fields of POST /faults
        venue: binance
        for: 30s                 # the same as for_ms: 30000
      - after_orders: 10         # accepted since the start, by `venue` or by all
        stream: disconnect
        uid: 1

Every value is read as text and converted to what its field expects, so that a price needs no quotes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import yaml

from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import InvalidInput, NotFound
from patriot.sim.engine.events import OrderUpdated, VenueEvent
from patriot.sim.engine.words import Closing, ExecutionType
from patriot.sim.exchange import Exchange, VenueName
from patriot.sim.faults.actions import exchanges_of
from patriot.sim.faults.wishes import FaultWish, check
from patriot.sim.world import World

MAX_BYTES = 1_000_000
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)")
_WHEN = ("at", "after_orders", "for")

Soon = Callable[[Callable[[], None]], object]  # run this as soon as what is running now has ended


@dataclass(frozen=True, slots=True)
class ScenarioEntry:
    """One fault of a scenario, the line it stands on, and its moment: exactly one of the last three is set."""

    wish: FaultWish
    line: int
    offset_ms: int | None = None  # since the venue's time at the start
    at_ms: int | None = None  # venue time
    after_orders: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    entries: tuple[ScenarioEntry, ...] = ()
    path: Path = Path()

    def check_against(self, world: World) -> None:
        """Refuse faults of a venue or symbol that this world is without.

        Errors: InvalidInput names the file and the line.
        """
        for entry in self.entries:
            try:
                exchanges_of(entry.wish, world)
            except (InvalidInput, NotFound) as error:
                raise InvalidInput(f"{self.path} line {entry.line}", str(error)) from None


class _Unreadable(Exception):
    """What a line says cannot be read."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def load_scenario(path: Path) -> Scenario:
    """Return the scenario of a file.

    Errors: InvalidInput names the file, the line and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MAX_BYTES:
            raise InvalidInput(str(path), f"expected at most {MAX_BYTES} characters, found {len(text)}")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return Scenario(tuple(_entries(root)), path)
    except _Unreadable as error:
        raise InvalidInput(f"{path} line {error.line}", str(error)) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise InvalidInput(f"{path} line {line}", error.problem or "is no YAML") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(str(path), f"is no YAML: {error}") from None
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read: {error.strerror}") from None


def _entries(root: yaml.Node | None) -> list[ScenarioEntry]:
    if not isinstance(root, yaml.MappingNode):
        raise _Unreadable(1, "expected a mapping with the list `faults`")
    top = {key.value: node for key, node in root.value}
    for name, node in top.items():
        if name != "faults":
            raise _Unreadable(_line(node), f"unknown field `{name}`, expected `faults`")
    faults = top.get("faults")
    if not isinstance(faults, yaml.SequenceNode):
        raise _Unreadable(_line(faults or root), "expected a list under `faults`")
    seen: set[int] = set()
    return [_entry(number, node, seen) for number, node in enumerate(faults.value, start=1)]


def _entry(number: int, node: yaml.Node, seen: set[int]) -> ScenarioEntry:
    line = _line(node)
    fields = _plain(node, seen)
    if not isinstance(fields, dict):
        raise _Unreadable(line, f"fault {number}: expected a mapping")
    try:
        return _converted(fields, line)
    except (InvalidInput, msgspec.ValidationError) as error:
        raise _Unreadable(line, f"fault {number}: {error}") from None


def _converted(fields: dict[str, Any], line: int) -> ScenarioEntry:
    when = {name: fields.pop(name) for name in _WHEN if name in fields}
    if ("at" in when) == ("after_orders" in when):
        raise InvalidInput("at", "expected either at or after_orders")
    if "for" in when:
        if "for_ms" in fields:
            raise InvalidInput("for", "expected either for or for_ms")
        fields["for_ms"] = _duration_ms("for", when["for"])
    wish = msgspec.convert(fields, FaultWish, strict=False)
    check(wish)
    if "after_orders" in when:
        orders = msgspec.convert({"after_orders": when["after_orders"]}, dict[str, int], strict=False)["after_orders"]
        if orders < 1:
            raise InvalidInput("after_orders", f"expected at least 1, found {orders}")
        return ScenarioEntry(wish, line, after_orders=orders)
    at = str(when["at"])
    if at[:4].isdigit() and "-" in at:
        return ScenarioEntry(wish, line, at_ms=_moment_ms(at))
    return ScenarioEntry(wish, line, offset_ms=_duration_ms("at", at))


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("at", f"expected a time such as 2026-11-22T12:00:00Z, found {text!r}") from None
    if moment.tzinfo is None:
        raise InvalidInput("at", f"expected a time with its zone, such as {text}Z")
    return to_epoch_ms(moment)


def _duration_ms(name: str, text: object) -> int:
    """Return the milliseconds of a duration.

    >>> _duration_ms("at", "1h30m"), _duration_ms("at", "250ms")
    (5400000, 250)
    """
    parts = list(_DURATION.finditer(str(text)))
    whole = "".join(part[0] for part in parts)
    units = [_UNITS_MS[part[2]] for part in parts]
    if not parts or whole != text or any(first <= second for first, second in pairwise(units)):
        raise InvalidInput(name, f"expected a duration such as 90s, 2h or 1h30m, found {text!r}")
    return sum(int(part[1]) * unit for part, unit in zip(parts, units, strict=True))


def _plain(node: yaml.Node, seen: set[int]) -> Any:
    """Return text, lists and mappings of a node; an alias or a field that stands twice is refused."""
    if id(node) in seen:
        raise _Unreadable(_line(node), "aliases are not read here")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return str(node.value)
    fields: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Unreadable(_line(key), "expected a name of a field")
        if key.value in fields:
            raise _Unreadable(_line(key), f"field `{key.value}` stands twice")
        fields[key.value] = _plain(value, seen)
    return fields


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


# ---------------------------------------------------------------------------------------------------- playing


class ScenarioPlayer:
    """Applies a scenario's faults as venue time and orders go by."""

    def __init__(self, scenario: Scenario, world: World, apply_fault: Callable[[FaultWish], None], soon: Soon) -> None:
        """Count offsets and orders from now on.

        apply_fault must not refuse; soon must not run what it is given at once, since an order is counted while its
        own operation is still being told.
        """
        self._apply = apply_fault
        self._soon = soon
        start_ms = world.now_ms
        timed = [(_at_ms(entry, start_ms), entry) for entry in scenario.entries if entry.after_orders is None]
        self._timed = sorted(timed, key=lambda pair: pair[0])
        self._counted = [entry for entry in scenario.entries if entry.after_orders is not None]
        self._orders: dict[VenueName, int] = dict.fromkeys(world.exchanges, 0)
        for exchange in world.exchanges.values() if self._counted else ():
            exchange.subscribe(self._counter(exchange))

    @property
    def next_ms(self) -> int | None:
        """When, in venue time, the next fault is due; None when no time brings one."""
        return self._timed[0][0] if self._timed else None

    def on_time(self, now_ms: int) -> None:
        """Apply what is due by now, in the order of time and then of the file."""
        while self._timed and self._timed[0][0] <= now_ms:
            _, entry = self._timed.pop(0)
            self._apply(entry.wish)

    def _counter(self, exchange: Exchange) -> Callable[[Sequence[VenueEvent]], None]:
        def count(events: Sequence[VenueEvent]) -> None:
            accepted = sum(map(_is_new_order, events))
            if accepted:
                self._orders[exchange.name] += accepted
                self._look_at_counts()

        return count

    def _look_at_counts(self) -> None:
        in_all = sum(self._orders.values())
        for entry in tuple(self._counted):
            venue = entry.wish.venue
            count = in_all if venue is None else self._orders.get(venue, 0)
            if entry.after_orders is not None and count >= entry.after_orders:
                self._counted.remove(entry)
                self._soon(partial(self._apply, entry.wish))


def _at_ms(entry: ScenarioEntry, start_ms: int) -> int:
    return entry.at_ms if entry.at_ms is not None else start_ms + (entry.offset_ms or 0)


def _is_new_order(event: VenueEvent) -> bool:
    """Return whether an account has sent an order that was accepted; what the venue makes itself does not count."""
    return (
        isinstance(event, OrderUpdated)
        and event.execution_type is ExecutionType.NEW
        and event.order.algo_id is None
        and event.order.closing is Closing.NOBODY
    )
