"""Schedules: Quartz cron expressions, and the times at which they fire. Pure, without a clock.

`monitoring` judges by it and `sources` checks with it. It imports no other room.
"""
