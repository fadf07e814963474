"""DiaSynth: the downstream value of generated dialogues."""
