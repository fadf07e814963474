"""The run folder: its only writers, its readers, and crash recovery."""
