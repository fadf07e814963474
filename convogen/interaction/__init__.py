"""How people in a conversation deal with one another: whom they address, and what gets in the way.

Pure functions of speakers and texts, without a model. What depends on the language is in
`languages/`, one file each; conversations in other languages have addresses by names, questions and
order alone, and no friction.
"""
