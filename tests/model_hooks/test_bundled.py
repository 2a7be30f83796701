"""What is read of bundled models without loading them is what the loaded ones have."""

import pytest

from model_hooks import HookedModel, bundled_models
from model_hooks.bundled import bundled_sizes, cache_bytes_per_token
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
