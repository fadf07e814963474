"""DialogueForge: can generated dialogues be recognised, and whose dialogues are preferred?"""
