"""The table of docs/conformance.md: every call that a public client offers, its arguments, and what must come of it.

A row is `| client | call | arguments | expected |`. Arguments are `name=value` words; a value is JSON if it can be read
as such, else text; `$order` stands for something that is arranged first (see stage.py), `+position` arranges without
handing anything over, and `>position` does so again and again while the call waits. Expected is `works`,
`refused CODE`, `silent` (a stream that is accepted and has nothing to tell), or `outside: why` for a call that no venue
of the simulator has part in: it is listed, so that a new one is noticed, and not made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "docs" / "conformance.md"
OUTSIDE = "outside: "


@dataclass(frozen=True, slots=True)
class Row:
    client: str
    call: str
    arguments: str
    expected: str

    @property
    def is_outside(self) -> bool:
        return self.expected.startswith(OUTSIDE)

    @property
    def is_silent(self) -> bool:
        return self.expected == "silent"

    @property
    def refusal(self) -> str | None:
        """The venue's code, None when the call works."""
        return self.expected.removeprefix("refused ") if self.expected.startswith("refused ") else None

    @property
    def meanwhile(self) -> list[str]:
        """What to arrange while the call waits."""
        return [word[1:] for word in self.arguments.split() if word.startswith(">")]

    def resolved(self, arrange: Callable[[str], Any]) -> dict[str, Any]:
        """Return the arguments with everything arranged, in the order of the row."""
        found: dict[str, Any] = {}
        for word in self.arguments.split():
            if word.startswith(">"):
                continue
            if word.startswith("+"):
                arrange(word[1:])
                continue
            name, _, text = word.partition("=")
            found[name] = _filled(_read(text), arrange)
        return found


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _filled(value: Any, arrange: Callable[[str], Any]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return arrange(value[1:])
    if isinstance(value, list):
        return [_filled(item, arrange) for item in value]
    if isinstance(value, dict):
        return {name: _filled(item, arrange) for name, item in value.items()}
    return value


@cache
def rows(client: str) -> tuple[Row, ...]:
    """Return the rows of a client."""
    return tuple(row for row in _all() if row.client == client)


def made(client: str) -> list[Row]:
    """Return the rows of a client whose calls are made."""
    return [row for row in rows(client) if not row.is_outside]


@cache
def _all() -> tuple[Row, ...]:
    found = []
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "client":
            found.append(Row(*cells))
    return tuple(found)


def check(client: str, offered: Iterable[str]) -> None:
    """Fail for a call without a row, a row without a call, and a row of another expectation than the three."""
    listed = Counter(row.call for row in rows(client))
    calls = set(offered)
    missing, gone = sorted(calls - set(listed)), sorted(set(listed) - calls)
    assert not missing, f"{client}: no row in {TABLE.name} for {', '.join(missing)}"
    assert not gone, f"{client}: rows in {TABLE.name} for what the client does not offer: {', '.join(gone)}"
    odd = [
        row
        for row in rows(client)
        if row.expected not in ("works", "silent") and not row.refusal and not row.is_outside
    ]
    assert not odd, f"{client}: expected works, silent, refused CODE or outside: why, found {odd}"
