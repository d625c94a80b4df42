"""Reports: e-mail about an account's backups, once a day or at once. The content is pure; stores and senders are edge.

daily_report and email_notices run it, and `api` edits its recipients. It imports `deliveries` for the delivery log.
"""
