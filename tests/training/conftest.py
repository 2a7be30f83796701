import json

import pytest

TEXT = "\n<|endoftext|>\n".join(
    f"Once upon a time there was a {animal}. The {animal} had a {thing}. It was a good {thing}."
    for animal in ("dog", "cat", "bird", "fish")
    for thing in ("ball", "hat", "cake", "boat", "drum")
)


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "stories.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def recipe():
    return {
        "name": "tiny",
        "model_type": "llama",
        "model": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 32,
            "tie_word_embeddings": True,
        },
        "tokenizer": {"vocab_size": 320, "context_size": 32},
        "train": {
            "steps": 6,
            "warmup": 2,
            "decay": 2,
            "tokens_per_step": 64,
            "tokens_at_once": 32,
            "sequence_length": 16,
            "final_sequence_length": 32,
            "final_sequence_steps": 2,
            "lr": 0.01,
            "muon_lr": 0.02,
        },
    }


@pytest.fixture
def recipe_file(tmp_path, recipe):
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path
