"""Decide and evolve: the shape of every aggregate. Pure; a stream of events folds to the state that `decide` reads."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")


@dataclass(frozen=True, slots=True)
class Decider(Generic[State, Command, Event]):
    """One aggregate as three values: where it starts, what a command changes, what an event means."""

    initial: State
    decide: Callable[[State, Command], list[Event]]
    evolve: Callable[[State, Event], State]

    def fold(self, events: Iterable[Event], start: State | None = None) -> State:
        """Return the state after the events, from the beginning or from a state already folded."""
        return reduce(self.evolve, events, self.initial if start is None else start)
