"""Fine-tuning of a model to write to chatbots as people do (DialogueForge, section 3.3).

With LoRA, the model learns the inquirer's turns from one corpus of real dialogues. It is evaluated
on another corpus. Fine-tuning needs `pip install 'convogen[train]'`; the libraries are imported on
first use.
"""
