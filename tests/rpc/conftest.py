"""A crash nobody expected fails the test in which it was logged."""

from crash_reports import crashes, nothing_crashes_unseen

__all__ = ["crashes", "nothing_crashes_unseen"]
