"""DialogueForge: can generated dialogues be recognised, and which are preferred?"""
