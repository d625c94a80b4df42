"""History: one record of each backup that ended or was missed, and its backup output.

Reports and pages read it long after `monitoring` has dropped the details. `deliveries`, `reports`, `sources` and `api`
may import it.
"""
