"""Fine-tuning a model to talk as people do with chatbots (DialogueForge, section 3.3).

The model learns the inquirer's turns of real dialogues by LoRA on one corpus, and is evaluated on
another. Everything needs `pip install 'convogen[train]'`, imported on first use.
"""
