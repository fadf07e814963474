"""The command line, with one module per command that is imported when the command is called."""
