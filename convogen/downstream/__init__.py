"""Generated dialogues as training data: models trained on them are tested on held-out human data.

As in section 5.2 of DiaSynth, the same held-out dialogues are used to evaluate a model without
fine-tuning and after fine-tuning on synthetic data, on the same amount of in-domain data, or on
both.
"""
