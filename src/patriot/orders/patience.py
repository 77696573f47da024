"""How long an account's desk waits for its exchange."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeskPatience:
    """Seconds after the request; the last of each tuple decides."""

    entry: tuple[float, ...] = (0.3, 1, 2, 5, 10, 30)
    protection: tuple[float, ...] = (0.1, 0.3, 0.6, 1, 2, 4, 7)
    predecessor: float = 6  # receive window of 5 s and 1 s of clock skew: after it, a dead owner's request is refused
    answer: float = 0.6  # for an order's answer; then its outcome is unknown, and three such stops fit into 2 s
    trades: float = 0.3  # for executions that an answer has told of and the stream has not
    retry: tuple[float, ...] = (0.05, 0.2, 0.5, 1, 2)  # when the exchange did nothing
    gone: float = 0.5  # before the second question about an order that rested and is not known any more
