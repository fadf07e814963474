"""The tables and arithmetic of each paper, for runs; its numbers are in `published`."""
