"""Debates: two people speak for and against a motion."""
