"""LLM Roleplay: a persona talks to a chatbot until it has reached its goal.

The plan pairs every persona with every goal; a pair that fails is not replaced. Unusable outputs
are regenerated within the task. A chatbot that keeps its own memory never gets a message twice,
even if its reply is lost.

`method` contains the parameters and the plan, `personas` draws and reads personas, `people` reads
goals and model families, `reading` parses outputs, `failures` detects failures, `thanks` detects
courtesies, and `play` implements algorithm 1.
"""
