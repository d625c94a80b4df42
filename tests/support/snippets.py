"""The scripts and programs of the documents, as they are in them."""

from __future__ import annotations

import re

from local.template import PROJECT

_FENCE = re.compile(r"^```(?:sh|yaml|ini|python|js) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets(page: str = "sources.md") -> dict[str, str]:
    """Return the blocks of a page of docs/ by name. The name is after the language."""
    return dict(_FENCE.findall((PROJECT / "docs" / page).read_text()))
