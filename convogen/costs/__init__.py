"""The cost of a run so far, and a forecast of the remaining cost."""
