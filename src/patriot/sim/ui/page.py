"""The page: one file without anything from outside, served to anyone; what it shows needs the token."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

_INLINE = {kind: re.compile(rf"<{kind}>(.*?)</{kind}>".encode(), re.DOTALL) for kind in ("script", "style")}


async def serve_page(_request: web.Request) -> web.Response:
    """Answer GET /ui."""
    page = _page()
    return web.Response(body=page, content_type="text/html", charset="utf-8", headers=_headers(page))


@cache
def _page() -> bytes:
    """Return the page with its style and script in their places."""
    folder = files("patriot.sim.ui")
    page = folder.joinpath("index.html").read_bytes()
    for tag, name in ((b"<style>\n", "page.css"), (b"<script>\n", "page.js")):
        page = page.replace(tag, tag + folder.joinpath(name).read_bytes(), 1)
    return page


@cache
def _headers(page: bytes) -> dict[str, str]:
    """Return headers that allow the page's own script and style, requests to this server, and nothing else."""
    script, style = (" ".join(_hashes(page, kind)) for kind in ("script", "style"))
    return {
        "Content-Security-Policy": f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _hashes(page: bytes, kind: str) -> list[str]:
    return [f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for text in _INLINE[kind].findall(page)]
