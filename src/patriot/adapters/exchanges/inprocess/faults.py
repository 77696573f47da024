"""What goes wrong on the way to the in-process exchange and back. The same seed gives the same trouble."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random


class RequestFault(StrEnum):
    NONE = "none"
    LOST_REQUEST = "lost_request"  # nothing was executed, and nobody says so
    LOST_ANSWER = "lost_answer"  # executed, and nobody says so
    REFUSED = "refused"  # an order that the exchange does not take; orders only
    UNAVAILABLE = "unavailable"  # the exchange says that it did nothing
    SLOW = "slow"  # under way for long, and executed if its receive window still stands


class StreamFault(StrEnum):
    NONE = "none"
    REPEATED = "repeated"
    SWAPPED = "swapped"  # with the report before it, of another kind: the two have no order between them
    GAP = "gap"  # the line is lost with all that was on it; StreamResumed comes when it stands again


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Probabilities of one request, or of one report, to be hit; what is left over goes well."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    refused: float = 0.0
    unavailable: float = 0.0
    slow: float = 0.0
    repeated: float = 0.0
    swapped: float = 0.0
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long things take, in seconds; the venue is drawn between `least` and `most` each way."""

    least: float = 0.005
    most: float = 0.06
    slow: float = 2.0  # one way, at most
    no_answer: float = 5.0  # how long a caller waits for an answer that does not come
    reconnect: float = 0.5  # until a lost line stands again, at most


class FaultPlan:
    """Draws each request's and each report's fate. `in_a_row` bounds how many requests fail one after the other."""

    def __init__(self, random: Random, rates: FaultRates, latency: Latency | None = None, in_a_row: int = 2) -> None:
        self._random = random
        self._rates = rates
        self._in_a_row = in_a_row
        self._failed = 0
        self.latency = latency or Latency()

    def quiet(self) -> None:
        """Let everything go well from here on."""
        self._rates = FaultRates()

    def of_request(self, *, placing: bool) -> RequestFault:
        """Return what happens to the next request."""
        if self._failed >= self._in_a_row:
            self._failed = 0
            return RequestFault.NONE
        rates = self._rates
        fate = self._draw(
            (
                (RequestFault.LOST_REQUEST, rates.lost_request),
                (RequestFault.LOST_ANSWER, rates.lost_answer),
                (RequestFault.UNAVAILABLE, rates.unavailable),
                (RequestFault.SLOW, rates.slow),
                (RequestFault.REFUSED, rates.refused if placing else 0.0),
            )
        )
        self._failed = 0 if fate is None else self._failed + 1
        return RequestFault.NONE if fate is None else RequestFault(fate)

    def of_report(self) -> StreamFault:
        """Return what happens to the next report of a private stream."""
        rates = self._rates
        fate = self._draw(
            (
                (StreamFault.REPEATED, rates.repeated),
                (StreamFault.SWAPPED, rates.swapped),
                (StreamFault.GAP, rates.gap),
            )
        )
        return StreamFault.NONE if fate is None else StreamFault(fate)

    def delay(self, *, slow: bool = False) -> float:
        """Return the seconds that a message is under way."""
        latency = self.latency
        return self._random.uniform(latency.most, latency.slow) if slow else self._ordinary(latency)

    def reconnect(self) -> float:
        """Return the seconds until a lost line stands again."""
        return self._random.uniform(self.latency.most, self.latency.reconnect)

    def _ordinary(self, latency: Latency) -> float:
        return self._random.uniform(latency.least, latency.most)

    def _draw(self, fates: Iterable[tuple[StrEnum, float]]) -> StrEnum | None:
        ticket = self._random.random()
        for fate, rate in fates:
            if ticket < rate:
                return fate
            ticket -= rate
        return None


RECEIVE_WINDOW = timedelta(seconds=5)  # a request that arrives later than this after it was sent is not executed
