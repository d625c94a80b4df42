"""Reports: e-mail about an account's backups, once a day or at once. What a report says is pure; senders surround it.

daily_report and email_notices run it, and `api` edits its recipients. It imports `deliveries` for the delivery log.
"""
