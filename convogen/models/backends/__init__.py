"""What answers a request: an endpoint, a chatbot, a GGUF file, a checkpoint or a script."""
