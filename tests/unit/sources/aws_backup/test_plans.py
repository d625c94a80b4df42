"""AWS Backup's plans: which servers they back up, and the messages about these."""

from __future__ import annotations

from copy import replace
from typing import Any

import pytest
from backup_webhooks.monitoring.server_policies import TrackedPolicy
from backup_webhooks.sources.aws_backup.plans import BackupPlan, PlannedServer
from backup_webhooks.sources.aws_backup.selections import Selection

from tests.support.aws_backup import AWS_ACCOUNT, PLAN, REGION, RULE, VOLUME, plan, plan_answer, rule
from tests.support.policies import at

NOW = at("2026-11-25T12:00:00Z")
SERVER = PlannedServer(f"{RULE}/{VOLUME}", PLAN, RULE, VOLUME)
BY_TAG = {"ListOfTags": [{"ConditionType": "STRINGEQUALS", "ConditionKey": "backup", "ConditionValue": "daily"}]}


def selected(selection: dict[str, Any], last_job: str | None = None, **change: Any) -> bool:
    server = replace(SERVER, last_job_at=at(last_job) if last_job else None)
    return server.is_selected(plan(rule(**change)).rules[RULE], [Selection.of(selection)], NOW)


def test_a_listed_resource_is_selected_without_any_job() -> None:
    assert selected({"Resources": [VOLUME]})
    assert not selected({"Resources": [VOLUME + "0"]})


@pytest.mark.parametrize(
    "selection",
    [
        BY_TAG,
        BY_TAG | {"Resources": [VOLUME]},
        {"Conditions": {"StringEquals": [{"ConditionKey": "aws:ResourceTag/a", "ConditionValue": "b"}]}},
        {"Resources": [f"arn:aws:ec2:{REGION}:{AWS_ACCOUNT}:volume/*"]},
        {"Resources": ["*"], "NotResources": ["arn:aws:rds:*"]},
        {},
    ],
)
def test_a_resource_selected_by_tags_or_wildcards_is_known_by_its_jobs(selection: dict[str, Any]) -> None:
    assert not selected(selection)
    assert selected(selection, last_job="2026-11-24T05:02:00Z")
    # AWS makes a job for each selected resource at each scheduled start.
    assert not selected(selection, last_job="2026-11-22T05:02:00Z")


@pytest.mark.parametrize(
    "selection",
    [
        {"Resources": ["arn:aws:rds:*"]},
        {"Resources": [VOLUME + "0"]},
        {"Resources": ["*"], "NotResources": ["arn:aws:ec2:*:volume/*"]},
        BY_TAG | {"NotResources": [VOLUME]},
        {"Resources": [VOLUME], "NotResources": [VOLUME]},
    ],
)
def test_a_resource_that_no_selection_can_select_is_not_selected_though_it_had_jobs(selection: dict[str, Any]) -> None:
    assert not selected(selection, last_job="2026-11-25T05:02:00Z")


def test_empty_conditions_do_not_count() -> None:
    assert selected({"Resources": [VOLUME], "Conditions": {"StringEquals": []}, "ListOfTags": []})


def test_an_activation_has_the_rules_schedule_from_now_on() -> None:
    published = SERVER.activation(plan(rule(ScheduleExpressionTimezone="Europe/Berlin")), "TEST", NOW)

    assert published is not None
    assert (published.backup_schedule, published.backup_interval_hours) == ("0 0 5 ? * * *", None)
    assert published.timezone == "Europe/Berlin"
    assert (published.account_policy_status, published.server_policy_status) == ("ACTIVE", "ACTIVE")
    assert (published.name, published.account_policy_id, published.clc_account_alias) == ("Nightly", PLAN, "TEST")
    # Starts before now are not expected, whenever the plan was made: their jobs are not known.
    assert TrackedPolicy(published.account_alias, published.server_policy_id).after(published).expected_at == at(
        "2026-11-26T04:00:00Z"
    )


@pytest.mark.parametrize(
    ("windows", "minutes"),
    [
        ({"StartWindowMinutes": 60, "CompletionWindowMinutes": 120}, 180),
        # AWS's own where the rule has none: 8 hours and 7 days.
        ({"StartWindowMinutes": None}, 10_560),
        ({"CompletionWindowMinutes": 9_999_999}, 525_600),
    ],
)
def test_the_run_limit_is_that_of_the_rules_windows(windows: dict[str, Any], minutes: int) -> None:
    published = SERVER.activation(plan(rule(**windows)), "TEST", NOW)

    assert published
    assert published.longest_run_minutes == minutes


def test_a_published_activation_is_not_published_again() -> None:
    published = SERVER.activation(plan(), "TEST", NOW)
    assert published is not None
    known = SERVER.after(published)

    assert known.activation(plan(), "TEST", at("2026-11-26T12:00:00Z")) is None
    for changed in (
        known.activation(plan(rule("cron(0 6 ? * * *)")), "TEST", NOW),
        known.activation(plan(name="Renamed"), "TEST", NOW),
        known.activation(plan(), "OTHR", NOW),
        replace(known, resource_name="db01").activation(plan(), "TEST", NOW),
    ):
        assert changed is not None
        # Clocks differ, and consumers ignore a change that is not newer than the last one.
        assert changed.changed_date > published.changed_date


def test_a_server_that_left_is_published_as_inactive_once_and_expects_nothing() -> None:
    published = SERVER.activation(plan(), "TEST", NOW)
    assert published is not None
    tracked = TrackedPolicy(published.account_alias, published.server_policy_id).after(published)

    left = SERVER.after(published).deactivation(NOW, plan_exists=True)
    assert left is not None
    assert (left.account_policy_status, left.server_policy_status) == ("ACTIVE", "INACTIVE")
    assert tracked.after(left).expected_at is None
    assert SERVER.after(left).deactivation(NOW, plan_exists=True) is None
    assert SERVER.deactivation(NOW, plan_exists=True) is None
    # The server comes back.
    back = SERVER.after(left).activation(plan(), "TEST", NOW)
    assert back is not None
    assert tracked.after(left).after(back).expected_at == at("2026-11-26T05:00:00Z")


def test_the_account_policy_of_a_deleted_plan_is_inactive_too() -> None:
    published = SERVER.activation(plan(), "TEST", NOW)
    assert published is not None

    left = SERVER.after(published).deactivation(NOW, plan_exists=False)

    assert left is not None
    assert (left.account_policy_status, left.server_policy_status) == ("INACTIVE", "INACTIVE")
    assert BackupPlan.of(plan_answer() | {"DeletionDate": NOW}) is None


def test_a_schedule_that_has_ended_is_not_published() -> None:
    assert SERVER.activation(plan(rule("cron(0 5 1 1 ? 2026)")), "TEST", NOW) is None

    published = SERVER.activation(plan(rule("cron(0 5 1 12 ? 2026)")), "TEST", NOW)
    assert published is not None
    assert SERVER.after(published).deactivation(at("2027-01-01T00:00:00Z"), plan_exists=True) is None


def test_a_rule_that_cannot_be_converted_gives_the_reason_and_never_fires() -> None:
    read = plan(rule("rate(90 minutes)")).rules[RULE]

    assert read.schedule is None
    assert read.problem is not None
    assert "rate(90 minutes)" in read.problem
    assert not read.fires_at(NOW)
    assert SERVER.activation(plan(rule("rate(90 minutes)")), "TEST", NOW) is None
