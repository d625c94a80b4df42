"""The CSV of a report's backups, for spreadsheets, with the columns of the backup service's own summary report.

A row is a backup, not a server, so the columns named "Latest" are about that backup. Cells stay empty if the service's
messages do not carry the value. Rows go straight to a file on the disk: a large account's week has 280,000.
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

from backup_webhooks.events.messages import COUNTS
from backup_webhooks.history.backup import Backup, BackupResult
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
_NOT_ENDED = (BackupResult.MISSED, BackupResult.UNFINISHED, BackupResult.STALE)
LARGEST_PLAIN = 1024 * 1024
# Mail programs take some 25 MB in all, and encoding takes a quarter of them.
LARGEST_ZIP = 12 * 1024 * 1024
_LONGEST_NAME = 1000
_SECOND = timedelta(seconds=1)
_BYTE_ORDER_MARK = "\ufeff"
# A program may skip these before it takes a cell for a formula.
_SKIPPED = re.compile("[\\s\ufeff\ufffd]*")
_SEPARATORS = re.compile("[;|]")
_FORMULA = frozenset("=+-@\t\r\n")


class BackupsCsv:
    """A context manager with files on the disk. `add` each backup, then call `attachment`.

    `statuses`: by server policy id, the status of the server policy and that of its account policy. `largest_zip`: in
    bytes; a larger zip is replaced by one of the backups that did not succeed.
    """

    def __init__(self, statuses: Mapping[str, tuple[str, str]] | None = None, largest_zip: int = LARGEST_ZIP) -> None:
        self._statuses = statuses or {}
        self._largest_zip = largest_zip
        self._all, self._not_succeeded = _CsvFile(), _CsvFile()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.close()
        self._not_succeeded.close()

    def add(self, backup: Backup) -> None:
        """Write the backup's row."""
        row = _row(backup, *self._statuses.get(backup.server_policy_id, (None, None)))
        self._all.write(row)
        if backup.result is not BackupResult.SUCCESS:
            self._not_succeeded.write(row)

    def attachment(self, name: str) -> Attachment:
        """Return `<name>.csv` or, beyond 1 MiB, `<name>.zip` with that file in it.

        If the zip is too large for e-mail, return `<name>-not-succeeded.zip`, without the backups that succeeded.
        """
        if plain := self._all.plain():
            return Attachment(f"{name}.csv", "text/csv", plain)
        zipped = self._all.zipped(f"{name}.csv")
        if len(zipped) <= self._largest_zip:
            return Attachment(f"{name}.zip", "application/zip", zipped)
        part = f"{name}-not-succeeded"
        return Attachment(f"{part}.zip", "application/zip", self._not_succeeded.zipped(f"{part}.csv"), complete=False)


class _CsvFile:
    """A CSV file on the disk."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the text wrapper
        self._text = io.TextIOWrapper(self._file, encoding="utf-8", newline="")
        # By this mark Excel knows that the file is UTF-8.
        self._text.write(_BYTE_ORDER_MARK + ",".join(SERVICE_COLUMNS + OWN_COLUMNS) + "\r\n")
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_STRINGS)
        self.write = self._writer.writerow

    def close(self) -> None:
        self._text.close()

    def plain(self) -> bytes | None:
        """Return the file's content, or None if it is larger than `LARGEST_PLAIN`."""
        if self._rewind() > LARGEST_PLAIN:
            return None
        return self._file.read()

    def zipped(self, name: str) -> bytes:
        """Return a zip with the file in it under that name."""
        size = self._rewind()
        with tempfile.TemporaryFile() as packed:
            with zipfile.ZipFile(packed, "w") as archive:
                entry = zipfile.ZipInfo(name)
                entry.compress_type, entry.file_size = zipfile.ZIP_DEFLATED, size
                with archive.open(entry, "w") as file:
                    shutil.copyfileobj(self._file, file)
            packed.seek(0)
            return packed.read()

    def _rewind(self) -> int:
        """Go to the file's beginning, and return its size in bytes."""
        self._text.flush()
        size = self._file.seek(0, io.SEEK_END)
        self._file.seek(0)
        return size


def _row(backup: Backup, policy_status: str | None, account_policy_status: str | None) -> Sequence[str | int | None]:
    missed = backup.result is BackupResult.MISSED
    ended = backup.result not in _NOT_ENDED
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
        _time(occurred) if ended else None,
        *map(backup.counts.get, _TRANSFERRED),
        _cell(backup.restore_point_id),
        (occurred - started) // _SECOND if started and ended else None,
        _time(occurred) if missed else None,
    )


def _time(timestamp: datetime | None) -> str | None:
    """Return the time in UTC as the service's report writes it: `20180625 15:02:05`."""
    # It takes a third of the time of `strftime`.
    return timestamp.astimezone(UTC).isoformat(" ")[:19].replace("-", "") if timestamp else None


def _cell(text: str | None) -> str | None:
    """Return the text, sanitized, and after an apostrophe if a spreadsheet would take it for a formula (OWASP)."""
    if text is None:
        return None
    # A spreadsheet that splits at such a separator would make the rest of a name a cell, without its quotes.
    shown = _SEPARATORS.sub(",", sanitize(text, _LONGEST_NAME))
    if shown[:1].isalnum():
        return shown
    # Some programs take full-width forms for formulas too.
    start = _SKIPPED.sub("", shown, count=1)[:1]
    if _FORMULA.intersection(text[:1]) or unicodedata.normalize("NFKC", start)[:1] in _FORMULA:
        return f"'{shown}"
    return shown
