"""Text written by models: the spoken part of a reply, and its faults.

Pure functions. Replies are untrusted, and only a bounded part of each is read. Language-dependent
data is in `languages/`, one file per language.

>>> from convogen.text.turn_checks import Scene, read_utterance
>>> read_utterance('Owen: "Not today." *sighs*', Scene("Owen", ("Ray",))).text
'Not today.'
"""
