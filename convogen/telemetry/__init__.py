"""Logging of runs in progress."""
