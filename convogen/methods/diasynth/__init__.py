"""DiaSynth: topics, their subtopics, personas for each, and a reasoned dialogue of every pair.

Tasks share lists: the first task of a topic asks for its subtopics, the first of a subtopic for its
personas, among its own calls; later ones wait for it. What it found is in the row of its experience
(`plan`), where a resumed run reads it. If it fails, the next task of the topic asks in its place:
who asks depends on the plan alone. Topics vary fastest, so these tasks come early.
"""
