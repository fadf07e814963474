"""Reports on runs: numbers, intervals, plots, and the page that shows them."""
