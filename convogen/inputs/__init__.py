"""What users write, read in one way: YAML, text files, keys and what is wrong with them."""
