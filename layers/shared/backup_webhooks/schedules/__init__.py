"""Schedules: Quartz cron expressions, and the times at which they fire. Pure, without a clock.

`monitoring` computes expected starts with it, and `sources` checks expressions. It imports no other room.
"""
