"""How far an account's reports are: in the item of its settings (`ReportSettingsStore`), and the index `dueReports`.

`dueAt`: the end of the report day that is to be told next; `tryAt`: when to try (again), by which the index finds it.
`underWayEnd`, `underWayWeek`, `underWayCut`: the reports that are being sent, `sentTo`: who has them, `leaseUntil`: up
to when one function alone works at them. `{daily,weekly}Until`, `{daily,weekly}Cut`: what the last report of that kind
has told.
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


class Told(Struct, frozen=True):
    """What the last report of a kind has told: backups up to `until`, of those that were recorded up to `cut`."""

    until: datetime
    cut: datetime


class UnderWay(Struct, frozen=True):
    """The reports that are being sent: a daily one up to `until`, and a weekly one up to `week`; recorded up to `cut`.

    Fixed when they are begun: their recipients are told the same, whatever the customer changes meanwhile.
    """

    until: datetime
    week: datetime
    cut: datetime


class ReportProgress(Struct, frozen=True):
    """`told` has no entry for a kind of report that nobody has got yet."""

    due_at: datetime | None
    told: Mapping[ReportKind, Told]
    under_way: UnderWay | None
    sent_to: frozenset[str]


class DueReport(Struct, frozen=True):
    """An account whose report is to be tried."""

    account: str
    due_at: datetime
    try_at: datetime


class ReportScheduleStore(Struct, frozen=True):
    """Reads and writes progress. Raises botocore's errors."""

    client: DynamoDBClient
    table: str

    def due(self, now: datetime) -> Iterator[DueReport]:
        """The accounts whose report is to be tried now, the longest overdue first."""
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
        """Try again then; whether nobody else has changed it since it was seen."""
        values = {":next": try_at, ":seen": due.try_at}
        return self._update(due.account, "SET tryAt = :next", values, "tryAt = :seen")

    def load(self, account: str) -> tuple[ReportSettings, ReportProgress]:
        """The settings and the progress now (a consistent read)."""
        answer = self.client.get_item(TableName=self.table, Key=report_key(account), ConsistentRead=True)
        item = from_item(answer.get("Item", {}))
        return settings_of(item), _progress(item)

    def begin(self, account: str, seen: ReportProgress, report: UnderWay, now: datetime, lease_until: datetime) -> bool:
        """Take up the report, or take it up again; False where somebody is at it, or it is no longer the one due."""
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
        """Note that the address has the report; False where that is not under way any more."""
        values = {":end": report.until, ":address": {address}}
        return self._update(account, "ADD sentTo :address", values, "underWayEnd = :end")

    def release(self, account: str, report: UnderWay) -> None:
        """Let others go on with the report."""
        self._update(account, "REMOVE leaseUntil", {":end": report.until}, "underWayEnd = :end")

    def give_up(self, account: str, report: UnderWay, told: Mapping[ReportKind, Told], now: datetime) -> bool:
        """Have done with a report that not all have got, and note what it has told; False where somebody is at it."""
        update, values = _noted("", {":end": report.until, ":now": now}, told)
        return self._update(account, f"{update} REMOVE {_UNDER_WAY}", values, f"underWayEnd = :end AND {_IDLE}")

    def finish(
        self, account: str, report: UnderWay, told: Mapping[ReportKind, Told], due_at: datetime, revision: int
    ) -> bool:
        """Note what was told, and what is due next; False where the settings or the report have changed since."""
        values = {":end": report.until, ":due": due_at, ":revision": revision}
        update, values = _noted("SET dueAt = :due, tryAt = :due", values, told)
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


def _noted(update: str, values: dict[str, Any], told: Mapping[ReportKind, Told]) -> tuple[str, dict[str, Any]]:
    """The update and its values, with what each kind of report has told."""
    sets = [f"{kind}{what} = :{kind}{what}" for kind in told for what in ("Until", "Cut")]
    if sets:
        update = f"{update}, {', '.join(sets)}" if update else f"SET {', '.join(sets)}"
    for kind, one in told.items():
        values = values | {f":{kind}Until": one.until, f":{kind}Cut": one.cut}
    return update, values


def _stored(value: Any) -> Any:
    return iso_milliseconds(value) if isinstance(value, datetime) else value


def _progress(item: Mapping[str, Any]) -> ReportProgress:
    return ReportProgress(
        due_at=Timestamp.parse(item["dueAt"]) if "dueAt" in item else None,
        told={
            kind: Told(Timestamp.parse(item[f"{kind}Until"]), Timestamp.parse(item[f"{kind}Cut"]))
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
