"""Monitoring: which backup is expected next, which start was missed, and what is known of each server policy.

The rules are pure. The recorder, the detector and the stores call AWS. `deliveries`, `reports`, `sources` and `api` may
import it.
"""
