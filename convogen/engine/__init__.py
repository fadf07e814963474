"""Execution: tasks run concurrently and are committed in order, for runs, judging, replays and item
lists."""
