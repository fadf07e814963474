"""What plays tasks and commits them in order: runs, judging, replays, and other questions."""
