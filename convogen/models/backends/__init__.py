"""Model backends: endpoint, chatbot, GGUF file, checkpoint or script."""
