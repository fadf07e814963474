"""Methods, one package per paper. Each plans tasks and turns a task into a conversation."""
