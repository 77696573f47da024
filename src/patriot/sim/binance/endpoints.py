"""The table of REST endpoints: what each path asks of the caller, what it weighs, which function answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.limits import Pool
from patriot.sim.binance.requests import Call, Security

Answer = Callable[[FaceContext, Call], Any]
Weight = Callable[[Call], int]


@dataclass(frozen=True, slots=True)
class OrderCount:
    """How much a request counts as orders of its account; nothing for most."""

    in_10_seconds: int = 0
    in_1_minute: int = 0


NO_ORDER = OrderCount()
ONE_ORDER = OrderCount(1, 1)
A_BATCH = OrderCount(5, 1)  # however many orders are in it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and method."""

    answer: Answer
    security: Security
    weight: int | Weight
    orders: OrderCount
    pool: Pool

    def weight_of(self, call: Call) -> int:
        """Return what a request weighs."""
        return self.weight if isinstance(self.weight, int) else self.weight(call)


class EndpointTable:
    """Endpoints by method and path, filled by decorators beside the functions that answer."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[str, str], Endpoint] = {}

    def find(self, method: str, path: str) -> Endpoint | None:
        return self._endpoints.get((method, path))

    def paths(self) -> frozenset[tuple[str, str]]:
        return frozenset(self._endpoints)

    def remove(self, method: str, path: str) -> None:
        del self._endpoints[method, path]

    def add(
        self,
        method: str,
        path: str,
        security: Security = Security.NONE,
        *,
        weight: int | Weight = 1,
        orders: OrderCount = NO_ORDER,
        pool: Pool = Pool.WEIGHT,
    ) -> Callable[[Answer], Answer]:
        """Decorate the function that answers this method and path."""

        def register(answer: Answer) -> Answer:
            self._endpoints[method, path] = Endpoint(answer, security, weight, orders, pool)
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
