"""Generation before and after a chat: experiences, labels, structured output."""
