"""Reports on runs: numbers, intervals, plots, and a page to read."""
