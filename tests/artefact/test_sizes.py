"""The sizes of the layers that `make build` makes: each new environment fetches and unpacks all of it.

If a number has shrunk, write the smaller one down, so that it cannot grow again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from backup_webhooks.aws import clients

from local.template import PROJECT

BUILD = PROJECT / ".aws-sam" / "x86_64"
MIB = 1024 * 1024
# Bytecode that Python writes while the build is run does not count.
MOST_MIB = {"DependenciesLayer": 16.4, "SharedLayer": 0.7}


@pytest.mark.parametrize("layer", MOST_MIB)
def test_a_layer_is_no_larger_than_it_was(layer: str) -> None:
    if not (BUILD / layer).exists():
        pytest.skip("there is no build: `make artefact` makes one")
    files = {path: path.stat().st_size for path in (BUILD / layer).rglob("*") if path.is_file() and is_built(path)}
    size = sum(files.values()) / MIB

    largest = sorted(files, key=lambda path: files[path], reverse=True)[:5]
    assert size <= MOST_MIB[layer], (
        f"{layer} has {size:.2f} MiB instead of at most {MOST_MIB[layer]}; its largest files: "
        f"{', '.join(str(path.relative_to(BUILD / layer)) for path in largest)}. Is there a package that is not needed "
        "(uv.lock)? If not, write the new number down"
    )


def test_a_layer_describes_the_services_that_are_called_and_no_others() -> None:
    if not BUILD.exists():
        pytest.skip("there is no build: `make artefact` makes one")
    called = set(re.findall(r'boto3\.client\("(\w+)"', Path(clients.__file__).read_text()))
    described = {path.name for path in BUILD.glob("DependenciesLayer/python/botocore/data/*/")}

    assert described == called, "AWS_SERVICES in the Makefile must name the same services as clients.py"


def test_a_function_holds_its_handler_and_its_page_alone() -> None:
    if not BUILD.exists():
        pytest.skip("there is no build: `make artefact` makes one")
    for function in BUILD.glob("*Function"):
        found = {path.name for path in function.iterdir() if is_built(path)}
        assert found <= {"app.py", "page"}, f"{function.name}: shared code belongs in a layer"


def is_built(path: Path) -> bool:
    return path.suffix != ".pyc" and path.name != "__pycache__"
