"""DiaSynth: topics, their subtopics, personas for each subtopic, and a reasoned dialogue for every
pair.

Tasks share lists. The first task of a topic requests its subtopics, and the first task of a
subtopic requests its personas; later tasks wait for them. A list is stored in the row of the
requesting task's experience (`plan`), from which a resumed run reads it. If the requesting task
fails, the next task of the same topic or subtopic requests the list, so the result never depends on
timing. Topics vary fastest in the plan, so the requesting tasks come early.
"""
