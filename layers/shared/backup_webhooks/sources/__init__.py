"""Sources: backups of other services as messages on BackupEventsQueue. One package a source.

`api` manages ping keys; no other room imports this one. It imports `monitoring`, `schedules`, `events` and `aws`.
"""
