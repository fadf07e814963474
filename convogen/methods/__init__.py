"""Methods: a paper, a file. Each plans tasks and turns one task into a conversation."""
