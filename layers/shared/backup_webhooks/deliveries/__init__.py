"""Deliveries: an event on its way to a target, from the notifier to the delivery log.

A delivery is suppressed, grouped, deferred or attempted; an attempt is claimed, posted and recorded. `reports` reads
the log, and `api` shows it; no other room imports this one.
"""
