"""Small checkpoints with random weights and a tokenizer trained on a few sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["causal", "causal_absolute", "encoder", "seq2seq", "seq2seq_bart", "seq2seq_led"]

SENTENCES = [
    "Anna: Have you seen my keys? I left them on the table this morning.",
    "Ben: They are in the kitchen, next to the bread.",
    "Anna looks for her keys and Ben tells her where they are.",
    "What did the shop ask for the blue coat? Forty, and no less than that!",
]


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "eos_token": "</s>"}
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained, **special)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _save(folder: Path, model_class: str, config: Any) -> Path:
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(7)
    torch.set_num_threads(1)  # such a small model gains nothing from more
    model = getattr(transformers, model_class)(config)
    model.save_pretrained(folder)
    return folder


def causal(folder: Path) -> Path:
    """Write a LLaMA with two layers."""
    from transformers import LlamaConfig

    tokenizer = _tokenizer(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(folder, "LlamaForCausalLM", config)


def seq2seq(folder: Path) -> Path:
    """Write a T5 with one layer."""
    from transformers import T5Config

    tokenizer = _tokenizer(folder)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return _save(folder, "T5ForConditionalGeneration", config)


def causal_absolute(folder: Path) -> Path:
    """Write a GPT-2 with two layers and embeddings for 64 positions only."""
    from transformers import GPT2Config

    tokenizer = _tokenizer(folder)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _save(folder, "GPT2LMHeadModel", config)


def _bart_like(folder: Path, family: str, config_class: Any, **more: Any) -> Path:
    """Write an encoder-decoder with one layer each and learned positions."""
    tokenizer = _tokenizer(folder)
    config = config_class(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        bos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
        **more,
    )
    return _save(folder, f"{family}ForConditionalGeneration", config)


def seq2seq_bart(folder: Path) -> Path:
    """Write a BART with one layer."""
    from transformers import BartConfig

    return _bart_like(folder, "Bart", BartConfig, max_position_embeddings=128)


def seq2seq_led(folder: Path) -> Path:
    """Write an LED with one layer, in which tokens see 16 others and the first token sees all."""
    from transformers import LEDConfig

    positions = {"max_encoder_position_embeddings": 256, "max_decoder_position_embeddings": 64}
    return _bart_like(folder, "LED", LEDConfig, attention_window=16, **positions)


def encoder(folder: Path) -> Path:
    """Write a BERT with two layers."""
    from transformers import BertConfig

    tokenizer = _tokenizer(folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(folder, "BertModel", config)
