"""Each relative link of the documents leads to an existing file, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.template import PROJECT
from tests.support.markdown import DOCUMENTS, anchors, code, links
from tests.support.snippets import snippets

FOLDERS = [
    PROJECT / name
    for name in ("template.yaml", "functions", "layers", "local", "tests", "benchmarks", "events", "tools/reference.py")
]
# A file in the repository, with or without folders. `<name>.py` is not one.
FILE = re.compile(r"(?:^|(?<= ))(\w[\w./-]*\.(?:py|js|yaml|json))(?=$|[ :])")


def trouble(path: Path, link: str) -> str | None:
    """Return why a link leads nowhere, or None if it leads somewhere or out of the repository."""
    name, _, anchor = link.partition("#")
    if "://" in name or name.startswith("mailto:"):
        return None
    target = (path.parent / name).resolve() if name else path
    if not target.exists():
        return f"{link}: no such file"
    if not target.is_relative_to(PROJECT):
        return f"{link}: not in the repository"
    if anchor and anchor not in anchors(target):
        return f"{link}: no such heading"
    return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_each_link_leads_somewhere(path: Path) -> None:
    assert [complaint for link in links(path) if (complaint := trouble(path, link))] == []


def test_links_that_lead_nowhere_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[One](a.md#b), `[code](no.md)`\n```\n[code](no.md)\n```\n[![Two](c.png)](https://d.example)\n")
    assert list(links(page)) == ["a.md#b", "c.png", "https://d.example"]

    page = PROJECT / "docs" / "none.md"
    assert trouble(page, "scale.md#capacities") is None
    assert trouble(page, "scale.md#none") == "scale.md#none: no such heading"
    assert trouble(page, "none-either.md") == "none-either.md: no such file"
    assert trouble(page, f"../../{PROJECT.parent.name}") == f"../../{PROJECT.parent.name}: no such file"


def test_anchors_are_githubs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n## What's `new`, and old?\n```\n# no heading\n```\n## A page\n### [Linked](a.md): 1.0\n")

    assert anchors(page) == ["a-page", "whats-new-and-old", "a-page-1", "linked-10"]


def test_files_that_are_named_are_there() -> None:
    there = [f"/{path.relative_to(PROJECT)}" for folder in FOLDERS for path in [folder, *folder.rglob("*")]]
    there += [f"/{name}" for page in ("webhooks.md", "runbook.md") for name in snippets(page)]
    named = {(path.name, name) for path in DOCUMENTS for one in code(path) for name in FILE.findall(one)}

    assert len(named) > len(DOCUMENTS)
    assert [one for one in named if not any(path.endswith(f"/{one[1]}") for path in there)] == []


def test_each_document_is_in_the_readme() -> None:
    shown = {link.partition("#")[0] for link in links(PROJECT / "README.md")}

    assert {f"docs/{path.name}" for path in DOCUMENTS if path.parent.name == "docs"} <= shown
