"""Pings: the HTTP calls by which scripts say how their backups went, and the keys that allow them."""
