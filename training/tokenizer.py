"""Trains a byte-level BPE tokenizer, so that every Unicode text survives encoding and decoding.

`<|endoftext|>` (ID 0) starts every training document and ends the one before. The tokenizer puts it
before every text by default, as Llama's does with its own: a prompt is then the beginning of a
document, and attention always finds the same first token.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from training.corpus import SEPARATOR


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, context_size: int
) -> PreTrainedTokenizerFast:
    """Learns `vocab_size` entries, the 256 bytes and `<|endoftext|>` among them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[SEPARATOR],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SEPARATOR} $A",
        pair=f"{SEPARATOR} $A {SEPARATOR} $B",
        special_tokens=[(SEPARATOR, tokenizer.token_to_id(SEPARATOR))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SEPARATOR,
        eos_token=SEPARATOR,
        model_max_length=context_size,
        clean_up_tokenization_spaces=False,
    )
