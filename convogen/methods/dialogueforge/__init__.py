"""DialogueForge: task p simulates seed p, with two models writing alternately.

There is no group chat and no experience, and there are as many tasks as seeds. In the inquirer's
own chat, the inquirer is the assistant, and the user reports what the chatbot answered: a small
model that sees the chatbot's words as plain user messages soon talks like a chatbot itself.
"""
