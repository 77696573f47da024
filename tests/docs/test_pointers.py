"""What the documents name in passing exists: files of the code, events, figures of the summary."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

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
ALERT = re.compile(r"[a-z]+\.[a-z_]+")
NO_EVENTS = {  # names of log lines
    "account.key_look_failed",
    "order.cancel_refused",
    "position.exit_refused",
    "account.key_unfit",
    "account.lease_lost",
    "account.modes_changed",
    "account.read_refused",
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


def raised_alerts() -> set[str]:
    """Return the names under which the code raises alerts; a name that is a variable is one of its function's words."""
    names: set[str] = set()
    for path in (ROOT / "src" / "patriot").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "critical":
                    said = ast.walk(call.args[0] if isinstance(call.args[0], ast.Constant) else function)
                    names |= {one.value for one in said if isinstance(one, ast.Constant) and is_alert(one.value)}
    return names


def is_alert(word: object) -> TypeGuard[str]:
    return isinstance(word, str) and ALERT.fullmatch(word) is not None


def test_every_alert_that_is_raised_is_listed_and_no_other() -> None:
    listed = (ROOT / "docs" / "guides" / "operations.md").read_text().partition("of level `critical`:")[2]

    assert {name for name in QUOTED.findall(listed) if is_alert(name)} == raised_alerts()
    assert "order.contested" in raised_alerts(), "one whose name is a variable"


def test_every_alert_has_an_entry_in_a_runbook() -> None:
    entries = [
        entry
        for path in (ROOT / "docs" / "runbooks").glob("*.md")
        for entry in re.split(r"\n\n|\n- ", path.read_text())
        if entry.startswith(("#", "**"))
    ]
    told = {name for entry in entries for name in QUOTED.findall(entry)}

    assert raised_alerts() - told == set()


def test_braces_stand_for_several_files() -> None:
    assert list(expanded("a/{x,y}.py")) == ["a/x.py", "a/y.py"]
