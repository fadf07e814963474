"""Code shared by several commands: options, limits, terminal output, tables and dry runs."""
