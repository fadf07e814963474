"""LLM Roleplay: a persona talks to a chatbot until it has reached its goal.

The plan pairs every persona with every goal (`method`) and then ends; a pair that fails is not
replaced. `personas` draws and reads personas, `people` has goals and model families, `reading`
parses outputs, `failures` detects failures, `thanks` detects courtesies, `play` is algorithm 1.
Unusable outputs are regenerated within the task. A chatbot that keeps its own memory never gets a
message twice, even if its answer is lost.
"""
