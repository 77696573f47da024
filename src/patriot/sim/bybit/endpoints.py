"""The table of REST endpoints: what each path asks of the caller, its limit, which function answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from patriot.sim.bybit import refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers, when it is more than a result."""

    result: Json
    ext_info: Json = field(default_factory=dict)
    message: str = "OK"


Answer = Callable[[FaceContext, Call], Json | Reply]
A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and method."""

    path: str
    answer: Answer
    security: Security
    per_second: int  # requests of one account in a rolling second; 0: not counted
    counts_items: bool  # a batch counts as many requests as it has orders


_UNGRANTED: Final = tuple(
    f"/v5/{product}/"
    for product in (
        *("affiliate", "apilimit", "asset", "broker", "crypto-loan", "crypto-loan-common", "crypto-loan-fixed"),
        *(
            "crypto-loan-flexible",
            "earn",
            "fiat",
            "ins-loan",
            "lending",
            "p2p",
            "pre-upgrade",
            "rfq",
            "spot-cross-margin-trade",
        ),
        *("spot-lever-token", "spot-margin-trade", "spread", "user"),
    )
)


def _ungranted(_face: FaceContext, _call: Call) -> Json:
    raise Refused(*refusals.PERMISSION)


class EndpointTable:
    """Endpoints by method and path, filled by decorators beside the functions that answer."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[str, str], Endpoint] = {}

    def find(self, method: str, path: str) -> Endpoint | None:
        """Return the endpoint of a path; products that keys here have no right to are refused as a whole."""
        found = self._endpoints.get((method, path))
        if found is None and method in ("GET", "POST") and path.startswith(_UNGRANTED):
            return Endpoint(path, _ungranted, Security.UNGRANTED, 0, counts_items=False)
        return found

    def paths(self) -> frozenset[tuple[str, str]]:
        return frozenset(self._endpoints)

    def add(
        self,
        method: str,
        path: str,
        security: Security = Security.NONE,
        *,
        per_second: int | None = None,
        counts_items: bool = False,
    ) -> Callable[[A], A]:
        """Decorate the function that answers this method and path."""
        rate = per_second if per_second is not None else (0 if security is Security.NONE else 50)

        def register(answer: A) -> A:
            self._endpoints[method, path] = Endpoint(path, answer, security, rate, counts_items)
            return answer

        return register


ENDPOINTS = EndpointTable()


def carry_out(face: FaceContext, endpoint: Endpoint, call: Call) -> Reply:
    """Let an endpoint answer a call, over REST or over the trade socket.

    Errors: Refused; the engine's refusals are told in this venue's words.
    """
    try:
        answer = endpoint.answer(face, call)
    except VenueRefusal as refusal:
        raise refusals.of_engine(refusal) from None
    return answer if isinstance(answer, Reply) else Reply(answer)


def category(call: Call) -> str:
    """Return the product category. Errors: Refused 10001 for one the venue does not have."""
    value = call.text("category")
    if value not in ("linear", "inverse", "spot", "option"):
        raise Refused(10001, "Illegal category")
    return value


def is_linear(call: Call) -> bool:
    """Return whether a call is about USDT perpetuals, the only product that is listed here."""
    return category(call) == "linear"


def require_linear(call: Call) -> None:
    """Refuse a change in a product that is not listed here: none of its symbols exist."""
    if not is_linear(call):
        raise Refused(*refusals.NO_SYMBOL)
