"""Pings: the HTTP calls by which scripts report their backups, and the keys that allow these calls."""
