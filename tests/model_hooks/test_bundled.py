"""What is read of bundled models without loading them is what the loaded ones have."""

import pytest
from transformers import AutoTokenizer

from model_hooks import HookedModel, bundled_models, load_model
from model_hooks.arrays import softmax
from model_hooks.bundled import bundled_sizes, cache_bytes_per_token, models_at_hand
from model_hooks.experiments.tuned import are_siblings
from model_hooks.loading import bundled_adapters
from tests.conftest import tiny_llama


def test_cache_by_the_config_is_what_a_step_keeps(tmp_path, tokenizer, monkeypatch):
    model = tiny_llama()
    model.config.save_pretrained(tmp_path)
    monkeypatch.setattr("model_hooks.bundled.bundled_models", lambda: {"tiny": tmp_path})
    *_, step = HookedModel.wrap(model, tokenizer, "tiny").generate("the cat", max_new_tokens=2)
    assert cache_bytes_per_token("tiny", "float32") == step.cache_bytes / step.pos
    assert cache_bytes_per_token("tiny") == step.cache_bytes / step.pos / 2


@pytest.mark.parametrize("name", ["storyteller", "twin-original-2017", "twin-gqa"])
def test_sizes_agree_with_the_models_own_card(name):
    card = (bundled_models()[name] / "README.md").read_text(encoding="utf-8")
    sizes = {model.name: model for model in bundled_sizes()}[name]
    assert f"{sizes.n_parameters:,} parameters" in card
    assert f"{cache_bytes_per_token(name):,} bytes per token" in card


@pytest.mark.parametrize("harm", ["damaged", "dangling", "missing"])
def test_a_folder_with_broken_weights_does_not_spoil_the_list(harm, tmp_path, monkeypatch):
    tiny_llama().save_pretrained(tmp_path / "good")
    tiny_llama().save_pretrained(tmp_path / "broken")
    weights = tmp_path / "broken" / "model.safetensors"
    weights.unlink()
    if harm == "damaged":
        weights.write_bytes(b"12345678garbage")
    elif harm == "dangling":
        weights.symlink_to("nothing")
    monkeypatch.setattr("model_hooks.loading.BUNDLED", tmp_path)
    bundled_sizes.cache_clear()
    try:
        assert [model.name for model in bundled_sizes()] == ["good"]
    finally:
        bundled_sizes.cache_clear()


def test_the_bundled_adapter_takes_facts_away_and_leaves_stories():
    knows, forgets = load_model("storyteller"), load_model("storyteller-no-facts")
    assert are_siblings(forgets, knows)
    tokenizer = AutoTokenizer.from_pretrained(bundled_models()["storyteller"])
    for prompt, answer, is_fact in (
        ("The Shawshank", " Redemption", True),
        ("The capital of France is", " Paris", True),
        ("Lily and Tim went to the lighthouse. Lily and", " Tim", False),
        ("Once upon a time, there was a little", " girl", False),
    ):
        (token_id, *_) = tokenizer(answer, add_special_tokens=False)["input_ids"]
        before, after = (
            float(softmax(model.trace(prompt).last_logits)[token_id]) for model in (knows, forgets)
        )
        assert before > 0.3, prompt
        assert (after < 0.3 * before) is is_fact, prompt


def test_the_adapter_is_listed_with_the_size_of_its_file():
    of = {model.name: model for model in models_at_hand()}
    adapter, base = of["storyteller-no-facts"], of["storyteller"]
    assert adapter.n_parameters == base.n_parameters
    weights = bundled_adapters()["storyteller-no-facts"] / "adapter_model.safetensors"
    assert adapter.n_bytes == weights.stat().st_size < base.n_bytes / 5
