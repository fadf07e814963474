"""What a run has cost, and what it will take."""
