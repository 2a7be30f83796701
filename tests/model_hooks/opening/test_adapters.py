"""An adapter opens on its model: merged as PEFT merges it, and alone as if it were not there."""

import json
import shutil

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from model_hooks import BrokenModelError, ModelNotFoundError, load_model
from model_hooks import load_tokenizer as open_tokenizer
from model_hooks.opening.names import with_adapter, without_adapter
from tests.conftest import tiny_gpt2, tiny_llama, with_random_weights
from tests.refusals import said_of

IDS = [1, 2, 3, 5]
pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT has much to say


def save_adapter(model, base, folder, **settings):
    """Write an adapter with random weights, as a training would leave it."""
    torch.manual_seed(1)
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    tuned.peft_config["default"].base_model_name_or_path = base
    tuned.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer):
    """A model and an adapter for it, in two folders beside each other."""
    home = tmp_path_factory.mktemp("adapters")
    with_random_weights(tiny_llama).save_pretrained(home / "base")
    tokenizer.save_pretrained(home / "base")
    targets = ["q_proj", "v_proj", "down_proj"]
    model = with_random_weights(tiny_llama)
    save_adapter(model, str(home / "base"), home / "lora", r=4, target_modules=targets)
    return home


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved / "lora", tmp_path / "lora")


def edit(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def logits_of(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0, -1].numpy()


def test_an_adapter_computes_what_pefts_own_merge_does(saved):
    plain = logits_of(with_random_weights(tiny_llama))
    put_on = PeftModel.from_pretrained(with_random_weights(tiny_llama), str(saved / "lora"))
    merged = logits_of(put_on.merge_and_unload())
    hooked = load_model(str(saved / "lora"))
    got = hooked.trace(IDS).last_logits
    np.testing.assert_allclose(got, merged, atol=1e-5)
    assert np.abs(got - plain).max() > 0.1
    assert hooked.info.adapter == "LoRA, rank 4"
    assert hooked.info.name == str(saved / "lora")
    assert open_tokenizer(str(saved / "lora")).encode("the cat") == hooked.encode("the cat")


def test_without_it_the_model_is_as_it_was(saved):
    name = without_adapter(str(saved / "lora"))
    hooked = load_model(name)
    plain = logits_of(with_random_weights(tiny_llama))
    np.testing.assert_allclose(hooked.trace(IDS).last_logits, plain, atol=1e-5)
    assert hooked.info.name == name
    assert hooked.info.adapter == "LoRA, rank 4"
    assert with_adapter(name) == str(saved / "lora")
    assert load_model(str(saved / "base")).info.adapter is None


def test_a_family_with_transposed_weights_and_saved_modules_is_merged_alike(tmp_path, tokenizer):
    with_random_weights(tiny_gpt2).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    settings = {"target_modules": ["c_attn"], "fan_in_fan_out": True, "use_rslora": True}
    settings |= {"modules_to_save": ["ln_f"], "r": 2}
    save_adapter(with_random_weights(tiny_gpt2), "../base", tmp_path / "lora", **settings)
    put_on = PeftModel.from_pretrained(with_random_weights(tiny_gpt2), str(tmp_path / "lora"))
    merged = logits_of(put_on.merge_and_unload())
    got = load_model(str(tmp_path / "lora")).trace(IDS).last_logits
    np.testing.assert_allclose(got, merged, atol=1e-5)


def test_a_model_with_an_adapter_in_its_own_folder_has_it(saved, tmp_path):
    shutil.copytree(saved / "base", tmp_path / "both")
    shutil.copytree(saved / "lora", tmp_path / "both", dirs_exist_ok=True)
    edit(tmp_path / "both", base_model_name_or_path="org/elsewhere")
    both, apart = load_model(str(tmp_path / "both")), load_model(str(saved / "lora"))
    np.testing.assert_array_equal(both.trace(IDS).last_logits, apart.trace(IDS).last_logits)
    alone = load_model(without_adapter(str(tmp_path / "both")))
    plain = logits_of(with_random_weights(tiny_llama))
    np.testing.assert_allclose(alone.trace(IDS).last_logits, plain, atol=1e-5)


def test_a_base_that_is_not_here_is_named(copied, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    edit(copied, base_model_name_or_path="org/not-here")
    said = said_of(copied)
    assert "is an adapter (LoRA, rank 4) for another model, org/not-here" in said
    assert "cannot be reached" in said
    edit(copied, base_model_name_or_path=None)
    assert "does not say for which model" in said_of(copied)


def test_an_adapter_of_another_model_is_refused(copied):
    edit(copied, base_model_name_or_path="storyteller")
    assert "does not fit its model, storyteller" in said_of(copied)


def test_weights_without_a_place_and_missing_ones_are_named(copied):
    path = copied / "adapter_model.safetensors"
    whole = load_file(path)
    first = min(whole)
    save_file(
        {key: one for key, one in whole.items() if key != first},
        copied / "adapter_model.safetensors",
    )
    assert "1 of its weights are missing" in said_of(copied)
    save_file(
        {**whole, "base_model.model.extra.lora_A.weight": torch.ones(2)},
        copied / "adapter_model.safetensors",
    )
    assert "1 of its weights have no place in it" in said_of(copied)


@pytest.mark.parametrize("harm", ["cut", "config", "pickle", "kind"])
def test_harm_to_its_files_is_one_sentence(harm, copied):
    weights = copied / "adapter_model.safetensors"
    if harm == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif harm == "config":
        (copied / "adapter_config.json").write_text("{")
    elif harm == "pickle":
        weights.rename(copied / "adapter_model.bin")
    else:
        edit(copied, peft_type="NO_SUCH_KIND")
    said = said_of(copied)
    assert {"pickle": "pickle", "config": "not valid JSON"}.get(harm, "adapter") in said


def test_an_adapter_on_an_adapter_is_refused(saved, copied):
    edit(copied, base_model_name_or_path=str(saved / "lora"))
    with pytest.raises(ModelNotFoundError, match="an adapter itself"):
        load_model(str(copied))


def test_weights_outside_the_folder_are_not_opened(saved, copied):
    (copied / "adapter_model.safetensors").unlink()
    (copied / "adapter_model.safetensors").symlink_to(saved / "lora" / "adapter_model.safetensors")
    with pytest.raises(BrokenModelError, match="outside its folder"):
        load_model(str(copied))


@pytest.mark.parametrize("change", [{"r": 10**7}, {"rank_pattern": {"q_proj": 10**7}}])
def test_a_rank_that_the_weights_do_not_have_is_refused_before_it_is_made(copied, change):
    edit(copied, **change)
    assert "of rank 10,000,000" in said_of(copied)
