"""Given events, when commands, then events: how every decider is tested."""

from __future__ import annotations

from typing import Generic, TypeVar

import pytest

from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused

State = TypeVar("State")
Command = TypeVar("Command")
Event = TypeVar("Event")


class Scenario(Generic[State, Command, Event]):
    """One aggregate with a past.

    >>> counter = Decider(0, lambda total, add: [add] if add else [], lambda total, event: total + event)
    >>> Scenario(counter, 1, 2).when(3).then(3).state
    6
    """

    def __init__(self, decider: Decider[State, Command, Event], *events: Event) -> None:
        self.decider = decider
        self.state = decider.fold(events)
        self._commands: tuple[Command, ...] = ()

    def when(self, *commands: Command) -> Scenario[State, Command, Event]:
        """Name what is asked; it happens in `then`."""
        self._commands = commands
        return self

    def decided(self) -> list[Event]:
        """Decide one command after the other; return the events of all."""
        events: list[Event] = []
        for command in self._commands:
            new = self.decider.decide(self.state, command)
            self.state = self.decider.fold(new, self.state)
            events += new
        return events

    def then(self, *events: Event) -> Scenario[State, Command, Event]:
        """Expect exactly these events."""
        assert self.decided() == list(events)
        return self

    def then_refused(self, text: str) -> None:
        """Expect a refusal whose words hold the text."""
        with pytest.raises(CommandRefused, match=text):
            self.decided()
