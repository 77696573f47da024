"""The file of a data folder that says what it began with: replaced whole, and named when it cannot be read."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from patriot.kernel.errors import StartupError

T = TypeVar("T", bound=msgspec.Struct)


def read_set_up(path: Path, kind: type[T]) -> T:
    """Return what the file says. Errors: StartupError for a damaged one, naming it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StartupError(f"{path} is damaged ({error}): put it back from your backup") from None


def write_set_up(path: Path, said: msgspec.Struct) -> None:
    """Put what is said in the place of what the file said: on disk before it has the name, so that no kill cuts it."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(said))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
