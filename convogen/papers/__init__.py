"""The tables and the arithmetic of each paper, for our runs; its numbers are in `published`."""
