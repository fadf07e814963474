"""LLM Roleplay: studies over several seeds, and checks of the paper's own numbers."""
