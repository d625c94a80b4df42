"""E-mail about an account's backups: what a report says, and how it looks. Pure, but for the senders around it."""
