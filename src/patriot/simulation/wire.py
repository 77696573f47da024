"""HTTP/1.1 messages and WebSocket frames, read from and written to bytes: as much as sits between our client and sim.

Source: RFC 9112, RFC 6455.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

_HEAD_END = b"\r\n\r\n"
_TEXT = 0x1


@dataclass(slots=True)
class Request:
    """One whole request, and the bytes that it came in."""

    raw: bytes
    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]

    @property
    def name(self) -> str:
        """Return what is asked for: method and path."""
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class Answer:
    """One whole answer."""

    raw: bytes
    status: int
    body: bytes

    @property
    def upgraded(self) -> bool:
        """Tell whether frames follow."""
        return self.status == 101


class MessageReader:
    """Cuts one direction of a connection into messages."""

    def __init__(self) -> None:
        self.rest = b""  # behind the last whole message

    def _next(self) -> tuple[bytes, str, dict[str, str], bytes] | None:
        end = self.rest.find(_HEAD_END)
        if end < 0:
            return None
        lines = self.rest[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        size = int(headers.get("content-length", "0"))
        start = end + len(_HEAD_END)
        if len(self.rest) < start + size:
            return None
        raw, body = self.rest[: start + size], self.rest[start : start + size]
        self.rest = self.rest[start + size :]
        return raw, lines[0], headers, body

    def requests(self, data: bytes) -> list[Request]:
        """Take bytes from the client; return the requests that are whole now."""
        self.rest += data
        found = []
        while (message := self._next()) is not None:
            raw, first, headers, body = message
            method, target, _ = first.split(" ", 2)
            path, _, query = target.partition("?")
            parameters = dict(parse_qsl(query)) | dict(parse_qsl(body.decode("latin-1")))
            found.append(Request(raw, method, path, parameters, headers))
        return found

    def answers(self, data: bytes) -> list[Answer]:
        """Take bytes from the server; return the answers that are whole now; frames stay in `rest`."""
        self.rest += data
        found: list[Answer] = []
        while not (found and found[-1].upgraded) and (message := self._next()) is not None:
            raw, first, _, body = message
            found.append(Answer(raw, int(first.split(" ", 2)[1]), body))
        return found


class FrameReader:
    """Cuts what a server sends on a WebSocket into whole frames."""

    def __init__(self) -> None:
        self._rest = b""

    def frames(self, data: bytes) -> list[bytes]:
        """Take bytes; return the frames that are whole now."""
        self._rest += data
        found = []
        while (size := self._frame_size()) is not None:
            found.append(self._rest[:size])
            self._rest = self._rest[size:]
        return found

    def _frame_size(self) -> int | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        length, header = rest[1] & 0x7F, 2
        if length >= 126:
            header = 4 if length == 126 else 10
            if len(rest) < header:
                return None
            length = int.from_bytes(rest[2:header], "big")
        size = header + length  # a server does not mask
        return size if len(rest) >= size else None


def text_of(frame: bytes) -> bytes | None:
    """Return the payload of a text message that came in one frame, None for any other frame."""
    if frame[0] & 0x0F != _TEXT:
        return None
    header = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    return frame[header:]


def answer_bytes(status: int, body: bytes, content_type: str, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return an answer as a gateway would put it on the wire."""
    lines = [
        f"HTTP/1.1 {status} Answer",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + body
