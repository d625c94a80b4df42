"""Targets: a customer's URLs with their settings, secrets and health, and their store.

`deliveries`, `reports` and `api` may import it. It imports `payloads`, `posting` and the rooms below them.
"""
