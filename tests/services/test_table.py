"""The table of services is whole, and the guide tells the same."""

import re
from pathlib import Path

import pytest

from patriot.services.table import PROJECTIONS, TABLE, Service

pytestmark = pytest.mark.unit

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "operations.md"
ROW = re.compile(r"\| `(\w+)` \| (\d+) \| `(\w+)` \| (.+) \|")


def test_every_service_has_a_row_and_a_port_of_its_own() -> None:
    assert list(TABLE) == list(Service)
    assert len({row.port for row in TABLE.values()}) == len(TABLE)


def test_guide_shows_the_table() -> None:
    shown = [match.groups() for match in ROW.finditer(GUIDE.read_text())]
    assert shown == [(str(name), str(row.port), str(row.role), row.what) for name, row in TABLE.items()]


def test_every_read_model_is_kept_by_one_service() -> None:
    names = [one.name for one in PROJECTIONS]
    assert len(set(names)) == len(names)


def test_every_service_but_the_simulator_runs_something() -> None:
    idle = [name for name, row in TABLE.items() if row.build is None and not row.read_models]
    assert idle == [Service.SIM]


def test_only_who_speaks_with_the_exchange_waits_for_it_at_a_start() -> None:
    assert [name for name, row in TABLE.items() if row.trades] == [Service.EXECUTION, Service.STRATEGIES]
