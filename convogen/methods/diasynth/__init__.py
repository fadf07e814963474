"""DiaSynth: topics, their subtopics, personas for each subtopic, and a reasoned dialogue for every
pair.

Tasks share lists. The first task of a topic requests its subtopics, and the first task of a
subtopic requests its personas; later tasks wait for them. The lists are stored in the row of that
task's experience (`plan`), from which a resumed run reads them. If the task fails, the next task of
the same topic or subtopic requests the list, so the result never depends on timing. Topics vary
fastest in the plan, so the requesting tasks come early.
"""
