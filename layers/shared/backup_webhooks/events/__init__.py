"""Backup events: the messages on BackupEventsQueue as typed values, and the queue that carries them.

Every room above `aws` may import this room. It imports only `aws`.
"""
