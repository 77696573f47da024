"""Every kind of strategy by name. A new one is a rule in a module of its own, a line here, and its parameters."""

from pathlib import Path

from patriot.strategies.bracket import BracketStrategy
from patriot.strategies.donchian import DonchianBreakout
from patriot.strategies.ema_cross import EmaCross
from patriot.strategies.hindsight import Hindsight, read_future
from patriot.strategies.interface import Rule, Strategy, StrategySpec
from patriot.strategies.parameters import Values, complete


def build(spec: StrategySpec) -> Strategy:
    """Return a fresh strategy that has seen no bar.

    Errors: InvalidInput naming the field if the kind or a parameter is not as it should be.
    """
    return BracketStrategy(rule_of(spec.kind, spec.parameters), spec.tick_size, spec.active_from)


def rule_of(kind: str, parameters: dict[str, str]) -> Rule:
    """Return the rule behind a kind of strategy."""
    values = Values(complete(kind, parameters))
    match kind:
        case "ema_cross":
            return EmaCross(values)
        case "donchian":
            return DonchianBreakout(values)
        case _:
            return Hindsight(values, read_future(Path(values.texts["data_file"])))


def warm_up_bars(kind: str, parameters: dict[str, str]) -> int:
    """Return how many bars before its first wish a strategy wants, without building one that reads files."""
    return 0 if kind == "hindsight" else rule_of(kind, parameters).warm_up_bars
