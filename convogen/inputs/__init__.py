"""Reading of user input: YAML, text files, and validation with one-line errors."""
