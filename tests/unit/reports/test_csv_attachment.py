"""Tests of the attached CSV: the service's own columns, a row for each backup, safe to open."""

from __future__ import annotations

import csv
import io
import tracemalloc
import zipfile
from collections.abc import Mapping
from datetime import timedelta

import pytest
from backup_webhooks.events.messages import COUNTS
from backup_webhooks.history.backup import Backup, BackupResult
from backup_webhooks.reports.csv_attachment import LARGEST_PLAIN, BackupsCsv
from backup_webhooks.reports.email import Attachment
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reports import backup, on

# The columns of the backup service's own summary report.
HEADER = (
    "Server Id,Server Policy Id,Server Policy Status,Storage Region,Account Policy Name,Account Policy Id,"
    "Account Policy Status,OS Type,Protected Files,Protected Bytes,Latest Backup Status,Latest Backup Start Time,"
    "Latest Backup Finished Time,Latest Files Transferred To Storage,Latest Bytes Transferred To Storage,"
    "Latest Files Failed To Transfer To Storage,Latest Bytes Failed To Transfer To Storage,"
    "Latest Files Removed From Disk,Latest Bytes Removed From Disk,Latest Unchanged Files Not Transferred,"
    "Latest Unchanged Bytes Not Transferred"
)
NAMES = ("server_id", "server_policy_id", "account_policy_id", "account_policy_name", "storage_region")
FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\u00a0=1+1",
    "\u3000@x",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    " \uff1dx",
]


# A program that splits at other separators than the comma makes the rest of the name a cell.
SEPARATED = ["x;=cmd|' /C calc'!A0;y", "x; \uff1dcmd", "a|+1", "a;-1;@x", 'x;"=1+1', 'x;""=1;']


def attachment(*backups: Backup, statuses: Mapping[str, tuple[str, str]] | None = None) -> Attachment:
    with BackupsCsv(statuses) as backups_csv:
        for each in backups:
            backups_csv.add(each)
        return backups_csv.attachment("backups-2026-11-25")


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def cells(made: Attachment) -> dict[str, str]:
    """Return the only row as a mapping from column to cell."""
    header, row = rows(made.content)
    return dict(zip(header, row, strict=True))


def test_it_begins_with_the_columns_of_the_services_own_report() -> None:
    content = attachment().content

    assert content.startswith(b"\xef\xbb\xbf" + HEADER.encode() + b",Restore Point Id,")
    assert rows(content) == [[*HEADER.split(","), "Restore Point Id", "Duration Seconds", "Expected Start Time"]]


def test_a_backup_is_a_row_with_times_as_that_report_writes_them() -> None:
    made = cells(attachment(backup(), statuses={"policy of IL1TESTWEB01": ("ACTIVE", "INACTIVE")}))

    assert {column: value for column, value in made.items() if value} == {
        "Server Id": "IL1TESTWEB01",
        "Server Policy Id": "policy of IL1TESTWEB01",
        "Server Policy Status": "ACTIVE",
        "Storage Region": "US WEST",
        "Account Policy Name": "Nightly",
        "Account Policy Id": "nightly",
        "Account Policy Status": "INACTIVE",
        "Latest Backup Status": "SUCCESS",
        "Latest Backup Start Time": "20261125 02:00:05",
        "Latest Backup Finished Time": "20261125 02:12:05",
        "Restore Point Id": "rp 1",
        "Duration Seconds": "720",
    }


def test_a_missed_one_has_its_scheduled_start_and_no_other_times() -> None:
    made = cells(attachment(backup(BackupResult.MISSED)))

    assert made["Latest Backup Status"] == "MISSED"
    assert made["Expected Start Time"] == "20261125 02:12:05"
    assert not made["Latest Backup Start Time"] + made["Latest Backup Finished Time"]
    assert not made["Duration Seconds"] + made["Restore Point Id"]


@pytest.mark.parametrize("result", BackupResult)
def test_the_status_is_the_services_own_word(result: BackupResult) -> None:
    assert cells(attachment(backup(result)))["Latest Backup Status"] == result.value


def test_files_and_bytes_are_in_the_services_columns_as_far_as_they_are_known() -> None:
    counts = {name: number for number, name in enumerate(COUNTS, 1)}
    header, full, bare = rows(attachment(backup(counts=counts), backup()).content)

    known = dict(zip(header, full, strict=True))
    assert known["Protected Files"] == "1"
    assert known["Latest Files Transferred To Storage"] == "2"
    assert known["Latest Bytes Transferred To Storage"] == "3"
    assert known["Latest Files Failed To Transfer To Storage"] == "4"
    assert known["Latest Bytes Failed To Transfer To Storage"] == "5"
    assert known["Latest Files Removed From Disk"] == "6"
    assert known["Latest Bytes Removed From Disk"] == "7"
    assert known["Latest Unchanged Files Not Transferred"] == "8"
    assert known["Latest Unchanged Bytes Not Transferred"] == "9"
    assert {dict(zip(header, bare, strict=True))[name] for name in header if "Files" in name or "Bytes" in name} == {""}


