"""Experiments: validated YAML files, their fingerprints, and the shipped experiments."""
