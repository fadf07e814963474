"""Experiments: validated YAML, their fingerprints, and the shipped ones."""
