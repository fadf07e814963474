"""LLM Roleplay: studies over seeds, and what the paper says of its own."""
