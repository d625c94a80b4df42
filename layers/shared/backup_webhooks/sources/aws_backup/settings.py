"""Settings of the function aws_backup."""

from __future__ import annotations

from backup_webhooks.aws.settings import Settings, Text


class AwsBackupSettings(Settings, frozen=True, kw_only=True):
    """The settings of aws_backup."""

    sources_table: Text
    backup_events_queue_url: Text
