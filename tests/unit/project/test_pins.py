"""What is deployed of others' code is what was locked, byte for byte."""

from __future__ import annotations

from local.template import PROJECT


def test_each_requirement_of_the_layer_has_hashes() -> None:
    """pip asks for the hashes of all as soon as one has any; without any it would take what the index has."""
    text = (PROJECT / "layers/dependencies/requirements.txt").read_text()
    requirements = text.replace("\\\n", "").splitlines()
    assert len(requirements) > 1
    assert [one for one in requirements if "==" not in one or "--hash=sha256:" not in one] == []
