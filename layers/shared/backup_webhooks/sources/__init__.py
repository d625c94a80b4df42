"""Other services' backups as messages of BackupEventsQueue: what maps is pure, what reads and tells is not."""
