"""Extraction of the spoken text from model replies, and detection of faults in it.

The functions are pure. Replies are untrusted, so only a bounded part of each reply is read.
Language-dependent data is in `languages/`, with one file per language.

>>> from convogen.text.turn_checks import Scene, read_utterance
>>> read_utterance('Owen: "Not today." *sighs*', Scene("Owen", ("Ray",))).text
'Not today.'
"""
