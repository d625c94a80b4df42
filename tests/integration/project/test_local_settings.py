"""The settings of `make run`, and its errors for those that cannot be used."""

from __future__ import annotations

import random
import shlex
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from local.__main__ import main
from local.servers import demo_servers
from local.settings import RunSettings, parse_settings
from local.simulation import Simulation
from local.template import PROJECT


@pytest.mark.parametrize(
    "word",
    [
        "LISTEN=nonsense",
        "LISTEN=host:99999",
        "LISTEN=::1",
        # An address for documentation, which no machine has.
        "LISTEN=192.0.2.1",
        "ONCE=maybe",
        "SPEED=abc",
        "SPEED=0",
        "SPEED=nan",
        "SPEED=86401",
        "PORT=abc",
        "PORT=0",
        "PORT=65531",
        "PORT=99999",
        "QUIET=2",
        "PROT=9000",
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "ONCE=1", word]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(word.partition("=")[0])
    assert "Allowed: " in captured.err
    assert captured.err.count("\n") == 1


def test_settings_are_read() -> None:
    words = ["ONCE=0", "QUIET=1", "LISTEN=localhost", "SPEED=3600", "PORT=9000"]

    assert parse_settings(words) == RunSettings(False, True, "127.0.0.1", 3600.0, 9000)
    assert parse_settings(["ONCE=1"]).once
    assert parse_settings([]) == parse_settings(["ONCE=", "PORT="]) == RunSettings()


def test_make_passes_each_setting_on() -> None:
    given = ["ONCE=0", "QUIET=1", "LISTEN=it's one", "SPEED=60", "PORT=9000"]

    recipe = subprocess.run(
        ["make", "--no-print-directory", "-n", "run", *given], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    words = shlex.split(recipe.stdout.splitlines()[-1])
    assert sorted(words[words.index("run") + 1 :]) == sorted(given)


def test_in_real_time_about_one_backup_in_ten_seconds_is_simulated() -> None:
    start, backups = datetime(2026, 11, 25, 12, tzinfo=UTC), []
    simulation = Simulation(demo_servers(), random.Random(7), manual=True)

    for second in range(3600):
        backups += [
            message
            for message in simulation.due(start + timedelta(seconds=second))
            if message["type"] == "BackupFinished"
        ]

    assert len(backups) == pytest.approx(360, rel=0.1)
    inactive = {server.server_id for server in demo_servers() if not server.active}
    assert inactive
    assert not inactive & {backup["serverId"] for backup in backups}


def test_by_a_fast_clock_only_the_schedules_make_backups() -> None:
    start = datetime(2026, 11, 25, 12, tzinfo=UTC)
    servers = demo_servers()
    for server in servers:
        server.changed(start)
    simulation = Simulation(servers, random.Random(7), manual=False)

    due = [simulation.due(start + timedelta(minutes=minute)) for minute in range(24 * 60)]

    # The demo's policies: one a day, one at night, six a day, and one each six hours.
    assert 5 <= sum(message["type"] == "BackupFinished" for messages in due for message in messages) <= 12