def test_a_duration_is_in_whole_seconds_and_empty_if_the_start_is_unknown() -> None:
    ended = on("11-25 02:12:05")

    assert cells(attachment(backup(started_at=ended - timedelta(seconds=1.999))))["Duration Seconds"] == "1"
    assert cells(attachment(backup(started_at=None)))["Duration Seconds"] == ""


def test_every_row_has_as_many_cells_as_the_header() -> None:
    made = rows(attachment(*(backup(result) for result in BackupResult)).content)

    assert {len(row) for row in made} == {24}


def test_lines_end_as_excel_wants_them() -> None:
    content = attachment(backup(), backup()).content

    assert content.count(b"\r\n") == content.count(b"\n") == 3


@pytest.mark.parametrize("name", FORMULAS)
def test_no_name_is_taken_for_a_formula(name: str) -> None:
    made = attachment(
        backup(restore_point_id=name, **dict.fromkeys(NAMES, name)),
        statuses={name: (name, name)},
    )

    header, row = rows(made.content)
    given_by_us = {
        "Latest Backup Status",
        "Latest Backup Start Time",
        "Latest Backup Finished Time",
        "Duration Seconds",
    }
    assert sum(cell.startswith("'") for cell in row) == 8
    for column, cell in zip(header, row, strict=True):
        assert column in given_by_us or cell[:1] in ("", "'")


@pytest.mark.parametrize("name", ["a=b", "IL1-TEST", 'a "quoted", name', "Café ✓", "שרת", "it's"])
def test_an_honest_name_stays_as_it_is(name: str) -> None:
    assert cells(attachment(backup(server_id=name)))["Server Id"] == name


@given(st.text(max_size=200))
def test_any_name_is_one_cell_on_one_line(name: str) -> None:
    made = rows(attachment(backup(**dict.fromkeys(NAMES, name)), backup()).content)

    assert [len(row) for row in made] == [24] * 3
    assert made[1][0] == made[1][4]
    assert "\n" not in "".join(made[1])


def test_a_name_of_10_kb_is_shortened() -> None:
    assert len(cells(attachment(backup(server_id="x" * 10_000)))["Server Id"]) == 1000


def test_a_small_one_is_attached_as_it_is() -> None:
    made = attachment(backup())

    assert (made.name, made.content_type) == ("backups-2026-11-25.csv", "text/csv")


def test_a_large_one_is_zipped_with_all_its_rows() -> None:
    many = [backup(server_id=f"S{number}", restore_point_id=f"rp {number}") for number in range(8000)]

    made = attachment(*many)

    assert (made.name, made.content_type) == ("backups-2026-11-25.zip", "application/zip")
    assert len(made.content) < LARGEST_PLAIN / 2
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["backups-2026-11-25.csv"]
        unzipped = archive.read("backups-2026-11-25.csv")
    assert len(unzipped) > LARGEST_PLAIN
    assert [row[0] for row in rows(unzipped)[1:]] == [each.server_id for each in many]
    assert unzipped == b"".join(
        [attachment().content, *(attachment(each).content.split(b"\r\n", 1)[1] for each in many)]
    )


def test_the_same_backups_are_the_same_file() -> None:
    many = [backup(server_id=f"S{number}") for number in range(8000)]

    assert attachment(*many) == attachment(*many)


def test_it_is_the_disk_that_holds_the_rows() -> None:
    with BackupsCsv() as backups_csv:
        backups_csv.add(backup())
        tracemalloc.start()
        for number in range(20_000):
            backups_csv.add(backup(server_id=f"S{number}"))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert most < 1_000_000


@pytest.mark.parametrize("text", SEPARATED)
@pytest.mark.parametrize("separator", [";", "|"])
def test_no_part_of_a_name_is_a_formula_where_another_separator_is_taken(text: str, separator: str) -> None:
    content = attachment(backup(account_policy_name=text)).content.decode("utf-8-sig")

    for row in csv.reader(io.StringIO(content, newline=""), delimiter=separator):
        assert not any(cell.strip().startswith(("=", "+", "-", "@", "\uff1d")) for cell in row)


def test_a_csv_that_is_too_large_for_email_has_only_the_backups_that_did_not_succeed() -> None:
    def made(largest_zip: int) -> Attachment:
        with BackupsCsv(largest_zip=largest_zip) as backups_csv:
            for number in range(12000):
                result = BackupResult.FAILED if number % 100 == 0 else BackupResult.SUCCESS
                backups_csv.add(backup(result=result, restore_point_id=f"rp-{number}"))
            return backups_csv.attachment("backups-2026-11-25")

    assert (made(10**9).name, made(10**9).complete) == ("backups-2026-11-25.zip", True)
    cut = made(1000)
    assert (cut.name, cut.complete) == ("backups-2026-11-25-not-succeeded.zip", False)
    with zipfile.ZipFile(io.BytesIO(cut.content)) as archive:
        header, *lines = rows(archive.read("backups-2026-11-25-not-succeeded.csv"))
    status = header.index("Latest Backup Status")
    assert [line[status] for line in lines] == ["FAILED"] * 120
