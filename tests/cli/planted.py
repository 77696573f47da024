"""Looks for secrets in bytes: as they are, and in the spellings in which a careless program would write them down."""

import base64
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote


def spellings(secret: bytes) -> dict[str, bytes]:
    """Return a secret as text, in hexadecimal digits, in base64 and in a URL."""
    coded = base64.b64encode(secret)
    forms = {"as it is": secret, "hex": secret.hex().encode(), "base64": coded, "quoted": quote(coded).encode()}
    return {name: form for name, form in forms.items() if form}


def found_in(text: bytes, secrets: Mapping[str, bytes]) -> list[str]:
    """Return which secrets stand in some bytes, and how they are spelled."""
    return [f"{of} {how}" for of, secret in secrets.items() for how, form in spellings(secret).items() if form in text]


def found_below(folder: Path, secrets: Mapping[str, bytes], exempt: frozenset[Path] = frozenset()) -> list[str]:
    """Return where secrets stand in any file below a folder, binary ones too, but for those named exempt."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in exempt:
            found += [f"{path.relative_to(folder)}: {what}" for what in found_in(path.read_bytes(), secrets)]
    return found
