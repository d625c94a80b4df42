"""The scripts and programs of the documents, to be tried as they stand there."""

from __future__ import annotations

import re

from local.template import PROJECT

_FENCE = re.compile(r"^```(?:sh|yaml|ini|python|js) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets(page: str = "sources.md") -> dict[str, str]:
    """Each of a page of docs/ by its name, which stands behind its language."""
    return dict(_FENCE.findall((PROJECT / "docs" / page).read_text()))
