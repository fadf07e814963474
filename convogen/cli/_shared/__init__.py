"""What several commands share: options and limits, text to the terminal, tables, dry runs."""
