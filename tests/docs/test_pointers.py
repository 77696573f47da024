"""What the documents name in passing exists: files of the code, events, figures of the summary."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from docs.generate_events import registered
from patriot.cli.main import COMMANDS
from patriot.judge.summary import Summary

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
BASES = (ROOT, ROOT / "src" / "patriot", ROOT / "docs")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w./{},-]+/[\w.{},-]+\.(?:py|html|yaml|md)")
EVENT = re.compile(
    r"(?:order|position|execution|account|billing|strategy|risk|trading|funding|user|allocation)\.[a-z_]+"
)
NO_EVENTS = {  # names of log lines
    "account.key_look_failed",
    "account.key_unfit",
    "account.lease_lost",
    "account.modes_changed",
    "account.sample_late",
    "account.settings_changed",
    "account.worker_failed",
    "money.unexplained",
    "order.contested",
    "order.foreign",
    "order.outcome_unknown",
    "order.sent_again",
    "order.stray_report",
    "position.differs",
    "position.opened_again",
    "position.protection_failed",
}


def quoted(document: Path, pattern: re.Pattern[str]) -> list[str]:
    return [text for text in QUOTED.findall(document.read_text()) if pattern.fullmatch(text)]


def expanded(path: str) -> Iterator[str]:
    """Yield `a/x.py` and `a/y.py` for `a/{x,y}.py`."""
    opened = re.search(r"\{([^}]+)\}", path)
    if opened is None:
        yield path
        return
    for word in opened[1].split(","):
        yield from expanded(path[: opened.start()] + word + path[opened.end() :])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_exist(document: Path) -> None:
    named = [one for path in quoted(document, FILE) for one in expanded(path)]

    assert [path for path in named if not any((base / path).exists() for base in BASES)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_events_that_a_document_names_are_stored_ones(document: Path) -> None:
    assert set(quoted(document, EVENT)) - registered() - NO_EVENTS == set()


def test_readme_explains_every_figure_of_the_summary() -> None:
    words = set(QUOTED.findall((ROOT / "README.md").read_text()))

    assert {field.name for field in msgspec.structs.fields(Summary)} - words - {"wall_seconds"} == set()


def test_readme_lists_every_command() -> None:
    listed = re.findall(r"^\| `patriot ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert listed == list(COMMANDS)


def test_braces_stand_for_several_files() -> None:
    assert list(expanded("a/{x,y}.py")) == ["a/x.py", "a/y.py"]
