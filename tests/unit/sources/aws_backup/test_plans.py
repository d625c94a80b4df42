"""AWS Backup's plans: whom they back up, and what is told of that."""

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
def test_what_tags_and_wildcards_select_is_known_by_its_jobs(selection: dict[str, Any]) -> None:
    assert not selected(selection)
    assert selected(selection, last_job="2026-11-24T05:02:00Z")
    # AWS makes a job at each scheduled start of whatever is selected.
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
def test_what_no_selection_can_select_is_not_selected_though_it_had_jobs(selection: dict[str, Any]) -> None:
    assert not selected(selection, last_job="2026-11-25T05:02:00Z")


def test_conditions_that_are_empty_are_none() -> None:
    assert selected({"Resources": [VOLUME], "Conditions": {"StringEquals": []}, "ListOfTags": []})


def test_a_server_is_told_with_its_rules_schedule_from_now_on() -> None:
    told = SERVER.expecting(plan(rule(ScheduleExpressionTimezone="Europe/Berlin")), "TEST", NOW)

    assert told is not None
    assert (told.backup_schedule, told.timezone, told.backup_interval_hours) == ("0 0 5 ? * * *", "Europe/Berlin", None)
    assert (told.account_policy_status, told.server_policy_status) == ("ACTIVE", "ACTIVE")
    assert (told.name, told.account_policy_id, told.clc_account_alias) == ("Nightly", PLAN, "TEST")
    # Whenever the plan was made: what lies before now nobody knows to have been answered.
    assert TrackedPolicy(told.server_policy_id).after(told).expected_at == at("2026-11-26T04:00:00Z")


def test_what_is_told_already_is_not_told_again() -> None:
    told = SERVER.expecting(plan(), "TEST", NOW)
    assert told is not None
    known = SERVER.after(told)

    assert known.expecting(plan(), "TEST", at("2026-11-26T12:00:00Z")) is None
    for changed in (
        known.expecting(plan(rule("cron(0 6 ? * * *)")), "TEST", NOW),
        known.expecting(plan(name="Renamed"), "TEST", NOW),
        known.expecting(plan(), "OTHR", NOW),
        replace(known, resource_name="db01").expecting(plan(), "TEST", NOW),
    ):
        assert changed is not None
        # Clocks differ; what is not newer than what is known would be ignored.
        assert changed.changed_date > told.changed_date


def test_a_server_that_left_is_inactive_once_and_expects_nothing() -> None:
    told = SERVER.expecting(plan(), "TEST", NOW)
    assert told is not None
    tracked = TrackedPolicy(told.server_policy_id).after(told)

    left = SERVER.after(told).no_longer_expecting(NOW, plan_is_there=True)
    assert left is not None
    assert (left.account_policy_status, left.server_policy_status) == ("ACTIVE", "INACTIVE")
    assert tracked.after(left).expected_at is None
    assert SERVER.after(left).no_longer_expecting(NOW, plan_is_there=True) is None
    assert SERVER.no_longer_expecting(NOW, plan_is_there=True) is None
    # And it comes back.
    back = SERVER.after(left).expecting(plan(), "TEST", NOW)
    assert back is not None
    assert tracked.after(left).after(back).expected_at == at("2026-11-26T05:00:00Z")


def test_of_a_deleted_plan_its_account_policy_is_inactive_too() -> None:
    told = SERVER.expecting(plan(), "TEST", NOW)
    assert told is not None

    left = SERVER.after(told).no_longer_expecting(NOW, plan_is_there=False)

    assert left is not None
    assert (left.account_policy_status, left.server_policy_status) == ("INACTIVE", "INACTIVE")
    assert BackupPlan.of(plan_answer() | {"DeletionDate": NOW}) is None


def test_a_schedule_that_has_ended_is_not_told() -> None:
    assert SERVER.expecting(plan(rule("cron(0 5 1 1 ? 2026)")), "TEST", NOW) is None

    told = SERVER.expecting(plan(rule("cron(0 5 1 12 ? 2026)")), "TEST", NOW)
    assert told is not None
    assert SERVER.after(told).no_longer_expecting(at("2027-01-01T00:00:00Z"), plan_is_there=True) is None


def test_a_rule_that_can_not_be_expressed_says_why_and_fires_never() -> None:
    read = plan(rule("rate(90 minutes)")).rules[RULE]

    assert read.schedule is None
    assert read.problem is not None
    assert "rate(90 minutes)" in read.problem
    assert not read.fires_at(NOW)
    assert SERVER.expecting(plan(rule("rate(90 minutes)")), "TEST", NOW) is None
