"""What plays tasks and commits them in order: runs, judging, replays, whatever is asked of models."""
