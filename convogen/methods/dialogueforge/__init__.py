"""DialogueForge: seed p is simulated in task p, two models writing in turn.

There is no group chat and no experience, and the tasks end with the seeds. The inquirer is the
assistant of its own chat, in which the user tells it what the chatbot answered: a small model that
sees the chatbot's words as a user's own soon talks as the chatbot.
"""
