"""Simple Backup Webhooks: what the functions share. Messages in, payloads out, and the care in between."""

__version__ = "0.1.0"
