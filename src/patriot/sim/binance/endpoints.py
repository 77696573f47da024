"""The table of REST endpoints: what each path asks of the caller, what it weighs, which function answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.requests import Call, Security

Answer = Callable[[FaceContext, Call], Any]
Weight = Callable[[Call], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and method."""

    answer: Answer
    security: Security
    weight: Weight
    counts_as_order: bool


class EndpointTable:
    """Endpoints by method and path, filled by decorators beside the functions that answer."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[str, str], Endpoint] = {}

    def find(self, method: str, path: str) -> Endpoint | None:
        return self._endpoints.get((method, path))

    def paths(self) -> frozenset[tuple[str, str]]:
        return frozenset(self._endpoints)

    def add(
        self,
        method: str,
        path: str,
        security: Security = Security.NONE,
        *,
        weight: int | Weight = 1,
        counts_as_order: bool = False,
    ) -> Callable[[Answer], Answer]:
        """Decorate the function that answers this method and path."""
        weigh = weight if callable(weight) else lambda _: weight

        def register(answer: Answer) -> Answer:
            self._endpoints[method, path] = Endpoint(answer, security, weigh, counts_as_order)
            return answer

        return register


ENDPOINTS = EndpointTable()


def by_symbol(one: int, every: int) -> Weight:
    """Weigh a request for one symbol, and one for all of them."""
    return lambda call: one if call.text("symbol") else every


def by_limit(steps: tuple[tuple[int, int], ...], above: int, default: int) -> Weight:
    """Weigh a request by its limit: the first step whose ceiling is not passed."""

    def weigh(call: Call) -> int:
        text = call.text("limit") or str(default)
        limit = int(text) if text.isdecimal() and len(text) < 7 else default
        return next((weight for ceiling, weight in steps if limit <= ceiling), above)

    return weigh
