"""The progress of an account's reports, in the item of its settings (`ReportSettingsStore`) and index `dueReports`.

`dueAt`: the end of the next report day to report; `tryAt`, the index's key: when to try it. `underWayEnd`,
`underWayWeek`, `underWayCut`: the reports that are being sent; `sentTo`: the addresses that have them; `leaseUntil`:
until then one invocation alone sends them. `{daily,weekly}Until`, `{daily,weekly}Cut`: the last report of that kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backup_webhooks.aws.items import from_item, to_item
from backup_webhooks.events.timestamps import Timestamp, iso_milliseconds
from backup_webhooks.reports.recipients import ReportSettings
from backup_webhooks.reports.report import ReportKind
from backup_webhooks.reports.settings_store import DUE_SHARD, report_key, settings_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_UNDER_WAY = "underWayEnd, underWayWeek, underWayCut, leaseUntil, sentTo"
_IDLE = "(attribute_not_exists(leaseUntil) OR leaseUntil < :now)"


class Reported(Struct, frozen=True):
    """The last report of a kind: it counted backups up to `until` that were recorded up to `cut`."""

    until: datetime
    cut: datetime


class UnderWay(Struct, frozen=True):
    """The reports that are being sent: a daily one up to `until`, a weekly one up to `week`; recorded up to `cut`.

    These are fixed at the beginning, so that all recipients get the same, even if the customer changes the settings.
    """

    until: datetime
    week: datetime
    cut: datetime


class ReportProgress(Struct, frozen=True):
    """The progress of an account's reports. `reported` has no entry for a kind of report that was never sent."""

    due_at: datetime | None
    reported: Mapping[ReportKind, Reported]
    under_way: UnderWay | None
    sent_to: frozenset[str]


class DueReport(Struct, frozen=True):
    """An account whose report is due, and when it is to be tried."""

    account: str
    due_at: datetime
    try_at: datetime


class ReportScheduleStore(Struct, frozen=True):
    """Reads and writes the progress. Its methods raise botocore's errors."""

    client: DynamoDBClient
    table: str

    def due(self, now: datetime) -> Iterator[DueReport]:
        """Yield the accounts whose report is to be tried by `now`, the longest overdue first."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="dueReports",
            KeyConditionExpression="dueShard = :shard AND tryAt <= :now",
            ExpressionAttributeValues=to_item({":shard": DUE_SHARD, ":now": iso_milliseconds(now)}),
        )
        for page in pages:
            for item in map(from_item, page["Items"]):
                yield DueReport(item["account"], Timestamp.parse(item["dueAt"]), Timestamp.parse(item["tryAt"]))

    def postpone(self, due: DueReport, try_at: datetime) -> bool:
        """Set when to try again. Return False if another writer has changed that since it was read."""
        values = {":next": try_at, ":seen": due.try_at}
        return self._update(due.account, "SET tryAt = :next", values, "tryAt = :seen")

    def load(self, account: str) -> tuple[ReportSettings, ReportProgress]:
        """Return the settings and the progress, by a consistent read."""
        answer = self.client.get_item(TableName=self.table, Key=report_key(account), ConsistentRead=True)
        item = from_item(answer.get("Item", {}))
        return settings_of(item), _progress(item)

    def begin(self, account: str, seen: ReportProgress, report: UnderWay, now: datetime, lease_until: datetime) -> bool:
        """Begin or resume the report. Return False if another invocation holds it, or if it is no longer due."""
        values = {
            ":end": report.until,
            ":week": report.week,
            ":cut": report.cut,
            ":lease": lease_until,
            ":now": now,
            ":due": seen.due_at,
        }
        return self._update(
            account,
            "SET underWayEnd = :end, underWayWeek = :week, underWayCut = :cut, leaseUntil = :lease",
            values,
            f"dueAt = :due AND {_IDLE} AND (attribute_not_exists(underWayEnd) OR underWayEnd = :end)",
        )

    def mark_sent(self, account: str, report: UnderWay, address: str) -> bool:
        """Record that the address has the report. Return False if it is no longer under way."""
        values = {":end": report.until, ":address": {address}}
        return self._update(account, "ADD sentTo :address", values, "underWayEnd = :end")

    def release(self, account: str, report: UnderWay) -> None:
        """End the lease, so that another invocation may resume the report."""
        self._update(account, "REMOVE leaseUntil", {":end": report.until}, "underWayEnd = :end")

    def give_up(self, account: str, report: UnderWay, reported: Mapping[ReportKind, Reported], now: datetime) -> bool:
        """End a report that did not reach all, and record what it reported. Return False if it is held."""
        update, values = _with_reported("", {":end": report.until, ":now": now}, reported)
        return self._update(account, f"{update} REMOVE {_UNDER_WAY}", values, f"underWayEnd = :end AND {_IDLE}")

    def finish(
        self, account: str, report: UnderWay, reported: Mapping[ReportKind, Reported], due_at: datetime, revision: int
    ) -> bool:
        """Record what was reported, and what is due next. Return False if the settings or the report have changed."""
        values = {":end": report.until, ":due": due_at, ":revision": revision}
        update, values = _with_reported("SET dueAt = :due, tryAt = :due", values, reported)
        return self._update(
            account, f"{update} REMOVE {_UNDER_WAY}", values, "underWayEnd = :end AND revision = :revision"
        )

    def _update(self, account: str, update: str, values: Mapping[str, Any], condition: str) -> bool:
        try:
            self.client.update_item(
                TableName=self.table,
                Key=report_key(account),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item({name: _stored(value) for name, value in values.items()}),
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _with_reported(
    update: str, values: dict[str, Any], reported: Mapping[ReportKind, Reported]
) -> tuple[str, dict[str, Any]]:
    """Return the update expression and its values, extended by what each kind of report has reported."""
    sets = [f"{kind}{suffix} = :{kind}{suffix}" for kind in reported for suffix in ("Until", "Cut")]
    if sets:
        update = f"{update}, {', '.join(sets)}" if update else f"SET {', '.join(sets)}"
    for kind, last in reported.items():
        values = values | {f":{kind}Until": last.until, f":{kind}Cut": last.cut}
    return update, values


def _stored(value: Any) -> Any:
    return iso_milliseconds(value) if isinstance(value, datetime) else value


def _progress(item: Mapping[str, Any]) -> ReportProgress:
    return ReportProgress(
        due_at=Timestamp.parse(item["dueAt"]) if "dueAt" in item else None,
        reported={
            kind: Reported(Timestamp.parse(item[f"{kind}Until"]), Timestamp.parse(item[f"{kind}Cut"]))
            for kind in ReportKind
            if f"{kind}Until" in item
        },
        under_way=(
            UnderWay(*(Timestamp.parse(item[name]) for name in ("underWayEnd", "underWayWeek", "underWayCut")))
            if "underWayEnd" in item
            else None
        ),
        sent_to=frozenset(item.get("sentTo", ())),
    )
