"""DiaSynth: topics, their subtopics, personas for each subtopic, and a reasoned dialogue for every
pair.

Tasks share lists: the first task of a topic requests its subtopics, the first task of a subtopic
its personas, each among its own calls; later tasks wait for it. The lists are stored in the row of
that task's experience (`plan`), from which a resumed run reads them. If that task fails, the next
task of the topic takes over, so the plan alone determines which task makes the request. Topics vary
fastest, so these tasks come early.
"""
