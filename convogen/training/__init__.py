"""Fine-tuning a model to speak as people do to chatbots (DialogueForge, section 3.3).

The model learns the inquirer's turns of real dialogues by LoRA, on one corpus, and is held against
another. All of it needs `pip install 'convogen[train]'`, which is imported where it is called.
"""
