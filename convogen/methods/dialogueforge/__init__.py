"""DialogueForge: task p continues seed p, with two models that take turns.

There are as many tasks as seeds, and there is no group chat and no experience. In the inquirer's
requests, the inquirer is the assistant, and user messages report the chatbot's replies. A small
model that sees these replies as plain user messages soon talks like a chatbot itself.
"""
