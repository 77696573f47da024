"""Write docs/events.md from the vocabulary of stored events.

Run `.venv/bin/python docs/generate_events.py` after a change of any `events.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import patriot
from patriot.kernel.codec import EVENTS

FILE = Path(__file__).resolve().parent / "events.md"


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of stream: the module of its events, its constant and its union there, what one stream stands for."""

    domain: str
    constant: str
    union: str
    stands_for: str


STREAMS = (
    Stream("users", "STREAM_TYPE", "UserEvent", "one person"),
    Stream("accounts", "STREAM_TYPE", "AccountEvent", "one exchange account"),
    Stream("accounts", "VENUE_ACCOUNT_STREAM_TYPE", "VenueAccountEvent", "who holds an exchange's account"),
    Stream("accounts", "LEDGER_STREAM_TYPE", "LedgerEvent", "the money of one account, as its exchange reports it"),
    Stream("strategies", "STREAM_TYPE", "StrategyEvent", "one strategy"),
    Stream("strategies", "ALLOCATION_STREAM_TYPE", "AllocationEvent", "how one account is divided among strategies"),
    Stream("strategies", "SIGNAL_STREAM_TYPE", "SignalEvent", "one signal"),
    Stream("execution", "STREAM_TYPE", "ExecutionEvent", "one account's share of one signal"),
    Stream("execution", "PROTECTION_STREAM_TYPE", "ProtectionEvent", "the protection of one bracket's position"),
    Stream("orders", "STREAM_TYPE", "OrderEvent", "one order"),
    Stream("risk", "STREAM_TYPE", "RiskEvent", "the exposure of one account"),
    Stream("risk", "LIMITS_STREAM_TYPE", "LimitEvent", "the limits of one scope"),
    Stream("risk", "HALT_STREAM_TYPE", "HaltEvent", "the halts of one scope"),
    Stream("billing", "TERMS_STREAM_TYPE", "TermsEvent", "the fee terms of one account"),
    Stream("billing", "STREAM_TYPE", "BillingEvent", "one month of one account"),
    Stream("audit", "STREAM_TYPE", "AuditEvent", "the published roots of the whole log"),
)

INTRODUCTION = """\
# Stored events

Every fact that PATRIOT keeps, by the kind of stream it is appended to. This page is written by
`docs/generate_events.py` from the classes in `src/patriot/*/events.py`, and a test fails when it is out of date.

An event is stored with an envelope: its id (UUIDv7), stream type, stream id and version, stored name and schema
version, `occurred_at` (when the world did it) and `recorded_at` (when we wrote it), correlation and causation id, the
user and account it concerns, and who acted. The data is kept as the canonical JSON text that was hashed:
[ADR 0001](adr/0001-event-store-on-postgresql.md) gives the exact bytes.

Amounts are decimal strings, times are UTC in ISO 8601 with `Z`, identifiers are UUIDs. `?` marks a field that may be
null. A stored name is never used again for another meaning; an old schema version is lifted to the newest when it is
read, never rewritten.
"""


def main() -> int:
    """Write the page; return 0."""
    FILE.write_text(catalogue())
    sys.stdout.write(f"{FILE}: {len(registered())} events\n")
    return 0


def registered() -> frozenset[str]:
    """Return the names of all events, after every module that could register one was imported."""
    for package in pkgutil.iter_modules(patriot.__path__):
        if package.ispkg:
            name = f"patriot.{package.name}.events"
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
    return frozenset(name for name in EVENTS.names() if EVENTS.class_of(name).__module__.startswith("patriot."))


def catalogue() -> str:
    """Return the page. Errors: ValueError if an event belongs to no stream, or to two."""
    names = registered()
    sections = [INTRODUCTION]
    listed: list[str] = []
    shown: dict[str, type] = {}  # nested classes by name
    for stream in STREAMS:
        module = importlib.import_module(f"patriot.{stream.domain}.events")
        classes = members(getattr(module, stream.union))
        listed += [EVENTS.name_of_class(cls) for cls in classes]
        entries = "\n".join(entry(cls, shown) for cls in classes)
        stream_type = getattr(module, stream.constant)
        source = f"`src/patriot/{stream.domain}/events.py`"
        sections.append(f"## {stream_type}\n\nA stream is {stream.stands_for}: {source}.\n\n{entries}\n")
    if sorted(listed) != sorted(names):
        raise ValueError(f"expected every event in one stream, found these apart: {set(listed) ^ names or 'repeats'}")
    sections.append(values(shown))
    return "\n".join(sections)


def members(union: Any) -> list[type]:
    """Return the classes of a union, or the one class that stands alone."""
    return list(get_args(union)) or [union]


def entry(cls: type, shown: dict[str, type]) -> str:
    """Return the paragraph of one event; note the classes that its fields are made of."""
    name, version = EVENTS.name_of(object.__new__(cls))  # it looks at nothing but the class
    title = f"- **`{name}`**" + (f" (version {version})" if version > 1 else "")
    return "\n".join([title, *(f"  {line}" for line in meaning(cls)), f"  Fields: {listed_fields(cls, shown)}."])


def meaning(cls: type) -> list[str]:
    """Return the words of a class, or nothing: dataclasses without any get their signature as one."""
    words = inspect.getdoc(cls) or ""
    return [] if words.startswith(f"{cls.__name__}(") else words.splitlines()


def listed_fields(cls: Any, shown: dict[str, type]) -> str:
    """Return the fields with their types."""
    hints = get_type_hints(cls)
    return ", ".join(f"`{field.name}` {typed(hints[field.name], shown)}" for field in fields(cls))


def typed(hint: Any, shown: dict[str, type]) -> str:
    """Return a type in one word."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        named = " or ".join(typed(one, shown) for one in inner if one is not NoneType)
        return named + ("?" if NoneType in inner else "")
    if origin is tuple:
        return f"list of {typed(inner[0], shown)}"
    if origin is dict:
        return f"map of {typed(inner[0], shown)} to {typed(inner[1], shown)}"
    name = str(hint.__name__)
    if inspect.isclass(hint) and (is_dataclass(hint) or issubclass(hint, StrEnum)):
        shown.setdefault(name, hint)
        return f"[{name}](#{name.lower()})"
    return {"str": "text", "int": "integer", "bool": "boolean", "datetime": "time"}.get(name, name)


def values(shown: dict[str, type]) -> str:
    """Return what the fields of events are made of; a class found in another one is shown too."""
    paragraphs: dict[str, str] = {}
    while waiting := [cls for name, cls in shown.items() if name not in paragraphs]:
        for cls in waiting:
            if issubclass(cls, StrEnum):
                body = " ".join(f"`{value}`" for value in cls)
            else:
                body = f"{' '.join(meaning(cls))} Fields: {listed_fields(cls, shown)}.".strip()
            paragraphs[cls.__name__] = f"### {cls.__name__}\n\n{body}\n"
    return "\n".join(["## Values in fields\n", *(paragraphs[name] for name in sorted(paragraphs))])


if __name__ == "__main__":
    sys.exit(main())
