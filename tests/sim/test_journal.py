"""The journal: what was answered survives a kill; what was changed is found."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.kernel.errors import HistoryDamaged, StartupError
from patriot.sim.journal import Journal

pytestmark = pytest.mark.integration


class Noted(msgspec.Struct, frozen=True, tag=True):
    at_ms: int
    text: str


DECODE = msgspec.json.Decoder(Noted).decode


def opened(path: Path) -> Journal[Noted]:
    return Journal.open(path, DECODE)


def written(path: Path, *texts: str) -> list[Noted]:
    journal = opened(path)
    records = [Noted(number, text) for number, text in enumerate(texts)]
    for record in records:
        journal.append(record)
    journal.close()
    return records


def replayed(path: Path) -> list[Noted]:
    journal = opened(path)
    try:
        return list(journal.replay())
    finally:
        journal.close()


@settings(max_examples=30)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=20))
def test_journal_replays_what_was_appended(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("journal") / "venue.journal"

    records = written(path, *texts)

    assert replayed(path) == records


def test_journal_appends_behind_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    first = written(path, "a", "b")

    second = written(path, "c")

    assert replayed(path) == first + second


@pytest.mark.parametrize("kept", [1, 5, 12, 20])
def test_torn_last_record_is_cut_and_writing_goes_on(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "venue.journal"
    records = written(path, "a", "b")
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[: -len(last)] + last[:kept])

    journal = opened(path)

    assert list(journal.replay()) == records[:1]
    journal.append(Noted(9, "after"))
    journal.close()
    assert replayed(path) == [records[0], Noted(9, "after")]


def test_changed_byte_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    written(path, "first", "second", "third")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"second", b"sekond") + lines[2])

    with pytest.raises(HistoryDamaged, match=f"record 2 at byte {len(lines[0])}: its checksum"):
        replayed(path)


def test_changed_last_record_is_refused_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    written(path, "first", "second")
    path.write_bytes(path.read_bytes().replace(b"second", b"sekond"))

    with pytest.raises(HistoryDamaged, match="record 2"):
        replayed(path)


def test_missing_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    written(path, "first", "second", "third")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])

    with pytest.raises(HistoryDamaged, match=r"record 2 .* it is numbered 3"):
        replayed(path)


def test_damage_stops_an_append_too(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    written(path, "first", "second")
    damaged = path.read_bytes().replace(b"first", b"fourth")
    path.write_bytes(damaged)
    journal = opened(path)

    with pytest.raises(HistoryDamaged):
        journal.append(Noted(1, "third"))

    journal.close()
    assert path.read_bytes() == damaged


def test_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    journal = opened(path)

    with pytest.raises(StartupError, match="in use by another simulator"):
        opened(path)

    journal.close()
    opened(path).close()


def test_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"

    written(path, "secret")

    assert path.stat().st_mode & 0o777 == 0o600


WRITER = """
import sys
from pathlib import Path
import msgspec
from patriot.sim.journal import Journal
journal = Journal.open(Path(sys.argv[1]), msgspec.json.Decoder(int).decode)
number = 0
while True:
    number += 1
    journal.append(number)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    answered = [int(writer.stdout.readline()) for _ in range(200)]

    os.kill(writer.pid, signal.SIGKILL)

    answered += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    journal = Journal.open(path, msgspec.json.Decoder(int).decode)
    numbers = list(journal.replay())
    journal.close()
    assert numbers[: len(answered)] == answered
    assert len(numbers) - len(answered) in (0, 1)  # written, and killed before it could be answered


def test_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    records = written(path, "a", "b")
    size = path.stat().st_size
    journal = opened(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append(Noted(2, "does not fit"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert path.stat().st_size == size
    journal.append(Noted(3, "c"))
    journal.close()
    assert replayed(path) == [*records, Noted(3, "c")]


def test_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "venue.journal"
    journal = Journal.open(path, msgspec.json.Decoder(int).decode)
    journal.append(7)
    journal.close()

    with pytest.raises(HistoryDamaged, match="record 1 at byte 0: it cannot be read"):
        replayed(path)
