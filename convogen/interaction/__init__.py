"""How people in a conversation interact: whom they address, and what causes friction.

Pure functions of speakers and texts, without a model. Language-dependent rules are in `languages/`
and, for names in address, in `convogen/text/languages`, one file per language; in other languages
addressees are inferred from questions and order alone, and friction is not detected.
"""
