"""History: one record of each backup that ended or was missed, and what the backup printed.

Reports and pages read it long after a server policy has forgotten. `deliveries`, `reports`, `sources` and `api` may
import it.
"""
