"""LLM Roleplay: a persona talks to a chatbot until it has what it wanted.

Task p has persona p // G and goal p % G of G goals; the plan ends, and a pair that fails has no
successor. `people` has personas, goals and kinds of models, `reading` what an output says,
`failures` the detectors (`thanks` that of courtesies), `play` algorithm 1. An inquirer's output is
made again within the task; a chatbot with a memory of its own is never told anything twice, not
even if its answer is lost.
"""
