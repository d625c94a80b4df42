"""The rooms of the package: import-linter, as in `make check`, reports an import that points up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.template import PROJECT

LINT = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "layers/shared/backup_webhooks", tmp_path / "backup_webhooks")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path / "backup_webhooks"


def complaints(package: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    command = [str(LINT), "--no-cache", "--no-logo"]
    answer = subprocess.run(command, cwd=package.parent, env=environment, capture_output=True, text=True, check=False)
    return answer.stdout if answer.returncode else ""


def test_imports_point_down(package: Path) -> None:
    assert complaints(package) == ""


def test_an_import_that_points_up_is_seen(package: Path) -> None:
    with (package / "events" / "queue.py").open("a") as module:
        module.write("from backup_webhooks.targets.target import Target\n")

    assert "events is not allowed to import backup_webhooks.targets" in complaints(package)


def test_a_room_that_is_not_on_the_list_is_seen(package: Path) -> None:
    (package / "attic").mkdir()
    (package / "attic" / "__init__.py").touch()

    assert "attic" in complaints(package)
