"""A place in the log of PostgreSQL, as text for everybody and as the pair that orders it for this adapter.

The pair is the event's transaction, then its number in the table; the text is both with a dot between.
"""

from typing import NamedTuple

from patriot.kernel.eventstore import START, Place


class Position(NamedTuple):
    """What orders the log: transaction first, then number."""

    transaction: int
    number: int


BEGINNING = Position(0, 0)


def place_of(position: Position) -> Place:
    """Return the text of a position."""
    return Place(f"{position.transaction}.{position.number}") if position.number else START


def position_of(place: Place) -> Position:
    """Return the pair of a place.

    >>> position_of(place_of(Position(745, 12)))
    Position(transaction=745, number=12)
    """
    if place == START:
        return BEGINNING
    transaction, _, number = place.partition(".")
    return Position(int(transaction), int(number))
