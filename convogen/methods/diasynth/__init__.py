"""DiaSynth: topics, their subtopics, personas for each subtopic, and a reasoned dialogue for every
pair.

Tasks share lists: the first task of a topic requests its subtopics, the first of a subtopic its
personas, among its own calls; later ones wait for it. The lists are in the row of its experience
(`plan`), where a resumed run reads it. If it fails, the next task of the topic takes over, so who
asks depends on the plan alone. Topics vary fastest, so these tasks come early.
"""
