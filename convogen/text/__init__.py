"""Text written by models: the spoken part of a reply, and its faults.

Pure functions; replies are foreign text, of which a bounded part is read. What depends on the
language is in `languages/`, one file each.

>>> from convogen.text.turn_checks import Scene, read_utterance
>>> read_utterance('Owen: "Not today." *sighs*', Scene("Owen", ("Ray",))).text
'Not today.'
"""
