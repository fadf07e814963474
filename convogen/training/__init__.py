"""Fine-tuning of a model to write as people do to chatbots (DialogueForge, section 3.3).

The model learns the inquirer's turns in one corpus of real dialogues by LoRA, and is evaluated on
another corpus. Fine-tuning needs `pip install 'convogen[train]'`; the libraries are imported on
first use.
"""
