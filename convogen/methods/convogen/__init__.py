"""ConvoGen: experiences from a few-shot hub, played as group chats."""
