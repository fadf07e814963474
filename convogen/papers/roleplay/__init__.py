"""LLM Roleplay: studies over seeds, and checks of the paper's own numbers."""
