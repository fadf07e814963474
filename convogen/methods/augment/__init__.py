"""Augmentation of a labelled data set, dialogue by dialogue.

Each task draws a source dialogue at random, which determines the shape and the labels of the new
dialogue. A balanced label depends only on the task's number. The experience, the turns and the
labels are then generated. A task makes up to `attempts` attempts, all with the same plan. The plan
depends neither on `n` nor on the order in which tasks finish.
"""
