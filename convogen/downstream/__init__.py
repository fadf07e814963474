"""What generated dialogues are worth: models trained on them, measured on held-out human data.

DiaSynth, section 5.2: a model as it is, fine-tuned on synthetic data, on as much in-domain data,
and on both, all evaluated on the same held-out dialogues.
"""
