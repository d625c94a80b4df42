"""The version is in one place, and is the changelog's newest one."""

from __future__ import annotations

import re
import tomllib
from datetime import date

from backup_webhooks import __version__

from local.template import PROJECT
from tests.support.markdown import sections

HEADING = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)")


def test_the_changelogs_newest_version_is_this_one_below_what_is_unreleased() -> None:
    released = [heading for heading in sections(PROJECT / "CHANGELOG.md") if heading.startswith("[")]
    unreleased, *versions = released
    found = [match.groups() for heading in versions if (match := HEADING.fullmatch(heading))]

    assert unreleased == "[Unreleased]"
    assert len(found) == len(versions)
    assert found[0][0] == __version__
    # The newest comes first, each with its day.
    assert [one for one, _ in found] == sorted((one for one, _ in found), key=_numbers, reverse=True)
    days = [date.fromisoformat(day) for _, day in found]
    assert days == sorted(days, reverse=True)


def test_the_package_has_it_from_the_code() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "layers/shared/backup_webhooks/__init__.py"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
