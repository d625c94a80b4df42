"""The table of a report's backups, for spreadsheets: CSV with the columns of the backup service's own summary report.

A row is a backup, not a server, so that the columns named "Latest" tell of that backup. What the service's messages do
not carry stays empty. A row goes to a file on the disk as it comes: a week of a large account is 280,000 of them.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from backup_webhooks.history.backup import COUNTS, Backup, BackupResult
from backup_webhooks.payloads.sanitize import sanitize
from backup_webhooks.reports.email import Attachment

SERVICE_COLUMNS = (
    "Server Id",
    "Server Policy Id",
    "Server Policy Status",
    "Storage Region",
    "Account Policy Name",
    "Account Policy Id",
    "Account Policy Status",
    "OS Type",
    "Protected Files",
    "Protected Bytes",
    "Latest Backup Status",
    "Latest Backup Start Time",
    "Latest Backup Finished Time",
    "Latest Files Transferred To Storage",
    "Latest Bytes Transferred To Storage",
    "Latest Files Failed To Transfer To Storage",
    "Latest Bytes Failed To Transfer To Storage",
    "Latest Files Removed From Disk",
    "Latest Bytes Removed From Disk",
    "Latest Unchanged Files Not Transferred",
    "Latest Unchanged Bytes Not Transferred",
)
OWN_COLUMNS = ("Restore Point Id", "Duration Seconds", "Expected Start Time")
# The counts in the columns from "Latest Files Transferred To Storage" on.
_TRANSFERRED = COUNTS[1:]
LARGEST_PLAIN = 1024 * 1024
# Mail programs take some 25 MB in all, of which encoding takes a quarter.
LARGEST_ZIP = 12 * 1024 * 1024
_LONGEST_NAME = 1000
_SECOND = timedelta(seconds=1)
_BYTE_ORDER_MARK = "\ufeff"
# What a program may skip before it takes a cell for a formula.
_SKIPPED = re.compile("[\\s\ufeff\ufffd]*")
_SEPARATORS = re.compile("[;|]")
_FORMULA = frozenset("=+-@\t\r\n")


class BackupTable:
    """Use it as a context manager: it keeps files on the disk. `add` each backup, then ask for the `attachment`.

    `statuses`: by the server policies' ids, the status of the server policy and that of its account policy.
    `largest_zip`: in bytes; the table is cut down to what did not succeed where it would be larger.
    """

    def __init__(self, statuses: Mapping[str, tuple[str, str]] | None = None, largest_zip: int = LARGEST_ZIP) -> None:
        self._statuses = statuses or {}
        self._largest_zip = largest_zip
        self._all, self._not_succeeded = _Sheet(), _Sheet()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.close()
        self._not_succeeded.close()

    def add(self, backup: Backup) -> None:
        """Write its row."""
        row = _row(backup, *self._statuses.get(backup.server_policy_id, (None, None)))
        self._all.write(row)
        if backup.result is not BackupResult.SUCCESS:
            self._not_succeeded.write(row)

    def attachment(self, name: str) -> Attachment:
        """The table as `<name>.csv` or, beyond 1 MiB, `<name>.zip` with that in it.

        Where that is too large for e-mail, `<name>-not-succeeded.zip`, with those that did not succeed alone.
        """
        if plain := self._all.plain():
            return Attachment(f"{name}.csv", "text/csv", plain)
        zipped = self._all.zipped(f"{name}.csv")
        if len(zipped) <= self._largest_zip:
            return Attachment(f"{name}.zip", "application/zip", zipped)
        part = f"{name}-not-succeeded"
        return Attachment(f"{part}.zip", "application/zip", self._not_succeeded.zipped(f"{part}.csv"), complete=False)


class _Sheet:
    """CSV in a file on the disk."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the text around it
        self._text = io.TextIOWrapper(self._file, encoding="utf-8", newline="")
        # With the mark Excel takes it for UTF-8.
        self._text.write(_BYTE_ORDER_MARK + ",".join(SERVICE_COLUMNS + OWN_COLUMNS) + "\r\n")
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_STRINGS)
        self.write = self._writer.writerow

    def close(self) -> None:
        self._text.close()

    def plain(self) -> bytes | None:
        """All of it; None where it is larger than `LARGEST_PLAIN`."""
        if self._rewound() > LARGEST_PLAIN:
            return None
        return self._file.read()

    def zipped(self, name: str) -> bytes:
        """All of it, as the one file of that name in a zip."""
        size = self._rewound()
        with tempfile.TemporaryFile() as packed:
            with zipfile.ZipFile(packed, "w") as archive:
                entry = zipfile.ZipInfo(name)
                entry.compress_type, entry.file_size = zipfile.ZIP_DEFLATED, size
                with archive.open(entry, "w") as file:
                    shutil.copyfileobj(self._file, file)
            packed.seek(0)
            return packed.read()

    def _rewound(self) -> int:
        """Go to the beginning; the size."""
        self._text.flush()
        size = self._file.seek(0, io.SEEK_END)
        self._file.seek(0)
        return size


def _row(backup: Backup, policy_status: str | None, account_policy_status: str | None) -> Sequence[str | int | None]:
    missed = backup.result is BackupResult.MISSED
    started, occurred = backup.started_at, backup.occurred_at
    return (
        _cell(backup.server_id),
        _cell(backup.server_policy_id),
        _cell(policy_status),
        _cell(backup.storage_region),
        _cell(backup.account_policy_name),
        _cell(backup.account_policy_id),
        _cell(account_policy_status),
        None,
        backup.counts.get("number_of_protected_files"),
        None,
        str(backup.result),
        _time(started),
        None if missed else _time(occurred),
        *map(backup.counts.get, _TRANSFERRED),
        _cell(backup.restore_point_id),
        (occurred - started) // _SECOND if started and not missed else None,
        _time(occurred) if missed else None,
    )


def _time(timestamp: datetime | None) -> str | None:
    """`20180625 15:02:05`, UTC, as the service's report writes it."""
    # A third of the time of `strftime`.
    return timestamp.astimezone(UTC).isoformat(" ")[:19].replace("-", "") if timestamp else None


def _cell(text: str | None) -> str | None:
    """The text, legible, and with an apostrophe before it where a spreadsheet would take it for a formula (OWASP)."""
    if text is None:
        return None
    # Opened with such a separator, the rest of a name would become a cell, of which the quotes are no part.
    shown = _SEPARATORS.sub(",", sanitize(text, _LONGEST_NAME))
    if shown[:1].isalnum():
        return shown
    # Some programs take the full-width forms for formulas too.
    start = _SKIPPED.sub("", shown, count=1)[:1]
    if _FORMULA.intersection(text[:1]) or unicodedata.normalize("NFKC", start)[:1] in _FORMULA:
        return f"'{shown}"
    return shown
