"""Targets: a customer's URLs with their settings, secrets and health, and the store that keeps them.

`deliveries`, `reports` and `api` may import it. It imports `payloads`, `posting` and what lies below them.
"""
