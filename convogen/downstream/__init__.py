"""The value of generated dialogues: models trained on them, evaluated on held-out human data.

As in section 5.2 of DiaSynth, a model is evaluated on the same held-out dialogues without
fine-tuning, and after fine-tuning on synthetic data, on the same amount of in-domain data, and on
both.
"""
