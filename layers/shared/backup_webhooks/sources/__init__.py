"""Sources: turns the backups of other services into messages on BackupEventsQueue. Each source has a package.

`api` manages ping keys; no other room imports this one. It imports `monitoring`, `schedules`, `events` and `aws`.
"""
