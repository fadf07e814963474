"""The viewer of run folders: lists, searches, compares and shows conversations."""
