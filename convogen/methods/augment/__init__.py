"""Augmentation: more of a labelled data set, dialogue for dialogue.

A dialogue of the source gives the shape and the labels (a balanced label follows from the task's
number alone), then come the experience, the turns and the labels. A task tries `attempts` times
with the same plan, so that neither the order of completion nor n decides what a task is for.
"""
