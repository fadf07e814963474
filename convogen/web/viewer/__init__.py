"""The viewer for run folders, which lists, searches, compares and shows conversations."""
