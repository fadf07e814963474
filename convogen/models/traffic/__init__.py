"""The model calls of a run: scheduling, retries, budget and journal."""
