"""The tables and calculations of each paper for runs; `convogen.published` has its numbers."""
