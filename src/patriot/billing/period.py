"""Calendar months of exchange time, written "2022-01". A moment at midnight belongs to the month it opens."""

import re
from datetime import UTC, datetime

from patriot.kernel.errors import InvalidInput

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def period_of(moment: datetime) -> str:
    """Return the month of a moment.

    >>> period_of(datetime(2022, 2, 1, tzinfo=UTC))
    '2022-02'
    """
    return f"{moment:%Y-%m}"


def following(period: str) -> str:
    """Return the month after a month.

    >>> following("2021-12")
    '2022-01'
    """
    return period_of(period_end(period))


def preceding(period: str) -> str:
    """Return the month before a month.

    >>> preceding("2022-01")
    '2021-12'
    """
    return period_of(_month(period, -1))


def period_start(period: str) -> datetime:
    """Return the first moment of a month. Errors: InvalidInput if the text is not a month.

    >>> period_start("2022-01").isoformat()
    '2022-01-01T00:00:00+00:00'
    """
    return _month(period, 0)


def period_end(period: str) -> datetime:
    """Return the first moment after a month.

    Errors: InvalidInput if the text is not a month.

    >>> period_end("2021-12").isoformat()
    '2022-01-01T00:00:00+00:00'
    """
    return _month(period, 1)


def _month(period: str, later: int) -> datetime:
    match = _MONTH.fullmatch(period)
    if match is None:
        raise InvalidInput("period", f"expected a month such as '2022-01', found {period[:40]!r}")
    months = int(match[1]) * 12 + int(match[2]) - 1 + later
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
