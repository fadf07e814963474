"""Augmentation: more of a labelled data set, dialogue for dialogue."""
