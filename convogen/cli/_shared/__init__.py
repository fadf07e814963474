"""Shared parts of the commands: options, limits, terminal output, tables, dry runs."""
