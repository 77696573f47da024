"""The simulator's journal: an append-only file of what it accepted, one numbered and checksummed line per record.

A record is handed to the operating system before append() returns, so a SIGKILL of the process loses nothing that was
answered. It is not synced to the disk: a power cut may cost the last records, which a simulator can afford.
A line is: number, CRC-32 of the rest, record as JSON.
"""

from __future__ import annotations

import fcntl
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Generic, Self, TypeVar

import msgspec

from patriot.kernel.errors import HistoryDamaged, StartupError

T = TypeVar("T")
_CRC_DIGITS: Final = 8


class Journal(Generic[T]):
    """One file, one writer. Open it, replay it once, then append.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     journal = Journal.open(Path(folder) / "venue.journal", msgspec.json.Decoder(int).decode)
    ...     journal.append(7)
    ...     list(journal.replay())
    ...     journal.close()
    [7]
    """

    def __init__(self, path: Path, file: io.FileIO, decode: Callable[[bytes], T]) -> None:
        self._path = path
        self._file = file
        self._decode = decode
        self._encode = msgspec.json.Encoder().encode
        self._number = 0  # of the newest record
        self._end = 0  # bytes of whole records
        self._replayed = False

    @classmethod
    def open(cls, path: Path, decode: Callable[[bytes], T]) -> Self:
        """Open or create the file and keep every other process out of it.

        decode turns the JSON of one record back into it: `msgspec.json.Decoder(A | B).decode`.
        Errors: StartupError when another process has it open.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # records of a simulator may hold the secrets of its accounts
        file = path.open("r+b", buffering=0)
        if not isinstance(file, io.FileIO):
            raise TypeError("an unbuffered binary file was expected")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise StartupError(f"{path} is in use by another simulator: stop that one or name another file") from None
        return cls(path, file, decode)

    def replay(self) -> Iterator[T]:
        """Yield every record from the first; a last one that was torn by a kill is cut off the file.

        Errors: HistoryDamaged, naming the record and its place, for anything else that is not as it was written.
        """
        yield from self._records()
        self._cut()

    def append(self, record: T) -> None:
        """Write a record. When this returns, a kill of the process cannot lose it.

        Errors: OSError when it could not be written (a full disk); then the file ends where it ended before.
        """
        if not self._replayed:
            for _ in self.replay():
                pass
        body = self._encode(record)
        numbered = b"%d %s" % (self._number + 1, body)
        line = b"%08x %s\n" % (zlib.crc32(numbered), numbered)
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:]) or 0
        except OSError:
            self._cut()
            raise
        self._number += 1
        self._end += len(line)

    def put_aside(self) -> Path:
        """Give the file another name beside this one, the next free number behind it, and close it; return that."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.{number}")).exists():
            number += 1
        self._path.rename(aside)
        self.close()
        return aside

    def close(self) -> None:
        """Close the file and let others in."""
        self._file.close()

    def _cut(self) -> None:
        self._file.truncate(self._end)
        self._file.seek(self._end)
        self._replayed = True

    def _records(self) -> Iterator[T]:
        """Read whole lines, keeping count of number and end."""
        self._number = self._end = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # torn: it was never answered
                record = self._parsed(line)
                self._number += 1
                self._end += len(line)
                yield record

    def _parsed(self, line: bytes) -> T:
        where = f"{self._path}: record {self._number + 1} at byte {self._end}"
        numbered = line[_CRC_DIGITS + 1 : -1]
        if line[: _CRC_DIGITS + 1] != b"%08x " % zlib.crc32(numbered):
            raise HistoryDamaged(f"{where}: its checksum does not match what is written")
        number, _, body = numbered.partition(b" ")
        if number != b"%d" % (self._number + 1):
            raise HistoryDamaged(f"{where}: it is numbered {number.decode('ascii', 'replace')}, records are missing")
        try:
            return self._decode(body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise HistoryDamaged(f"{where}: it cannot be read ({error})") from error
