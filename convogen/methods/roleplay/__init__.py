"""LLM Roleplay: a persona talks to a chatbot until it has what it wanted."""
