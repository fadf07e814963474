"""Information about a run in progress."""
