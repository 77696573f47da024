"""Events to canonical JSON text and back. Stored names are stable strings; old versions are upcast on read.

The text made here is what the store hashes and keeps, byte for byte: fields in the order of the class, no spaces,
Decimal as a plain string without exponent, datetime in UTC with Z.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from patriot.kernel.errors import HistoryDamaged
from patriot.kernel.money import plain

T = TypeVar("T")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

_EXPONENT = re.compile(rb'"-?\d+(\.\d+)?E[+-]\d+"')
_ENCODER = msgspec.json.Encoder()


def _plain_decimals(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value)
        case dict():
            return {key: _plain_decimals(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain_decimals(item) for item in value]
        case _:
            return value


def encode(value: object) -> str:
    """Return the canonical JSON text of an event or any frozen dataclass.

    >>> encode({"fee": Decimal("0E-8")})
    '{"fee":"0.00000000"}'
    """
    data = _ENCODER.encode(value)
    if _EXPONENT.search(data):  # rare: a Decimal whose own text would carry an exponent
        data = _ENCODER.encode(_plain_decimals(msgspec.to_builtins(value, builtin_types=(Decimal,))))
    return data.decode()


@dataclass(slots=True)
class EventRegistry:
    """The vocabulary of stored events: name <-> class, with upcasters from older schema versions."""

    _class_by_name: dict[str, type] = field(default_factory=dict)
    _name_by_class: dict[type, tuple[str, int]] = field(default_factory=dict)
    _decoders: dict[str, msgspec.json.Decoder[Any]] = field(default_factory=dict)
    _upcasters: dict[tuple[str, int], Upcast] = field(default_factory=dict)

    def register(self, name: str, version: int = 1) -> Callable[[type[T]], type[T]]:
        """Class decorator: store this event under a stable name and schema version."""

        def add(cls: type[T]) -> type[T]:
            if name in self._class_by_name:
                raise ValueError(f"event name {name} is taken by {self._class_by_name[name].__name__}")
            self._class_by_name[name] = cls
            self._name_by_class[cls] = (name, version)
            return cls

        return add

    def upcast(self, name: str, from_version: int) -> Callable[[Upcast], Upcast]:
        """Lift the decoded data of an old version to the next one: a decorator of the function that does it."""

        def add(function: Upcast) -> Upcast:
            self._upcasters[name, from_version] = function
            return function

        return add

    def name_of(self, event: object) -> tuple[str, int]:
        """Return the stored name and the current schema version of an event."""
        return self._name_by_class[type(event)]

    def name_of_class(self, cls: type) -> str:
        """Return the stored name of an event class."""
        return self._name_by_class[cls][0]

    def names(self) -> frozenset[str]:
        """Return every registered name."""
        return frozenset(self._class_by_name)

    def class_of(self, name: str) -> type:
        """Return the class stored under a name."""
        return self._class_by_name[name]

    def decode(self, name: str, version: int, data: str) -> Any:
        """Return the event of stored text, lifted to the current schema version.

        Errors: HistoryDamaged if the name is unknown or the text does not fit the class.
        """
        cls = self._class_by_name.get(name)
        if cls is None:
            raise HistoryDamaged(f"event type {name} is unknown to this version")
        current = self._name_by_class[cls][1]
        try:
            if version == current:
                decoder = self._decoders.get(name)
                if decoder is None:
                    decoder = self._decoders[name] = msgspec.json.Decoder(cls)
                return decoder.decode(data)
            fields = msgspec.json.decode(data)
            for old in range(version, current):
                fields = self._upcasters[name, old](fields)
            return msgspec.convert(fields, cls)
        except (msgspec.MsgspecError, KeyError) as error:
            raise HistoryDamaged(f"event {name} v{version} cannot be read: {error}") from error


EVENTS = EventRegistry()


def event(name: str, version: int = 1) -> Callable[[type[T]], type[T]]:
    """Class decorator of `events.py` modules: register in the one vocabulary of the platform.

    Source: names follow docs/events.md; a name is never reused for another meaning.
    """
    return EVENTS.register(name, version)
