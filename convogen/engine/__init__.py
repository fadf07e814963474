"""Execution: tasks are played concurrently and committed in order, for runs, judging, replays and
item lists."""
