"""The output of make while it sets up the environment, with stand-ins for Python and uv."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from local.template import PROJECT

# `python3 -m venv FOLDER` makes a Python whose `-m pip install` makes uv.
PYTHON = """#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\\nprintf "#!/bin/sh\\\\nexit 0\\\\n" >"${0%%python}uv"; chmod +x "${0%%python}uv"\\n' >"$3/bin/python"
chmod +x "$3/bin/python"
"""


def test_make_says_what_it_installs_step_by_step(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(PROJECT / name, tmp_path)
    for tool in ("sam", "checkov"):
        shutil.copytree(PROJECT / "tools" / tool, tmp_path / "tools" / tool, ignore=shutil.ignore_patterns(".venv"))
        (tmp_path / "tools" / tool / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text(PYTHON)
    (tmp_path / "bin" / "python3").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    environments = [".venv/.synced", "tools/sam/.venv/bin/sam", "tools/checkov/.venv/bin/checkov"]

    def said() -> list[str]:
        made = subprocess.run(
            ["make", "--no-print-directory", *environments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.splitlines()

    packages = (PROJECT / "uv.lock").read_text().count("\nname = ")
    assert said() == [
        "Setting up (once): uv, the installer, in .tools/uv …",
        f"Setting up (once): Python 3.13 and {packages} packages, in .venv …",
        "Setting up (once): the SAM CLI, in tools/sam/.venv …",
        "Setting up (once): checkov, in tools/checkov/.venv …",
    ]
    assert not any(line.startswith("Setting up") for line in said())
