"""What a folder began with, in a file: whole or not there, and named when it is damaged."""

import os
from pathlib import Path

import pytest

from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import simulator_of
from patriot.host.set_up_file import read_set_up, write_set_up
from patriot.host.up import SetUp
from patriot.kernel.errors import StartupError

pytestmark = pytest.mark.integration


def test_set_up_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    write_set_up(path, SetUp(7, None))
    write_set_up(path, SetUp(7, None, accounts=3, wanted=3, lively=True))
    assert read_set_up(path, SetUp) == SetUp(7, None, accounts=3, wanted=3, lively=True)
    assert list(tmp_path.iterdir()) == [path]


def test_set_up_that_cannot_be_written_whole_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "up.json"
    write_set_up(path, SetUp(7, None))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_set_up(path, SetUp(8, None))
    assert read_set_up(path, SetUp).seed == 7


@pytest.mark.parametrize("name", ["up.json", "demo.json"])
@pytest.mark.parametrize("damaged", ["", '{"seed":7,"reco', "[1]", '{"seed":"x"}', "\xff"])
def test_damaged_set_up_is_one_sentence_that_names_the_file(name: str, damaged: str, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.sim.mkdir()
    (tmp_path / name).write_bytes(damaged.encode("latin-1"))
    with pytest.raises(
        StartupError, match=rf"^{tmp_path / name} is damaged \(.*\): put it back from your backup"
    ) as told:
        simulator_of(folder, "1")
    assert "\n" not in str(told.value)
