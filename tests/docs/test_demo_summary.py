"""The README's table of the demo's summary names what the demo prints, and all of it."""

import re
from pathlib import Path

import pytest

from patriot.cli.demo import MEANINGS

pytestmark = pytest.mark.unit

README = Path(__file__).parents[2] / "README.md"
BESIDE_THE_MEANINGS = {"lost_entries", "unexplained"}  # which the screen words by itself


def test_table_of_the_summary_names_the_lines_on_screen() -> None:
    table = README.read_text().partition("| line | in a few words |")[2].partition("\n\n")[0]
    named = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == MEANINGS.keys() | BESIDE_THE_MEANINGS
