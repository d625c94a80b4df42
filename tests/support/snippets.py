"""The scripts of docs/sources.md, to be tried as they stand there."""

from __future__ import annotations

import re

from local.template import PROJECT

_FENCE = re.compile(r"^```(?:sh|yaml|ini) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets() -> dict[str, str]:
    """Each by its name, which stands behind its language."""
    return dict(_FENCE.findall((PROJECT / "docs" / "sources.md").read_text()))
