"""A tiny model that can be talked to: byte-level words, a template, and two ends of a text."""

from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from model_hooks import HookedModel
from tests.conftest import with_random_weights

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
TEMPLATE = (
    "{% if messages[0].role != 'system' %}<|turn|>system\nBe kind.<|end|>{% endif %}"
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


def talking(name: str = "talking", template: str = TEMPLATE, **advised: Any) -> HookedModel:
    """Return the model; its weights are random. Its makers advise some generation options."""
    words = Tokenizer(models.BPE({letter: i for i, letter in enumerate(LETTERS)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_special_tokens([AddedToken("<|turn|>"), AddedToken("<|end|>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, chat_template=template, eos_token="<|end|>"
    )

    def make() -> LlamaForCausalLM:
        sizes = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words.get_vocab()),
                max_position_embeddings=512,
                bos_token_id=None,
                eos_token_id=[257, 0],
                **sizes,
                **heads,
            )
        )

    model = with_random_weights(make)
    model.generation_config.update(**advised)
    return HookedModel.wrap(model, tokenizer, name)
