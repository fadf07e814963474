"""DiaSynth: topics, their subtopics, personas for each, and a reasoned dialogue of every pair."""
