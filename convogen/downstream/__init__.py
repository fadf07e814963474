"""The value of generated dialogues: models trained on them, evaluated on held-out human data.

DiaSynth, section 5.2: an untuned model, and the same model fine-tuned on synthetic data, on as much
in-domain data, and on both, are all evaluated on the same held-out dialogues.
"""
