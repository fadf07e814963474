"""All model calls of a run: who is asked when, how often, at what cost, and what is kept of it."""
