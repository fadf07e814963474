"""Execution of runs, judges, replays and item lists. Tasks run concurrently and are committed in
order."""
