"""How people in a conversation deal with one another: whom they address, and what gets in the way.

Pure functions of speakers and texts, without a model. What depends on the language is in
`languages/` and, as to how people are called by name, in `convogen/text/languages`, one file each;
conversations in a language without either have addresses by questions and order alone, and no
friction.
"""
