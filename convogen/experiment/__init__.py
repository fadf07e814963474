"""An experiment: YAML, validated, frozen, and its fingerprint; those that are shipped."""
