"""How people in a conversation interact: whom they address, and what causes friction.

All functions are pure, take speakers and texts, and call no model. Language-dependent rules are in
`languages/` and, for addressing people by name, in `convogen/text/languages`, with one file per
language. In other languages, addressees are inferred from questions and order alone, and friction
is not detected.
"""
