import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from patriot.host.data_folder import DataFolder
from patriot.kernel.errors import StartupError

pytestmark = pytest.mark.integration

HOLD = """
import sys
from pathlib import Path
from patriot.host.data_folder import DataFolder
lock = DataFolder(Path(sys.argv[1])).lock()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "home")


def test_folder_is_made_for_its_owner_alone(folder: DataFolder) -> None:
    folder.lock().release()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_second_lock_is_refused_and_names_the_first_one(folder: DataFolder) -> None:
    lock = folder.lock()
    said = rf"another platform \(pid {os.getpid()}\) runs on (.*): end it with `patriot down \1`"
    with pytest.raises(StartupError, match=said):
        folder.lock()
    assert folder.owner() == os.getpid()
    lock.release()
    assert folder.owner() is None
    folder.lock().release()


def test_lock_of_a_process_that_was_killed_is_free(folder: DataFolder) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert folder.owner() == holder.pid
        holder.kill()
        holder.wait()
        assert folder.owner() is None
        folder.lock().release()


def test_owner_of_a_folder_that_never_was_is_nobody(folder: DataFolder) -> None:
    assert folder.owner() is None
    assert not folder.path.exists()


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StartupError, match=r"^PATRIOT_HOME: .*cannot be written"):
        DataFolder(file / "home").lock()


def test_token_of_the_simulator_is_made_once_for_its_owner_alone(folder: DataFolder) -> None:
    folder.lock().release()
    token = folder.sim_token()
    assert len(token) >= 32
    assert folder.sim_token() == token
    assert stat.S_IMODE(folder.sim_token_file.stat().st_mode) == 0o600
