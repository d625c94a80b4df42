"""The documents as GitHub shows them: sections with anchors, links and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from local.template import PROJECT

DOCUMENTS = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
# Both links of `[![picture](this)](and this)`.
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def links(path: Path) -> Iterator[str]:
    """Yield the targets of the document's links and pictures."""
    yield from _LINK.findall(_CODE.sub("", _prose(path)))


def code(path: Path) -> list[str]:
    """Return the inline code of the text."""
    return names(_prose(path))


def anchors(path: Path) -> Sequence[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    found: list[str] = []
    for _, heading in _HEADING.findall(_prose(path)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        repeated = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", one) is not None for one in found)
        found.append(f"{anchor}-{repeated}" if repeated else anchor)
    return found


def sections(path: Path) -> Mapping[str, str]:
    """Return the text below each heading, by heading, up to the next heading of any level."""
    _, *parts = re.split(_HEADING, _prose(path))
    return {heading: text for _, heading, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)}


def tables(text: str) -> Sequence[Sequence[Mapping[str, str]]]:
    """Return the rows of each table, by column."""
    found: list[list[Mapping[str, str]]] = []
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines())
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def names(cell: str) -> list[str]:
    """Return the inline code of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def _prose(path: Path) -> str:
    return _FENCE.sub("", path.read_text(encoding="utf-8"))
