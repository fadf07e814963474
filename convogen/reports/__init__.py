"""Reports on runs: numbers, intervals, plots, and a page that shows them."""
