"""The cost of a run so far, and the forecast for the rest."""
