"""Execution of runs, judges, replays and item lists: tasks run concurrently and are committed in
order."""
