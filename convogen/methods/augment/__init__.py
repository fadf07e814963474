"""Augmentation of a labelled data set, dialogue by dialogue.

A dialogue of the source determines the shape and the labels (a balanced label follows from the
task's number alone); then the experience, the turns and the labels are generated. A task makes up
to `attempts` attempts with the same plan, so the plan depends neither on the order of completion
nor on n.
"""
