"""DialogueForge: can generated dialogues be told apart, and which are preferred?"""
