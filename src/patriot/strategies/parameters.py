"""The kinds of strategies and their parameters: names, defaults, bounds. Pure; no strategy code is imported here."""

from dataclasses import dataclass
from decimal import Decimal

from patriot.kernel.errors import InvalidInput
from patriot.kernel.money import parse_decimal


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number: its default and its bounds, both included; `whole` for counts of bars."""

    default: str
    minimum: str
    maximum: str
    whole: bool = False

    def check(self, field: str, text: str) -> None:
        """Errors: InvalidInput naming the field if the text is not a number within the bounds."""
        value = parse_decimal(field, text)
        if self.whole and value != value.to_integral_value():
            raise InvalidInput(field, f"expected a whole number, found {text}")
        if not Decimal(self.minimum) <= value <= Decimal(self.maximum):
            raise InvalidInput(field, f"expected {self.minimum} to {self.maximum}, found {text}")


@dataclass(frozen=True, slots=True)
class FilePath:
    """The path of a file; there is no default."""

    def check(self, field: str, text: str) -> None:
        """Errors: InvalidInput naming the field if the path is empty."""
        if not text.strip():
            raise InvalidInput(field, "expected the path of a file, found nothing")


@dataclass(frozen=True, slots=True)
class Kind:
    """What people are told about a kind of strategy, and what it can be set to."""

    label: str
    parameters: dict[str, Parameter | FilePath]


_ATR_PERIOD = Parameter("14", "2", "1000", whole=True)

KINDS = {
    "ema_cross": Kind(
        "EMA cross with RSI filter",
        {
            "fast_period": Parameter("9", "2", "1000", whole=True),
            "slow_period": Parameter("21", "3", "1000", whole=True),
            "rsi_period": Parameter("14", "2", "1000", whole=True),
            "rsi_ceiling": Parameter("70", "51", "100"),
            "atr_period": _ATR_PERIOD,
            "stop_atr": Parameter("2", "0.1", "100"),
            "target_atr": Parameter("3", "0.1", "100"),
        },
    ),
    "donchian": Kind(
        "Donchian breakout with ATR stop",
        {
            "entry_bars": Parameter("20", "2", "1000", whole=True),
            "exit_bars": Parameter("10", "2", "1000", whole=True),
            "atr_period": _ATR_PERIOD,
            "stop_atr": Parameter("2", "0.1", "100"),
            "target_atr": Parameter("0", "0", "100"),
        },
    ),
    "hindsight": Kind(
        "knows the future; for demonstrating fees only",
        {
            "data_file": FilePath(),
            "target_fraction": Parameter("0.01", "0.0001", "1"),
            "stop_fraction": Parameter("0.006", "0.0001", "0.9"),
            "horizon_minutes": Parameter("720", "1", "100000", whole=True),
        },
    ),
}


def complete(kind: str, given: dict[str, str]) -> dict[str, str]:
    """Return every parameter of a kind, those given over the defaults.

    Errors: InvalidInput naming the field: an unknown kind or parameter, a missing file, a number out of bounds.

    >>> complete("donchian", {"entry_bars": "30"})["exit_bars"]
    '10'
    """
    known = KINDS.get(kind)
    if known is None:
        raise InvalidInput("kind", f"expected one of {', '.join(KINDS)}, found {kind[:40]!r}")
    for name in given:
        if name not in known.parameters:
            raise InvalidInput(f"parameters.{name[:40]}", f"expected one of {', '.join(known.parameters)}")
    values = {}
    for name, parameter in known.parameters.items():
        default = parameter.default if isinstance(parameter, Parameter) else ""
        values[name] = given.get(name, default)
        parameter.check(f"parameters.{name}", values[name])
    if kind == "ema_cross" and Decimal(values["fast_period"]) >= Decimal(values["slow_period"]):
        raise InvalidInput(
            "parameters.fast_period",
            f"expected less than slow_period {values['slow_period']}, found {values['fast_period']}",
        )
    return values


@dataclass(frozen=True, slots=True)
class Values:
    """Complete parameters, read as numbers."""

    texts: dict[str, str]

    def whole(self, name: str) -> int:
        return int(Decimal(self.texts[name]))

    def number(self, name: str) -> float:
        return float(self.texts[name])
