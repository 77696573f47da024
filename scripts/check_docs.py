"""Check that what the documents point at exists: files behind links, headings, make targets, `patriot` commands."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "console", "shell"}


def main() -> int:
    """Print every broken pointer as `file: what`; return 1 when there is one."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    problems = [f"{path.relative_to(ROOT)}: {what}" for path in documents for what in problems_of(path)]
    for problem in problems:
        sys.stderr.write(problem + "\n")
    print(f"{len(documents)} documents, {len(problems)} broken pointers")
    return int(bool(problems))


def problems_of(path: Path) -> Iterator[str]:
    """Yield what is wrong in one document."""
    text = path.read_text()
    for target in LINK.findall(FENCE.sub("", text)):
        file, _, heading = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (path.parent / file) if file else path
        if not found.exists():
            yield f"the link {target} leads nowhere"
        elif heading and found.suffix == ".md" and heading not in headings(found.read_text()):
            yield f"the link {target} names a heading that is not there"
    for language, block in FENCE.findall(text):
        if language in SHELLS:
            yield from unknown_commands(block)


def headings(text: str) -> set[str]:
    """Return the anchors of a document, made as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def unknown_commands(block: str) -> Iterator[str]:
    """Yield the make targets and patriot commands of a shell block that do not exist."""
    for line in block.splitlines():
        words = line.removeprefix("$ ").split("#")[0].split()
        if len(words) < 2 or words[1].startswith("-"):
            continue
        if words[0] == "make" and "=" not in words[1] and words[1] not in make_targets():
            yield f"`make {words[1]}` is no target"
        if words[0].rpartition("/")[2] == "patriot" and words[1] not in patriot_commands():
            yield f"`patriot {words[1]}` is no command"


def make_targets() -> set[str]:
    """Return the targets that `make help` lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def patriot_commands() -> set[str]:
    """Return the names that may follow `patriot` on the command line."""
    app = importlib.import_module("patriot.cli.main").app
    return set(getattr(typer.main.get_command(app), "commands", {}))


if __name__ == "__main__":
    sys.exit(main())
