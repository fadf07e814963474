"""DiaSynth: what generated dialogues are worth downstream."""
