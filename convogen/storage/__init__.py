"""The run folder: its only writers, its readers, and what a crash cannot take from it."""
