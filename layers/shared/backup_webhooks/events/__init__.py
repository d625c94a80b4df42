"""Events of backups: the messages on BackupEventsQueue as typed values, and the queue that carries them.

Every room above `aws` may import it. It imports `aws` alone.
"""
