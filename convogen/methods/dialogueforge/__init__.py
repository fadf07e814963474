"""DialogueForge: real dialogues with chatbots, simulated anew."""
