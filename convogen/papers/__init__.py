"""Each paper's tables and calculations for runs; `convogen.published` has the printed numbers."""
