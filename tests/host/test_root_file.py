"""The file of published roots only grows, and a line that a crash cut short does not spoil it."""

from pathlib import Path

import pytest

from patriot.host.root_file import RootFile

pytestmark = pytest.mark.unit


def test_lines_come_back_in_their_order(tmp_path: Path) -> None:
    file = RootFile(tmp_path / "roots.jsonl")

    assert file.lines() == []
    file.add("one")
    file.add("two")

    assert file.lines() == ["one", "two"]
    assert file.path.read_text() == "one\ntwo\n"


def test_half_a_line_is_none_and_is_replaced_by_the_next(tmp_path: Path) -> None:
    file = RootFile(tmp_path / "roots.jsonl")
    file.add("one")
    with file.path.open("a") as cut:
        cut.write('{"numb')

    assert file.lines() == ["one"]
    file.add("two")

    assert file.lines() == ["one", "two"]
