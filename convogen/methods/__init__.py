"""Methods, one package each. A method plans tasks and turns each task into a conversation."""
