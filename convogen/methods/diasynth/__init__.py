"""DiaSynth: topics, their subtopics, personas for each subtopic, and a reasoned dialogue for every
pair of personas.

Tasks share lists. The first task for a topic requests the topic's subtopics, and the first task for
a subtopic requests the subtopic's personas; later tasks wait for these lists. A list is stored in
the `plan` field of the requesting task's experience, from which a resumed run reads the list. If
the requesting task fails, the next task for the same topic or subtopic requests the list, so the
result never depends on timing. Topics vary fastest in the plan, so the requesting tasks come early.
"""
