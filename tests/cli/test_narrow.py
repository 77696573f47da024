"""Lists on a terminal that is too narrow for their table."""

from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from patriot.cli.listings import print_records

pytestmark = pytest.mark.integration

ONE, TWO = UUID(int=1), UUID(int=2)
COLUMNS = ("account_id", "symbol", "reason_code", "average_fill_price")
RECORDS = [
    {"account_id": ONE, "symbol": "BTCUSDT", "reason_code": None, "average_fill_price": "38311.03814815"},
    {"account_id": TWO, "symbol": "ETHUSDT", "reason_code": "MAX_DRAWDOWN", "average_fill_price": None},
]


def printed(width: int, *, terminal: bool) -> list[str]:
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, no_color=True, highlight=False)
    print_records(console, "Orders", RECORDS, COLUMNS)
    return file.getvalue().splitlines()


def test_list_that_does_not_fit_a_terminal_is_one_block_per_record() -> None:
    lines = [line.strip() for line in printed(60, terminal=True)]
    assert max(map(len, lines)) <= 60
    assert lines[-8:] == [
        f"account id          {ONE}",
        "symbol              BTCUSDT",
        "average fill price  38311.03814815",
        "",
        f"account id          {TWO}",
        "symbol              ETHUSDT",
        "reason code         MAX_DRAWDOWN",
        "",
    ]


@pytest.mark.parametrize(("width", "terminal"), [(120, True), (60, False)])
def test_list_that_fits_or_goes_to_a_program_is_one_line_per_record(width: int, terminal: bool) -> None:
    (line,) = [line for line in printed(width, terminal=terminal) if str(ONE) in line]
    assert "BTCUSDT" in line
    assert "38311.03814815" in line
