"""Deployed third-party code is the locked code, byte for byte."""

from __future__ import annotations

from local.template import PROJECT


def test_each_requirement_of_the_layer_has_hashes() -> None:
    """pip checks the hashes of all requirements as soon as one has any. Without hashes it takes what the index has."""
    text = (PROJECT / "layers/dependencies/requirements.txt").read_text()
    requirements = text.replace("\\\n", "").splitlines()
    assert len(requirements) > 1
    assert [one for one in requirements if "==" not in one or "--hash=sha256:" not in one] == []
