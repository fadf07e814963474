"""Generation before and after a chat: experiences, labels and structured output."""
