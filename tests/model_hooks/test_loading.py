import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertForMaskedLM

from model_hooks import (
    BrokenModelError,
    ModelNotFoundError,
    ModelTooLargeError,
    NotCausalError,
    bundled_models,
    load_model,
    load_tokenizer,
    loading,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer, tiny_model):
    """A tiny model in a folder, as a user would have one."""
    folder = tmp_path_factory.mktemp("my model")
    tiny_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def damaged(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "damaged")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def one_sentence(error):
    text = str(error.value)
    return text.endswith(".") and "\n" not in text and "Traceback" not in text


def test_a_local_directory_loads_and_gives_the_same_logits(saved, tiny_model):
    hooked = load_model(str(saved))
    ids = [1, 2, 3]
    with torch.no_grad():
        expected = tiny_model(torch.tensor([ids])).logits[0, -1].numpy()
    np.testing.assert_allclose(hooked.trace(ids).last_logits, expected, atol=1e-5)
    assert hooked.info.name == str(saved)
    assert hooked.info.dtype == "float32"


def test_a_missing_folder_is_named():
    with pytest.raises(ModelNotFoundError, match="no/such/folder") as error:
        load_model("~/no/such/folder")
    assert one_sentence(error)


@pytest.mark.parametrize(
    "name",
    ["", "   ", "a\0b", "x" * 3000, "/no/such/folder", "no spaces allowed", "a/b/c"],
    ids=["empty", "blank", "nul", "endless", "path", "spaces", "deep"],
)
def test_a_name_that_cannot_be_one_is_refused(name, offline):
    with pytest.raises(ModelNotFoundError) as error:
        load_model(name)
    assert one_sentence(error)


def test_a_hub_id_without_a_network_says_so(offline):
    with pytest.raises(ModelNotFoundError, match=r"cannot be reached") as error:
        load_model("inlook-tests/not-on-this-computer")
    assert one_sentence(error)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"config\.json") as error:
        load_model(str(tmp_path))
    assert one_sentence(error)


def test_pickle_weights_are_never_opened(damaged):
    (damaged / "model.safetensors").unlink()
    (damaged / "pytorch_model.bin").write_bytes(b"not opened")
    with pytest.raises(BrokenModelError, match="pickle") as error:
        load_model(str(damaged))
    assert one_sentence(error)


def test_a_folder_without_weights_is_refused(damaged):
    (damaged / "model.safetensors").unlink()
    with pytest.raises(BrokenModelError, match="no weights"):
        load_model(str(damaged))


def test_a_truncated_weights_file_is_broken(damaged):
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(BrokenModelError, match="not a whole safetensors file") as error:
        load_model(str(damaged))
    assert one_sentence(error)


@pytest.mark.filterwarnings("ignore")
def test_weights_of_another_size_are_refused(damaged):
    config = json.loads((damaged / "config.json").read_text())
    config["intermediate_size"] = 64
    (damaged / "config.json").write_text(json.dumps(config))
    with pytest.raises(BrokenModelError) as error:
        load_model(str(damaged))
    assert one_sentence(error)


def test_a_config_that_is_not_json_is_broken(damaged):
    (damaged / "config.json").write_text("{")
    with pytest.raises(BrokenModelError):
        load_model(str(damaged))


def test_a_missing_tokenizer_is_named(damaged):
    for file in damaged.glob("*token*"):
        file.unlink()
    with pytest.raises(BrokenModelError, match="tokenizer"):
        load_model(str(damaged))


def test_a_tokenizer_loads_without_its_model(damaged, tokenizer):
    (damaged / "model.safetensors").unlink()
    (damaged / "config.json").unlink()
    assert load_tokenizer(str(damaged)).get_vocab() == tokenizer.get_vocab()


def test_a_folder_without_tokenizer_files_gets_no_made_up_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(
        BrokenModelError, match=r"has no tokenizer: there is no tokenizer\.json"
    ) as error:
        load_tokenizer(str(tmp_path))
    assert one_sentence(error)


def test_a_damaged_tokenizer_is_named(damaged):
    (damaged / "tokenizer.json").write_text("{}")
    with pytest.raises(
        BrokenModelError, match=r"tokenizer\.json of .* cannot be read: Model missing"
    ):
        load_tokenizer(str(damaged))


def test_a_tokenizer_that_brings_its_own_code_is_refused(damaged):
    settings = {"auto_map": {"AutoTokenizer": ["own.Code", None]}, "tokenizer_class": "Code"}
    (damaged / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(BrokenModelError, match="never runs") as error:
        load_tokenizer(str(damaged))
    assert one_sentence(error)


@pytest.mark.parametrize("name", ["", "/no/such/folder", "inlook-tests/not-on-this-computer"])
def test_a_tokenizer_that_is_nowhere_is_not_found(name, offline):
    with pytest.raises(ModelNotFoundError) as error:
        load_tokenizer(name)
    assert one_sentence(error)


def test_an_encoder_is_not_a_causal_model(tmp_path):
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2}
    BertForMaskedLM(BertConfig(vocab_size=20, intermediate_size=16, **sizes)).save_pretrained(
        tmp_path
    )
    with pytest.raises(NotCausalError, match="BertForMaskedLM") as error:
        load_model(str(tmp_path))
    assert one_sentence(error)


def test_a_model_that_does_not_fit_is_refused_before_loading(saved, monkeypatch):
    monkeypatch.setattr(loading, "free_bytes", lambda device: 1000.0)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", pytest.fail)
    with pytest.raises(ModelTooLargeError, match="GB") as error:
        load_model(str(saved))
    assert one_sentence(error)


def test_half_precision_is_chosen_when_full_does_not_fit(saved, monkeypatch):
    size = (saved / "model.safetensors").stat().st_size
    monkeypatch.setattr(loading, "free_bytes", lambda device: size * 0.8)
    hooked = load_model(str(saved), device="cpu")
    assert hooked.info.dtype == "bfloat16"
    assert hooked.trace([1, 2, 3]).attention(0).sum(-1) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("name", bundled_models())
def test_every_bundled_model_loads_and_predicts(name):
    hooked = load_model(name)
    trace = hooked.trace("Once upon a time")
    assert np.isfinite(trace.last_logits).all()
    assert "".join(trace.tokens).endswith("Once upon a time")
