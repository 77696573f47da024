"""How long an account's desk waits for its exchange."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeskPatience:
    """Seconds after the request; after the last of `entry` and `protection` an order may be recorded as absent.

    Two minutes: the exchange's queries and lists have been seen to lag a minute behind what it executed.
    """

    entry: tuple[float, ...] = (0.3, 1, 2, 3, 4, 5, 6.5, 10, 20, 30, 45, 60, 90, 120)  # it may arrive for 6 s
    protection: tuple[float, ...] = (0.1, 0.3, 0.6, 1, 2, 4, 7, 15, 30, 60, 120)
    evidence: float = 30  # between questions about an order that must be there: what it did can be seen
    predecessor: float = 6  # receive window of 5 s and 1 s of clock skew: after it, a dead owner's request is refused
    answer: float = 0.6  # for an order's answer; then its outcome is unknown, and three such stops fit into 2 s
    untold: float = 1.2  # then an entry counts as executed for all that is known: its stop must rest after 2 s
    soon: float = 1.2  # for what is better left open than waited for
    # between looks at a position while a question for its entry is not answered
    position: tuple[float, ...] = (0.3, 1, 1, 1, 1, 1, 1, 5)
    question: float = 0.2  # for the one question that is asked before a leg goes out under its next id
    trades: float = 0.3  # for executions that an answer has told of and the stream has not
    retry: tuple[float, ...] = (0.05, 0.2, 0.5, 1, 2)  # when the exchange did nothing
    lag: float = 60  # of queries and lists behind what the exchange accepted
    contested: float = 600  # after the entry: a trade of an exit alone does not speak for it any longer
    gone: float = 0.5  # before the second question about an order that rested and is not known any more
