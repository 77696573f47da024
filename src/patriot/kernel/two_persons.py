"""The rule of two persons: who asks for something grave is not who approves it. Pure.

It compares names. That a name is its bearer's is for the sign-in to prove.
"""

import unicodedata

from patriot.kernel.errors import CommandRefused


def require_two_persons(requested_by: str, approved_by: str) -> None:
    """Return if the names are those of two persons, whatever their case and the space around them.

    Errors: CommandRefused for one person twice, or nobody.
    """
    asks, approves = (unicodedata.normalize("NFKC", name).strip().casefold() for name in (requested_by, approved_by))
    if not asks or not approves or asks == approves:
        raise CommandRefused(f"two persons are needed, found {requested_by!r} and {approved_by!r}")
