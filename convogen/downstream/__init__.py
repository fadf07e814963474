"""The value of generated dialogues: models trained on them, evaluated on held-out human data.

As in DiaSynth, section 5.2, an untuned model and the same model fine-tuned on synthetic data, on
the same amount of in-domain data, and on both, are evaluated on the same held-out dialogues.
"""
