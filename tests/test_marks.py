"""Each test module says what it costs."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SAID = re.compile(r"^pytestmark = .*\bpytest\.mark\.(unit|integration|slow)\b", re.MULTILINE)


def test_every_module_says_what_it_costs() -> None:
    modules = list(Path(__file__).parent.rglob("test_*.py"))
    assert [module.name for module in modules if not SAID.search(module.read_text())] == []
