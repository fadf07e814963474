"""Model backends: endpoints, chatbots, GGUF files, checkpoints and scripts."""
