"""Runs the scripts of docs/sources.md as a server does, and unprivileged backups of a home by restic and Borg."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.snippets import snippets

NOBODY = 65534


@dataclass(frozen=True)
class ScriptedServer:
    """A server with a folder of its own, which other users may enter, and a ping URL."""

    folder: Path
    url: str

    def run(self, name: str, changes: dict[str, str], *, privileged: bool = True, **environment: str) -> int:
        """Run a script of the page with these changes and return its exit status."""
        text = snippets()[name].replace("PING_URL", self.url)
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        script = self.folder / name
        script.write_text(text)
        # Root may read everything, so no backup would be partial.
        drop = (
            [] if privileged or os.getuid() else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        )
        command = [*drop, "/bin/sh", str(script)]
        variables = self.environment | environment
        return subprocess.run(command, env=variables, cwd=self.folder, check=False).returncode

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def home(self) -> Path:
        """Make and return the folder to back up, with a file that any user may read."""
        home = self.folder / "home"
        home.mkdir()
        (home / "file").write_text("content")
        for path in (home, home / "file"):
            path.chmod(0o755)
        return home

    def call(self, *command: str) -> None:
        """Run a command that sets the server up."""
        subprocess.run(command, env=self.environment, check=True)

    def restic(self, home: Path, status: str) -> int:
        """Back the home up with restic, so that it ends with this status. Return the script's exit status."""
        repository, password = self.folder / "repo", self.folder / "password"
        password.write_text("s3cret")
        self.call("restic", "init", "-q", "-r", str(repository), "--password-file", str(password))
        self._hand_over(home, status)
        changes = {
            "/srv/restic-repo": str(repository) + _suffix(status),
            "/etc/restic-password": str(password),
            "backup /home": f"backup {home}",
        }
        return self.run("restic", changes, privileged=False)

    def borg(self, home: Path, status: str) -> int:
        """Back the home up with Borg, so that it ends with this status. Return the script's exit status."""
        repository, base = self.folder / "repo", self.folder / "base"
        self.call("borg", "init", "--encryption=none", str(repository))
        base.mkdir()
        self._hand_over(home, status)
        changes = {"/srv/borg-repo": str(repository) + _suffix(status), "' /home": f"' {home}"}
        return self.run(
            "borg",
            changes,
            privileged=False,
            BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
            BORG_BASE_DIR=str(base),
        )

    def _hand_over(self, home: Path, status: str) -> None:
        self.call("chmod", "-R", "a+rwX", str(self.folder))
        if status == "PARTIAL_SUCCESS":
            (home / "secret").write_text("of another user")
            (home / "secret").chmod(0)


def _suffix(status: str) -> str:
    """Return a suffix that leads to a missing repository if the backup is to fail."""
    return "-none" if status == "FAILED" else ""
