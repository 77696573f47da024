"""A data folder's database for one command: where it is, and why it is not there."""

import os
from pathlib import Path

import pytest

from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import server_of
from patriot.host.set_up_file import write_set_up
from patriot.host.settings import Settings
from patriot.host.up import SetUp
from patriot.kernel.errors import StartupError

pytestmark = pytest.mark.integration


async def test_database_that_is_down_beneath_its_platform_is_the_reason_and_the_platform_is_left_alone(
    tmp_path: Path,
) -> None:
    folder = DataFolder(tmp_path)
    write_set_up(tmp_path / "up.json", SetUp(7, None))
    lock = folder.lock()
    try:
        with pytest.raises(StartupError) as told:
            async with server_of(folder, Settings(home=tmp_path)):
                pass
    finally:
        lock.release()
    assert str(told.value) == (
        f"the database of {tmp_path} cannot be reached, and nothing was changed: positions keep their stops, and the "
        f"platform that runs on it (pid {os.getpid()}) starts its database again; try again in a moment, with "
        "DATABASE_URL if the platform was given one"
    )
