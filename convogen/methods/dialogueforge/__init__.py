"""DialogueForge: task p simulates seed p, with two models writing in turn.

There is no group chat and no experience, and the tasks end with the seeds. The inquirer is the
assistant of its own chat, in which the user reports what the chatbot answered: a small model that
sees the chatbot's words as plain user messages soon talks like a chatbot itself.
"""
